/* Run a model from the header that `scenelet export MODEL --out model.h` writes, from log-mel to probabilities.

   The program is simple and correct, but not fast: every value has its own buffer, and arithmetic is in float.
   Compile with -DMODEL=name -DMODEL_HEADER='"name.h"'. It reads raw float32 log-mel, channels x bands x frames,
   from standard input, and prints one line per label. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include MODEL_HEADER

#define JOIN(a, b) a##b
#define NAME(prefix, suffix) JOIN(prefix, suffix)
#define LABELS NAME(MODEL, _labels)
#define ARRAYS NAME(MODEL, _arrays)
#define SHAPES NAME(MODEL, _shapes)
#define NODES NAME(MODEL, _nodes)

static float weight(const scenelet_array *array, long index) {
    if (!array->values) return array->reals[index];
    return ldexpf(array->values[index], array->exponents[index / array->row_length]);
}

/* out[c, f, t] = sum over the channels of the group and over the kernel, with zero padding */
static void convolve(const scenelet_node *node, const float *in, const int32_t *is, float *out, const int32_t *os) {
    const scenelet_array *w = &ARRAYS[node->arrays[0]];
    const int16_t *n = node->numbers;
    int per_group = is[0] / n[8], out_per_group = os[0] / n[8];
    for (int c = 0; c < os[0]; c++)
        for (int f = 0; f < os[1]; f++)
            for (int t = 0; t < os[2]; t++) {
                float sum = 0;
                for (int i = 0; i < per_group; i++)
                    for (int kf = 0; kf < n[0]; kf++)
                        for (int kt = 0; kt < n[1]; kt++) {
                            int from_f = f * n[2] - n[4] + kf * n[6], from_t = t * n[3] - n[5] + kt * n[7];
                            if (from_f < 0 || from_f >= is[1] || from_t < 0 || from_t >= is[2]) continue;
                            long channel = (long)(c / out_per_group) * per_group + i;
                            sum += weight(w, ((long)(c * per_group + i) * n[0] + kf) * n[1] + kt) *
                                   in[(channel * is[1] + from_f) * is[2] + from_t];
                        }
                out[((long)c * os[1] + f) * os[2] + t] = sum;
            }
}

/* one scale and shift per sub-band and channel, or per sub-band */
static void scale_shift(const scenelet_node *node, const float *in, float *out, const int32_t *s) {
    const scenelet_array *scale = &ARRAYS[node->arrays[0]], *shift = &ARRAYS[node->arrays[1]];
    for (int c = 0; c < s[0]; c++)
        for (int f = 0; f < s[1]; f++) {
            long index = (long)(f / (s[1] / scale->rows)) * scale->row_length + (scale->row_length > 1 ? c : 0);
            for (int t = 0; t < s[2]; t++) {
                long i = ((long)c * s[1] + f) * s[2] + t;
                out[i] = in[i] * weight(scale, index) + weight(shift, index);
            }
        }
}

/* 0.1 x + (x - mean) / sqrt(var + 1e-5), each frequency with its mean and variance over channels and time */
static void residual_norm(const float *in, float *out, const int32_t *s) {
    float count = (float)s[0] * (float)s[2];
    for (int f = 0; f < s[1]; f++) {
        float mean = 0, var = 0;
        for (int c = 0; c < s[0]; c++)
            for (int t = 0; t < s[2]; t++) mean += in[((long)c * s[1] + f) * s[2] + t] / count;
        for (int c = 0; c < s[0]; c++)
            for (int t = 0; t < s[2]; t++) {
                float from_mean = in[((long)c * s[1] + f) * s[2] + t] - mean;
                var += from_mean * from_mean / count;
            }
        for (int c = 0; c < s[0]; c++)
            for (int t = 0; t < s[2]; t++) {
                long i = ((long)c * s[1] + f) * s[2] + t;
                out[i] = 0.1f * in[i] + (in[i] - mean) / sqrtf(var + 1e-5f);
            }
    }
}

/* if one value has a single frequency, it is added to every frequency of the other */
static void add(const float *a, const int32_t *as, const float *b, const int32_t *bs, float *out, const int32_t *os) {
    for (int c = 0; c < os[0]; c++)
        for (int f = 0; f < os[1]; f++)
            for (int t = 0; t < os[2]; t++)
                out[((long)c * os[1] + f) * os[2] + t] = a[((long)c * as[1] + (as[1] > 1 ? f : 0)) * as[2] + t] +
                                                         b[((long)c * bs[1] + (bs[1] > 1 ? f : 0)) * bs[2] + t];
}

static void max_pool(const scenelet_node *node, const float *in, const int32_t *is, float *out, const int32_t *os) {
    const int16_t *n = node->numbers;
    for (int c = 0; c < os[0]; c++)
        for (int f = 0; f < os[1]; f++)
            for (int t = 0; t < os[2]; t++) {
                float most = -INFINITY;
                for (int kf = 0; kf < n[0]; kf++)
                    for (int kt = 0; kt < n[1]; kt++)
                        most = fmaxf(most, in[((long)c * is[1] + f * n[2] + kf) * is[2] + t * n[3] + kt]);
                out[((long)c * os[1] + f) * os[2] + t] = most;
            }
}

/* zeros around the input count as values */
static void average_pool(const scenelet_node *node, const float *in, const int32_t *is, float *out, const int32_t *os) {
    const int16_t *n = node->numbers;
    for (int c = 0; c < os[0]; c++)
        for (int f = 0; f < os[1]; f++)
            for (int t = 0; t < os[2]; t++) {
                float sum = 0;
                for (int kf = 0; kf < n[0]; kf++)
                    for (int kt = 0; kt < n[1]; kt++) {
                        int from_f = f * n[2] - n[4] + kf, from_t = t * n[3] - n[5] + kt;
                        if (from_f < 0 || from_f >= is[1] || from_t < 0 || from_t >= is[2]) continue;
                        sum += in[((long)c * is[1] + from_f) * is[2] + from_t];
                    }
                out[((long)c * os[1] + f) * os[2] + t] = sum / (float)(n[0] * n[1]);
            }
}

static void mean_pool(int all, const float *in, const int32_t *is, float *out) {
    int kept = all ? 1 : is[2];
    for (int c = 0; c < is[0]; c++)
        for (int k = 0; k < kept; k++) {
            float sum = 0;
            for (int f = 0; f < is[1]; f++)
                for (int t = all ? 0 : k; t < (all ? is[2] : k + 1); t++) sum += in[((long)c * is[1] + f) * is[2] + t];
            out[c * kept + k] = sum / (float)(is[1] * (all ? is[2] : 1));
        }
}

static void linear(const scenelet_node *node, const float *in, float *out) {
    const scenelet_array *w = &ARRAYS[node->arrays[0]], *bias = &ARRAYS[node->arrays[1]];
    for (int c = 0; c < w->rows; c++) {
        out[c] = weight(bias, c);
        for (int i = 0; i < w->row_length; i++) out[c] += weight(w, (long)c * w->row_length + i) * in[i];
    }
}

static void softmax(const float *in, float *out, int count) {
    float most = in[0], sum = 0;
    for (int i = 1; i < count; i++) most = fmaxf(most, in[i]);
    for (int i = 0; i < count; i++) sum += out[i] = expf(in[i] - most);
    for (int i = 0; i < count; i++) out[i] /= sum;
}

static void *room(size_t bytes) {
    void *found = malloc(bytes);
    if (!found) {
        fprintf(stderr, "no memory for %lu bytes\n", (unsigned long)bytes);
        exit(1);
    }
    return found;
}

int main(void) {
    int values = sizeof SHAPES / sizeof *SHAPES, nodes = sizeof NODES / sizeof *NODES;
    float **value = room(values * sizeof *value);
    for (int v = 0; v < values; v++)
        value[v] = room(sizeof(float) * (size_t)SHAPES[v][0] * (size_t)SHAPES[v][1] * (size_t)SHAPES[v][2]);
    size_t wanted = (size_t)SHAPES[0][0] * SHAPES[0][1] * SHAPES[0][2];
    if (fread(value[0], sizeof(float), wanted, stdin) != wanted || fgetc(stdin) != EOF) {
        fprintf(stderr, "expects %lu float32 numbers: %ld channels x %ld bands x %ld frames\n", (unsigned long)wanted,
                (long)SHAPES[0][0], (long)SHAPES[0][1], (long)SHAPES[0][2]);
        return 1;
    }
    for (const scenelet_node *node = NODES; node < NODES + nodes; node++) {
        const float *in = value[node->in[0]];
        const int32_t *is = SHAPES[node->in[0]], *os = SHAPES[node->out];
        float *out = value[node->out];
        long size = (long)os[0] * os[1] * os[2];
        switch (node->operation) {
        case SCENELET_CONV: convolve(node, in, is, out, os); break;
        case SCENELET_SCALE_SHIFT: scale_shift(node, in, out, os); break;
        case SCENELET_RESIDUAL_NORM: residual_norm(in, out, os); break;
        case SCENELET_RELU: for (long i = 0; i < size; i++) out[i] = in[i] > 0 ? in[i] : 0; break;
        case SCENELET_SILU: for (long i = 0; i < size; i++) out[i] = in[i] / (1 + expf(-in[i])); break;
        case SCENELET_ADD: add(in, is, value[node->in[1]], SHAPES[node->in[1]], out, os); break;
        case SCENELET_MAX_POOL: max_pool(node, in, is, out, os); break;
        case SCENELET_AVERAGE_POOL: average_pool(node, in, is, out, os); break;
        case SCENELET_FREQUENCY_MEAN_POOL: mean_pool(0, in, is, out); break;
        case SCENELET_GLOBAL_MEAN_POOL: mean_pool(1, in, is, out); break;
        case SCENELET_FLATTEN: for (long i = 0; i < size; i++) out[i] = in[i]; break;
        case SCENELET_LINEAR: linear(node, in, out); break;
        case SCENELET_SOFTMAX: softmax(in, out, (int)size); break;
        }
    }
    int classes = sizeof LABELS / sizeof *LABELS;
    for (int c = 0; c < classes; c++) printf("%.9g\t%s\n", value[values - 1][c], LABELS[c]);
    return 0;
}
