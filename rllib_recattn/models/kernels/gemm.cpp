// The usual scheme: b is packed into panels some vectors wide, and a tile of c, some rows by a panel's width, is kept in
// registers while it sums up products of a column of a and a row of the panel.

#include "gemm.h"

#include "parallel.h"

#include <algorithm>
#include <vector>

#include "elementwise.h"
#include "vector.h"

namespace rllib_recattn {
namespace {

// Vectors in a panel's width, by the number of registers.
#if defined(__AVX512F__)
constexpr int64_t kVectors = 4;
#else
constexpr int64_t kVectors = 2;
#endif
constexpr int64_t kRows = 6;     // of a tile
constexpr int64_t kDepth = 128;  // rows of b in a panel, which then leaves room in the first-level cache
constexpr int64_t kFew = 8;      // rows of c, for which there is another scheme
constexpr int64_t kBlock = 96;   // rows of c at a time, since the processor knows the places of so many pages only

// c [M, V vectors] ← a [M, depth] panel [depth, V vectors], or += where `add` is set.
template <int64_t M, int64_t V, typename T>
void tile(int64_t depth, Matrix<T> a, const T* __restrict panel, T* __restrict c, int64_t c_row, bool add) {
  using Vector = typename VectorOf<T>::type;
  Vector sums[M][V];
#pragma GCC unroll 8
  for (int64_t i = 0; i < M; ++i) {
#pragma GCC unroll 8
    for (int64_t v = 0; v < V; ++v) sums[i][v] = Vector{};
  }
  for (int64_t p = 0; p < depth; ++p, a.data += a.column, panel += V * kLanes<T>) {
    Vector right[V];
#pragma GCC unroll 8
    for (int64_t v = 0; v < V; ++v) right[v] = reinterpret_cast<const Vector*>(panel)[v];
#pragma GCC unroll 8
    for (int64_t i = 0; i < M; ++i) {
      const T left = a.data[i * a.row];
#pragma GCC unroll 8
      for (int64_t v = 0; v < V; ++v) sums[i][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < M; ++i) {
    Vector* const to = reinterpret_cast<Vector*>(c + i * c_row);
#pragma GCC unroll 8
    for (int64_t v = 0; v < V; ++v) to[v] = add ? to[v] + sums[i][v] : sums[i][v];
  }
}

// Likewise for any number of rows and for n columns, which may be fewer than the panel has.
template <int64_t V, typename T>
void tiles(int64_t m, int64_t n, int64_t depth, Matrix<T> a, const T* panel, T* c, int64_t c_row, bool add) {
  static constexpr decltype(&tile<1, V, T>) kOfRows[] = {tile<1, V, T>, tile<2, V, T>, tile<3, V, T>,
                                                         tile<4, V, T>, tile<5, V, T>, tile<6, V, T>};
  constexpr int64_t kWidth = V * kLanes<T>;
  T whole[kRows * kWidth];
  for (int64_t first = 0; first < m; first += kRows) {
    const int64_t rows = std::min(kRows, m - first);
    const Matrix<T> left{a.at(first, 0), a.row, a.column};
    T* const to = c + first * c_row;
    if (n == kWidth) {
      kOfRows[rows - 1](depth, left, panel, to, c_row, add);
      continue;
    }
    kOfRows[rows - 1](depth, left, panel, whole, kWidth, false);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < n; ++j) to[i * c_row + j] = whole[i * kWidth + j] + (add ? to[i * c_row + j] : T(0));
    }
  }
}

template <typename T>
constexpr decltype(&tiles<1, T>) kOfVectors[] = {tiles<1, T>, tiles<2, T>, tiles<3, T>, tiles<4, T>};

// Copies b [depth, n] to a panel, with zeros up to its width.
template <typename T>
void pack(int64_t depth, int64_t n, Matrix<T> b, int64_t width, T* __restrict panel) {
  if (n < width) std::fill_n(panel, depth * width, T(0));
  if (b.column == 1) {
    for (int64_t p = 0; p < depth; ++p) std::copy_n(b.at(p, 0), n, panel + p * width);
    return;
  }
  const int64_t whole = b.row == 1 ? depth / kLanes<T> * kLanes<T> : 0;
  for (int64_t j = 0; j < n; j += kLanes<T>) {
    const int64_t end = std::min(j + kLanes<T>, n), start = end - j == kLanes<T> ? whole : 0;
    for (int64_t p = 0; p < start; p += kLanes<T>) copy_transposed(b.at(p, j), b.column, panel + p * width + j, width);
    for (int64_t p = start; p < depth; ++p) {
      for (int64_t i = j; i < end; ++i) panel[p * width + i] = *b.at(p, i);
    }
  }
}

// Adds the bias of the columns from the first one on, and rectifies.
template <typename T>
void finish(int64_t m, int64_t n, int64_t first, T* c, int64_t c_row, const Epilogue<T>& epilogue) {
  for (T* row = c; row < c + m * c_row; row += c_row) {
    for (int64_t j = 0; epilogue.bias && j < n; ++j) row[j] += epilogue.bias[first + j];
    for (int64_t j = 0; epilogue.relu && j < n; ++j) row[j] = relu(row[j]);
  }
}

// c [M, N] ← a [M, K] b [K, N] for the few rows M of an acting step, for which b, whose columns are dense, is not worth
// packing: each number is the product of two vectors, and the columns that belong to a vector of c are in the cache.
template <typename T>
void dots(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, const Epilogue<T>& epilogue) {
  using Vector = typename VectorOf<T>::type;
  constexpr int64_t kColumns = kLanes<T>;
  const int64_t whole = k / kColumns * kColumns;
  for (int64_t j = 0; j < n; j += kColumns) {
    const int64_t n_columns = std::min(kColumns, n - j);
    const T* columns[kColumns];  // of the last one several, where there are too few
    for (int64_t x = 0; x < kColumns; ++x) columns[x] = b.at(0, j + std::min(x, n_columns - 1));
    for (int64_t i = 0; i < m; ++i) {
      Vector sums[kColumns];
#pragma GCC unroll 16
      for (int64_t x = 0; x < kColumns; ++x) sums[x] = Vector{};
      for (int64_t p = 0; p < whole; p += kColumns) {
        const Vector left = *reinterpret_cast<const Vector*>(a.at(i, p));
#pragma GCC unroll 16
        for (int64_t x = 0; x < kColumns; ++x) sums[x] += left * *reinterpret_cast<const Vector*>(columns[x] + p);
      }
      const Vector sum = sum_each<T>(sums);
      T results[kColumns], *const to = c + i * c_row + j;
      std::memcpy(results, &sum, sizeof results);
      for (int64_t p = whole; p < k; ++p) {
        for (int64_t x = 0; x < kColumns; ++x) results[x] += *a.at(i, p) * columns[x][p];
      }
      for (int64_t x = 0; x < n_columns; ++x) to[x] = epilogue.add ? to[x] + results[x] : results[x];
    }
  }
  finish(m, n, 0, c, c_row, epilogue);
}

}  // namespace

template <typename T>
void multiply(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row, Epilogue<T> epilogue) {
  if (m <= kFew && a.column == 1 && b.row == 1) {
    dots(m, n, k, a, b, c, c_row, epilogue);
    return;
  }
  constexpr int64_t kWidth = kVectors * kLanes<T>;
  constexpr int64_t kGroup = 4 * kWidth;  // columns that are packed at a time, for the second-level cache
  thread_local std::vector<T> packed(kDepth * kGroup);
  T* const panels = packed.data();
  for (int64_t column = 0; column < n; column += kGroup) {
    const int64_t columns = std::min(kGroup, n - column);
    for (int64_t start = 0; start < k; start += kDepth) {
      const int64_t depth = std::min(kDepth, k - start);
      const auto width_at = [=](int64_t j) {
        return std::min(kWidth, (columns - j + kLanes<T> - 1) / kLanes<T> * kLanes<T>);
      };
      for (int64_t j = 0; j < columns; j += kWidth) {
        pack(depth, std::min(kWidth, columns - j), {b.at(start, column + j), b.row, b.column}, width_at(j),
             panels + j * depth);
      }
      parallel_for(0, (m + kBlock - 1) / kBlock, 1, [&](int64_t begin, int64_t end) {
        for (int64_t first = begin * kBlock; first < std::min(end * kBlock, m); first += kBlock) {
          const int64_t rows = std::min(kBlock, m - first);
          T* const to = c + first * c_row + column;
          for (int64_t j = 0; j < columns; j += kWidth) {
            kOfVectors<T>[width_at(j) / kLanes<T> - 1](
                rows, std::min(kWidth, columns - j), depth, {a.at(first, start), a.row, a.column}, panels + j * depth,
                to + j, c_row, start > 0 || epilogue.add);
          }
          if (start + depth == k) finish(rows, columns, column, to, c_row, epilogue);
        }
      });
    }
  }
}

template void multiply<float>(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float*, int64_t,
                              Epilogue<float>);
template void multiply<double>(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double*, int64_t,
                               Epilogue<double>);

}  // namespace rllib_recattn
