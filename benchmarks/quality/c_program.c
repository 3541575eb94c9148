/* Run windows of samples through front end and network, for benchmarks/quality/c_program.py.
   Reads SCENELET_SAMPLES float32 samples per channel, interleaved. Writes four rows of float32: the log-mel in dB, the
   numbers of the network's input, those of its result, and those of the result for live sound with silence after it. */
#include <math.h>
#include <stdio.h>

#include "scenelet_frontend.h"
#include "scenelet_network.h"

#define COUNT (SCENELET_SAMPLES * SCENELET_CHANNELS)

static float pcm[COUNT], db[SCENELET_VALUES], inputs[SCENELET_VALUES], results[SCENELET_CLASSES];
static scenelet_sample samples[COUNT];
static scenelet_value log_mel[SCENELET_VALUES];
static scenelet_number arena[SCENELET_ARENA];
static scenelet_frontend frontend;
static scenelet_stream stream;

static void convert_samples(void)
{
    for (long i = 0; i < COUNT; i++) {
#if SCENELET_FIXED_POINT
        samples[i] = (int16_t)fminf(fmaxf(rintf(32768.0f * pcm[i]), -32768.0f), 32767.0f);
#else
        samples[i] = pcm[i];
#endif
    }
}

/* Run the network on log_mel; keep its numbers in db, inputs and results. */
static void run_network(void)
{
    scenelet_number *input = scenelet_network_input(arena);
    for (long i = 0; i < SCENELET_VALUES; i++) {
#if SCENELET_FIXED_POINT
        db[i] = (float)log_mel[i] / SCENELET_STEPS_PER_DB;
#else
        db[i] = log_mel[i];
#endif
#if SCENELET_INT8
        input[i] = scenelet_quantize((int32_t)lrintf(65536.0f * db[i]), 16);
#else
        input[i] = db[i];
#endif
        inputs[i] = input[i];
    }
    const scenelet_number *found = scenelet_run(arena);
    for (int c = 0; c < SCENELET_CLASSES; c++) {
        results[c] = found[c];
    }
}

/* Push the window, and silence until its last frame is complete. */
static void stream_window(void)
{
    static const scenelet_sample silence[SCENELET_CHANNELS];
    scenelet_stream_init(&stream, SCENELET_SAMPLES);
    for (long done = 0; done < SCENELET_SAMPLES;) {
        done += scenelet_stream_push(&stream, samples + done * SCENELET_CHANNELS, (int32_t)(SCENELET_SAMPLES - done));
    }
    while (scenelet_stream_poll(&stream, log_mel) == SCENELET_WAIT) {
        scenelet_stream_push(&stream, silence, 1);
    }
}

int main(void)
{
    while (fread(pcm, sizeof *pcm, COUNT, stdin) == COUNT) {
        convert_samples();
        scenelet_log_mel(&frontend, samples, log_mel);
        run_network();
        fwrite(db, sizeof *db, SCENELET_VALUES, stdout);
        fwrite(inputs, sizeof *inputs, SCENELET_VALUES, stdout);
        fwrite(results, sizeof *results, SCENELET_CLASSES, stdout);
        stream_window();
        run_network();
        fwrite(results, sizeof *results, SCENELET_CLASSES, stdout);
    }
    return 0;
}
