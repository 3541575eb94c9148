/* Detection of silence: a sound has a large step between two samples, or it passes a high-pass filter at 20 Hz.

   The filter is a Butterworth filter of order 4 in two sections. Each is a state variable filter with the trapezoidal
   rule: in integers it is exact at frequencies far below the sample rate, where the direct form is not. */
#include "scenelet_arithmetic.h"

static int32_t multiply_30(int32_t value, int32_t factor)
{
    return (int32_t)(((int64_t)value * factor + (1 << 29)) >> 30);
}

int scenelet_detect(scenelet_detector *detector, int32_t sample)
{
    static const int32_t sections[2][4] = SCENELET_HIGH_PASS; /* of 30 bits */
    const int32_t age = detector->age;
    if (age == 0) {
        /* the filter's output for a constant is 0, so that constant is left out from the beginning */
        memset(detector, 0, sizeof *detector);
        detector->previous = detector->first = sample;
    }
    const int32_t step = sample - detector->previous;
    detector->previous = sample;
    detector->age += age < SCENELET_SETTLING || age == 0;
    if (step > SCENELET_MAX_STEP || step < -SCENELET_MAX_STEP) {
        return 1;
    }
    int32_t value = sample - detector->first;
    for (int section = 0; section < 2; section++) {
        const int32_t *factors = sections[section];
        int32_t *state = &detector->state[2 * section];
        const int32_t difference = value - state[1];
        const int32_t band = multiply_30(state[0], factors[0]) + multiply_30(difference, factors[1]);
        const int32_t low = state[1] + multiply_30(state[0], factors[1]) + multiply_30(difference, factors[2]);
        state[0] = 2 * band - state[0];
        state[1] = 2 * low - state[1];
        value -= multiply_30(band, factors[3]) + low;
    }
    return age >= SCENELET_SETTLING && (value >= SCENELET_MIN_PEAK || value <= -SCENELET_MIN_PEAK);
}
