// The weights of a gated AGaLiTe block with a feed-forward part.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "gate.h"
#include "gemm.h"
#include "norm.h"

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

inline std::vector<at::Tensor> dense(at::TensorList weights) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& weight : weights) result.push_back(weight.contiguous());
  return result;
}

template <typename T>
struct Layer {
  static constexpr size_t kTensors = 20;
  Affine<T> project, output, norm;
  GateWeights<T> gate;
  Affine<T> hidden_norm, enter, leave;
  GateWeights<T> hidden_gate;

  // w: in the order in which PyTorch lists them, and contiguous.
  explicit Layer(const at::Tensor* w)
      : project(affine(w)),
        output(affine(w + 2)),
        norm(affine(w + 4)),
        gate(gate_weights(w + 6)),
        hidden_norm(affine(w + 10)),
        enter(affine(w + 12)),
        leave(affine(w + 14)),
        hidden_gate(gate_weights(w + 16)) {}

 private:
  static T* data(const at::Tensor& tensor) { return static_cast<T*>(tensor.data_ptr()); }
  static Affine<T> affine(const at::Tensor* w) { return {data(w[0]), data(w[1])}; }
  static GateWeights<T> gate_weights(const at::Tensor* w) { return {data(w[0]), data(w[1]), data(w[2]), data(w[3])}; }
};

}  // namespace rllib_recattn
