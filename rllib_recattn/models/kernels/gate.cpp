// The GRU gate as operators.

#include "gate.h"

#include "operator.h"

namespace rllib_recattn {
namespace {

template <typename T>
GateWeights<T> weights_in(Arrays<T>& arrays) {
  T *const bias = arrays.next(), *const from_sublayer = arrays.next(), *const from_skip = arrays.next();
  return {bias, from_sublayer, from_skip, arrays.next()};
}

template <typename T>
GateWeights<const T> constant(const GateWeights<T>& w) {
  return {w.bias, w.from_sublayer, w.from_skip, w.from_reset_skip};
}

}  // namespace

// sizes: N, D. Arrays: x and y [N, D], b, W, U, U_g; and to be written z [N, D], r, u and c [N, 3 D], and r ⊙ x [N, D].
template <typename T>
void gate_forward(Arrays<T> arrays, const int64_t* sizes) {
  const T *const skip = arrays.next(), *const sublayer = arrays.next();
  const GateWeights<const T> w = constant(weights_in(arrays));
  T *const output = arrays.next(), *const gates = arrays.next();
  gate<T>(sizes[0], sizes[1], skip, sublayer, w, {gates, arrays.next()}, output);
}

// sizes: N, D. Arrays: ∂z; those of gate_forward but for z; and to be written ∂x, ∂y and room [N, 3 D], and to be added
// to ∂b, ∂W, ∂U, ∂U_g.
template <typename T>
void gate_backward(Arrays<T> arrays, const int64_t* sizes) {
  const T *const grad = arrays.next(), *const skip = arrays.next(), *const sublayer = arrays.next();
  const GateWeights<const T> w = constant(weights_in(arrays));
  const T *const gates = arrays.next(), *const reset_skip = arrays.next();
  T *const of_skip = arrays.next(), *const of_sublayer = arrays.next(), *const of_gates = arrays.next();
  gate_back<T>(sizes[0], sizes[1], grad, skip, sublayer, w, {gates, reset_skip}, of_gates, of_skip, of_sublayer,
               weights_in(arrays));
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(gate_forward)
RLLIB_RECATTN_OPERATOR(gate_backward)
