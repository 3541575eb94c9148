/* Convolutions in int8. */
#include <string.h>

#include "scenelet_layers.h"

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#include <arm_acle.h>
#define DSP 1

static int32_t read_four(const int8_t *numbers)
{
    int32_t four;
    memcpy(&four, numbers, 4);
    return four;
}

/* Extend numbers 1 and 3 of four to 16 bits and add a pair. The compiler has no function for this instruction. */
static int16x2_t odd_ones(int16x2_t pair, int32_t four)
{
    int16x2_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(pair), "r"(four));
    return result;
}

static int16x2_t odd_weights(int32_t four)
{
    int16x2_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(four));
    return result;
}
#endif

/* Add the products of `count` numbers with the weights of four output channels, which are `distance` apart. */
static void add_products(
    const int8_t *x, int32_t count, int32_t zero_point, const int8_t *weights, int32_t distance, int32_t sums[4])
{
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    const int8_t *w0 = weights, *w3 = weights + 3 * distance, *const end = x + count;
#if defined(DSP)
    const int16x2_t minus_zero = (int16x2_t)(((uint32_t)-zero_point & 0xffffU) * 0x10001U);
    for (; end - x >= 4; x += 4, w0 += 4, w3 += 4) {
        int32_t four = read_four(x);
        const int16x2_t even = __sxtab16(minus_zero, (int8x4_t)four), odd = odd_ones(minus_zero, four);
        four = read_four(w0);
        sum0 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum0));
        four = read_four(w0 + distance);
        sum1 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum1));
        four = read_four(w0 + 2 * distance);
        sum2 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum2));
        four = read_four(w3);
        sum3 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum3));
    }
#endif
    for (; x < end; x++, w0++, w3++) {
        const int32_t number = *x - zero_point;
        sum0 += number * w0[0];
        sum1 += number * w0[distance];
        sum2 += number * w0[2 * distance];
        sum3 += number * w3[0];
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Four output channels at a time. The last four of a group may overlap with those before them, and a group of fewer
   than four takes them one by one. */
void scenelet_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv p = *(const scenelet_int8_conv *)layer->parameters;
    const int32_t bands = layer->bands, groups = layer->groups, out_channels = job->out->channels / groups;
    const int32_t size = layer->kernel[0] * layer->kernel[1] * (job->in->channels / groups);
    const int32_t at_once = out_channels < 4 ? 1 : 4, distance = at_once == 1 ? 0 : size, last = out_channels - at_once;
    const int32_t zero_in = job->in->zero_point, zero_out = job->out->zero_point;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const int32_t band = f * bands / job->out->frequencies, first = band * job->out->channels;
        const int8_t *weights = p.weights + (p.variants ? p.variants[band] * job->out->channels * size : 0);
        for (int32_t t = job->begin; t < job->end; t++) {
            int8_t *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t group = 0; group < groups; group++) {
                const int8_t *x = scenelet_patch(job, p.patch, group, f, t);
                for (int32_t next = 0; next < out_channels; next += at_once) {
                    const int32_t channel = group * out_channels + (next < last ? next : last);
                    int32_t sums[4];
                    add_products(x, size, zero_in, weights + channel * size, distance, sums);
                    for (int32_t c = channel; c < channel + at_once; c++) {
                        const int32_t sum = sums[c - channel] + p.biases[first + c];
                        const int32_t number = scenelet_rescale(sum, p.mantissas[first + c], p.shifts[first + c]);
                        y[c] = scenelet_to_int8(number, zero_out);
                    }
                }
            }
        }
    }
}

void scenelet_depthwise_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv p = *(const scenelet_int8_conv *)layer->parameters;
    const int32_t channels = job->out->channels, size = layer->kernel[0] * layer->kernel[1] * channels;
    const int32_t zero_in = job->in->zero_point, zero_out = job->out->zero_point;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
        const int32_t band = f * layer->bands / job->out->frequencies;
        const int8_t *weights = p.weights + (p.variants ? p.variants[band] * size : 0);
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
            int8_t *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t first = 0; first < channels; first += SCENELET_BLOCK) {
                const int32_t count = channels - first < SCENELET_BLOCK ? channels - first : SCENELET_BLOCK;
                const int32_t o = band * channels + first;
                int32_t sums[SCENELET_BLOCK];
                memcpy(sums, p.biases + o, (size_t)count * sizeof *sums);
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        const int32_t frequency = rows.origin + k * layer->dilation[0];
                        const int32_t frame = steps.origin + l * layer->dilation[1];
                        const int8_t *x = job->arena + scenelet_place(job->in, frequency, frame) + first;
                        const int8_t *w = weights + (k * layer->kernel[1] + l) * channels + first;
                        for (int32_t c = 0; c < count; c++) {
                            sums[c] += (x[c] - zero_in) * w[c];
                        }
                    }
                }
                for (int32_t c = 0; c < count; c++) {
                    const int32_t number = scenelet_rescale(sums[c], p.mantissas[o + c], p.shifts[o + c]);
                    y[first + c] = scenelet_to_int8(number, zero_out);
                }
            }
        }
    }
}
