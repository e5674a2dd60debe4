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

// e^x = 2^n e^f by n = round(x / ln 2), and the Taylor series of e^f, |f| ≤ ln 2 / 2, up to where the next term is below
// rounding. Compilers vectorise no call of std::exp. Beyond what normal numbers hold, it is the nearest of them.
template <typename T>
inline T exponential(T x) {
  constexpr bool kFloat = std::is_same_v<T, float>;
  using Bits = std::conditional_t<kFloat, uint32_t, uint64_t>;  // whose shifts may drop bits
  constexpr int kMantissa = kFloat ? 23 : 52;
  constexpr T kLimit = kFloat ? 87 : 708;  // e^kLimit is a normal number
  // What is added to it is rounded to an integer, which then is in its lowest bits.
  constexpr T kShift = T(3) * (Bits(1) << (kMantissa - 1));
  constexpr T kLn2High = kFloat ? 0.693359375 : 0.693145751953125;
  constexpr T kLn2Low = kFloat ? -2.12194440e-4 : 1.42860682030941723212e-6;
  x = x > kLimit ? kLimit : x;
  x = x < -kLimit ? -kLimit : x;
  const T shifted = x * T(1.44269504088896340736) + kShift, n = shifted - kShift;
  const T f = (x - n * kLn2High) - n * kLn2Low;
  T power = 1;
#pragma GCC unroll 16
  for (int i = kFloat ? 7 : 14; i > 0; --i) power = 1 + power * f * T(1.0 / i);
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << kMantissa) + (Bits(kFloat ? 127 : 1023) << kMantissa);
  T scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return scale * power;
}

template <typename T>
inline T sigmoid(T x) {
  return 1 / (1 + exponential(-x));
}

template <typename T>
inline T silu(T x) {
  return x * sigmoid(x);
}

// log(1 + e^−|x|), which is 2 artanh(s) with s = z / (2 + z) ≤ 1/3 and z = e^−|x|; the series as above.
template <typename T>
inline T log_of_one_and_exponential(T x) {
  const T z = exponential(x < 0 ? x : -x), s = z / (2 + z), square = s * s;
  T sum = 0;
#pragma GCC unroll 20
  for (int i = std::is_same_v<T, float> ? 7 : 16; i >= 0; --i) sum = T(1.0 / (2 * i + 1)) + square * sum;
  return 2 * s * sum;
}

template <typename T>
inline T log_sigmoid(T x) {
  return (x > 0 ? T(0) : x) - log_of_one_and_exponential(x);
}

// As PyTorch has it, which takes x itself where the rest does not count.
template <typename T>
inline T softplus(T x) {
  return x > 20 ? x : (x < 0 ? T(0) : x) + log_of_one_and_exponential(x);
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

// x [rows, n] becomes x ⊙ swish(gate), where the rows of the gate are `gate_row` numbers apart.
template <typename T>
void gate_by_silu(int64_t rows, int64_t n, const T* gate, int64_t gate_row, T* x) {
  each(rows, n, [=](int64_t row, int64_t i) { x[row * n + i] *= silu(gate[row * gate_row + i]); });
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
