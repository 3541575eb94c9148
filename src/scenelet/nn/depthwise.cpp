// Depthwise convolution with stride 1, and its weight gradient.
//
// The memory layout is (batch, row, frame, channel). Arithmetic is in float. The sums of all clips are added in order,
// so the result does not depend on the count of threads.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "vectors.h"

namespace {

struct Shape {
  int64_t batch, in_rows, in_frames, rows, frames, channels, kernel_rows, kernel_frames;
  int64_t padding_rows, padding_frames, dilation_rows, dilation_frames;
  int threads;

  int64_t taps() const { return kernel_rows * kernel_frames; }
};

// `weight` is (tap, channel).
template <typename T> void convolve(const T *x, const float *weight, const Shape &s, T *y) {
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t line = 0; line < s.batch * s.rows; line++) {
    const int64_t item = line / s.rows, row = line % s.rows;
    std::vector<const T *> inputs(s.taps());
    std::vector<const float *> weights(s.taps());
    for (int64_t frame = 0; frame < s.frames; frame++) {
      int64_t count = 0;  // taps that are inside the input
      for (int64_t tap = 0; tap < s.taps(); tap++) {
        const int64_t from_row = row + tap / s.kernel_frames * s.dilation_rows - s.padding_rows;
        const int64_t from = frame + tap % s.kernel_frames * s.dilation_frames - s.padding_frames;
        if (from_row < 0 || from_row >= s.in_rows || from < 0 || from >= s.in_frames) continue;
        inputs[count] = x + ((item * s.in_rows + from_row) * s.in_frames + from) * s.channels;
        weights[count++] = weight + tap * s.channels;
      }
      T *to = y + (line * s.frames + frame) * s.channels;
      each_block(s.channels, [&](int64_t c, auto zero) {
        typedef decltype(zero) B;
        B sum;
        for (int64_t k = 0; k < count; k++) {
          const B value(inputs[k] + c), factor(weights[k] + c);
          for (int i = 0; i < B::count; i++) sum.at[i] += factor.at[i] * value.at[i];
        }
        sum.put(to + c);
      });
    }
  }
}

template <typename T> void weight_gradient(const T *x, const T *gradient, const Shape &s, double *sums) {
  constexpr int64_t STRIP = 16;  // frames, so that memory is read almost in order
  const int64_t channels = s.channels, size = s.taps() * channels;
  std::vector<float> partial(s.batch * size);
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t item = 0; item < s.batch; item++)
    for (int64_t row = 0; row < s.rows; row++)
      for (int64_t strip = 0; strip < s.frames; strip += STRIP)
        for (int64_t tap = 0; tap < s.taps(); tap++) {
          const int64_t from_row = row + tap / s.kernel_frames * s.dilation_rows - s.padding_rows;
          const int64_t shift = tap % s.kernel_frames * s.dilation_frames - s.padding_frames;
          const int64_t first = std::max(strip, -shift), end = std::min({strip + STRIP, s.frames, s.in_frames - shift});
          if (from_row < 0 || from_row >= s.in_rows || first >= end) continue;
          const T *from = x + ((item * s.in_rows + from_row) * s.in_frames + shift) * channels;
          const T *above = gradient + (item * s.rows + row) * s.frames * channels;
          float *to = &partial[item * size + tap * channels];
          each_block(channels, [=](int64_t c, auto zero) {
            typedef decltype(zero) B;
            B sum(to + c);
            for (int64_t o = first * channels + c; o < end * channels; o += channels) {
              const B value(from + o), g(above + o);
              for (int i = 0; i < B::count; i++) sum.at[i] += g.at[i] * value.at[i];
            }
            sum.put(to + c);
          });
        }
  std::fill(sums, sums + size, 0.0);
  for (int64_t item = 0; item < s.batch; item++)
    for (int64_t k = 0; k < size; k++) sums[k] += partial[item * size + k];
}

}  // namespace

#define EXPORT(T, NAME)                                                                                         \
  extern "C" void depthwise_##NAME(const T *x, const float *weight, const Shape *s, T *y) {                     \
    convolve(x, weight, *s, y);                                                                                 \
  }                                                                                                             \
  extern "C" void depthwise_weight_##NAME(const T *x, const T *gradient, const Shape *s, double *sums) {        \
    weight_gradient(x, gradient, *s, sums);                                                                     \
  }

EXPORT(float, float32)
EXPORT(bf16, bfloat16)
