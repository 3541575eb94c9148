/* Convolutions in int8. */
#include <string.h>

#include "scenelet_layers.h"

#if defined(__GNUC__)
#define SEPARATE __attribute__((noinline)) /* inlined, a loop has too few registers */
#else
#define SEPARATE
#endif

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
static int16x2_t odd_numbers(int16x2_t pair, int32_t four)
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

/* Write the sums of four output channels. The weights come in blocks of 4 output channels x 4 inputs. */
SEPARATE static void add_products(
    const int8_t *x, int32_t blocks, int32_t zero_point, const int8_t *weights, int32_t sums[4])
{
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
#if defined(DSP)
    const int16x2_t minus_zero = (int16x2_t)(((uint32_t)-zero_point & 0xffffU) * 0x10001U);
#endif
    for (; blocks; blocks--, x += 4, weights += 16) {
#if defined(DSP)
        int32_t four = read_four(x);
        const int16x2_t even = __sxtab16(minus_zero, (int8x4_t)four), odd = odd_numbers(minus_zero, four);
        four = read_four(weights);
        sum0 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum0));
        four = read_four(weights + 4);
        sum1 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum1));
        four = read_four(weights + 8);
        sum2 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum2));
        four = read_four(weights + 12);
        sum3 = __smlad(odd, odd_weights(four), __smlad(even, __sxtb16((int8x4_t)four), sum3));
#else
        for (int i = 0; i < 4; i++) {
            const int32_t number = x[i] - zero_point;
            sum0 += number * weights[i];
            sum1 += number * weights[i + 4];
            sum2 += number * weights[i + 8];
            sum3 += number * weights[i + 12];
        }
#endif
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Add the product of each channel's number and weight to its sum. */
SEPARATE static void add_per_channel(
    const int8_t *x, int32_t count, int32_t zero_point, const int8_t *weights, int32_t *sums)
{
    int32_t c = 0;
#if defined(DSP)
    const int16x2_t minus_zero = (int16x2_t)(((uint32_t)-zero_point & 0xffffU) * 0x10001U);
    for (; c + 4 <= count; c += 4) {
        const int32_t numbers = read_four(x + c), four = read_four(weights + c);
        const int16x2_t even = __sxtab16(minus_zero, (int8x4_t)numbers), odd = odd_numbers(minus_zero, numbers);
        const int16x2_t even_weight = __sxtb16((int8x4_t)four), odd_weight = odd_weights(four);
        sums[c] = __smlabb(even, even_weight, sums[c]);
        sums[c + 1] = __smlabb(odd, odd_weight, sums[c + 1]);
        sums[c + 2] = __smlatt(even, even_weight, sums[c + 2]);
        sums[c + 3] = __smlatt(odd, odd_weight, sums[c + 3]);
    }
#endif
    for (; c < count; c++) {
        sums[c] += (x[c] - zero_point) * weights[c];
    }
}

/* If the inputs of an output are no multiple of four, up to three numbers after them are read. Their weights are 0. */
void scenelet_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_int8_conv p = *(const scenelet_int8_conv *)layer->parameters;
    const int32_t groups = layer->groups, channels = job->out->channels / groups;
    const int32_t blocks = (layer->kernel[0] * layer->kernel[1] * (job->in->channels / groups) + 3) / 4;
    const int32_t size = groups * ((channels + 3) / 4) * blocks * 16;
    const int32_t zero_in = job->in->zero_point, zero_out = job->out->zero_point;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const int32_t band = f * layer->bands / job->out->frequencies, first = band * job->out->channels;
        for (int32_t t = job->begin; t < job->end; t++) {
            const int8_t *weights = p.weights + (p.variants ? p.variants[band] * size : 0);
            int8_t *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t group = 0; group < groups; group++) {
                const int8_t *x = scenelet_patch(job, p.patch, group, f, t);
                const int32_t end = (group + 1) * channels;
                for (int32_t next = group * channels; next < end; next += 4, weights += blocks * 16) {
                    int32_t sums[4];
                    add_products(x, blocks, zero_in, weights, sums);
                    for (int32_t c = next; c < end && c < next + 4; c++) {
                        const int32_t sum = sums[c - next] + p.biases[first + c];
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
                        add_per_channel(x, count, zero_in, w, sums);
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
