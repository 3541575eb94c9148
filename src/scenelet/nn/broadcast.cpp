// Broadcasted residual block: y = relu(d * scale + shift + row (+ x)), where d is a depthwise convolution of x over 3
// frequencies. `row` is one row of time, which is added to all frequencies.
//
// The memory layout is (batch, frequency, time, channel). Each pass computes d and y again from x, because that takes
// less time than reading them. The passes go through tiles of a few frames and all frequencies of a clip. The sums of
// all tiles are added in order, so the result does not depend on the count of threads.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "vectors.h"

namespace {

constexpr int64_t TILE_BYTES = 2048;

struct Shape {
  int64_t batch, in_rows, rows, stride, sub_bands, frames, channels;
  int threads, same;  // `same`: x is added to the result

  int64_t tile() const { return std::max<int64_t>(1, std::min(frames, TILE_BYTES / int64_t(channels * sizeof(float)))); }
  int64_t tiles() const { return batch * ((frames + tile() - 1) / tile()); }
  int64_t band(int64_t row) const { return row * sub_bands / rows; }
};

// Convolution of `count` frames of one clip from frame `first` on.
template <typename T> struct Tile {
  const Shape &s;
  const float *weight;  // (3, channels)
  const T *x;
  int64_t number, item, first, count;
  std::vector<T> zeros;

  int64_t row_offset(int64_t row) const { return ((item * s.rows + row) * s.frames + first) * s.channels; }
  int64_t frame_offset() const { return (item * s.frames + first) * s.channels; }
  const T *input(int64_t row) const {
    return row < 0 || row >= s.in_rows ? zeros.data() : x + ((item * s.in_rows + row) * s.frames + first) * s.channels;
  }

  // Load a part of a row before it is used. The processor does not foresee the jump from one row to the next.
  void prefetch(const T *from) const {
    for (int64_t o = 0; o < count * s.channels; o += 64 / sizeof(T)) __builtin_prefetch(from + o);
  }

  // Call work(row, index of the sub-band's channel, channel, zero, each_frame) for all rows and channels. each_frame(use)
  // calls use(offset in the row, d, low, middle, high) with the three inputs of d.
  template <typename Work> void each(const T *gradient, Work work) const {
    for (int64_t row = 0; row < s.rows; row++) {
      const T *low = input(row * s.stride - 1), *middle = input(row * s.stride), *high = input(row * s.stride + 1);
      const int64_t channels = s.channels, end = count * channels, band = s.band(row);
      if (row + 1 < s.rows) {
        for (int64_t next = 2; next < 2 + s.stride; next++) prefetch(input(row * s.stride + next));
        if (gradient) prefetch(gradient + row_offset(row + 1));
      }
      each_block(channels, [=](int64_t c, auto zero) {
        typedef decltype(zero) B;
        const B w0(weight + c), w1(weight + channels + c), w2(weight + 2 * channels + c);
        work(row, band * channels + c, c, zero, [=](auto use) {
          for (int64_t o = c; o < end; o += channels) {
            const B a(low + o), b(middle + o), e(high + o);
            B d;
            for (int i = 0; i < B::count; i++)
              d.at[i] = w0.at[i] * a.at[i] + w1.at[i] * b.at[i] + w2.at[i] * e.at[i];
            use(o, d, a, b, e);
          }
        });
      });
    }
  }
};

// Call work(tile) for all tiles, in parallel threads.
template <typename T, typename Work> void each_tile(const Shape &s, const float *weight, const T *x, Work work) {
  const int64_t each = s.tiles() / s.batch;
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t i = 0; i < s.tiles(); i++) {
    const int64_t first = i % each * s.tile(), count = std::min(s.tile(), s.frames - first);
    work(Tile<T>{s, weight, x, i, i / each, first, count, std::vector<T>(s.tile() * s.channels)});
  }
}

// Sum d over the frequencies of each sub-band, as (batch, sub-band, time, channel), and compute its mean and variance.
template <typename T>
void statistics(const T *x, const float *weight, const Shape &s, float *columns, float *mean, float *var) {
  const int64_t wide = s.sub_bands * s.channels;
  std::vector<float> partial(s.tiles() * 3 * wide);
  std::fill(columns, columns + s.batch * s.frames * wide, 0.0f);
  each_tile(s, weight, x, [&](const Tile<T> &tile) {
    float *origin = &partial[tile.number * 3 * wide];
    tile.each(nullptr, [=, &tile, &s](int64_t row, int64_t k, int64_t c, auto zero, auto each_frame) {
      typedef decltype(zero) B;
      float *column = columns + ((tile.item * s.sub_bands + s.band(row)) * s.frames + tile.first) * s.channels;
      B start(origin + k), sum(origin + wide + k), squares(origin + 2 * wide + k);
      bool is_first = row == 0 || s.band(row) != s.band(row - 1);
      each_frame([&](int64_t o, const B &d, const B &, const B &, const B &) {
        if (is_first) start = d, is_first = false;  // subtracted, so a large mean costs no precision
        B total(column + o);
        for (int i = 0; i < B::count; i++) {
          const typename B::V difference = d.at[i] - start.at[i];
          sum.at[i] += difference;
          squares.at[i] += difference * difference;
          total.at[i] += d.at[i];
        }
        total.put(column + o);
      });
      start.put(origin + k), sum.put(origin + wide + k), squares.put(origin + 2 * wide + k);
    });
  });
  const int64_t each = s.tiles() / s.batch, rows = s.rows / s.sub_bands;
  Moments all(wide);
  for (int64_t i = 0; i < s.tiles(); i++) {
    const float *p = &partial[i * 3 * wide];
    all.add(rows * std::min(s.tile(), s.frames - i % each * s.tile()), p, p + wide, p + 2 * wide);
  }
  all.put(mean, var);
}

// Mean over frequency of d * scale + shift, as (batch, time, channel).
template <typename T>
void mean_row(const float *columns, const float *scale, const float *shift, const Shape &s, T *row) {
  const int64_t length = s.frames * s.channels;
  const float per_row = 1.0f / float(s.rows), per_band = 1.0f / float(s.sub_bands);
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t frame = 0; frame < s.batch * s.frames; frame++)
    each_block(s.channels, [&](int64_t c, auto sum) {
      typedef decltype(sum) B;
      const float *column = columns + (frame / s.frames * (s.sub_bands - 1) * s.frames + frame) * s.channels + c;
      for (int64_t band = 0; band < s.sub_bands; band++) {
        const B total(column + band * length), factor(scale + band * s.channels + c), offset(shift + band * s.channels + c);
        for (int i = 0; i < B::count; i++)
          sum.at[i] += total.at[i] * factor.at[i] * per_row + offset.at[i] * per_band;
      }
      sum.put(row + frame * s.channels + c);
    });
}

// Sums of the gradient g that is equal at all frequencies, and of g (d - mean), added to `sums`.
void add_row_sums(const float *columns, const float *mean, const float *level, const Shape &s, double *sums) {
  const int64_t wide = s.sub_bands * s.channels;
  const float height = float(s.rows / s.sub_bands);
  std::vector<float> partial(s.batch * 2 * wide);
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t part = 0; part < s.batch * s.sub_bands; part++) {
    const int64_t item = part / s.sub_bands, k = part % s.sub_bands * s.channels;
    float *sums_g = &partial[item * 2 * wide + k];
    for (int64_t frame = 0; frame < s.frames; frame++)
      each_block(s.channels, [&](int64_t c, auto zero) {
        typedef decltype(zero) B;
        const B total(columns + (part * s.frames + frame) * s.channels + c), center(mean + k + c);
        const B g(level + (item * s.frames + frame) * s.channels + c);
        B sum(sums_g + c), product(sums_g + wide + c);
        for (int i = 0; i < B::count; i++) {
          sum.at[i] += g.at[i] * height;
          product.at[i] += g.at[i] * (total.at[i] - center.at[i] * height);
        }
        sum.put(sums_g + c), product.put(sums_g + wide + c);
      });
  }
  for (int64_t item = 0; item < s.batch; item++)
    for (int64_t k = 0; k < 2 * wide; k++) sums[k] += partial[item * 2 * wide + k];
}

template <typename T, bool SAME>
void forward(const T *x, const float *weight, const float *scale, const float *shift, const float *row_values,
             const Shape &s, T *y) {
  each_tile(s, weight, x, [&](const Tile<T> &tile) {
    const float *added = row_values + tile.frame_offset();
    tile.each(nullptr, [=, &tile, &s](int64_t row, int64_t k, int64_t, auto zero, auto each_frame) {
      typedef decltype(zero) B;
      const B factor(scale + k), offset(shift + k);
      T *out = y + tile.row_offset(row);
      each_frame([&](int64_t o, const B &d, const B &, const B &middle, const B &) {
        const B value(added + o);
        B result;
        for (int i = 0; i < B::count; i++) {
          typename B::V v = d.at[i] * factor.at[i] + offset.at[i] + value.at[i];
          if (SAME) v += middle.at[i];
          result.at[i] = v < 0 ? zero.at[i] : v;  // NaN propagates, as in PyTorch
        }
        result.put(out + o);
      });
    });
  });
}

// g is the gradient where y > 0. Sum g over frequency as the gradient of the row, and g and g (d - mean) per sub-band.
template <typename T, bool SAME>
void backward_sums(const T *x, const float *weight, const float *scale, const float *shift, const float *row_values,
                   const float *mean, const T *gradient, const Shape &s, float *gradient_row, double *sums) {
  const int64_t wide = s.sub_bands * s.channels;
  std::vector<float> partial(s.tiles() * 2 * wide);
  std::fill(gradient_row, gradient_row + s.batch * s.frames * s.channels, 0.0f);
  each_tile(s, weight, x, [&](const Tile<T> &tile) {
    const float *added = row_values + tile.frame_offset();
    float *column = gradient_row + tile.frame_offset(), *sums_g = &partial[tile.number * 2 * wide];
    tile.each(gradient, [=, &tile, &s](int64_t row, int64_t k, int64_t, auto zero, auto each_frame) {
      typedef decltype(zero) B;
      const B factor(scale + k), offset(shift + k), center(mean + k);
      const T *above = gradient + tile.row_offset(row);
      B sum(sums_g + k), product(sums_g + wide + k);
      each_frame([&](int64_t o, const B &d, const B &, const B &middle, const B &) {
        const B value(added + o), all(above + o);
        B total(column + o);
        for (int i = 0; i < B::count; i++) {
          typename B::V v = d.at[i] * factor.at[i] + offset.at[i] + value.at[i];
          if (SAME) v += middle.at[i];
          const typename B::V g = v > 0 ? all.at[i] : zero.at[i];
          sum.at[i] += g;
          product.at[i] += g * (d.at[i] - center.at[i]);
          total.at[i] += g;
        }
        total.put(column + o);
      });
      sum.put(sums_g + k), product.put(sums_g + wide + k);
    });
  });
  std::fill(sums, sums + 2 * wide, 0.0);
  for (int64_t i = 0; i < s.tiles(); i++)
    for (int64_t k = 0; k < 2 * wide; k++) sums[k] += partial[i * 2 * wide + k];
}

// Gradients of x and of the convolution's weight. The gradient of d is scale (g + level) + slope (d - mean) + constant,
// where `level`, (batch, time, channel), is the gradient of the normalized values that is equal at all frequencies.
template <typename T, bool SAME>
void backward_input(const T *x, const float *weight, const float *scale, const float *shift, const float *row_values,
                    const float *mean, const float *slope, const float *constant, const T *gradient, const float *level,
                    const Shape &s, T *gradient_x, double *gradient_weight) {
  const int64_t length = s.tile() * s.channels;
  std::vector<float> partial(s.tiles() * 3 * s.channels);
  each_tile(s, weight, x, [&](const Tile<T> &tile) {
    const float *added = row_values + tile.frame_offset(), *equal = level + tile.frame_offset();
    float *sums = &partial[tile.number * 3 * s.channels];
    // gradient of d with a row of zeros on both sides, and g
    const std::unique_ptr<float[]> scratch(new float[(2 * s.rows + 2) * length]);
    float *gradient_d = scratch.get() + length, *direct = gradient_d + (s.rows + 1) * length;
    std::fill(gradient_d - length, gradient_d, 0.0f), std::fill(direct - length, direct, 0.0f);
    tile.each(gradient, [=, &tile, &s](int64_t row, int64_t k, int64_t c, auto zero, auto each_frame) {
      typedef decltype(zero) B;
      const B factor(scale + k), offset(shift + k), center(mean + k), tilt(slope + k), base(constant + k);
      const T *above = gradient + tile.row_offset(row);
      float *to = gradient_d + row * length, *to_direct = direct + row * length;
      B sum0(sums + c), sum1(sums + s.channels + c), sum2(sums + 2 * s.channels + c);
      each_frame([&](int64_t o, const B &d, const B &low, const B &middle, const B &high) {
        const B value(added + o), all(above + o), same(equal + o);
        B g, out;
        for (int i = 0; i < B::count; i++) {
          typename B::V v = d.at[i] * factor.at[i] + offset.at[i] + value.at[i];
          if (SAME) v += middle.at[i];
          g.at[i] = v > 0 ? all.at[i] : zero.at[i];
          out.at[i] = factor.at[i] * (g.at[i] + same.at[i]) + tilt.at[i] * (d.at[i] - center.at[i]) + base.at[i];
          sum0.at[i] += out.at[i] * low.at[i];
          sum1.at[i] += out.at[i] * middle.at[i];
          sum2.at[i] += out.at[i] * high.at[i];
        }
        out.put(to + o);
        if (SAME) g.put(to_direct + o);
      });
      sum0.put(sums + c), sum1.put(sums + s.channels + c), sum2.put(sums + 2 * s.channels + c);
    });
    for (int64_t row = 0; row < s.in_rows; row++) {
      T *out = gradient_x + ((tile.item * s.in_rows + row) * s.frames + tile.first) * s.channels;
      const float *from[3];  // the rows of d that each weight takes this row to
      for (int64_t tap = 0; tap < 3; tap++) {
        const int64_t target = row + 1 - tap, index = target >= 0 && target % s.stride == 0 ? target / s.stride : -1;
        from[tap] = gradient_d + (index < s.rows ? index : -1) * length;
      }
      const float *low = from[0], *middle = from[1], *high = from[2], *added_g = direct + row * length;
      const int64_t channels = s.channels, end = tile.count * channels;
      each_block(channels, [=](int64_t c, auto zero) {
        typedef decltype(zero) B;
        const B w0(weight + c), w1(weight + channels + c), w2(weight + 2 * channels + c);
        for (int64_t o = c; o < end; o += channels) {
          const B a(low + o), b(middle + o), e(high + o);
          B sum = SAME ? B(added_g + o) : zero;
          for (int i = 0; i < B::count; i++)
            sum.at[i] += w0.at[i] * a.at[i] + w1.at[i] * b.at[i] + w2.at[i] * e.at[i];
          sum.put(out + o);
        }
      });
    }
  });
  std::fill(gradient_weight, gradient_weight + 3 * s.channels, 0.0);
  for (int64_t i = 0; i < s.tiles(); i++)
    for (int64_t k = 0; k < 3 * s.channels; k++) gradient_weight[k] += partial[i * 3 * s.channels + k];
}

}  // namespace

// Functions that Python calls, per number type.
#define EXPORT(T, NAME)                                                                                               \
  extern "C" void broadcast_statistics_##NAME(const T *x, const float *weight, const Shape *s, float *columns,        \
                                              float *mean, float *var) {                                              \
    statistics(x, weight, *s, columns, mean, var);                                                                    \
  }                                                                                                                   \
  extern "C" void broadcast_mean_##NAME(const float *columns, const float *scale, const float *shift, const Shape *s, \
                                        T *row) {                                                                     \
    mean_row(columns, scale, shift, *s, row);                                                                         \
  }                                                                                                                   \
  extern "C" void broadcast_forward_##NAME(const T *x, const float *weight, const float *scale, const float *shift,   \
                                           const float *row, const Shape *s, T *y) {                                  \
    (s->same ? forward<T, true> : forward<T, false>)(x, weight, scale, shift, row, *s, y);                            \
  }                                                                                                                   \
  extern "C" void broadcast_backward_sums_##NAME(                                                                     \
      const T *x, const float *weight, const float *scale, const float *shift, const float *row, const float *mean,   \
      const T *gradient, const Shape *s, float *gradient_row, double *sums) {                                         \
    (s->same ? backward_sums<T, true> : backward_sums<T, false>)(x, weight, scale, shift, row, mean, gradient, *s,    \
                                                                 gradient_row, sums);                                 \
  }                                                                                                                   \
  extern "C" void broadcast_backward_input_##NAME(                                                                    \
      const T *x, const float *weight, const float *scale, const float *shift, const float *row, const float *mean,   \
      const float *slope, const float *constant, const T *gradient, const float *level, const Shape *s,               \
      T *gradient_x, double *gradient_weight) {                                                                       \
    (s->same ? backward_input<T, true> : backward_input<T, false>)(x, weight, scale, shift, row, mean, slope,         \
                                                                   constant, gradient, level, *s, gradient_x,         \
                                                                   gradient_weight);                                  \
  }

extern "C" void broadcast_row_sums(const float *columns, const float *mean, const float *level, const Shape *s,
                                   double *sums) {
  add_row_sums(columns, mean, level, *s, sums);
}
EXPORT(float, float32)
EXPORT(bf16, bfloat16)
