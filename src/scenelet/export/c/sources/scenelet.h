/* Sound classifier for live sound: samples in, answers out. No allocation, no global state.

       static scenelet listener;
       scenelet_init(&listener, SCENELET_SAMPLE_RATE);
       while (1) {
           ... read a block of samples ...
           scenelet_push(&listener, block, count);
           scenelet_answer answer;
           if (scenelet_poll(&listener, &answer)) puts(answer.label ? answer.label : "unsure");
       }

   scenelet_poll computes for a while. If samples would be lost meanwhile, let one task call scenelet_push and another
   one scenelet_take and scenelet_classify. Only scenelet_take must not run at the same time as scenelet_push. */
#ifndef SCENELET_H
#define SCENELET_H

#include "scenelet_frontend.h"
#include "scenelet_network.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *label;                     /* a label, "silence", or a null pointer if the answer is unsure */
    int index;                             /* the most probable label; -1: silence */
    float probability;                     /* its smoothed probability */
    float probabilities[SCENELET_CLASSES]; /* all smoothed probabilities; 0 in silence */
    int changed;                           /* 1 if the label differs from that of the answer before */
} scenelet_answer;

typedef struct {
    scenelet_stream stream;
    union {
        scenelet_number arena[SCENELET_ARENA];
        scenelet_value log_mel[SCENELET_VALUES]; /* before it is converted to the network's numbers */
    } memory;
    float average[SCENELET_CLASSES]; /* smoothed probabilities */
    float weight;                    /* of a new window in the average */
    int started, silent, held, answered;
    const char *label;
} scenelet;

/* Start. Windows begin every `hop` samples, rounded to frames, at least one frame; one second or less is usual. */
void scenelet_init(scenelet *s, int32_t hop);

/* Add `count` samples per channel at SCENELET_SAMPLE_RATE. Return how many were taken: fewer if a window is ready. Call
   scenelet_poll then, and push the rest. */
int32_t scenelet_push(scenelet *s, const scenelet_sample *samples, int32_t count);

/* Return 1 and write the answer if a window is ready. Otherwise return 0. */
int scenelet_poll(scenelet *s, scenelet_answer *answer);

/* The two halves of scenelet_poll. Take the log-mel of a window if one is ready: return 1, quickly. */
int scenelet_take(scenelet *s);

/* Compute the answer to the window that scenelet_take took. */
void scenelet_classify(scenelet *s, scenelet_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
