/* Convolutions in single precision. Weights are int8 if the model stores integers. */
#include <string.h>

#include "scenelet_layers.h"

#define BLOCK 16 /* channels of a depthwise convolution at a time */

/* Add the products of `count` numbers with the weights of four output channels, which are `distance` apart. */
#define ADD_PRODUCTS(weights)                                                                                          \
    for (int32_t i = 0; i < count; i++) {                                                                              \
        sum0 += x[i] * (float)(weights)[i];                                                                            \
        sum1 += x[i] * (float)(weights)[i + distance];                                                                 \
        sum2 += x[i] * (float)(weights)[i + 2 * distance];                                                             \
        sum3 += x[i] * (float)(weights)[i + 3 * distance];                                                             \
    }

static void add_products(
    const float *x, const scenelet_float_conv *p, int32_t place, int32_t distance, int32_t count, float sums[4])
{
    float sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    if (p->integers) {
        const int8_t *weights = p->integers + place;
        ADD_PRODUCTS(weights)
    } else {
        const float *weights = p->reals + place;
        ADD_PRODUCTS(weights)
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

static float finish(const scenelet_job *job, float sum, int32_t o)
{
    const scenelet_float_conv *p = job->layer->parameters;
    const float number = sum * p->scale[o] + p->shift[o];
    return job->layer->relu && number < 0.0f ? 0.0f : number;
}

/* Write the outputs (f, t) of a group of channels, four at a time. The last four may overlap with those before them.
   A group of fewer than four channels takes them one by one. */
static void conv_group(const scenelet_job *job, int32_t group, int32_t f, int32_t t)
{
    const scenelet_layer *layer = job->layer;
    const int32_t in_channels = job->in->channels / layer->groups, out_channels = job->out->channels / layer->groups;
    const int32_t size = layer->kernel[0] * layer->kernel[1] * in_channels;
    const int32_t at_once = out_channels < 4 ? 1 : 4, distance = at_once == 1 ? 0 : size, last = out_channels - at_once;
    const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
    const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
    const int32_t taps = layer->dilation[1] == 1 && layer->groups == 1 ? steps.end - steps.begin : 1; /* in one row */
    const int32_t band = f * layer->bands / job->out->frequencies;
    float *y = job->arena + scenelet_place(job->out, f, t);
    for (int32_t next = 0; next < out_channels; next += at_once) {
        const int32_t channel = group * out_channels + (next < last ? next : last);
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int32_t k = rows.begin; k < rows.end; k++) {
            for (int32_t l = steps.begin; l < steps.end; l += taps) {
                const int32_t frequency = rows.origin + k * layer->dilation[0];
                const int32_t frame = steps.origin + l * layer->dilation[1];
                const float *x = job->arena + scenelet_place(job->in, frequency, frame) + group * in_channels;
                const int32_t place = channel * size + (k * layer->kernel[1] + l) * in_channels;
                add_products(x, layer->parameters, place, distance, taps * in_channels, sums);
            }
        }
        for (int32_t c = 0; c < at_once; c++) {
            y[channel + c] = finish(job, sums[c], band * job->out->channels + channel + c);
        }
    }
}

void scenelet_conv(const scenelet_job *job)
{
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            for (int32_t group = 0; group < job->layer->groups; group++) {
                conv_group(job, group, f, t);
            }
        }
    }
}

void scenelet_depthwise_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_float_conv *p = layer->parameters;
    const int32_t channels = job->out->channels;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
        const int32_t band = f * layer->bands / job->out->frequencies;
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
            float *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t first = 0; first < channels; first += BLOCK) {
                const int32_t count = channels - first < BLOCK ? channels - first : BLOCK;
                float sums[BLOCK] = {0.0f};
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        const int32_t frequency = rows.origin + k * layer->dilation[0];
                        const int32_t frame = steps.origin + l * layer->dilation[1];
                        const float *x = job->arena + scenelet_place(job->in, frequency, frame) + first;
                        const int32_t place = (k * layer->kernel[1] + l) * channels + first;
                        for (int32_t c = 0; c < count; c++) {
                            sums[c] += x[c] * (p->integers ? (float)p->integers[place + c] : p->reals[place + c]);
                        }
                    }
                }
                for (int32_t c = 0; c < count; c++) {
                    y[first + c] = finish(job, sums[c], band * channels + first + c);
                }
            }
        }
    }
}
