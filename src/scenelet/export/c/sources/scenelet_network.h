/* Network: from log-mel to probabilities. No allocation, no global variables; the constants of a model are in flash.

   Write the log-mel of a window to scenelet_network_input(arena), in the layout (frequency, time, channel). Then
   scenelet_run(arena) returns SCENELET_CLASSES probabilities. The arena holds SCENELET_ARENA numbers of the caller's.
   A run overwrites all of it, the input included.

   In int8, scenelet_quantize converts a number of log-mel in dB, and a probability is (p + 128) / 256. Signed numbers
   are shifted to the right with their sign, as all compilers for which this is meant do. */
#ifndef SCENELET_NETWORK_H
#define SCENELET_NETWORK_H

#include <stdint.h>

#include "model_network.h"

#ifdef __cplusplus
extern "C" {
#endif

#if SCENELET_INT8
typedef int8_t scenelet_number;
#else
typedef float scenelet_number;
#endif

extern const char *const scenelet_labels[SCENELET_CLASSES]; /* in UTF-8 */
extern const float scenelet_thresholds[SCENELET_CLASSES];   /* minimum probability of each answer; 2: never */

/* Return the place of the input: SCENELET_INPUT_NUMBERS numbers. */
scenelet_number *scenelet_network_input(scenelet_number *arena);

/* Run the network and return the probabilities, which lie in the arena. */
const scenelet_number *scenelet_run(scenelet_number *arena);

#if SCENELET_INT8
/* Convert db / 2^fraction_bits, from -32767 to 32767 dB, to the integer of the input; fraction_bits is from 0 to 16. */
int8_t scenelet_quantize(int32_t db, int fraction_bits);
#endif

#ifdef __cplusplus
}
#endif

#endif
