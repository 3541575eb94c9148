/* Compare the network's probabilities for made windows with those of training. */
#include <stdio.h>
#include <string.h>

#include "scenelet_network.h"

#include "golden_network.h"

static scenelet_number arena[SCENELET_ARENA];

static void write_window(uint32_t index)
{
    scenelet_number *input = scenelet_network_input(arena);
    uint32_t state = index;
    for (uint32_t i = 0; i < SCENELET_INPUT_NUMBERS; i++) {
        state = state * 1664525U + 1013904223U;
        const int number = (int)((state >> 25) + ((i >> (index + 3)) & 127U));
#if SCENELET_INT8
        input[i] = (int8_t)(number - 128);
#else
        input[i] = (float)number * 0.3125f - 80.0f;
#endif
    }
}

int main(void)
{
    int wrong = 0;
    for (uint32_t window = 0; window < GOLDEN_WINDOWS; window++) {
        memset(arena, 0x55, sizeof arena);
        write_window(window);
#ifdef TICKS /* a counter that counts down */
        const uint32_t start = TICKS;
#endif
        const scenelet_number *found = scenelet_run(arena);
#ifdef TICKS
        printf("%lu ticks\n", (unsigned long)(start - TICKS));
#endif
        int best = 0;
        for (int i = 0; i < SCENELET_CLASSES; i++) {
            const scenelet_number expected = golden[window * SCENELET_CLASSES + i];
#if SCENELET_INT8
            wrong += found[i] != expected;
#else
            wrong += !(found[i] - expected < 1e-4f && expected - found[i] < 1e-4f);
#endif
            best = found[i] > found[best] ? i : best;
        }
        printf("window %lu: %s\n", (unsigned long)window, scenelet_labels[best]);
    }
    printf("network: %s\n", wrong ? "WRONG" : "correct");
    return wrong != 0;
}
