/* Layers in single precision other than convolutions. */
#include <math.h>

#include "scenelet_layers.h"

void scenelet_add(const scenelet_job *job)
{
    const scenelet_tensor *in = job->in, *other = job->other, *out = job->out;
    for (int32_t f = 0; f < out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const float *a = job->arena + scenelet_place(in, in->frequencies == 1 ? 0 : f, t);
            const float *b = job->arena + scenelet_place(other, other->frequencies == 1 ? 0 : f, t);
            float *y = job->arena + scenelet_place(out, f, t);
            for (int32_t c = 0; c < out->channels; c++) {
                const float sum = a[c] + b[c];
                y[c] = job->layer->relu && sum < 0.0f ? 0.0f : sum;
            }
        }
    }
}

void scenelet_map(const scenelet_job *job)
{
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const float *x = job->arena + scenelet_place(job->in, f, t);
            float *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t c = 0; c < job->out->channels; c++) {
                if (job->layer->kind == SCENELET_SILU) {
                    y[c] = x[c] / (1.0f + expf(-x[c]));
                } else {
                    y[c] = x[c] > 0.0f ? x[c] : 0.0f;
                }
            }
        }
    }
}

void scenelet_average_pool(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
            const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
            for (int32_t c = 0; c < job->out->channels; c++) {
                float sum = 0.0f;
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        sum += job->arena[scenelet_place(job->in, rows.origin + k, steps.origin + l) + c];
                    }
                }
                sum /= (float)(layer->kernel[0] * layer->kernel[1]);
                job->arena[scenelet_place(job->out, f, t) + c] = sum;
            }
        }
    }
}

void scenelet_mean(const scenelet_job *job)
{
    const int32_t frames = job->layer->kind == SCENELET_GLOBAL_MEAN ? job->in->frames : 1;
    for (int32_t t = job->begin; t < job->end; t++) {
        float *y = job->arena + scenelet_place(job->out, 0, t);
        for (int32_t c = 0; c < job->out->channels; c++) {
            y[c] = 0.0f;
        }
        for (int32_t f = 0; f < job->in->frequencies; f++) {
            for (int32_t frame = t; frame < t + frames; frame++) {
                const float *x = job->arena + scenelet_place(job->in, f, frame);
                for (int32_t c = 0; c < job->out->channels; c++) {
                    y[c] += x[c];
                }
            }
        }
        for (int32_t c = 0; c < job->out->channels; c++) {
            y[c] /= (float)(job->in->frequencies * frames);
        }
    }
}

/* 0.1 x + (x - mean) / sqrt(variance + 1e-5) per frequency. */
void scenelet_residual_norm(const scenelet_job *job)
{
    const int32_t count = job->in->frames * job->in->channels;
    for (int32_t f = 0; f < job->in->frequencies; f++) {
        const float *x = job->arena + scenelet_place(job->in, f, 0);
        float *y = job->arena + scenelet_place(job->out, f, 0), mean = 0.0f, squares = 0.0f;
        for (int32_t i = 0; i < count; i++) {
            mean += x[i];
        }
        mean /= (float)count;
        for (int32_t i = 0; i < count; i++) {
            squares += (x[i] - mean) * (x[i] - mean);
        }
        const float inverse = 1.0f / sqrtf(squares / (float)count + 1e-5f);
        for (int32_t i = 0; i < count; i++) {
            y[i] = 0.1f * x[i] + (x[i] - mean) * inverse;
        }
    }
}

void scenelet_softmax(const scenelet_job *job)
{
    const float *x = job->arena + job->in->offset;
    float *y = job->arena + job->out->offset, largest = x[0], sum = 0.0f;
    for (int32_t c = 1; c < job->in->channels; c++) {
        largest = x[c] > largest ? x[c] : largest;
    }
    for (int32_t c = 0; c < job->in->channels; c++) {
        y[c] = expf(x[c] - largest);
        sum += y[c];
    }
    for (int32_t c = 0; c < job->in->channels; c++) {
        y[c] /= sum;
    }
}
