/* Layers of the network. Internal: use scenelet_network.h. */
#ifndef SCENELET_LAYERS_H
#define SCENELET_LAYERS_H

#include "scenelet_network.h"

#if defined(__ARM_FEATURE_SAT)
#include <arm_acle.h>
#endif

/* Value of the network. The number (f, t, c) is arena[offset + f * row + t * column + c]. A value that holds one time
   step only has column 0. */
typedef struct {
    int32_t offset, frequencies, frames, channels, row, column, zero_point;
} scenelet_tensor;

enum {
    SCENELET_ADD,
    SCENELET_AVERAGE_POOL,
    SCENELET_CONV,
    SCENELET_DEPTHWISE_CONV, /* as many groups as input and output channels */
    SCENELET_FLATTEN,
    SCENELET_FREQUENCY_MEAN,
    SCENELET_GLOBAL_MEAN,
    SCENELET_MAX_POOL,
    SCENELET_RELU,
    SCENELET_RESIDUAL_NORM,
    SCENELET_SILU,
    SCENELET_SOFTMAX
};

/* Layer. Pairs are for frequency and time. `chain` is the number of layers of the chain that this one begins, or 0. The
   layers of a chain all run for one time step before they run for the next one. */
typedef struct {
    uint8_t kind, relu;
    int16_t chain, bands, inputs[2], output, kernel[2], stride[2], dilation[2], pads[2];
    int32_t groups;
    const void *parameters;
} scenelet_layer;

/* Weights of each sub-band, or the same for all. There are several arrays if `variants` is not 0: the index of each
   sub-band's array. Other numbers are (sub-band, output channel).
   Depthwise: (kernel F, kernel T, channel).
   Others, with inputs (kernel F, kernel T, channel of the group) in a row: (group, block of 4 output channels, block of
   4 inputs, 4, 4), filled up with zeros. `patch` is the place of scenelet_patch in the arena. */
typedef struct {
    int32_t patch;
    const int8_t *weights;
    const uint8_t *variants;
    const int32_t *biases, *mantissas;
    const int8_t *shifts;
} scenelet_int8_conv;

/* Either int8 or float weights; the other pointer is 0. The result is scale * sum + shift.
   Depthwise: (kernel F, kernel T, channel). Others: (output channel, kernel F, kernel T, channel of the group). */
typedef struct {
    int32_t patch;
    const int8_t *integers;
    const float *reals, *scale, *shift;
} scenelet_float_conv;

/* Tensors and layers of the model. Tensor 0 is the input, and the output of the last layer is the result. */
extern const scenelet_tensor scenelet_tensors[];
extern const scenelet_layer scenelet_layers[SCENELET_LAYERS];

/* Taps of a kernel, from `begin` up to `end`, that lie inside of the input. Tap k is at `origin + k * dilation`. */
typedef struct {
    int32_t origin, begin, end;
} scenelet_taps;

static inline scenelet_taps scenelet_find_taps(const scenelet_layer *layer, int axis, int32_t position, int32_t length)
{
    const int32_t dilation = layer->dilation[axis];
    scenelet_taps taps = {position * layer->stride[axis] - layer->pads[axis], 0, layer->kernel[axis]};
    while (taps.origin + taps.begin * dilation < 0) {
        taps.begin++;
    }
    while (taps.end > taps.begin && taps.origin + (taps.end - 1) * dilation >= length) {
        taps.end--;
    }
    return taps;
}

static inline int32_t scenelet_place(const scenelet_tensor *tensor, int32_t frequency, int32_t frame)
{
    return tensor->offset + frequency * tensor->row + frame * tensor->column;
}

#define SCENELET_BLOCK 32 /* channels that are summed at a time */

/* Layer with its tensors, and the time steps of its output to compute, from `begin` up to `end`. */
typedef struct {
    const scenelet_layer *layer;
    const scenelet_tensor *in, *other, *out; /* `other` is the second term of a sum */
    scenelet_number *arena;
    int32_t begin, end;
} scenelet_job;

/* Return the inputs of one output (f, t) of a convolution in one row, for one group of channels. If the kernel has more
   than one tap they are copied to the arena at `place`, with zeros around the input. */
const scenelet_number *scenelet_patch(const scenelet_job *job, int32_t place, int32_t group, int32_t f, int32_t t);

void scenelet_add(const scenelet_job *job);
void scenelet_average_pool(const scenelet_job *job);
void scenelet_conv(const scenelet_job *job);
void scenelet_depthwise_conv(const scenelet_job *job);
void scenelet_map(const scenelet_job *job); /* ReLU and SiLU */
void scenelet_mean(const scenelet_job *job);
void scenelet_residual_norm(const scenelet_job *job); /* not in int8 */
void scenelet_softmax(const scenelet_job *job);

#if SCENELET_INT8
/* Divide by 2^bits and round half away from zero; bits is from 1 to 31. */
static inline int32_t scenelet_rounded_shift(int32_t number, int32_t bits)
{
    return (((number + (number >> 31)) >> (bits - 1)) + 1) >> 1;
}

/* Return a * b / 2^31, rounded half up. */
static inline int32_t scenelet_high_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* Multiply by mantissa / 2^31 * 2^shift, and round twice as TensorFlow Lite does. */
static inline int32_t scenelet_rescale(int32_t number, int32_t mantissa, int32_t shift)
{
    const int32_t shifted = shift > 0 ? (int32_t)((uint32_t)number << shift) : number;
    const int32_t product = scenelet_high_product(shifted, mantissa);
    return shift < 0 ? scenelet_rounded_shift(product, -shift) : product;
}

/* Add the zero point and limit to int8. */
static inline int8_t scenelet_to_int8(int32_t number, int32_t zero_point)
{
    const int32_t sum = number + zero_point;
#if defined(__ARM_FEATURE_SAT)
    return (int8_t)__ssat(sum, 8);
#else
    return (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
#endif
}
#endif

#endif
