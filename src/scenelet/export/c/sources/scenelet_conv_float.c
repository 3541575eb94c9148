/* Convolutions in single precision. Weights are int8 if the model stores integers. */
#include "scenelet_layers.h"

/* Add the products of `count` numbers with the weights of four output channels, which are `distance` apart. */
#define ADD_PRODUCTS(weights)                                                                                          \
    for (int32_t i = 0; i < count; i++) {                                                                              \
        sums[0] += x[i] * (float)(weights)[i];                                                                         \
        sums[1] += x[i] * (float)(weights)[i + distance];                                                              \
        sums[2] += x[i] * (float)(weights)[i + 2 * distance];                                                          \
        sums[3] += x[i] * (float)(weights)[i + 3 * distance];                                                          \
    }

static float finish(const scenelet_job *job, float sum, int32_t o)
{
    const scenelet_float_conv *p = job->layer->parameters;
    const float number = sum * p->scale[o] + p->shift[o];
    return job->layer->relu && number < 0.0f ? 0.0f : number;
}

/* Four output channels at a time. The last four of a group may overlap with those before them, and a group of fewer
   than four takes them one by one. */
void scenelet_conv(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_float_conv *p = layer->parameters;
    const int32_t groups = layer->groups, out_channels = job->out->channels / groups;
    const int32_t count = layer->kernel[0] * layer->kernel[1] * (job->in->channels / groups);
    const int32_t at_once = out_channels < 4 ? 1 : 4, last = out_channels - at_once;
    const int32_t distance = at_once == 1 ? 0 : count;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        const int32_t first = f * layer->bands / job->out->frequencies * job->out->channels;
        for (int32_t t = job->begin; t < job->end; t++) {
            float *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t group = 0; group < groups; group++) {
                const float *x = scenelet_patch(job, p->patch, group, f, t);
                for (int32_t next = 0; next < out_channels; next += at_once) {
                    const int32_t channel = group * out_channels + (next < last ? next : last);
                    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                    if (p->integers) {
                        ADD_PRODUCTS(p->integers + channel * count)
                    } else {
                        ADD_PRODUCTS(p->reals + channel * count)
                    }
                    for (int32_t c = 0; c < at_once; c++) {
                        y[channel + c] = finish(job, sums[c], first + channel + c);
                    }
                }
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
            for (int32_t first = 0; first < channels; first += SCENELET_BLOCK) {
                const int32_t count = channels - first < SCENELET_BLOCK ? channels - first : SCENELET_BLOCK;
                float sums[SCENELET_BLOCK] = {0.0f};
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
