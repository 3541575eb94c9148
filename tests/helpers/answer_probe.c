/* Feed scenelet.c with probabilities from standard input, in place of a front end and a network.
   The argument is the hop in samples. A line is "silence", or one number per class. The program prints the label, its
   probability, and whether it changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenelet.h"

const char *const scenelet_labels[SCENELET_CLASSES] = {"a", "b", "c"};
const float scenelet_thresholds[SCENELET_CLASSES] = {0.4f, 0.6f, 2.0f}; /* of c: never */
static float row[SCENELET_CLASSES];
static int silent;

void scenelet_stream_init(scenelet_stream *stream, int32_t hop)
{
    stream->hop = hop < SCENELET_HOP_LENGTH ? 1 : hop / SCENELET_HOP_LENGTH;
}

int32_t scenelet_stream_push(scenelet_stream *stream, const scenelet_sample *samples, int32_t count)
{
    (void)stream;
    (void)samples;
    return count;
}

int scenelet_stream_poll(scenelet_stream *stream, scenelet_value *log_mel)
{
    (void)stream;
    (void)log_mel;
    return silent ? SCENELET_SILENT : SCENELET_READY;
}

scenelet_number *scenelet_network_input(scenelet_number *arena)
{
    return arena;
}

const scenelet_number *scenelet_run(scenelet_number *arena)
{
    (void)arena;
    return row;
}

int main(int argc, char **argv)
{
    static scenelet s;
    scenelet_answer answer;
    char line[200];
    if (argc != 2) return 1;
    scenelet_init(&s, atoi(argv[1]));
    while (fgets(line, sizeof line, stdin)) {
        silent = !strncmp(line, "silence", 7);
        if (!silent && sscanf(line, "%f %f %f", &row[0], &row[1], &row[2]) != SCENELET_CLASSES) return 1;
        if (!scenelet_poll(&s, &answer)) return 1;
        printf("%s %.6f %d\n", answer.label ? answer.label : "unsure", (double)answer.probability, answer.changed);
    }
    return 0;
}
