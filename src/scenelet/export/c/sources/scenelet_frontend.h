/* Front end: from samples to log-mel, equal to that of training. No allocation, no global state.

   Log-mel of a window differs from that of training by at most 0.01 dB in floating point, and by at most 0.05 dB in fixed
   point (on average 0.001 dB) if n_fft is at most 8192 and top_db at most 80.

   There are two ways to use it:
   - One window in memory: scenelet_log_mel, and scenelet_is_silent. The result equals that of training.
   - Streaming: scenelet_stream_push takes samples in blocks of any size, and scenelet_stream_poll gives a window's log-mel each time
     that it is ready. It keeps the last n_fft samples and the log-mel of one window. See scenelet_stream for how the
     result differs from that of training.

   Samples are interleaved: SCENELET_CHANNELS per sampling time, left first. Mid-side models take left and right.
   Log-mel is in the layout (frequency, time, channel) of the network's input:
   log_mel[(band * SCENELET_FRAMES + frame) * SCENELET_CHANNELS + channel]. */
#ifndef SCENELET_FRONTEND_H
#define SCENELET_FRONTEND_H

#include "model_frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SCENELET_VALUES (SCENELET_MELS * SCENELET_FRAMES * SCENELET_CHANNELS) /* values of a window's log-mel */

#if SCENELET_FIXED_POINT
typedef int16_t scenelet_sample;
typedef int32_t scenelet_real;
typedef int16_t scenelet_value; /* log-mel in 1 / SCENELET_STEPS_PER_DB dB */
#else
#if SCENELET_INT16_SAMPLES
typedef int16_t scenelet_sample;
#else
typedef float scenelet_sample; /* full scale is 1 */
#endif
typedef float scenelet_real;
typedef float scenelet_value; /* log-mel in dB */
#endif

/* Convert a sample of 16 bits. */
static inline scenelet_sample scenelet_from_int16(int16_t sample)
{
#if SCENELET_FIXED_POINT || SCENELET_INT16_SAMPLES
    return sample;
#else
    return (float)sample / 32768.0f;
#endif
}

/* Memory for the Fourier transform of one frame. It holds nothing between two calls. */
typedef struct {
    scenelet_real spectrum[SCENELET_N_FFT + 2]; /* complex bins, later the power of bin k at index 2 k */
    int exponent;                               /* fixed point: the spectrum is spectrum[] * 2^exponent */
} scenelet_frontend;

/* Compute the log-mel of a window: SCENELET_SAMPLES * SCENELET_CHANNELS samples to SCENELET_VALUES values.
   If the model was trained with pad_mode = "repeat", silent ends are filled by repeating the sound. */
void scenelet_log_mel(scenelet_frontend *frontend, const scenelet_sample *samples, scenelet_value *log_mel);

/* Return 1 if a window holds no sound above 20 Hz that is louder than -80 dBFS. Its answer is "silence". */
int scenelet_is_silent(const scenelet_sample *samples);

/* Search for sound in one channel. `age` counts samples since the high-pass filter was started. */
typedef struct {
    int32_t previous, first, state[4], age;
} scenelet_detector;

/* Log-mel of live sound. It differs from that of one window in memory in these points:
   - The first and last frames of a window see the sound before and after it, in place of a reflection.
   - A window begins at a multiple of the frames' distance.
   - pad_mode = "repeat": columns are repeated, rather than samples.
   - log_before_mel: the lower limit (top_db) of a frame comes from the frames up to it, not from later ones.
   - A window is silent if no sound was found for its length. The search takes up to 0.4 s to notice a sound.
   - Values are rounded to 1 / SCENELET_STEPS_PER_DB dB. */
typedef struct {
    scenelet_frontend frontend;
    scenelet_detector detectors[SCENELET_CHANNELS];
    int32_t position;     /* next sample's place in the ring */
    int32_t until_frame;  /* samples until the next frame is complete */
    int32_t until_window; /* frames until the next window is complete */
    int32_t hop;          /* frames between windows */
    int32_t column;       /* next frame's place in the ring of columns */
    int32_t quiet;        /* samples since the last sound */
    int32_t ready;
    scenelet_sample ring[SCENELET_N_FFT * SCENELET_CHANNELS];
    int16_t columns[SCENELET_FRAMES][SCENELET_MELS * SCENELET_CHANNELS];
    scenelet_value values[SCENELET_MELS]; /* a column before it is rounded */
#if SCENELET_REPEAT
    scenelet_real peaks[SCENELET_FRAMES]; /* loudest sample around the center of each frame */
#endif
#if SCENELET_LOG_BEFORE_MEL
    scenelet_real loudest[SCENELET_FRAMES][SCENELET_CHANNELS]; /* level of the loudest bin */
#endif
} scenelet_stream;

enum { SCENELET_WAIT, SCENELET_READY, SCENELET_SILENT };

/* Start a stream. Windows begin every `hop` samples, rounded to frames, at least one frame. SCENELET_HOP is the distance
   in training. */
void scenelet_stream_init(scenelet_stream *stream, int32_t hop);

/* Add `count` samples per channel. Return how many were taken. It stops early when a window is complete: call
   scenelet_stream_poll, then push the rest. A window that is polled later ends later, at the newest frame. */
int32_t scenelet_stream_push(scenelet_stream *stream, const scenelet_sample *samples, int32_t count);

/* Return SCENELET_READY and write the log-mel if a window has been completed. Return SCENELET_SILENT and write nothing
   if that window is silent. Return SCENELET_WAIT if none has been completed since the last call. */
int scenelet_stream_poll(scenelet_stream *stream, scenelet_value *log_mel);

#ifdef __cplusplus
}
#endif

#endif
