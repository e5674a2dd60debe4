// LayerNorm and RMSNorm over rows [N, D].
#pragma once

#include <cmath>
#include <cstdint>

namespace rllib_recattn {

constexpr double kNormEpsilon = 1e-6;        // as in rllib_recattn/models/parts/blocks.py
constexpr double kOutputNormEpsilon = 1e-5;  // of what comes behind a stack or a memory

// moments [N, 2]: each row's mean, and one over its standard deviation.
template <typename T>
void normalise(int64_t rows, int64_t d, const T* x, const T* weight, const T* bias, T* h, T* moments,
               double epsilon = kNormEpsilon) {
  for (int64_t row = 0; row < rows; ++row, x += d, h += d) {
    T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < d; ++i) sum += x[i];
    const T mean = sum / d;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < d; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const T scale = 1 / std::sqrt(squares / d + T(epsilon));
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) h[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    moments[2 * row] = mean;
    moments[2 * row + 1] = scale;
  }
}

// Normalises what memories say, in place; without a mean it is RMSNorm. weight [D]; null: ones.
template <typename T>
void normalise_said(int64_t rows, int64_t d, T* x, const T* weight, bool with_mean) {
  for (int64_t row = 0; row < rows; ++row, x += d) {
    T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < d; ++i) sum += x[i];
    const T mean = with_mean ? sum / d : T(0);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < d; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const T scale = 1 / std::sqrt(squares / d + T(kOutputNormEpsilon));
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) x[i] = (x[i] - mean) * scale;
#pragma omp simd
    for (int64_t i = 0; i < (weight ? d : 0); ++i) x[i] *= weight[i];
  }
}

// Adds the gradients of x, weight and bias to those that are there, given that of h.
template <typename T>
void normalise_back(int64_t rows, int64_t d, const T* grad, const T* x, const T* moments, const T* weight,
                    T* __restrict grad_x, T* __restrict grad_weight, T* __restrict grad_bias) {
  for (int64_t row = 0; row < rows; ++row, grad += d, x += d, grad_x += d) {
    const T mean = moments[2 * row], scale = moments[2 * row + 1];
    T sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
    for (int64_t i = 0; i < d; ++i) {
      const T normalised = (x[i] - mean) * scale;
      sum += grad[i] * weight[i];
      along += grad[i] * weight[i] * normalised;
      grad_weight[i] += grad[i] * normalised;
      grad_bias[i] += grad[i];
    }
    sum /= d;
    along /= d;
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) {
      grad_x[i] += scale * (grad[i] * weight[i] - sum - (x[i] - mean) * scale * along);
    }
  }
}

}  // namespace rllib_recattn
