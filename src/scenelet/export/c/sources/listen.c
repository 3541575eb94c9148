/* Classify sound from standard input, as a microcontroller would: raw samples, 16 bits, little-endian, interleaved.

       ffmpeg -i recording.wav -f s16le -ac CHANNELS -ar RATE - | ./listen        */
#include <stdio.h>

#include "scenelet.h"

#define BLOCK 512 /* samples per channel */

static scenelet listener;

static void print(const scenelet_answer *answer, double seconds) {
    const char *label = answer->label ? answer->label : "unsure";
    printf("%.1f s\t%s\t%.3f\n", seconds, label, (double)answer->probability);
}

int main(void) {
    int16_t pcm[BLOCK * SCENELET_CHANNELS];
    scenelet_sample samples[BLOCK * SCENELET_CHANNELS];
    scenelet_answer answer;
    int64_t pushed = 0;
    size_t count;
    scenelet_init(&listener, SCENELET_SAMPLE_RATE);
    while ((count = fread(pcm, 2 * SCENELET_CHANNELS, BLOCK, stdin)) > 0) {
        for (size_t i = 0; i < count * SCENELET_CHANNELS; i++) samples[i] = scenelet_from_int16(pcm[i]);
        for (int32_t done = 0; done < (int32_t)count;) {
            done += scenelet_push(&listener, samples + done * SCENELET_CHANNELS, (int32_t)count - done);
            if (scenelet_poll(&listener, &answer))
                print(&answer, (double)(pushed + done) / SCENELET_SAMPLE_RATE);
        }
        pushed += (int64_t)count;
    }
    return 0;
}
