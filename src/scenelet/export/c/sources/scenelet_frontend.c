/* Log-mel of a window in memory. */
#include "scenelet_arithmetic.h"

#if SCENELET_FIXED_POINT
/* The spectrum's unit is 2^-28 of full scale. */
#define BIN_EXPONENT(frontend) (SCENELET_POWER * ((frontend)->exponent - 28))

static scenelet_value round_value(int64_t sum, int shift)
{
    const int64_t rounded = (sum + ((int64_t)1 << (shift - 1))) >> shift;
    return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded > INT16_MAX ? INT16_MAX : rounded);
}
#else
#define BIN_EXPONENT(frontend) 0
#endif

scenelet_real scenelet_loudest_bin(const scenelet_frontend *frontend)
{
    scenelet_power loudest = 0;
    for (int bin = 0; bin <= SCENELET_N_FFT / 2; bin++) {
        const scenelet_power power = scenelet_bin(frontend, bin);
        loudest = power > loudest ? power : loudest;
    }
    return scenelet_level(loudest, BIN_EXPONENT(frontend));
}

#if SCENELET_LOG_BEFORE_MEL
/* Return the log-mel of one band of the transformed frame. `weights` are those of its bins. */
static scenelet_value band_value(
    const scenelet_frontend *frontend, const scenelet_band *band, const scenelet_weight *weights, scenelet_real floor)
{
    scenelet_sum sum = band->offset;
    for (int i = 0; i < band->count; i++) {
        const scenelet_real level = scenelet_level(scenelet_bin(frontend, band->first + i), BIN_EXPONENT(frontend));
        sum += (scenelet_sum)(level > floor ? level : floor) * weights[i];
    }
#if SCENELET_FIXED_POINT
    return round_value(sum, 16 - SCENELET_VALUE_BITS - band->exponent);
#else
    return sum;
#endif
}
#else
static scenelet_value band_value(
    const scenelet_frontend *frontend, const scenelet_band *band, const scenelet_weight *weights, scenelet_real floor)
{
    (void)floor;
    scenelet_power sum = 0;
    for (int i = 0; i < band->count; i++) {
#if SCENELET_FIXED_POINT
        const uint64_t power = scenelet_bin(frontend, band->first + i), weight = weights[i];
        sum += (power >> 32) * weight << (32 - SCENELET_SUM_SHIFT);
        sum += (power & UINT32_MAX) * weight >> SCENELET_SUM_SHIFT;
    }
    const int exponent = BIN_EXPONENT(frontend) + SCENELET_SUM_SHIFT + band->exponent;
    return round_value(scenelet_level(sum, exponent), 16 - SCENELET_VALUE_BITS);
#else
        sum += scenelet_bin(frontend, band->first + i) * weights[i];
    }
    return scenelet_level(sum, 0);
#endif
}
#endif

void scenelet_column(const scenelet_frontend *frontend, scenelet_real floor, scenelet_value *column, int32_t stride)
{
    const scenelet_weight *weights = scenelet_weights;
    for (int band = 0; band < SCENELET_MELS; band++) {
        column[band * stride] = band_value(frontend, &scenelet_bands[band], weights, floor);
        weights += scenelet_bands[band].count;
    }
}

void scenelet_limit_range(scenelet_value *log_mel)
{
    for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
        scenelet_value loudest = log_mel[channel];
        for (int32_t i = channel; i < SCENELET_VALUES; i += SCENELET_CHANNELS) {
            loudest = log_mel[i] > loudest ? log_mel[i] : loudest;
        }
        for (int32_t i = channel; i < SCENELET_VALUES; i += SCENELET_CHANNELS) {
            if (loudest - log_mel[i] > SCENELET_RANGE) {
                log_mel[i] = (scenelet_value)(loudest - SCENELET_RANGE);
            }
        }
    }
}

/* Return the largest silent level for the peak of a sound, rounded as single precision rounds it. */
static scenelet_real silent_level(scenelet_real peak)
{
#if SCENELET_FIXED_POINT
    uint64_t product = (uint64_t)peak * SCENELET_SILENCE_MANTISSA;
    int shift = 0;
    while (product >> (24 + shift)) {
        shift++;
    }
    if (shift) {
        const uint64_t tie_to_even = (product >> shift) & 1;
        product = ((product + ((uint64_t)1 << (shift - 1)) - 1 + tie_to_even) >> shift) << shift;
    }
    return (int32_t)(product >> SCENELET_SILENCE_SHIFT);
#else
    return peak * SCENELET_SILENCE;
#endif
}

void scenelet_find_sound(
    scenelet_real (*level)(const void *sound, int32_t index), const void *sound, int32_t count, int32_t minimum,
    int32_t *first, int32_t *period)
{
    scenelet_real peak = 0;
    for (int32_t i = 0; i < count; i++) {
        const scenelet_real next = level(sound, i);
        peak = next > peak ? next : peak;
    }
    const scenelet_real silent = silent_level(peak);
    int32_t start = 0, stop = count;
    while (start < count && level(sound, start) <= silent) {
        start++;
    }
    if (start == count) {
        start = 0;
    } else {
        while (level(sound, stop - 1) <= silent) {
            stop--;
        }
    }
    const int32_t reach = start + minimum < count ? start + minimum : count;
    stop = stop > reach ? stop : reach;
    const int32_t begin = stop > minimum ? stop - minimum : 0;
    *first = start < begin ? start : begin;
    *period = stop - *first;
}

#if SCENELET_REPEAT
static scenelet_real level_at(const void *samples, int32_t index)
{
    return scenelet_peak((const scenelet_sample *)samples + index * SCENELET_CHANNELS);
}
#endif

static scenelet_source whole_window(const scenelet_sample *samples)
{
    scenelet_source source = {samples, SCENELET_SAMPLES, 0, SCENELET_SAMPLES, -1};
#if SCENELET_REPEAT
    scenelet_find_sound(
        level_at, samples, SCENELET_SAMPLES, SCENELET_MIN_SOUND_SAMPLES, &source.first, &source.period);
#endif
    return source;
}

void scenelet_log_mel(scenelet_frontend *frontend, const scenelet_sample *samples, scenelet_value *log_mel)
{
    const scenelet_source source = whole_window(samples);
    const int32_t before = -SCENELET_N_FFT / 2;
    for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
        scenelet_real floor = SCENELET_MIN_LEVEL;
#if SCENELET_LOG_BEFORE_MEL
        for (int32_t frame = 0; frame < SCENELET_FRAMES; frame++) {
            scenelet_transform(frontend, &source, before + frame * SCENELET_HOP_LENGTH, channel);
            const scenelet_real limit = scenelet_loudest_bin(frontend) - SCENELET_RANGE;
            floor = limit > floor ? limit : floor;
        }
#endif
        for (int32_t frame = 0; frame < SCENELET_FRAMES; frame++) {
            scenelet_transform(frontend, &source, before + frame * SCENELET_HOP_LENGTH, channel);
            scenelet_value *column = &log_mel[frame * SCENELET_CHANNELS + channel];
            scenelet_column(frontend, floor, column, SCENELET_FRAMES * SCENELET_CHANNELS);
        }
    }
#if !SCENELET_LOG_BEFORE_MEL
    scenelet_limit_range(log_mel);
#endif
}

int scenelet_is_silent(const scenelet_sample *samples)
{
    const scenelet_source source = whole_window(samples);
    for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
        scenelet_detector detector = {0};
        for (int32_t i = 0; i < SCENELET_SAMPLES; i++) {
            const int32_t index = source.first + (i < source.period ? i : i % source.period);
            const scenelet_real sample = scenelet_arrange(&samples[index * SCENELET_CHANNELS], channel);
            if (scenelet_detect(&detector, scenelet_to_int(sample))) {
                return 0;
            }
        }
    }
    return 1;
}
