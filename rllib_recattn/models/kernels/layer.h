// The weights of a gated AGaLiTe block with a feed-forward part.
#pragma once

#include "gate.h"
#include "gemm.h"
#include "norm.h"
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

template <typename T>
struct Layer {
  Affine<T> project, output, norm;
  GateWeights<T> gate;
  Affine<T> hidden_norm, enter, leave;
  GateWeights<T> hidden_gate;

  // The next of the arrays, in the order in which PyTorch lists weights. An initialiser list goes from left to right.
  template <typename Mutable>
  explicit Layer(Arrays<Mutable>& a)
      : project{a.next(), a.next()},
        output{a.next(), a.next()},
        norm{a.next(), a.next()},
        gate{a.next(), a.next(), a.next(), a.next()},
        hidden_norm{a.next(), a.next()},
        enter{a.next(), a.next()},
        leave{a.next(), a.next()},
        hidden_gate{a.next(), a.next(), a.next(), a.next()} {}
};

}  // namespace rllib_recattn
