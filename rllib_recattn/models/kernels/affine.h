// Affine maps of rows [N, D], forward and backward.
#pragma once

#include "gemm.h"
#include "operator.h"

namespace rllib_recattn {

// W [M, N] and b [M].
template <typename T>
struct Affine {
  T *weight, *bias;
};

// x Wᵀ + b for rows [rows, n], or relu of it [rows, m].
template <typename T>
void apply(const Affine<const T>& affine, int64_t rows, int64_t m, int64_t n, const T* x, T* y, bool relu = false) {
  multiply<T>(rows, m, n, {x, n}, Matrix<T>{affine.weight, n}.transposed(), y, m, {false, affine.bias, relu});
}

// Its way back: sets the gradient of x, and adds to that of W.
template <typename T>
void apply_back(const Affine<const T>& affine, int64_t rows, int64_t m, int64_t n, const T* x, const T* grad, T* of_x,
                T* of_weight) {
  multiply<T>(rows, n, m, {grad, m}, {affine.weight, n}, of_x, n);
  multiply<T>(m, n, rows, Matrix<T>{grad, m}.transposed(), {x, n}, of_weight, n, {true});
}

}  // namespace rllib_recattn
