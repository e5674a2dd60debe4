// The GRU gate (rllib_recattn/models/parts/blocks.py) over rows [N, D], forward and backward.
#pragma once

#include <cstdint>

#include "elementwise.h"
#include "gemm.h"

namespace rllib_recattn {

// W_r, W_z, W_g [3 D, D]; U_r, U_z [2 D, D]; U_g [D, D]; b [D].
template <typename T>
struct GateWeights {
  T *bias, *from_sublayer, *from_skip, *from_reset_skip;
};

// What the backward pass needs: r, u and c behind one another [N, 3 D], and r ⊙ x [N, D].
template <typename T>
struct GateMemory {
  T *gates, *reset_skip;
};

template <typename T>
void gate(int64_t rows, int64_t d, const T* skip, const T* sublayer, const GateWeights<const T>& w,
          const GateMemory<T>& kept, T* output) {
  T *const gates = kept.gates, *const reset_skip = kept.reset_skip;
  multiply<T>(rows, 3 * d, d, {sublayer, d}, Matrix<T>{w.from_sublayer, d}.transposed(), gates, 3 * d);
  multiply<T>(rows, 2 * d, d, {skip, d}, Matrix<T>{w.from_skip, d}.transposed(), gates, 3 * d, {true});
  each(rows, d, [=, bias = w.bias](int64_t row, int64_t i) {
    T* const g = gates + 3 * row * d + i;
    const T reset = sigmoid(g[0]);
    g[0] = reset;
    g[d] = sigmoid(g[d] - bias[i]);
    reset_skip[row * d + i] = reset * skip[row * d + i];
  });
  multiply<T>(rows, d, d, {reset_skip, d}, Matrix<T>{w.from_reset_skip, d}.transposed(), gates + 2 * d, 3 * d, {true});
  each(rows, d, [=](int64_t row, int64_t i) {
    T* const g = gates + 3 * row * d + i;
    const T candidate = 2 * sigmoid(2 * g[2 * d]) - 1, before = skip[row * d + i];  // tanh
    g[2 * d] = candidate;
    output[row * d + i] = before + g[d] * (candidate - before);
  });
}

// With a for what tanh and the sigmoids are taken of: ∂a_g = ∂z ⊙ u (1 − c²), ∂a_z = ∂z ⊙ (c − x) u (1 − u),
// ∂(r ⊙ x) = ∂a_g U_g, ∂a_r = ∂(r ⊙ x) ⊙ x r (1 − r); and x gets ∂z ⊙ (1 − u) + ∂(r ⊙ x) ⊙ r + (∂a_r, ∂a_z) U.
// of_gates: room for ∂a [N, 3 D]; of_sublayer holds ∂(r ⊙ x) on the way. Gradients of weights are added to of_w.
template <typename T>
void gate_back(int64_t rows, int64_t d, const T* grad, const T* skip, const T* sublayer, const GateWeights<const T>& w,
               const GateMemory<const T>& kept, T* of_gates, T* of_skip, T* of_sublayer, const GateWeights<T>& of_w) {
  const T* const gates = kept.gates;
  each(rows, d, [=](int64_t row, int64_t i) {
    const T *const g = gates + 3 * row * d + i, gradient = grad[row * d + i];
    T* const of_g = of_gates + 3 * row * d + i;
    const T update = g[d], candidate = g[2 * d], by_update = gradient * update;
    of_skip[row * d + i] = gradient - by_update;
    of_g[d] = by_update * (1 - update) * (candidate - skip[row * d + i]);
    of_g[2 * d] = by_update * (1 - candidate * candidate);
  });
  multiply<T>(rows, d, d, {of_gates + 2 * d, 3 * d}, {w.from_reset_skip, d}, of_sublayer, d);
  each(rows, d, [=](int64_t row, int64_t i) {
    const T reset = gates[3 * row * d + i], by_reset = of_sublayer[row * d + i] * reset;
    of_skip[row * d + i] += by_reset;
    of_gates[3 * row * d + i] = by_reset * (1 - reset) * skip[row * d + i];
  });
  multiply<T>(rows, d, 2 * d, {of_gates, 3 * d}, {w.from_skip, d}, of_skip, d, {true});
  multiply<T>(rows, d, 3 * d, {of_gates, 3 * d}, {w.from_sublayer, d}, of_sublayer, d);
  multiply<T>(3 * d, d, rows, {of_gates, 1, 3 * d}, {sublayer, d}, of_w.from_sublayer, d, {true});
  multiply<T>(2 * d, d, rows, {of_gates, 1, 3 * d}, {skip, d}, of_w.from_skip, d, {true});
  multiply<T>(d, d, rows, {of_gates + 2 * d, 1, 3 * d}, {kept.reset_skip, d}, of_w.from_reset_skip, d, {true});
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < d; ++i) of_w.bias[i] -= of_gates[(3 * row + 1) * d + i];
  }
}

}  // namespace rllib_recattn
