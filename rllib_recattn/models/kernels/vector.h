// Vectors as wide as the processor's registers, by GCC's and Clang's extensions.
#pragma once

#include <cstdint>
#include <utility>

namespace rllib_recattn {

#if defined(__AVX512F__)
constexpr int64_t kBytes = 64;
#elif defined(__AVX__)
constexpr int64_t kBytes = 32;
#else
constexpr int64_t kBytes = 16;
#endif

template <typename T>
constexpr int64_t kLanes = kBytes / sizeof(T);

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes), aligned(alignof(T)), may_alias));
};

#if __has_builtin(__builtin_shufflevector)

// Exchanges the blocks off the diagonal of each square of 2 × 2 blocks of S × S numbers, for which it calls itself.
template <int64_t S, typename Vector, int64_t... I>
inline void exchange(Vector* rows, std::integer_sequence<int64_t, I...> lanes) {
  constexpr int64_t n = sizeof...(I);
  if constexpr (S < n) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < n; ++i) {
      if (i & S) continue;
      const Vector a = rows[i], b = rows[i + S];
      rows[i] = __builtin_shufflevector(a, b, (I & S ? n + I - S : I)...);
      rows[i + S] = __builtin_shufflevector(a, b, (I & S ? n + I : I + S)...);
    }
    exchange<2 * S>(rows, lanes);
  }
}

// Adds up the numbers of each row by the same exchanges: rows[0] becomes all of the sums.
template <int64_t S, typename Vector, int64_t... I>
inline void add_up(Vector* rows, std::integer_sequence<int64_t, I...> lanes) {
  constexpr int64_t n = sizeof...(I);
  if constexpr (S < n) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < n; i += 2 * S) {
      const Vector a = rows[i], b = rows[i + S];
      rows[i] = __builtin_shufflevector(a, b, (I & S ? n + I - S : I)...) +
                __builtin_shufflevector(a, b, (I & S ? n + I : I + S)...);
    }
    add_up<2 * S>(rows, lanes);
  }
}

// The sums of each of as many rows as a vector has lanes.
template <typename T>
inline typename VectorOf<T>::type sum_each(typename VectorOf<T>::type* rows) {
  add_up<1>(rows, std::make_integer_sequence<int64_t, kLanes<T>>());
  return rows[0];
}

// Copies the transpose of as many rows as a vector has lanes, each as long.
template <typename T>
inline void copy_transposed(const T* from, int64_t from_row, T* to, int64_t to_row) {
  using Vector = typename VectorOf<T>::type;
  Vector rows[kLanes<T>];
#pragma GCC unroll 16
  for (int64_t i = 0; i < kLanes<T>; ++i) rows[i] = *reinterpret_cast<const Vector*>(from + i * from_row);
  exchange<1>(rows, std::make_integer_sequence<int64_t, kLanes<T>>());
#pragma GCC unroll 16
  for (int64_t i = 0; i < kLanes<T>; ++i) *reinterpret_cast<Vector*>(to + i * to_row) = rows[i];
}

#else

template <typename T>
inline typename VectorOf<T>::type sum_each(const typename VectorOf<T>::type* rows) {
  typename VectorOf<T>::type sums = {};
  for (int64_t i = 0; i < kLanes<T>; ++i) {
    for (int64_t j = 0; j < kLanes<T>; ++j) sums[i] += rows[i][j];
  }
  return sums;
}

template <typename T>
inline void copy_transposed(const T* from, int64_t from_row, T* to, int64_t to_row) {
  for (int64_t i = 0; i < kLanes<T>; ++i) {
    for (int64_t j = 0; j < kLanes<T>; ++j) to[j * to_row + i] = from[i * from_row + j];
  }
}

#endif

}  // namespace rllib_recattn
