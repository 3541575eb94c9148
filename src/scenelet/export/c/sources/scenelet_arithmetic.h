/* Arithmetic of the front end, in single precision or in integers. Internal: use scenelet_frontend.h.

   Fixed point uses mantissas of 32 bits with one exponent for all bins of a frame, and factors of 31 bits. With 16 bits,
   log-mel of real recordings differs by up to 15 dB from that of training, and with 32 bits by 0.012 dB. */
#ifndef SCENELET_ARITHMETIC_H
#define SCENELET_ARITHMETIC_H

#include <math.h>
#include <string.h>

#include "scenelet_frontend.h"

#if SCENELET_FIXED_POINT
typedef uint64_t scenelet_power;
typedef int64_t scenelet_sum;
#define SCENELET_MIN_LEVEL (-100 * 65536) /* levels are in 2^-16 dB */
#else
typedef float scenelet_power, scenelet_sum;
#define SCENELET_MIN_LEVEL (-100.0f)
#endif

/* Samples of one frame: those at `first + i % period` for `i` from 0, reflected at 0 and `length`. */
typedef struct {
    const scenelet_sample *samples;
    int32_t length, first, period, mask;
} scenelet_source;

/* Write the power of each bin of a frame that begins at sample `start` of the source. */
void scenelet_transform(scenelet_frontend *frontend, const scenelet_source *source, int32_t start, int channel);

/* Write the log-mel of the transformed frame to `column[band * stride]`. If log_before_mel, the level of each bin is
   at least `floor`. */
void scenelet_column(
    const scenelet_frontend *frontend, scenelet_real floor, scenelet_value *column, int32_t stride);

/* Return the level of the loudest bin of the transformed frame. */
scenelet_real scenelet_loudest_bin(const scenelet_frontend *frontend);

/* Raise log-mel to `top_db` below each channel's maximum. */
void scenelet_limit_range(scenelet_value *log_mel);

/* Return 1 if the next sample, in 2^-27 of full scale, shows that there is sound. */
int scenelet_detect(scenelet_detector *detector, int32_t sample);

/* Find the part of `count` levels that is repeated: from `*first`, `*period` long, and at least `minimum` if possible. */
void scenelet_find_sound(
    scenelet_real (*level)(const void *sound, int32_t index), const void *sound, int32_t count, int32_t minimum,
    int32_t *first, int32_t *period);

/* Return channel `channel` of the samples at one time. Fixed point: in 2^-16 of full scale. */
static inline scenelet_real scenelet_arrange(const scenelet_sample *samples, int channel)
{
#if SCENELET_FIXED_POINT
#if SCENELET_MID_SIDE
    return channel ? samples[0] - samples[1] : samples[0] + samples[1];
#else
    return samples[channel] * 2;
#endif
#else
#if SCENELET_INT16_SAMPLES
    const float unit = 1.0f / 32768.0f;
#else
    const float unit = 1.0f;
#endif
#if SCENELET_MID_SIDE
    const float left = (float)samples[0] * unit, right = (float)samples[1] * unit;
    return (channel ? left - right : left + right) * 0.5f;
#else
    return (float)samples[channel] * unit;
#endif
#endif
}

/* Return the largest level of the channels at one time. */
static inline scenelet_real scenelet_peak(const scenelet_sample *samples)
{
    scenelet_real peak = 0;
    for (int channel = 0; channel < SCENELET_CHANNELS; channel++) {
        const scenelet_real sample = scenelet_arrange(samples, channel), level = sample < 0 ? -sample : sample;
        peak = level > peak ? level : peak;
    }
    return peak;
}

/* Convert an arranged sample to 2^-27 of full scale. */
static inline int32_t scenelet_to_int(scenelet_real sample)
{
#if SCENELET_FIXED_POINT
    return sample * 2048;
#else
    const float bounded = sample > -2.0f ? (sample < 2.0f ? sample : 2.0f) : -2.0f; /* also if it is not a number */
    return (int32_t)(bounded * 134217728.0f);
#endif
}

#if SCENELET_FIXED_POINT
/* Multiply by a factor of 31 bits below 1. */
static inline int32_t scenelet_multiply(int32_t value, int32_t factor)
{
    return (int32_t)(((int64_t)value * factor + (1 << 30)) >> 31);
}
#else
static inline float scenelet_multiply(float value, float factor)
{
    return value * factor;
}
#endif

/* Return the power of a bin of the transformed frame, or its magnitude if SCENELET_POWER is 1. */
static inline scenelet_power scenelet_bin(const scenelet_frontend *frontend, int bin)
{
    scenelet_power power;
    memcpy(&power, &frontend->spectrum[2 * bin], sizeof power);
    return power;
}

static inline void scenelet_store_bin(scenelet_frontend *frontend, int bin, scenelet_real real, scenelet_real imaginary)
{
#if SCENELET_FIXED_POINT
    scenelet_power power = (uint64_t)((int64_t)real * real) + (uint64_t)((int64_t)imaginary * imaginary);
#if SCENELET_POWER == 1
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 30; bit; bit >>= 1) {
        if ((root + bit) * (root + bit) <= power) {
            root += bit;
        }
    }
    power = root;
#endif
#else
    scenelet_power power = real * real + imaginary * imaginary;
#if SCENELET_POWER == 1
    power = sqrtf(power);
#endif
#endif
    memcpy(&frontend->spectrum[2 * bin], &power, sizeof power);
}

/* Return the level of `power * 2^exponent`, at least SCENELET_MIN_LEVEL. */
static inline scenelet_real scenelet_level(scenelet_power power, int exponent)
{
#if SCENELET_FIXED_POINT
    if (power == 0) {
        return SCENELET_MIN_LEVEL;
    }
    exponent += 63;
    for (int step = 32; step; step /= 2) {
        if (power >> (64 - step) == 0) {
            power <<= step;
            exponent -= step;
        }
    }
    /* log2(1 + f) = f + f (1 - f) q(f), with f of 31 bits and q of 30 bits */
    static const int32_t q[] = SCENELET_LOG2_COEFFICIENTS;
    const int32_t f = (int32_t)((power >> 32) & 0x7fffffff);
    int32_t sum = q[0];
    for (int i = 1; i < (int)(sizeof q / sizeof q[0]); i++) {
        sum = q[i] + scenelet_multiply(sum, f);
    }
    sum = scenelet_multiply(scenelet_multiply(sum, f), INT32_MAX - f) + f / 2;
    const int32_t log2 = exponent * 65536 + ((sum + (1 << 13)) >> 14);
    const int32_t level = (int32_t)(((int64_t)log2 * 197283) >> 16); /* 10 log10(2) in 16 bits */
#else
    (void)exponent;
    const float level = 4.3429448f * logf(power > 1e-10f ? power : 1e-10f);
#endif
    return level > SCENELET_MIN_LEVEL ? level : SCENELET_MIN_LEVEL;
}

/* Convert a value of log-mel to and from 16 bits. */
static inline int16_t scenelet_pack(scenelet_value value)
{
#if SCENELET_FIXED_POINT
    return value;
#else
    const float steps = value * SCENELET_STEPS_PER_DB;
    const float bounded = steps > -32767.0f ? (steps < 32767.0f ? steps : 32767.0f) : -32767.0f;
    return (int16_t)(bounded < 0.0f ? bounded - 0.5f : bounded + 0.5f);
#endif
}

static inline scenelet_value scenelet_unpack(int16_t value)
{
#if SCENELET_FIXED_POINT
    return value;
#else
    return (float)value / SCENELET_STEPS_PER_DB;
#endif
}

#endif
