// Functions of single numbers and of rows of them, in a form that compilers vectorise.
#pragma once

#include "parallel.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace rllib_recattn {

template <typename T>
inline T relu(T x) {
  return x < 0 ? T(0) : x;  // keeps NaN
}

// 1 / (1 + e^−x), with e^y = 2^n e^f by n = round(y / ln 2), and the Taylor series of e^f, |f| ≤ ln 2 / 2, up to where
// the next term is below rounding. Compilers vectorise no call of std::exp.
template <typename T>
inline T sigmoid(T x) {
  constexpr bool kFloat = std::is_same_v<T, float>;
  using Bits = std::conditional_t<kFloat, uint32_t, uint64_t>;  // whose shifts may drop bits
  constexpr int kMantissa = kFloat ? 23 : 52;
  constexpr T kLimit = kFloat ? 87 : 708;  // e^kLimit is a normal number
  // What is added to it is rounded to an integer, which then is in its lowest bits.
  constexpr T kShift = T(3) * (Bits(1) << (kMantissa - 1));
  constexpr T kLn2High = kFloat ? 0.693359375 : 0.693145751953125;
  constexpr T kLn2Low = kFloat ? -2.12194440e-4 : 1.42860682030941723212e-6;
  T y = -x;
  y = y > kLimit ? kLimit : y;
  y = y < -kLimit ? -kLimit : y;
  const T shifted = y * T(1.44269504088896340736) + kShift, n = shifted - kShift;
  const T f = (y - n * kLn2High) - n * kLn2Low;
  T power = 1;
#pragma GCC unroll 16
  for (int i = kFloat ? 7 : 14; i > 0; --i) power = 1 + power * f * T(1.0 / i);
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << kMantissa) + (Bits(kFloat ? 127 : 1023) << kMantissa);
  T scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return 1 / (1 + scale * power);
}

// Calls f(row, i) for all i < d of all rows. No call may depend on another one.
template <typename F>
void each(int64_t rows, int64_t d, const F f) {
  parallel_for(0, rows, 32768 / d + 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) f(row, i);
    }
  });
}

// Adds the rows of x [rows, n] to sums [n].
template <typename T>
void sum_rows(int64_t rows, int64_t n, const T* x, T* sums) {
  for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) sums[i] += x[row * n + i];
  }
}

// Takes the gradient of a relu [rows, n] back through it, given its results, and adds the rows of that to sums.
template <typename T>
void relu_back(int64_t rows, int64_t n, const T* result, T* __restrict grad, T* __restrict sums) {
  for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const T g = result[row * n + i] > 0 ? grad[row * n + i] : T(0);
      grad[row * n + i] = g;
      sums[i] += g;
    }
  }
}

}  // namespace rllib_recattn
