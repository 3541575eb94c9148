/* Order of the layers, and layers that only move numbers. */
#include <string.h>

#include "scenelet_layers.h"

scenelet_number *scenelet_network_input(scenelet_number *arena)
{
    return arena + scenelet_tensors[0].offset;
}

const scenelet_number *scenelet_patch(const scenelet_job *job, int32_t place, int32_t group, int32_t f, int32_t t)
{
    const scenelet_layer *layer = job->layer;
    const scenelet_tensor *in = job->in;
    const int32_t channels = in->channels / layer->groups, heights = layer->kernel[0], widths = layer->kernel[1];
    const scenelet_taps rows = scenelet_find_taps(layer, 0, f, in->frequencies);
    const scenelet_taps steps = scenelet_find_taps(layer, 1, t, in->frames);
    const scenelet_number *x = job->arena + group * channels;
    scenelet_number *patch = job->arena + place;
    const int complete = rows.end - rows.begin == heights && steps.end - steps.begin == widths;
    if (complete && heights * widths == 1) {
        return x + scenelet_place(in, rows.origin, steps.origin);
    }
    for (int32_t i = 0; !complete && i < heights * widths * channels; i++) {
        patch[i] = (scenelet_number)in->zero_point;
    }
    const int32_t at_once = layer->dilation[1] == 1 && layer->groups == 1 ? steps.end - steps.begin : 1;
    for (int32_t k = rows.begin; k < rows.end; k++) {
        for (int32_t l = steps.begin; l < steps.end; l += at_once) {
            const int32_t from =
                scenelet_place(in, rows.origin + k * layer->dilation[0], steps.origin + l * layer->dilation[1]);
            memcpy(&patch[(k * widths + l) * channels], x + from, (size_t)(at_once * channels) * sizeof *x);
        }
    }
    return patch;
}

static void max_pool(const scenelet_job *job)
{
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps rows = scenelet_find_taps(job->layer, 0, f, job->in->frequencies);
            const scenelet_taps steps = scenelet_find_taps(job->layer, 1, t, job->in->frames);
            for (int32_t c = 0; c < job->out->channels; c++) {
                scenelet_number largest = job->arena[scenelet_place(job->in, rows.origin, steps.origin) + c];
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        const scenelet_number x =
                            job->arena[scenelet_place(job->in, rows.origin + k, steps.origin + l) + c];
                        largest = x > largest ? x : largest;
                    }
                }
                job->arena[scenelet_place(job->out, f, t) + c] = largest;
            }
        }
    }
}

static void flatten(const scenelet_job *job)
{
    scenelet_number *y = job->arena + job->out->offset;
    for (int32_t c = 0; c < job->in->channels; c++) {
        for (int32_t f = 0; f < job->in->frequencies; f++) {
            for (int32_t t = 0; t < job->in->frames; t++) {
                *y++ = job->arena[scenelet_place(job->in, f, t) + c];
            }
        }
    }
}

static void run_layer(const scenelet_job *job)
{
    switch (job->layer->kind) {
    case SCENELET_ADD:
        scenelet_add(job);
        break;
    case SCENELET_AVERAGE_POOL:
        scenelet_average_pool(job);
        break;
    case SCENELET_CONV:
        scenelet_conv(job);
        break;
    case SCENELET_DEPTHWISE_CONV:
        scenelet_depthwise_conv(job);
        break;
    case SCENELET_FLATTEN:
        flatten(job);
        break;
    case SCENELET_FREQUENCY_MEAN:
    case SCENELET_GLOBAL_MEAN:
        scenelet_mean(job);
        break;
    case SCENELET_MAX_POOL:
        max_pool(job);
        break;
#if !SCENELET_INT8
    case SCENELET_RESIDUAL_NORM:
        scenelet_residual_norm(job);
        break;
#endif
    case SCENELET_SOFTMAX:
        scenelet_softmax(job);
        break;
    default: /* SCENELET_RELU, SCENELET_SILU */
        scenelet_map(job);
    }
}

const scenelet_number *scenelet_run(scenelet_number *arena)
{
    const scenelet_tensor *result = scenelet_tensors;
    for (int first = 0; first < SCENELET_LAYERS; first += scenelet_layers[first].chain) {
        const int end = first + scenelet_layers[first].chain;
        result = &scenelet_tensors[scenelet_layers[end - 1].output];
        const int32_t at_once = end - first == 1 ? result->frames : 1;
        for (int32_t t = 0; t < result->frames; t += at_once) {
            for (int i = first; i < end; i++) {
                const scenelet_layer *layer = &scenelet_layers[i];
                const scenelet_job job = {
                    layer, &scenelet_tensors[layer->inputs[0]], &scenelet_tensors[layer->inputs[1]],
                    &scenelet_tensors[layer->output], arena, t, t + at_once};
                run_layer(&job);
            }
        }
    }
    return arena + result->offset;
}
