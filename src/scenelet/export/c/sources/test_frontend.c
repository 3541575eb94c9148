/* Compare the log-mel of a test signal with that of training. Exit status 0: equal within the bound. */
#include <stdio.h>
#include <stdlib.h>

#include "scenelet_frontend.h"

#include "golden_frontend.h"

#if SCENELET_FIXED_POINT
#define NAME "fixed point"
#define STEPS SCENELET_STEPS_PER_DB
#define BOUND_DB (SCENELET_N_FFT > 8192 ? 0.5f : 0.05f)
#else
#define NAME "floating point"
#define STEPS 1
#define BOUND_DB 0.01f
#endif
#define BLOCK 1000 /* samples per push */

static scenelet_frontend frontend;
static scenelet_stream stream;
static scenelet_sample samples[SCENELET_SAMPLES * SCENELET_CHANNELS], zeros[BLOCK * SCENELET_CHANNELS];
static scenelet_value log_mel[SCENELET_VALUES];

static int32_t divide_down(int32_t value, int32_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

/* Return a sample of noise and two tones with silent ends. It is made of integers, so that it is the same everywhere. */
static scenelet_sample signal_at(uint32_t i, uint32_t channel)
{
    if (i < SCENELET_SAMPLES / 8 || i >= SCENELET_SAMPLES - SCENELET_SAMPLES / 4) {
        return 0;
    }
    uint32_t noise = i * 2654435761u + channel * 40503u;
    noise = (noise ^ (noise >> 15)) * 2246822519u;
    noise = (noise ^ (noise >> 13)) * 3266489917u;
    const int32_t low = abs((int32_t)((i * 0x05000000u) >> 16) - 32768) - 16384;
    const int32_t high = abs((int32_t)((i * 0x13579BDFu) >> 16) - 32768) - 16384;
    const int32_t tones = divide_down(low, 4) + divide_down(high, 64);
    const int32_t value = (int32_t)(noise >> 22) - 512 + divide_down(tones, 1 + (int32_t)channel);
#if SCENELET_FIXED_POINT || SCENELET_INT16_SAMPLES
    return (int16_t)value;
#else
    return (float)value / 32768.0f;
#endif
}

static float largest_difference(void)
{
    const float *expected = golden_log_mel;
    float largest = 0.0f;
    for (int row = 0; row < (int)(sizeof golden_frames / sizeof golden_frames[0]); row++) {
        for (int band = 0; band < SCENELET_MELS; band++) {
            for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
                const int index = (band * SCENELET_FRAMES + golden_frames[row]) * SCENELET_CHANNELS + channel;
                float difference = (float)log_mel[index] / STEPS - *expected++;
                difference = difference < 0.0f ? -difference : difference;
                largest = largest < difference ? difference : largest;
            }
        }
    }
    return largest;
}

/* Push the window and then zeros until an answer is ready. Return it. */
static int stream_window(void)
{
    int answer = SCENELET_WAIT;
    scenelet_stream_init(&stream, SCENELET_HOP);
    for (int32_t start = 0; start < SCENELET_SAMPLES && answer == SCENELET_WAIT;) {
        const int32_t rest = SCENELET_SAMPLES - start, count = rest < BLOCK ? rest : BLOCK;
        start += scenelet_push(&stream, &samples[start * SCENELET_CHANNELS], count);
        answer = scenelet_poll(&stream, log_mel);
    }
    for (int32_t i = 0; i < SCENELET_N_FFT && answer == SCENELET_WAIT; i += BLOCK) {
        scenelet_push(&stream, zeros, BLOCK);
        answer = scenelet_poll(&stream, log_mel);
    }
    return answer;
}

int main(void)
{
    for (uint32_t i = 0; i < SCENELET_SAMPLES * SCENELET_CHANNELS; i++) {
        samples[i] = signal_at(i / SCENELET_CHANNELS, i % SCENELET_CHANNELS);
    }
    scenelet_log_mel(&frontend, samples, log_mel);
    const float largest = largest_difference();
    const int silent = scenelet_is_silent(samples), answer = stream_window();
    printf("front end in " NAME ": log-mel differs by at most %.5f dB (bound %.2f dB)\n", (double)largest, (double)BOUND_DB);
    if (largest > BOUND_DB || silent || answer != SCENELET_READY) {
        printf("failed: silent %d, answer of the stream %d\n", silent, answer);
        return 1;
    }
    return 0;
}
