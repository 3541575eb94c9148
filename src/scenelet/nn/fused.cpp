// Norm, residual addition and ReLU, forward and backward, each in as few passes over memory as the sums allow.
//
// The memory layout is (batch, sub-band, position, channel): channels-last memory, split into sub-bands without a copy.
// Each chunk of positions fits the cache of a core. The sums of all chunks are added in order, so the result does not
// depend on the count of threads. Arithmetic is in float, and the sums of chunks are added in double.
// The vector types are an extension of GCC and Clang. The compiler maps them to the processor's vectors.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

struct bf16 { uint16_t bits; };

constexpr int LANES = 16;
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

void load(float &v, const float *from) { v = *from; }
void load(Lanes &v, const float *from) { std::memcpy(&v, from, sizeof v); }
void load(float &v, const bf16 *from) {
  uint32_t bits = uint32_t(from->bits) << 16;
  std::memcpy(&v, &bits, sizeof v);
}
void load(Lanes &v, const bf16 *from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  v = (Lanes)(__builtin_convertvector(halves, Bits) << 16);
}

void store(float *to, float v) { *to = v; }
void store(float *to, const Lanes &v) { std::memcpy(to, &v, sizeof v); }
void store(bf16 *to, float v) {  // round to nearest, ties to even, as PyTorch does
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  to->bits = v != v ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
void store(bf16 *to, const Lanes &v) {
  Bits bits = (Bits)v;
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  bits = v != v ? Bits{} + 0x7fc0 : bits;
  Halves halves = __builtin_convertvector(bits, Halves);
  std::memcpy(to, &halves, sizeof halves);
}

// COUNT neighboring values of type Lanes or float, which are processed together so their sums stay in registers.
template <typename Value, int COUNT> struct Block {
  typedef Value V;
  static constexpr int count = COUNT, lanes = sizeof(Value) / sizeof(float);
  V at[COUNT];
  Block() : at{} {}
  template <typename T> explicit Block(const T *from) {
    for (int i = 0; i < COUNT; i++) load(at[i], from + i * lanes);
  }
  template <typename T> void put(T *to) const {
    for (int i = 0; i < COUNT; i++) store(to + i * lanes, at[i]);
  }
};

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

// Call work(channel, block) for all channels: in blocks of 64, then of 16, then one by one.
template <typename Work> void each_block(int64_t channels, Work work) {
  int64_t c = 0;
  for (; c + 4 * LANES <= channels; c += 4 * LANES) work(c, Block<Lanes, 4>());
  for (; c + LANES <= channels; c += LANES) work(c, Block<Lanes, 1>());
  for (; c < channels; c++) work(c, Block<float, 1>());
}

template <typename T> void statistics(const T *x, const Shape &s, float *mean, float *var) {
  const int64_t channels = s.channels;
  // per chunk: its first value (subtracted, so a large mean costs no precision), sum, sum of squares
  std::vector<float> partial(s.chunks(sizeof(T)) * 3 * channels);
  each_chunk<T>(s, [&](int64_t chunk, int64_t, int64_t first, int64_t rows) {
    float *origin = &partial[chunk * 3 * channels];
    each_block(channels, [&](int64_t c, auto zero) {
      typedef decltype(zero) B;
      const B start(x + first + c);
      B sum, squares;
      for (int64_t r = 0; r < rows; r++) {
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
  for (int64_t band = 0; band < s.sub_bands; band++)
    for (int64_t c = 0; c < channels; c++) {  // combine means and squares (Chan, Golub, LeVeque 1979)
      double count = 0, m = 0, m2 = 0;
      for (int64_t item = 0; item < s.batch; item++)
        for (int64_t i = 0; i < each; i++) {
          const float *p = &partial[((item * s.sub_bands + band) * each + i) * 3 * channels + c];
          const double n = std::min(rows, s.positions - i * rows), sum = p[channels], part = p[0] + sum / n - m;
          m2 += p[2 * channels] - sum * sum / n + part * part * count * n / (count + n);
          m += part * n / (count + n);
          count += n;
        }
      mean[band * channels + c] = float(m);
      var[band * channels + c] = float(std::max(0.0, m2 / count));
    }
}

// y = relu(x * scale + shift + residual)
template <typename T, bool RESIDUAL>
void forward(const T *x, const T *residual, const float *scale, const float *shift, const Shape &s, T *y) {
  each_chunk<T>(s, [&](int64_t, int64_t band, int64_t first, int64_t rows) {
    each_block(s.channels, [&](int64_t c, auto zero) {
      typedef decltype(zero) B;
      const B factor(scale + band * s.channels + c), offset(shift + band * s.channels + c);
      for (int64_t r = 0; r < rows; r++) {
        const int64_t o = first + r * s.channels + c;
        const B value(x + o), added(RESIDUAL ? residual + o : x + o);
        B out;
        for (int i = 0; i < B::count; i++) {
          typename B::V v = value.at[i] * factor.at[i] + offset.at[i];
          if (RESIDUAL) v += added.at[i];
          out.at[i] = v < 0 ? zero.at[i] : v;  // NaN propagates, as in PyTorch
        }
        out.put(y + o);
      }
    });
  });
}

// g is the gradient where y > 0. Sum g and g (x - mean). If there is a residual, g is its gradient.
template <typename T, bool RESIDUAL>
void backward_sums(const T *x, const T *gradient, const T *y, const float *scale, const float *shift, const float *mean,
                   const Shape &s, T *gradient_residual, double *sums) {
  const int64_t channels = s.channels, chunks = s.chunks(sizeof(T)), each = s.chunks_each(sizeof(T));
  std::vector<float> partial(chunks * 2 * channels);
  each_chunk<T>(s, [&](int64_t chunk, int64_t band, int64_t first, int64_t rows) {
    each_block(channels, [&](int64_t c, auto zero) {
      typedef decltype(zero) B;
      const int64_t k = band * channels + c;
      const B factor(scale + k), offset(shift + k), center(mean + k);
      B sum, product;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t o = first + r * channels + c;
        const B value(x + o), above(gradient + o), result(RESIDUAL ? y + o : x + o);
        B g;
        for (int i = 0; i < B::count; i++) {
          const typename B::V v = RESIDUAL ? result.at[i] : value.at[i] * factor.at[i] + offset.at[i];
          g.at[i] = v > 0 ? above.at[i] : zero.at[i];
          sum.at[i] += g.at[i];
          product.at[i] += g.at[i] * (value.at[i] - center.at[i]);
        }
        if (RESIDUAL) g.put(gradient_residual + o);
      }
      sum.put(&partial[chunk * 2 * channels + c]), product.put(&partial[(chunk * 2 + 1) * channels + c]);
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
    each_block(s.channels, [&](int64_t c, auto zero) {
      typedef decltype(zero) B;
      const int64_t k = band * s.channels + c;
      const B factor(scale + k), offset(shift + k), center(mean + k), tilt(slope + k), level(constant + k);
      for (int64_t r = 0; r < rows; r++) {
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
#define EXPORT(T, NAME)                                                                                               \
  extern "C" void statistics_##NAME(const T *x, const Shape *s, float *mean, float *var) {                            \
    statistics(x, *s, mean, var);                                                                                     \
  }                                                                                                                   \
  extern "C" void forward_##NAME(const T *x, const T *residual, const float *scale, const float *shift,               \
                                 const Shape *s, T *y) {                                                              \
    residual ? forward<T, true>(x, residual, scale, shift, *s, y)                                                     \
             : forward<T, false>(x, residual, scale, shift, *s, y);                                                   \
  }                                                                                                                   \
  extern "C" void backward_sums_##NAME(const T *x, const T *gradient, const T *y, const float *scale,                 \
                                       const float *shift, const float *mean, const Shape *s, T *gradient_residual,   \
                                       double *sums) {                                                                \
    y ? backward_sums<T, true>(x, gradient, y, scale, shift, mean, *s, gradient_residual, sums)                       \
      : backward_sums<T, false>(x, gradient, y, scale, shift, mean, *s, gradient_residual, sums);                     \
  }                                                                                                                   \
  extern "C" void backward_input_##NAME(const T *x, const T *gradient, const float *scale, const float *shift,        \
                                        const float *mean, const float *slope, const float *constant, int masked,     \
                                        const Shape *s, T *gradient_x) {                                              \
    masked ? backward_input<T, true>(x, gradient, scale, shift, mean, slope, constant, *s, gradient_x)                \
           : backward_input<T, false>(x, gradient, scale, shift, mean, slope, constant, *s, gradient_x);              \
  }

EXPORT(float, float32)
EXPORT(bf16, bfloat16)
