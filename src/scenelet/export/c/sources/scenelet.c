/* Steady answers to live sound: an exponential average, a threshold, and a margin for changes. */
#include "scenelet.h"

#include <math.h>
#include <string.h>

#define SMOOTHING_SECONDS 2.0f
#define MARGIN 0.1f /* probability by which another label must be higher, and by which an answer may fall */

void scenelet_init(scenelet *s, int32_t hop)
{
    memset(s, 0, sizeof *s);
    scenelet_stream_init(&s->stream, hop);
    const float seconds = (float)s->stream.hop * SCENELET_HOP_LENGTH / (float)SCENELET_SAMPLE_RATE;
    s->weight = 1.0f - expf(-seconds / SMOOTHING_SECONDS);
    s->held = -1;
}

int32_t scenelet_push(scenelet *s, const scenelet_sample *samples, int32_t count)
{
    return scenelet_stream_push(&s->stream, samples, count);
}

#if SCENELET_INT8

#if SCENELET_FIXED_POINT
#define TO_INT8(value) scenelet_quantize(value, SCENELET_VALUE_BITS)
#else
#define TO_INT8(value) scenelet_quantize((int32_t)lrintf(65536.0f * (value)), 16)
#endif

/* Write the log-mel of a window to the network's input. */
static int poll_input(scenelet *s)
{
    const int found = scenelet_stream_poll(&s->stream, s->memory.log_mel);
    if (found == SCENELET_READY) {
        int8_t *integers = s->memory.arena; /* integers are shorter, so they may overwrite the values before them */
        for (int32_t i = 0; i < SCENELET_VALUES; i++) {
            integers[i] = TO_INT8(s->memory.log_mel[i]);
        }
        memmove(scenelet_network_input(s->memory.arena), integers, SCENELET_VALUES);
    }
    return found;
}

static float to_probability(int8_t integer)
{
    return (float)(integer + 128) / 256.0f;
}

#else

#if SCENELET_FIXED_POINT
#error "The network in float needs the front end in float. Export with --int8, or leave out SCENELET_FIXED_POINT."
#endif

static int poll_input(scenelet *s)
{
    return scenelet_stream_poll(&s->stream, scenelet_network_input(s->memory.arena));
}

static float to_probability(float probability)
{
    return probability;
}

#endif

int scenelet_take(scenelet *s)
{
    const int found = poll_input(s);
    if (found != SCENELET_WAIT) {
        s->silent = found == SCENELET_SILENT;
    }
    return found != SCENELET_WAIT;
}

static int find_highest(const float *values)
{
    int best = 0;
    for (int c = 1; c < SCENELET_CLASSES; c++) {
        if (values[c] > values[best]) {
            best = c;
        }
    }
    return best;
}

/* Write the answer, and note whether the label changed. */
static void write_answer(scenelet *s, scenelet_answer *answer, const char *label, int index)
{
    answer->label = label;
    answer->index = index;
    answer->probability = index < 0 ? 0.0f : s->average[index];
    memcpy(answer->probabilities, s->average, sizeof s->average);
    answer->changed = label != s->label || !s->started;
    s->label = label;
    s->started = 1;
}

void scenelet_classify(scenelet *s, scenelet_answer *answer)
{
    static const char silence[] = "silence";
    if (s->silent) {
        memset(s->average, 0, sizeof s->average);
        s->held = -1;
        s->answered = 0;
        write_answer(s, answer, silence, -1);
        return;
    }
    const scenelet_number *probabilities = scenelet_run(s->memory.arena);
    const float weight = s->held < 0 ? 1.0f : s->weight; /* after a start or silence, a new average begins */
    for (int c = 0; c < SCENELET_CLASSES; c++) {
        s->average[c] += weight * (to_probability(probabilities[c]) - s->average[c]);
    }
    const int top = find_highest(s->average);
    if (s->held < 0 || s->average[top] >= s->average[s->held] + MARGIN) {
        s->answered = 0;
        s->held = top;
    }
    const float minimum = scenelet_thresholds[s->held] - (s->answered ? MARGIN : 0.0f);
    s->answered = s->average[s->held] >= minimum;
    if (s->answered) {
        write_answer(s, answer, scenelet_labels[s->held], s->held);
    } else {
        write_answer(s, answer, 0, top);
    }
}

int scenelet_poll(scenelet *s, scenelet_answer *answer)
{
    if (!scenelet_take(s)) {
        return 0;
    }
    scenelet_classify(s, answer);
    return 1;
}
