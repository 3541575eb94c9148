/* Run the front end on samples from stdin: `probe` for windows, `probe BLOCK HOP` for a stream.
   Each answer is written to stdout: whether the window is silent, then its log-mel in dB, all as float. */
#include <stdio.h>
#include <stdlib.h>

#include "scenelet_frontend.h"

#if SCENELET_FIXED_POINT
#define STEPS SCENELET_STEPS_PER_DB
#else
#define STEPS 1
#endif

static scenelet_frontend frontend;
static scenelet_stream stream;
static scenelet_sample samples[SCENELET_SAMPLES * SCENELET_CHANNELS];
static scenelet_value log_mel[SCENELET_VALUES];

static void write_answer(int silent)
{
    const float flag = (float)silent;
    fwrite(&flag, sizeof flag, 1, stdout);
    for (int i = 0; i < SCENELET_VALUES; i++) {
        const float value = (float)log_mel[i] / STEPS;
        fwrite(&value, sizeof value, 1, stdout);
    }
}

int main(int argc, char **argv)
{
    const size_t size = sizeof samples[0] * SCENELET_CHANNELS;
    if (argc == 1) {
        while (fread(samples, size, SCENELET_SAMPLES, stdin) == SCENELET_SAMPLES) {
            scenelet_log_mel(&frontend, samples, log_mel);
            write_answer(scenelet_is_silent(samples));
        }
        return 0;
    }
    const size_t block = (size_t)atoi(argv[1]);
    scenelet_stream_init(&stream, atoi(argv[2]));
    for (size_t count; (count = fread(samples, size, block, stdin)) > 0;) {
        for (size_t start = 0; start < count;) {
            start += (size_t)scenelet_push(&stream, &samples[start * SCENELET_CHANNELS], (int32_t)(count - start));
            const int answer = scenelet_poll(&stream, log_mel);
            if (answer != SCENELET_WAIT) {
                write_answer(answer == SCENELET_SILENT);
            }
        }
    }
    return 0;
}
