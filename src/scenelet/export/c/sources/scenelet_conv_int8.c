/* Convolutions in int8. */
#include <string.h>

#include "scenelet_layers.h"

#define BLOCK 16 /* channels of a depthwise convolution at a time */

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

/* Read four numbers. `even` and `odd` extend numbers 0 and 2, and 1 and 3, to 16 bits and add a pair. */
static uint32_t read_four(const int8_t *numbers)
{
    uint32_t four;
    memcpy(&four, numbers, 4);
    return four;
}

static int16x2_t even(int16x2_t pair, uint32_t four)
{
    return __sxtab16(pair, (int8x4_t)four);
}

static int16x2_t odd(int16x2_t pair, uint32_t four)
{
    return __sxtab16(pair, (int8x4_t)(four >> 8 | four << 24));
}
#endif

/* Add the products of `count` numbers with the weights of four output channels, which are `distance` apart. */
static void add_products(
    const int8_t *x, int32_t zero_point, const int8_t *weights, int32_t distance, int32_t count, int32_t sums[4])
{
    int32_t i = 0, sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    const int8_t *w0 = weights, *w1 = w0 + distance, *w2 = w1 + distance, *w3 = w2 + distance;
#if defined(__ARM_FEATURE_DSP)
    const int16x2_t minus_zero = (int16x2_t)(((uint32_t)-zero_point & 0xffffU) * 0x10001U);
    for (; i + 4 <= count; i += 4) {
        const uint32_t of0 = read_four(w0 + i), of1 = read_four(w1 + i), of2 = read_four(w2 + i), of3 = read_four(w3 + i);
        const int16x2_t x0 = even(minus_zero, read_four(x + i)), x1 = odd(minus_zero, read_four(x + i));
        sum0 = __smlad(x1, odd(0, of0), __smlad(x0, even(0, of0), sum0));
        sum1 = __smlad(x1, odd(0, of1), __smlad(x0, even(0, of1), sum1));
        sum2 = __smlad(x1, odd(0, of2), __smlad(x0, even(0, of2), sum2));
        sum3 = __smlad(x1, odd(0, of3), __smlad(x0, even(0, of3), sum3));
    }
#endif
    for (; i < count; i++) {
        const int32_t number = x[i] - zero_point;
        sum0 += number * w0[i];
        sum1 += number * w1[i];
        sum2 += number * w2[i];
        sum3 += number * w3[i];
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Write the outputs (f, t) of a group of channels, four at a time. The last four may overlap with those before them.
   A group of fewer than four channels takes them one by one. */
static void conv_group(
    const scenelet_job *job, const int8_t *weights, int32_t band, int32_t group, int32_t f, int32_t t)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv *p = layer->parameters;
    const int32_t in_channels = job->in->channels / layer->groups, out_channels = job->out->channels / layer->groups;
    const int32_t size = layer->kernel[0] * layer->kernel[1] * in_channels;
    const int32_t at_once = out_channels < 4 ? 1 : 4, distance = at_once == 1 ? 0 : size, last = out_channels - at_once;
    const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
    const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
    const int32_t taps = layer->dilation[1] == 1 && layer->groups == 1 ? steps.end - steps.begin : 1; /* in one row */
    int8_t *y = job->arena + scenelet_place(job->out, f, t);
    for (int32_t next = 0; next < out_channels; next += at_once) {
        const int32_t channel = group * out_channels + (next < last ? next : last);
        const int32_t first = band * job->out->channels + channel;
        int32_t sums[4] = {0, 0, 0, 0};
        for (int32_t k = rows.begin; k < rows.end; k++) {
            for (int32_t l = steps.begin; l < steps.end; l += taps) {
                const int32_t frequency = rows.origin + k * layer->dilation[0];
                const int32_t frame = steps.origin + l * layer->dilation[1];
                const int8_t *x = job->arena + scenelet_place(job->in, frequency, frame) + group * in_channels;
                const int8_t *w = weights + channel * size + (k * layer->kernel[1] + l) * in_channels;
                add_products(x, job->in->zero_point, w, distance, taps * in_channels, sums);
            }
        }
        for (int32_t c = 0; c < at_once; c++) {
            const int32_t sum = sums[c] + p->biases[first + c];
            const int32_t number = scenelet_rescale(sum, p->mantissas[first + c], p->shifts[first + c]);
            y[channel + c] = scenelet_to_int8(number, job->out->zero_point);
        }
    }
}

void scenelet_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv *p = layer->parameters;
    const int32_t in_channels = job->in->channels / layer->groups;
    const int32_t size = layer->kernel[0] * layer->kernel[1] * in_channels * job->out->channels;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const int32_t band = f * layer->bands / job->out->frequencies;
        const int8_t *weights = p->weights + (p->variants ? p->variants[band] * size : 0);
        for (int32_t t = job->begin; t < job->end; t++) {
            for (int32_t group = 0; group < layer->groups; group++) {
                conv_group(job, weights, band, group, f, t);
            }
        }
    }
}

void scenelet_depthwise_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv *p = layer->parameters;
    const int32_t channels = job->out->channels, size = layer->kernel[0] * layer->kernel[1] * channels;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
        const int32_t band = f * layer->bands / job->out->frequencies;
        const int8_t *weights = p->weights + (p->variants ? p->variants[band] * size : 0);
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
            int8_t *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t first = 0; first < channels; first += BLOCK) {
                const int32_t count = channels - first < BLOCK ? channels - first : BLOCK;
                const int32_t o = band * channels + first;
                int32_t sums[BLOCK];
                memcpy(sums, p->biases + o, (size_t)count * sizeof *sums);
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        const int32_t frequency = rows.origin + k * layer->dilation[0];
                        const int32_t frame = steps.origin + l * layer->dilation[1];
                        const int8_t *x = job->arena + scenelet_place(job->in, frequency, frame) + first;
                        const int8_t *w = weights + (k * layer->kernel[1] + l) * channels + first;
                        for (int32_t c = 0; c < count; c++) {
                            sums[c] += (x[c] - job->in->zero_point) * w[c];
                        }
                    }
                }
                for (int32_t c = 0; c < count; c++) {
                    const int32_t number = scenelet_rescale(sums[c], p->mantissas[o + c], p->shifts[o + c]);
                    y[first + c] = scenelet_to_int8(number, job->out->zero_point);
                }
            }
        }
    }
}
