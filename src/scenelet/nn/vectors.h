// Vectors of neighboring channels, in float or bfloat16 memory, and the moments of values that come in parts.
//
// The vector types are an extension of GCC and Clang. The compiler maps them to the processor's vectors.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

struct bf16 { uint16_t bits; };

template <int LANES> struct Vector {
  typedef float Floats __attribute__((vector_size(4 * LANES)));
  typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
  typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
};

// COUNT vectors, which are processed together so that their sums stay in registers. Only USED lanes of each are in memory.
template <int LANES, int COUNT = 1, int USED = LANES> struct Block {
  typedef typename Vector<LANES>::Floats V;
  typedef typename Vector<LANES>::Bits Bits;
  typedef typename Vector<LANES>::Halves Halves;
  typedef double Doubles __attribute__((vector_size(4 * LANES)));
  typedef float Floats __attribute__((vector_size(2 * LANES)));
  static constexpr int count = COUNT;
  V at[COUNT];
  Block() : at{} {}
  template <typename T> explicit Block(const T *from) : at{} {
    for (int i = 0; i < COUNT; i++) load(at[i], from + i * LANES);
  }
  template <typename T> void put(T *to) const {
    for (int i = 0; i < COUNT; i++) store(to + i * LANES, at[i]);
  }

 private:
  // Copy to memory, or from it. A memcpy of a part of a vector would take a slow way through the stack.
  template <typename Lanes, typename T> static void read(Lanes &v, const T *from) {
    if (USED == LANES) std::memcpy(&v, from, sizeof v);
    if (USED == 2 || USED == 3) v = (Lanes)first_two(from);
    if (USED == 1) v[0] = from[0];
    if (USED == 3) v[2] = from[2];
  }
  template <typename Lanes, typename T> static void write(T *to, const Lanes &v) {
    if (USED == LANES) std::memcpy(to, &v, sizeof v);
    else
      for (int i = 0; i < USED; i++) to[i] = v[i];
  }
  static Doubles first_two(const float *from) {
    double both;
    std::memcpy(&both, from, sizeof both);
    return Doubles{both};
  }
  static Floats first_two(const uint16_t *from) {
    float both;
    std::memcpy(&both, from, sizeof both);
    return Floats{both};
  }
  static void load(V &v, const float *from) { read(v, from); }
  static void load(V &v, const bf16 *from) {
    Halves halves{};
    read(halves, &from->bits);
    v = (V)(__builtin_convertvector(halves, Bits) << 16);
  }
  static void store(float *to, const V &v) { write(to, v); }
  static void store(bf16 *to, const V &v) {  // round to nearest, ties to even, as PyTorch does
    Bits bits = (Bits)v;
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    bits = v != v ? Bits{} + 0x7fc0 : bits;
    write(&to->bits, __builtin_convertvector(bits, Halves));
  }
};

#ifdef __AVX512F__
constexpr int WIDE = 16, WIDE_COUNT = 4, STRIP_BYTES = 2048;
#else
constexpr int WIDE = 8, WIDE_COUNT = 2, STRIP_BYTES = 512;  // more vectors for each variable do not fit 16 registers
#endif

// Call work(channel, block) for all channels, in blocks as wide as possible.
template <typename Work> void each_block(int64_t channels, Work work) {
  int64_t c = 0;
  for (; c + WIDE_COUNT * WIDE <= channels; c += WIDE_COUNT * WIDE) work(c, Block<WIDE, WIDE_COUNT>());
  for (; c + WIDE <= channels; c += WIDE) work(c, Block<WIDE>());
  if (WIDE > 8 && c + 8 <= channels) work(c, Block<8>()), c += 8;
  if (c + 4 <= channels) work(c, Block<4>()), c += 4;
  if (channels - c == 3) work(c, Block<4, 1, 3>());
  if (channels - c == 2) work(c, Block<4, 1, 2>());
  if (channels - c == 1) work(c, Block<4, 1, 1>());
}

// Means and sums of squared differences from them, of parts that are added (Chan, Golub, LeVeque 1979).
struct Moments {
  double count = 0;
  std::vector<double> mean, squares;
  explicit Moments(int64_t size) : mean(size), squares(size) {}

  // Add n values by their sums, and sums of squares, after the subtraction of `origin`.
  void add(double n, const float *origin, const float *sum, const float *sum_of_squares) {
    const double each = 1 / n, weight = n / (count + n), between = count * weight;
    for (size_t k = 0; k < mean.size(); k++) {
      const double difference = origin[k] + sum[k] * each - mean[k];
      squares[k] += sum_of_squares[k] - double(sum[k]) * sum[k] * each + difference * difference * between;
      mean[k] += difference * weight;
    }
    count += n;
  }
  void put(float *means, float *variances) const {
    for (size_t k = 0; k < mean.size(); k++) {
      means[k] = float(mean[k]);
      variances[k] = float(squares[k] < 0 ? 0 : squares[k] / count);
    }
  }
};

}  // namespace
