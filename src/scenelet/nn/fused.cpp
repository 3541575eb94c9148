// Norm, residual addition and ReLU, forward and backward, each in as few passes over memory as the sums allow.
//
// The memory layout is (batch, sub-band, position, channel): channels-last memory, split into sub-bands without a copy.
// Each chunk of positions fits the cache of a core. The sums of all chunks are added in order, so the result does not
// depend on the count of threads. Arithmetic is in float, and the sums of chunks are added in double.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "vectors.h"

namespace {

struct Shape {
  int64_t batch, sub_bands, positions, channels;
  int threads;

  int64_t rows(size_t bytes) const {  // positions per chunk
    return std::max<int64_t>(1, std::min<int64_t>(positions, (int64_t(1) << 17) / int64_t(channels * bytes)));
  }
  int64_t chunks_each(size_t bytes) const { return (positions + rows(bytes) - 1) / rows(bytes); }
  int64_t chunks(size_t bytes) const { return batch * sub_bands * chunks_each(bytes); }
};

// Call work(chunk, sub_band, first value, positions) for every chunk, in parallel threads.
template <typename T, typename Work> void each_chunk(const Shape &s, Work work) {
  const int64_t rows = s.rows(sizeof(T)), each = s.chunks_each(sizeof(T)), chunks = s.chunks(sizeof(T));
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    const int64_t part = chunk / each, first = chunk % each * rows;
    work(chunk, part % s.sub_bands, (part * s.positions + first) * s.channels, std::min(rows, s.positions - first));
  }
}

// Call work(channel, block, first row, end of rows) for all channels. If the channels need several blocks, the rows are
// split into short strips, so that memory is read almost in order.
template <typename T, typename Work> void each_strip(int64_t channels, int64_t rows, Work work) {
  const int64_t strip = channels == WIDE_COUNT * WIDE ? rows : std::max<int64_t>(1, STRIP_BYTES / (channels * sizeof(T)));
  for (int64_t r = 0; r < rows; r += strip)
    each_block(channels, [&](int64_t c, auto block) { work(c, block, r, std::min(rows, r + strip)); });
}

template <typename T> void statistics(const T *x, const Shape &s, float *mean, float *var) {
  const int64_t channels = s.channels;
  // per chunk: its first value (subtracted, so a large mean costs no precision), sum, sum of squares
  std::vector<float> partial(s.chunks(sizeof(T)) * 3 * channels);
  each_chunk<T>(s, [&](int64_t chunk, int64_t, int64_t first, int64_t rows) {
    float *origin = &partial[chunk * 3 * channels];
    each_strip<T>(channels, rows, [&](int64_t c, auto zero, int64_t from, int64_t to) {
      typedef decltype(zero) B;
      const B start(x + first + c);
      B sum(origin + channels + c), squares(origin + 2 * channels + c);
      for (int64_t r = from; r < to; r++) {
        const B value(x + first + r * channels + c);
        for (int i = 0; i < B::count; i++) {
          const typename B::V d = value.at[i] - start.at[i];
          sum.at[i] += d;
          squares.at[i] += d * d;
        }
      }
      start.put(origin + c), sum.put(origin + channels + c), squares.put(origin + 2 * channels + c);
    });
  });
  const int64_t rows = s.rows(sizeof(T)), each = s.chunks_each(sizeof(T));
  for (int64_t band = 0; band < s.sub_bands; band++) {
    Moments all(channels);
    for (int64_t item = 0; item < s.batch; item++)
      for (int64_t i = 0; i < each; i++) {
        const float *p = &partial[((item * s.sub_bands + band) * each + i) * 3 * channels];
        all.add(std::min(rows, s.positions - i * rows), p, p + channels, p + 2 * channels);
      }
    all.put(mean + band * channels, var + band * channels);
  }
}

// y = relu(x * scale + shift + residual), or without relu
template <typename T, bool RESIDUAL, bool RELU>
void forward(const T *x, const T *residual, const float *scale, const float *shift, const Shape &s, T *y) {
  each_chunk<T>(s, [&](int64_t, int64_t band, int64_t first, int64_t rows) {
    each_strip<T>(s.channels, rows, [&](int64_t c, auto zero, int64_t from, int64_t to) {
      typedef decltype(zero) B;
      const B factor(scale + band * s.channels + c), offset(shift + band * s.channels + c);
      for (int64_t r = from; r < to; r++) {
        const int64_t o = first + r * s.channels + c;
        const B value(x + o), added(RESIDUAL ? residual + o : x + o);
        B out;
        for (int i = 0; i < B::count; i++) {
          typename B::V v = value.at[i] * factor.at[i] + offset.at[i];
          if (RESIDUAL) v += added.at[i];
          out.at[i] = RELU && v < 0 ? zero.at[i] : v;  // NaN propagates, as in PyTorch
        }
        out.put(y + o);
      }
    });
  });
}

// g is the gradient where y > 0, or everywhere without relu. Sum g and g (x - mean). If there is a residual, g is its
// gradient.
template <typename T, bool RESIDUAL, bool RELU>
void backward_sums(const T *x, const T *gradient, const T *y, const float *scale, const float *shift, const float *mean,
                   const Shape &s, T *gradient_residual, double *sums) {
  const int64_t channels = s.channels, chunks = s.chunks(sizeof(T)), each = s.chunks_each(sizeof(T));
  std::vector<float> partial(chunks * 2 * channels);
  each_chunk<T>(s, [&](int64_t chunk, int64_t band, int64_t first, int64_t rows) {
    float *sums_g = &partial[chunk * 2 * channels], *sums_product = sums_g + channels;
    each_strip<T>(channels, rows, [&](int64_t c, auto zero, int64_t from, int64_t to) {
      typedef decltype(zero) B;
      const int64_t k = band * channels + c;
      const B factor(scale + k), offset(shift + k), center(mean + k);
      B sum(sums_g + c), product(sums_product + c);
      for (int64_t r = from; r < to; r++) {
        const int64_t o = first + r * channels + c;
        const B value(x + o), above(gradient + o), result(RESIDUAL ? y + o : x + o);
        B g;
        for (int i = 0; i < B::count; i++) {
          const typename B::V v = RESIDUAL ? result.at[i] : value.at[i] * factor.at[i] + offset.at[i];
          g.at[i] = !RELU || v > 0 ? above.at[i] : zero.at[i];
          sum.at[i] += g.at[i];
          product.at[i] += g.at[i] * (value.at[i] - center.at[i]);
        }
        if (RESIDUAL) g.put(gradient_residual + o);
      }
      sum.put(sums_g + c), product.put(sums_product + c);
    });
  });
  std::fill(sums, sums + 2 * s.sub_bands * channels, 0.0);
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    for (int64_t c = 0; c < channels; c++) {
      const int64_t k = chunk / each % s.sub_bands * channels + c;
      sums[k] += partial[chunk * 2 * channels + c];
      sums[s.sub_bands * channels + k] += partial[(chunk * 2 + 1) * channels + c];
    }
}

// Gradient of x: scale g + slope (x - mean) + constant. `masked`: g is already zero where y <= 0.
template <typename T, bool MASKED>
void backward_input(const T *x, const T *gradient, const float *scale, const float *shift, const float *mean,
                    const float *slope, const float *constant, const Shape &s, T *gradient_x) {
  each_chunk<T>(s, [&](int64_t, int64_t band, int64_t first, int64_t rows) {
    each_strip<T>(s.channels, rows, [&](int64_t c, auto zero, int64_t from, int64_t to) {
      typedef decltype(zero) B;
      const int64_t k = band * s.channels + c;
      const B factor(scale + k), offset(shift + k), center(mean + k), tilt(slope + k), level(constant + k);
      for (int64_t r = from; r < to; r++) {
        const int64_t o = first + r * s.channels + c;
        const B value(x + o), above(gradient + o);
        B out;
        for (int i = 0; i < B::count; i++) {
          typename B::V g = above.at[i];
          if (!MASKED) g = value.at[i] * factor.at[i] + offset.at[i] > 0 ? g : zero.at[i];
          out.at[i] = factor.at[i] * g + tilt.at[i] * (value.at[i] - center.at[i]) + level.at[i];
        }
        out.put(gradient_x + o);
      }
    });
  });
}

}  // namespace

// Functions that Python calls, per number type. Without a residual, `residual`, `y` and `gradient_residual` are null.
// Without relu, `y` and `gradient_residual` are always null, since the gradient of the residual is that of y.
#define EXPORT(T, NAME)                                                                                               \
  extern "C" void statistics_##NAME(const T *x, const Shape *s, float *mean, float *var) {                            \
    statistics(x, *s, mean, var);                                                                                     \
  }                                                                                                                   \
  extern "C" void forward_##NAME(const T *x, const T *residual, const float *scale, const float *shift, int relu,     \
                                 const Shape *s, T *y) {                                                              \
    (residual ? relu ? forward<T, true, true> : forward<T, true, false>                                               \
     : relu   ? forward<T, false, true>                                                                               \
              : forward<T, false, false>)(x, residual, scale, shift, *s, y);                                          \
  }                                                                                                                   \
  extern "C" void backward_sums_##NAME(const T *x, const T *gradient, const T *y, const float *scale,                 \
                                       const float *shift, const float *mean, int relu, const Shape *s,               \
                                       T *gradient_residual, double *sums) {                                          \
    (y      ? backward_sums<T, true, true>                                                                            \
     : relu ? backward_sums<T, false, true>                                                                           \
            : backward_sums<T, false, false>)(x, gradient, y, scale, shift, mean, *s, gradient_residual, sums);       \
  }                                                                                                                   \
  extern "C" void backward_input_##NAME(const T *x, const T *gradient, const float *scale, const float *shift,        \
                                        const float *mean, const float *slope, const float *constant, int masked,     \
                                        const Shape *s, T *gradient_x) {                                              \
    (masked ? backward_input<T, true> : backward_input<T, false>)(x, gradient, scale, shift, mean, slope, constant,   \
                                                                  *s, gradient_x);                                    \
  }

EXPORT(float, float32)
EXPORT(bf16, bfloat16)
