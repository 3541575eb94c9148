// 3x3 convolution with stride 1 and padding 1 by Winograd's algorithm F(4x4, 3x3), and its gradients.
//
// Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016. An output tile of 4x4 comes from
// an input tile of 6x6 by 36 products for each pair of channels, where the direct way needs 144:
//
//   V = B^T x B,  U = G w G^T,  M = sum of U V over input channels,  y = A^T M A
//
// Activations are in channels-last memory: (batch, height, width, channels). A group of tiles is transformed, multiplied
// as 36 matrix products, and transformed back while it is in the cache. The gradient of x is the same convolution with
// turned weights. The gradient of w is the adjoint of the steps above.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "vectors.h"

namespace {

#ifdef __AVX512F__
constexpr int ROWS = 12, GRADIENT_ROWS = 8;  // of the 32 registers, 24 and 16 hold sums
#else
constexpr int ROWS = 6, GRADIENT_ROWS = 6;  // of the 16 registers, 12 hold sums
#endif
constexpr int LANES = WIDE;
typedef Vector<LANES>::Floats Lanes;
constexpr int COLUMNS = 2 * LANES;  // columns of a block of a matrix product
constexpr int TILE = 4, SIDE = TILE + 2, POINTS = SIDE * SIDE;
constexpr int GROUP = 24;  // tiles of a group, a multiple of ROWS
constexpr int64_t MAX_PARTS = 8, PART_GROUPS = 2;

struct Shape {
  int64_t batch, height, width, in, out;
  int threads;

  int64_t down() const { return (height + TILE - 1) / TILE; }
  int64_t across() const { return (width + TILE - 1) / TILE; }
  int64_t tiles() const { return batch * down() * across(); }
  int64_t groups() const { return (tiles() + GROUP - 1) / GROUP; }
  // Parts whose sums of a weight gradient are added at the end. They do not depend on the count of threads.
  int64_t parts() const { return std::max<int64_t>(1, std::min(MAX_PARTS, groups() / PART_GROUPS)); }
};

int64_t padded(int64_t channels) { return (channels + COLUMNS - 1) / COLUMNS * COLUMNS; }
// Values of a group at one point. The additional line of the cache keeps the points from sharing its few places.
int64_t slab(int64_t wide) { return GROUP * wide + 16; }

struct Free { void operator()(float *p) const { std::free(p); } };
typedef std::unique_ptr<float[], Free> Buffer;
Buffer buffer(int64_t size) {  // not initialized, aligned to a line of the cache
  return Buffer(static_cast<float *>(std::aligned_alloc(64, (size_t(size) * sizeof(float) + 63) / 64 * 64)));
}

Lanes load(const float *from, int64_t count) {
  Lanes v{};
  if (count >= LANES) std::memcpy(&v, from, sizeof v);
  else std::memcpy(&v, from, count * sizeof(float));
  return v;
}

void store(float *to, const Lanes &v, int64_t count) {
  std::memcpy(to, &v, std::min<int64_t>(count, LANES) * sizeof(float));
}

void store(float *to, const Lanes &v) { std::memcpy(to, &v, sizeof v); }

// The position of a tile: its image, and the row and column of its first output.
struct Tile {
  int64_t image, row, column;
  Tile(const Shape &s, int64_t index)
      : image(index / (s.down() * s.across())),
        row(index / s.across() % s.down() * TILE),
        column(index % s.across() * TILE) {}
};

template <typename V> void input_points(const V *d, V *to, int step) {  // B^T d
  const V a = d[4 * step] - 4 * d[2 * step], b = d[3 * step] - 4 * d[step];
  const V c = d[4 * step] - d[2 * step], e = 2 * (d[3 * step] - d[step]);
  to[0] = 4 * d[0] - 5 * d[2 * step] + d[4 * step];
  to[1] = a + b;
  to[2] = a - b;
  to[3] = c + e;
  to[4] = c - e;
  to[5] = 4 * d[step] - 5 * d[3 * step] + d[5 * step];
}

template <typename V> void output_points(const V *m, V *to, int step) {  // A^T m
  const V a = m[step] + m[2 * step], b = m[step] - m[2 * step];
  const V c = m[3 * step] + m[4 * step], e = m[3 * step] - m[4 * step];
  to[0] = m[0] + a + c;
  to[1] = b + 2 * e;
  to[2] = a + 4 * c;
  to[3] = b + 8 * e + m[5 * step];
}

template <typename V> void gradient_points(const V *g, V *to, int step) {  // A g
  const V a = g[0] + g[2 * step], b = g[step] + g[3 * step];
  const V c = g[0] + 4 * g[2 * step], e = 2 * g[step] + 8 * g[3 * step];
  to[0] = g[0];
  to[1] = a + b;
  to[2] = a - b;
  to[3] = c + e;
  to[4] = c - e;
  to[5] = g[3 * step];
}

template <typename V> void weight_points(const V *w, V *to, int step) {  // G w
  const V a = w[0] + w[2 * step], b = w[0] + 4 * w[2 * step];
  to[0] = w[0] / 4;
  to[1] = (a + w[step]) / -6;
  to[2] = (a - w[step]) / -6;
  to[3] = (b + 2 * w[step]) / 24;
  to[4] = (b - 2 * w[step]) / 24;
  to[5] = w[2 * step];
}

template <typename V> void weight_sums(const V *u, V *to, int step) {  // G^T u
  const V a = u[step] + u[2 * step], b = u[step] - u[2 * step];
  const V c = u[3 * step] + u[4 * step], e = u[3 * step] - u[4 * step];
  to[0] = u[0] / 4 - a / 6 + c / 24;
  to[1] = e / 12 - b / 6;
  to[2] = c / 6 - a / 6 + u[5 * step];
}

// Apply a transform of FROM to TO values to the rows and the columns of (FROM, FROM) values: (TO, TO).
template <int FROM, int TO, typename V, typename Step> void both(const V *from, V *to, Step step) {
  V half[TO * FROM], column[TO];
  for (int j = 0; j < FROM; j++) {
    step(from + j, column, FROM);
    for (int i = 0; i < TO; i++) half[i * FROM + j] = column[i];
  }
  for (int i = 0; i < TO; i++) step(half + i * FROM, to + i * TO, 1);
}

// Read SIZE x SIZE positions of an image from (row, column); outside of it are zeros.
template <int SIZE>
void read(const float *image, int64_t row, int64_t column, int64_t height, int64_t width, int64_t channels, int64_t count,
          Lanes *to) {
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) {
      const int64_t r = row + i, c = column + j;
      const bool inside = r >= 0 && r < height && c >= 0 && c < width;
      to[i * SIZE + j] = inside ? load(image + (r * width + c) * channels, count) : Lanes{};
    }
}

// Transform the tiles of a group to (POINTS, GROUP, padded channels): of x by B, or of a gradient of y by A.
template <bool GRADIENT>
void transform(const float *x, const Shape &s, int64_t channels, int64_t group, float *points) {
  const int64_t wide = padded(channels);
  for (int64_t t = 0; t < GROUP; t++) {
    const int64_t index = group * GROUP + t;
    if (index >= s.tiles()) {
      for (int p = 0; p < POINTS; p++) std::fill_n(points + p * slab(wide) + t * wide, wide, 0.0f);
      continue;
    }
    const Tile tile(s, index);
    const float *image = x + tile.image * s.height * s.width * channels;
    for (int64_t c = 0; c < channels; c += LANES) {
      Lanes from[POINTS], to[POINTS];
      if (GRADIENT) {
        read<TILE>(image + c, tile.row, tile.column, s.height, s.width, channels, channels - c, from);
        both<TILE, SIDE>(from, to, gradient_points<Lanes>);
      } else {
        read<SIDE>(image + c, tile.row - 1, tile.column - 1, s.height, s.width, channels, channels - c, from);
        both<SIDE, SIDE>(from, to, input_points<Lanes>);
      }
      for (int p = 0; p < POINTS; p++) store(points + p * slab(wide) + t * wide + c, to[p]);
    }
  }
}

// Set or add to c[r][j] the sum over k of a[r * across + k * along] b[k][j], for COUNT rows and COLUMNS columns.
template <int COUNT, bool ADD>
void product(const float *a, int64_t across, int64_t along, const float *b, int64_t b_wide, int64_t steps, float *c,
             int64_t c_wide) {
  Lanes sums[COUNT][2];
  for (int r = 0; r < COUNT; r++)
    for (int h = 0; h < 2; h++) sums[r][h] = ADD ? load(c + r * c_wide + h * LANES, LANES) : Lanes{};
  for (int64_t k = 0; k < steps; k++) {
    const Lanes left = load(b + k * b_wide, LANES), right = load(b + k * b_wide + LANES, LANES);
#pragma GCC unroll 16
    for (int r = 0; r < COUNT; r++) {
      const float factor = a[r * across + k * along];
      sums[r][0] += factor * left;
      sums[r][1] += factor * right;
    }
  }
  for (int r = 0; r < COUNT; r++)
    for (int h = 0; h < 2; h++) store(c + r * c_wide + h * LANES, sums[r][h]);
}

// U = G w G^T as (POINTS, padded in, padded out), of w (3, 3, in, out).
void transform_weights(const float *w, const Shape &s, float *u) {
  const int64_t high = padded(s.in), wide = padded(s.out);
#pragma omp for schedule(static)
  for (int64_t i = 0; i < s.in; i++)
    for (int64_t o = 0; o < s.out; o += LANES) {
      Lanes kernel[9], points[POINTS];
      for (int k = 0; k < 9; k++) kernel[k] = load(w + (k * s.in + i) * s.out + o, s.out - o);
      both<3, SIDE>(kernel, points, weight_points<Lanes>);
      for (int p = 0; p < POINTS; p++) store(u + (p * high + i) * wide + o, points[p]);
    }
}

void convolve(const float *x, const float *w, const Shape &s, float *y) {
  const int64_t high = padded(s.in), wide = padded(s.out);
  const Buffer u = buffer(POINTS * high * wide);
#pragma omp parallel num_threads(s.threads)
  {
    transform_weights(w, s, u.get());
    const Buffer v = buffer(POINTS * slab(high)), m = buffer(POINTS * slab(wide));
#pragma omp for schedule(static)
    for (int64_t group = 0; group < s.groups(); group++) {
      transform<false>(x, s, s.in, group, v.get());
      for (int p = 0; p < POINTS; p++)
        for (int64_t o = 0; o < s.out; o += COLUMNS)
          for (int64_t t = 0; t < GROUP; t += ROWS)
            product<ROWS, false>(&v[p * slab(high) + t * high], high, 1, &u[p * high * wide + o], wide, s.in,
                                 &m[p * slab(wide) + t * wide + o], wide);
      for (int64_t t = 0; t < GROUP && group * GROUP + t < s.tiles(); t++) {
        const Tile tile(s, group * GROUP + t);
        const int64_t rows = std::min<int64_t>(TILE, s.height - tile.row);
        const int64_t columns = std::min<int64_t>(TILE, s.width - tile.column);
        float *first = y + ((tile.image * s.height + tile.row) * s.width + tile.column) * s.out;
        for (int64_t o = 0; o < s.out; o += LANES) {
          Lanes from[POINTS], to[TILE * TILE];
          for (int p = 0; p < POINTS; p++) from[p] = load(&m[p * slab(wide) + t * wide + o], LANES);
          both<SIDE, TILE>(from, to, output_points<Lanes>);
          for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
              store(first + (i * s.width + j) * s.out + o, to[i * TILE + j], s.out - o);
        }
      }
    }
  }
}

void weight_gradient(const float *x, const float *gradient, const Shape &s, float *gradient_w) {
  const int64_t high = padded(s.in), wide = padded(s.out), size = POINTS * high * wide, parts = s.parts();
  const Buffer sums = buffer(parts * size);
#pragma omp parallel num_threads(s.threads)
  {
    const Buffer v = buffer(POINTS * slab(high)), m = buffer(POINTS * slab(wide));
    std::fill_n(v.get(), POINTS * slab(high), 0.0f), std::fill_n(m.get(), POINTS * slab(wide), 0.0f);
#pragma omp for schedule(static)
    for (int64_t part = 0; part < parts; part++) {
      std::fill_n(&sums[part * size], size, 0.0f);
      const int64_t end = s.groups() * (part + 1) / parts;
      for (int64_t group = s.groups() * part / parts; group < end; group++) {
        transform<false>(x, s, s.in, group, v.get());
        transform<true>(gradient, s, s.out, group, m.get());
        for (int p = 0; p < POINTS; p++)
          for (int64_t o = 0; o < s.out; o += COLUMNS) {
            const float *left = &v[p * slab(high)], *right = &m[p * slab(wide) + o];
            float *to = &sums[part * size + p * high * wide + o];
            int64_t i = 0;
            for (; i + GRADIENT_ROWS <= high; i += GRADIENT_ROWS)
              product<GRADIENT_ROWS, true>(left + i, 1, high, right, wide, GROUP, to + i * wide, wide);
            for (; i < high; i += 2) product<2, true>(left + i, 1, high, right, wide, GROUP, to + i * wide, wide);
          }
      }
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.in; i++)
      for (int64_t o = 0; o < s.out; o += LANES) {
        Lanes points[POINTS] = {}, kernel[9];
        for (int64_t part = 0; part < parts; part++)
          for (int p = 0; p < POINTS; p++) points[p] += load(&sums[part * size + (p * high + i) * wide + o], LANES);
        both<SIDE, 3>(points, kernel, weight_sums<Lanes>);
        for (int k = 0; k < 9; k++) store(gradient_w + (k * s.in + i) * s.out + o, kernel[k], s.out - o);
      }
  }
}

}  // namespace

// Functions that Python calls. w and its gradient are (3, 3, in, out).
extern "C" void convolve_3x3(const float *x, const float *w, const Shape *s, float *y) { convolve(x, w, *s, y); }
extern "C" void weight_gradient_3x3(const float *x, const float *gradient, const Shape *s, float *gradient_w) {
  weight_gradient(x, gradient, *s, gradient_w);
}
