/* Log-mel of live sound, column by column. */
#include "scenelet_arithmetic.h"

#define QUIET_SAMPLES (SCENELET_SAMPLES > 3 * SCENELET_SETTLING ? SCENELET_SAMPLES : 3 * SCENELET_SETTLING)

void scenelet_stream_init(scenelet_stream *stream, int32_t hop)
{
    const int32_t frames = hop / SCENELET_HOP_LENGTH + (hop % SCENELET_HOP_LENGTH >= (SCENELET_HOP_LENGTH + 1) / 2);
    memset(stream, 0, sizeof *stream);
    stream->hop = frames > 1 ? frames : 1;
    stream->until_frame = SCENELET_N_FFT / 2;
    stream->until_window = SCENELET_FRAMES;
    stream->quiet = QUIET_SAMPLES;
#if SCENELET_LOG_BEFORE_MEL
    for (int i = 0; i < SCENELET_FRAMES * SCENELET_CHANNELS; i++) {
        stream->loudest[i / SCENELET_CHANNELS][i % SCENELET_CHANNELS] = SCENELET_MIN_LEVEL;
    }
#endif
}

/* Count the samples since the last sound. The search rests for SCENELET_SETTLING samples after each sound. */
static void search_sound(scenelet_stream *stream, const scenelet_sample *samples)
{
    int found = 0;
    if (stream->quiet >= SCENELET_SETTLING) {
        for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
            const int32_t sample = scenelet_to_int(scenelet_arrange(samples, channel));
            found |= scenelet_detect(&stream->detectors[channel], sample);
        }
    }
    if (found) {
        stream->quiet = 0;
        memset(stream->detectors, 0, sizeof stream->detectors);
    } else if (stream->quiet < QUIET_SAMPLES) {
        stream->quiet++;
    }
}

#if SCENELET_REPEAT
/* Return the peak of the samples that are closer to the center of the frame in the ring than to that of another. */
static scenelet_real frame_peak(const scenelet_stream *stream)
{
    const int32_t width = SCENELET_HOP_LENGTH < SCENELET_N_FFT ? SCENELET_HOP_LENGTH : SCENELET_N_FFT;
    scenelet_real peak = 0;
    for (int32_t i = (SCENELET_N_FFT - width) / 2; i < (SCENELET_N_FFT + width) / 2; i++) {
        const int32_t index = (stream->position + i) % SCENELET_N_FFT;
        const scenelet_real level = scenelet_peak(&stream->ring[index * SCENELET_CHANNELS]);
        peak = level > peak ? level : peak;
    }
    return peak;
}

/* Return the peak of a column, from the oldest one. */
static scenelet_real level_at(const void *stream, int32_t index)
{
    const scenelet_stream *const all = stream;
    return all->peaks[(all->column + index) % SCENELET_FRAMES];
}
#endif

#if SCENELET_LOG_BEFORE_MEL
static scenelet_real lower_limit(scenelet_stream *stream, int channel)
{
    scenelet_real floor = SCENELET_MIN_LEVEL;
    stream->loudest[stream->column][channel] = scenelet_loudest_bin(&stream->frontend);
    for (int32_t frame = 0; frame < SCENELET_FRAMES; frame++) {
        const scenelet_real limit = stream->loudest[frame][channel] - SCENELET_RANGE;
        floor = limit > floor ? limit : floor;
    }
    return floor;
}
#endif

/* Add the column of the frame in the ring. */
static void add_column(scenelet_stream *stream)
{
    const scenelet_source source = {
        stream->ring, SCENELET_N_FFT, stream->position, SCENELET_N_FFT, SCENELET_N_FFT - 1};
    int16_t *column = stream->columns[stream->column];
    for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
        scenelet_real floor = SCENELET_MIN_LEVEL;
        scenelet_transform(&stream->frontend, &source, 0, channel);
#if SCENELET_LOG_BEFORE_MEL
        floor = lower_limit(stream, channel);
#endif
        scenelet_column(&stream->frontend, floor, stream->values, 1);
        for (int band = 0; band < SCENELET_MELS; band++) {
            column[band * SCENELET_CHANNELS + channel] = scenelet_pack(stream->values[band]);
        }
    }
#if SCENELET_REPEAT
    stream->peaks[stream->column] = frame_peak(stream);
#endif
    stream->column = (stream->column + 1) % SCENELET_FRAMES;
}

int32_t scenelet_stream_push(scenelet_stream *stream, const scenelet_sample *samples, int32_t count)
{
    int32_t taken = 0;
    int complete = 0;
    while (taken < count && !complete) {
        const scenelet_sample *next = &samples[taken * SCENELET_CHANNELS];
        search_sound(stream, next);
        memcpy(&stream->ring[stream->position * SCENELET_CHANNELS], next, SCENELET_CHANNELS * sizeof *next);
        stream->position = (stream->position + 1) % SCENELET_N_FFT;
        taken++;
        if (--stream->until_frame == 0) {
            stream->until_frame = SCENELET_HOP_LENGTH;
            add_column(stream);
            if (--stream->until_window == 0) {
                stream->until_window = stream->hop;
                stream->ready = complete = 1;
            }
        }
    }
    return taken;
}

int scenelet_stream_poll(scenelet_stream *stream, scenelet_value *log_mel)
{
    if (!stream->ready) {
        return SCENELET_WAIT;
    }
    stream->ready = 0;
    if (stream->quiet >= QUIET_SAMPLES) {
        return SCENELET_SILENT;
    }
    int32_t first = 0, period = SCENELET_FRAMES;
#if SCENELET_REPEAT
    scenelet_find_sound(level_at, stream, SCENELET_FRAMES, SCENELET_MIN_SOUND_FRAMES, &first, &period);
#endif
    for (int32_t frame = 0; frame < SCENELET_FRAMES; frame++) {
        const int16_t *column = stream->columns[(stream->column + first + frame % period) % SCENELET_FRAMES];
        for (int32_t band = 0; band < SCENELET_MELS; band++) {
            scenelet_value *values = &log_mel[(band * SCENELET_FRAMES + frame) * SCENELET_CHANNELS];
            for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
                values[channel] = scenelet_unpack(column[band * SCENELET_CHANNELS + channel]);
            }
        }
    }
#if !SCENELET_LOG_BEFORE_MEL
    scenelet_limit_range(log_mel);
#endif
    return SCENELET_READY;
}
