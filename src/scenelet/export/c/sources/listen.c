/* Classify sound from standard input as a microcontroller would: raw samples of 16 bits, little-endian, interleaved.

       ffmpeg -i recording.wav -f s16le -ac 1 -ar 44100 - | ./listen

   -ac is 2 for a model of two channels, and -ar is the model's sample rate, SCENELET_SAMPLE_RATE. */
#include <stdio.h>

#include "scenelet.h"

#define BLOCK 512 /* samples per channel */

static scenelet listener;

int main(void)
{
    int16_t pcm[BLOCK * SCENELET_CHANNELS];
    scenelet_sample samples[BLOCK * SCENELET_CHANNELS];
    scenelet_answer answer;
    int64_t pushed = 0;
    int32_t count;
    scenelet_init(&listener, SCENELET_SAMPLE_RATE);
    while ((count = (int32_t)fread(pcm, 2 * SCENELET_CHANNELS, BLOCK, stdin)) > 0) {
        for (int32_t i = 0; i < count * SCENELET_CHANNELS; i++) {
            samples[i] = scenelet_from_int16(pcm[i]);
        }
        for (int32_t done = 0; done < count;) {
            done += scenelet_push(&listener, samples + done * SCENELET_CHANNELS, count - done);
            if (scenelet_poll(&listener, &answer)) {
                printf("%.1f s\t%s\t%.3f\n", (double)(pushed + done) / SCENELET_SAMPLE_RATE,
                       answer.label ? answer.label : "unsure", (double)answer.probability);
            }
        }
        pushed += count;
    }
    return 0;
}
