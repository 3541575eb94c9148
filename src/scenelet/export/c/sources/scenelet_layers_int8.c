/* Layers in int8 other than convolutions. With these, the network equals TensorFlow Lite for Microcontrollers. */
#include "scenelet_layers.h"

int8_t scenelet_quantize(int32_t db, int fraction_bits)
{
    const int32_t in_16_bits = db * (1 << (16 - fraction_bits));
    const int32_t number = scenelet_rescale(in_16_bits, SCENELET_INPUT_MANTISSA, SCENELET_INPUT_SHIFT - 16);
    return scenelet_to_int8(number, SCENELET_INPUT_ZERO_POINT);
}

/* Parameters: mantissa and shift of both terms, and of their sum. */
void scenelet_add(const scenelet_job *job)
{
    const scenelet_tensor in = *job->in, other = *job->other, out = *job->out;
    const int32_t *const p = job->layer->parameters, scale_a = p[0], shift_a = p[1], scale_b = p[2], shift_b = p[3];
    const int32_t scale = p[4], shift = p[5];
    for (int32_t f = 0; f < out.frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const int8_t *a = job->arena + scenelet_place(&in, in.frequencies == 1 ? 0 : f, t);
            const int8_t *b = job->arena + scenelet_place(&other, other.frequencies == 1 ? 0 : f, t);
            int8_t *y = job->arena + scenelet_place(&out, f, t);
            for (int32_t c = 0; c < out.channels; c++) {
                const int32_t of_a = scenelet_rescale((a[c] - in.zero_point) * (1 << 20), scale_a, shift_a);
                const int32_t of_b = scenelet_rescale((b[c] - other.zero_point) * (1 << 20), scale_b, shift_b);
                y[c] = scenelet_to_int8(scenelet_rescale(of_a + of_b, scale, shift), out.zero_point);
            }
        }
    }
}

/* Parameters: the results of all 256 integers. */
void scenelet_map(const scenelet_job *job)
{
    const int8_t *table = job->layer->parameters;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const int8_t *x = job->arena + scenelet_place(job->in, f, t);
            int8_t *y = job->arena + scenelet_place(job->out, f, t);
            for (int32_t c = 0; c < job->out->channels; c++) {
                y[c] = table[x[c] + 128];
            }
        }
    }
}

void scenelet_average_pool(const scenelet_job *job)
{
    const scenelet_layer *layer = job->layer;
    const int32_t size = layer->kernel[0] * layer->kernel[1], zero_point = job->in->zero_point;
    for (int32_t f = 0; f < job->out->frequencies; f++) {
        for (int32_t t = job->begin; t < job->end; t++) {
            const scenelet_taps rows = scenelet_find_taps(layer, 0, f, job->in->frequencies);
            const scenelet_taps steps = scenelet_find_taps(layer, 1, t, job->in->frames);
            for (int32_t c = 0; c < job->out->channels; c++) {
                int32_t sum = zero_point * size;
                for (int32_t k = rows.begin; k < rows.end; k++) {
                    for (int32_t l = steps.begin; l < steps.end; l++) {
                        sum += job->arena[scenelet_place(job->in, rows.origin + k, steps.origin + l) + c] - zero_point;
                    }
                }
                const int32_t mean = (sum + (sum > 0 ? size / 2 : -(size / 2))) / size;
                job->arena[scenelet_place(job->out, f, t) + c] = (int8_t)mean;
            }
        }
    }
}

/* Parameters: mantissa and shift, which include the division. */
void scenelet_mean(const scenelet_job *job)
{
    const int32_t *const p = job->layer->parameters, scale = p[0], shift = p[1];
    const int32_t zero_point = job->in->zero_point, channels = job->out->channels;
    const int32_t frames = job->layer->kind == SCENELET_GLOBAL_MEAN ? job->in->frames : 1;
    for (int32_t t = job->begin; t < job->end; t++) {
        for (int32_t first = 0; first < channels; first += SCENELET_BLOCK) {
            const int32_t count = channels - first < SCENELET_BLOCK ? channels - first : SCENELET_BLOCK;
            int32_t sums[SCENELET_BLOCK] = {0};
            for (int32_t f = 0; f < job->in->frequencies; f++) {
                for (int32_t frame = t; frame < t + frames; frame++) {
                    const int8_t *x = job->arena + scenelet_place(job->in, f, frame) + first;
                    for (int32_t c = 0; c < count; c++) {
                        sums[c] += x[c] - zero_point;
                    }
                }
            }
            int8_t *y = job->arena + scenelet_place(job->out, 0, t) + first;
            for (int32_t c = 0; c < count; c++) {
                y[c] = scenelet_to_int8(scenelet_rescale(sums[c], scale, shift), job->out->zero_point);
            }
        }
    }
}

/* Return 1 / (1 + x) by Newton's method; x and the result have 31 bits after the point. */
static int32_t one_over_one_plus(int32_t x)
{
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t y = 1515870810 + scenelet_high_product(half, -1010580540); /* 48/17 - 32/17 half, in 29 bits */
    for (int i = 0; i < 3; i++) {
        y += scenelet_high_product(y, (1 << 29) - scenelet_high_product(half, y)) * 4;
    }
    return y > INT32_MAX / 2 ? INT32_MAX : y * 2;
}

/* Parameters: exp(-step * n) for n from 0 to 255, with 31 bits after the point. */
void scenelet_softmax(const scenelet_job *job)
{
    const int32_t *table = job->layer->parameters;
    const int8_t *x = job->arena + job->in->offset;
    int8_t *y = job->arena + job->out->offset;
    int32_t largest = -128, headroom = 0;
    uint32_t sum = 0;
    for (int32_t c = 0; c < job->in->channels; c++) {
        largest = x[c] > largest ? x[c] : largest;
    }
    for (int32_t c = 0; c < job->in->channels; c++) {
        sum += (uint32_t)scenelet_rounded_shift(table[largest - x[c]], 12);
    }
    for (; !(sum >> 31); sum <<= 1) {
        headroom++;
    }
    const int32_t reciprocal = one_over_one_plus((int32_t)(sum & INT32_MAX));
    for (int32_t c = 0; c < job->in->channels; c++) {
        const int32_t product = scenelet_high_product(reciprocal, table[largest - x[c]]);
        /* with 512 classes or more, a probability may be too small for a shift of 31 bits */
        const int32_t probability = headroom < 4 ? 0 : scenelet_rounded_shift(product, 35 - headroom);
        y[c] = scenelet_to_int8(probability, job->out->zero_point);
    }
}
