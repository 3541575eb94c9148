/* Fourier transform of one frame: real, of fixed size, in place; radix 4, with one step of radix 2 if needed.

   n_fft real samples are n_fft / 2 complex ones. Their transform is split into that of the real samples at the end. */
#include "scenelet_arithmetic.h"

#define POINTS (SCENELET_N_FFT / 2)

#if SCENELET_FIXED_POINT
/* Shift the mantissas so that a step of radix 4, which adds four complex numbers, cannot overflow. */
static void make_headroom(scenelet_frontend *frontend)
{
    uint32_t bits = 0;
    for (int i = 0; i < 2 * POINTS; i++) {
        const int32_t value = frontend->spectrum[i];
        bits |= (uint32_t)(value < 0 ? ~value : value);
    }
    int shift = 0;
    while (bits >> (28 + shift)) {
        shift++;
    }
    if (shift) {
        const int32_t half = 1 << (shift - 1);
        for (int i = 0; i < 2 * POINTS; i++) {
            frontend->spectrum[i] = (frontend->spectrum[i] + half) >> shift;
        }
        frontend->exponent += shift;
    }
}
#else
static void make_headroom(scenelet_frontend *frontend)
{
    (void)frontend;
}
#endif

/* Return sample `i` of the frame times half the window function. */
static scenelet_real windowed(const scenelet_source *source, int32_t start, int i, int channel)
{
    const int inside = i - (SCENELET_N_FFT - SCENELET_WIN_LENGTH) / 2;
    if (inside < 0 || inside >= SCENELET_WIN_LENGTH) {
        return 0;
    }
    int32_t index = start + i;
    if (index < 0) {
        index = -index;
    } else if (index >= source->length) {
        index = 2 * (source->length - 1) - index;
    }
    if (index >= source->period) {
        index %= source->period;
    }
    index = (source->first + index) & source->mask;
    const scenelet_real sample = scenelet_arrange(&source->samples[index * SCENELET_CHANNELS], channel);
    const int mirrored = inside <= SCENELET_WIN_LENGTH / 2 ? inside : SCENELET_WIN_LENGTH - inside;
#if SCENELET_FIXED_POINT
    return scenelet_multiply(sample * 4096, scenelet_window[mirrored]);
#else
    return sample * scenelet_window[mirrored];
#endif
}

/* Write the samples in bit-reversed order. */
static void load(scenelet_frontend *frontend, const scenelet_source *source, int32_t start, int channel)
{
    int reversed = 0;
    for (int i = 0; i < POINTS; i++) {
        frontend->spectrum[2 * reversed] = windowed(source, start, 2 * i, channel);
        frontend->spectrum[2 * reversed + 1] = windowed(source, start, 2 * i + 1, channel);
        int bit = POINTS / 2;
        while (bit & reversed) {
            reversed ^= bit;
            bit /= 2;
        }
        reversed |= bit;
    }
}

/* Turn a complex number by -`index` / n_fft of a full circle. */
static inline void rotate(const scenelet_real *z, int index, scenelet_real *real, scenelet_real *imaginary)
{
    const scenelet_real cosine = scenelet_sine[index + SCENELET_N_FFT / 4], sine = scenelet_sine[index];
    *real = scenelet_multiply(z[0], cosine) + scenelet_multiply(z[1], sine);
    *imaginary = scenelet_multiply(z[1], cosine) - scenelet_multiply(z[0], sine);
}

static void radix_2(scenelet_real *z)
{
    for (int i = 0; i < 2 * POINTS; i += 4) {
        for (int part = i; part < i + 2; part++) {
            const scenelet_real a = z[part], b = z[part + 2];
            z[part] = a + b;
            z[part + 2] = a - b;
        }
    }
}

/* Combine groups of four transforms of `quarter` points. */
static void radix_4(scenelet_real *z, int quarter)
{
    const int step = SCENELET_N_FFT / (4 * quarter);
    for (int k = 0; k < quarter; k++) {
        for (int i = k; i < POINTS; i += 4 * quarter) {
            scenelet_real *a = z + 2 * i, *b = a + 2 * quarter, *c = b + 2 * quarter, *d = c + 2 * quarter;
            scenelet_real br, bi, cr, ci, dr, di;
            rotate(b, 2 * k * step, &br, &bi);
            rotate(c, k * step, &cr, &ci);
            rotate(d, 3 * k * step, &dr, &di);
            const scenelet_real sum_r = a[0] + br, sum_i = a[1] + bi, difference_r = a[0] - br, difference_i = a[1] - bi;
            a[0] = sum_r + (cr + dr);
            a[1] = sum_i + (ci + di);
            b[0] = difference_r + (ci - di);
            b[1] = difference_i - (cr - dr);
            c[0] = sum_r - (cr + dr);
            c[1] = sum_i - (ci + di);
            d[0] = difference_r - (ci - di);
            d[1] = difference_i + (cr - dr);
        }
    }
}

/* Replace the complex transform by the power of bins 0 to n_fft / 2. The window function is halved, so bins are doubled. */
static void split(scenelet_frontend *frontend)
{
    scenelet_real *z = frontend->spectrum;
    const scenelet_real first = z[0] + z[1], last = z[0] - z[1];
    scenelet_store_bin(frontend, 0, 2 * first, 0);
    scenelet_store_bin(frontend, POINTS, 2 * last, 0);
    for (int k = 1; k <= POINTS / 2; k++) {
        const scenelet_real *low = z + 2 * k, *high = z + 2 * (POINTS - k);
        const scenelet_real even_r = low[0] + high[0], even_i = low[1] - high[1];
        const scenelet_real odd[] = {low[0] - high[0], low[1] + high[1]};
        scenelet_real r, i;
        rotate(odd, k, &r, &i);
        scenelet_store_bin(frontend, k, even_r + i, even_i - r);
        scenelet_store_bin(frontend, POINTS - k, even_r - i, even_i + r);
    }
}

void scenelet_transform(scenelet_frontend *frontend, const scenelet_source *source, int32_t start, int channel)
{
    frontend->exponent = 0;
    load(frontend, source, start, channel);
    int quarter = 1;
#if SCENELET_ODD_LOG2
    radix_2(frontend->spectrum);
    quarter = 2;
#else
    (void)radix_2;
#endif
    for (; quarter < POINTS; quarter *= 4) {
        make_headroom(frontend);
        radix_4(frontend->spectrum, quarter);
    }
    make_headroom(frontend);
    split(frontend);
}
