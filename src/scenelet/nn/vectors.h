// Vectors of neighboring channels, in float or bfloat16 memory, and the moments of values that come in parts.
//
// The vector types are an extension of GCC and Clang. The compiler maps them to the processor's vectors.
#pragma once
#include <cstdint>
#include <cstring>

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
  static void load(V &v, const float *from) { std::memcpy(&v, from, USED * sizeof *from); }
  static void load(V &v, const bf16 *from) {
    Halves halves{};
    std::memcpy(&halves, from, USED * sizeof *from);
    v = (V)(__builtin_convertvector(halves, Bits) << 16);
  }
  static void store(float *to, const V &v) { std::memcpy(to, &v, USED * sizeof *to); }
  static void store(bf16 *to, const V &v) {  // round to nearest, ties to even, as PyTorch does
    Bits bits = (Bits)v;
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    bits = v != v ? Bits{} + 0x7fc0 : bits;
    const Halves halves = __builtin_convertvector(bits, Halves);
    std::memcpy(to, &halves, USED * sizeof *to);
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

// Mean and sum of squared differences from it, of parts that are added (Chan, Golub, LeVeque 1979).
struct Moments {
  double count = 0, mean = 0, squares = 0;

  // Add n values by their sums after the subtraction of `origin`.
  void add(double n, double origin, double sum, double sum_of_squares) {
    const double difference = origin + sum / n - mean;
    squares += sum_of_squares - sum * sum / n + difference * difference * count * n / (count + n);
    mean += difference * n / (count + n);
    count += n;
  }
  float variance() const { return float(squares < 0 ? 0 : squares / count); }
};

}  // namespace
