// The elementwise parts of the GRU gate (rllib_recattn/models/blocks.py) over N rows, between its matrix products.

#include "gate.h"

#include <torch/library.h>

namespace rllib_recattn {

using at::Tensor;

namespace {

// Calls f(row, i) for all i < d of all rows. No call may depend on another one.
template <typename F>
void each(int64_t rows, int64_t d, const F f) {
  for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) f(row, i);
  }
}

}  // namespace

// gates: U_r x and U_z x [N, 2 D], of which r and u are made in place; returns r ⊙ x.
// sublayer: W_r y, W_z y, W_g y [N, 3 D].
Tensor gate_reset(const Tensor& gates, const Tensor& sublayer, const Tensor& bias, const Tensor& skip) {
  const int64_t rows = skip.size(0), d = skip.size(1);
  TORCH_CHECK(gates.is_contiguous() && sublayer.is_contiguous() && skip.is_contiguous());
  const Tensor reset_skip = at::empty_like(skip);
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate_reset", [&] {
    scalar_t *g = gates.data_ptr<scalar_t>(), *out = reset_skip.data_ptr<scalar_t>();
    const scalar_t *y = sublayer.const_data_ptr<scalar_t>(), *b = bias.const_data_ptr<scalar_t>();
    const scalar_t* x = skip.const_data_ptr<scalar_t>();
    each(rows, d, [=](int64_t row, int64_t i) {
      g[2 * row * d + i] += y[3 * row * d + i];
      g[(2 * row + 1) * d + i] += y[(3 * row + 1) * d + i] - b[i];
    });
    at::sigmoid_(const_cast<Tensor&>(gates));
    each(rows, d, [=](int64_t row, int64_t i) { out[row * d + i] = g[2 * row * d + i] * x[row * d + i]; });
  });
  return reset_skip;
}

// candidate: U_g (r ⊙ x) [N, D], of which c is made in place; returns (1 − u) ⊙ x + u ⊙ c.
Tensor gate_output(const Tensor& candidate, const Tensor& sublayer, const Tensor& gates, const Tensor& skip) {
  const int64_t rows = skip.size(0), d = skip.size(1);
  TORCH_CHECK(candidate.is_contiguous() && sublayer.is_contiguous() && gates.is_contiguous() && skip.is_contiguous());
  const Tensor output = at::empty_like(skip);
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate_output", [&] {
    scalar_t *c = candidate.data_ptr<scalar_t>(), *out = output.data_ptr<scalar_t>();
    const scalar_t *y = sublayer.const_data_ptr<scalar_t>(), *g = gates.const_data_ptr<scalar_t>();
    const scalar_t* x = skip.const_data_ptr<scalar_t>();
    // tanh x = 2 σ(2 x) − 1, and PyTorch's tanh can take ten times as long.
    each(rows, d, [=](int64_t row, int64_t i) {
      c[row * d + i] = 2 * (c[row * d + i] + y[(3 * row + 2) * d + i]);
    });
    at::sigmoid_(const_cast<Tensor&>(candidate));
    each(rows, d, [=](int64_t row, int64_t i) {
      const scalar_t value = 2 * c[row * d + i] - 1, before = x[row * d + i];
      c[row * d + i] = value;
      out[row * d + i] = before + g[(2 * row + 1) * d + i] * (value - before);
    });
  });
  return output;
}

namespace {

// Returns the gradients of what the update's sigmoid and tanh are taken of, in [N, 3 D] with room for the reset's before
// them; of x by the direct way; and tanh's once more, by itself: oneDNN multiplies whole matrices only.
std::tuple<Tensor, Tensor, Tensor> gate_output_backward(const Tensor& grad_, const Tensor& candidate, const Tensor& gates,
                                                const Tensor& skip) {
  const int64_t rows = skip.size(0), d = skip.size(1);
  const Tensor grad = grad_.contiguous(), grad_sublayer = at::empty({rows, 3 * d}, skip.options());
  const Tensor grad_skip = at::empty_like(skip), grad_candidate = at::empty_like(skip);
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate_output_backward", [&] {
    scalar_t* of_c = grad_candidate.data_ptr<scalar_t>();
    scalar_t *of_y = grad_sublayer.data_ptr<scalar_t>(), *of_x = grad_skip.data_ptr<scalar_t>();
    const scalar_t *gradient = grad.const_data_ptr<scalar_t>(), *c = candidate.const_data_ptr<scalar_t>();
    const scalar_t *g = gates.const_data_ptr<scalar_t>(), *x = skip.const_data_ptr<scalar_t>();
    each(rows, d, [=](int64_t row, int64_t i) {
      const int64_t place = row * d + i;
      const scalar_t update = g[(2 * row + 1) * d + i], by_update = gradient[place] * update;
      of_x[place] = gradient[place] - by_update;
      of_y[(3 * row + 1) * d + i] = by_update * (1 - update) * (c[place] - x[place]);
      of_y[(3 * row + 2) * d + i] = of_c[place] = by_update * (1 - c[place] * c[place]);
    });
  });
  return {grad_sublayer, grad_skip, grad_candidate};
}

// Goes on with the gradient of r ⊙ x [N, D]: fills in what the reset's sigmoid is taken of, and adds to that of x.
// Returns those of both sigmoids by themselves [N, 2 D].
Tensor gate_reset_backward(const Tensor& grad_reset_skip_, const Tensor& gates, const Tensor& skip,
                         const Tensor& grad_sublayer, const Tensor& grad_skip) {
  const int64_t rows = skip.size(0), d = skip.size(1);
  const Tensor grad_reset_skip = grad_reset_skip_.contiguous(), grad_gates = at::empty_like(gates);
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate_reset_backward", [&] {
    scalar_t *of_y = grad_sublayer.data_ptr<scalar_t>(), *of_x = grad_skip.data_ptr<scalar_t>();
    const scalar_t *gradient = grad_reset_skip.const_data_ptr<scalar_t>(), *g = gates.const_data_ptr<scalar_t>();
    const scalar_t* x = skip.const_data_ptr<scalar_t>();
    scalar_t* of_g = grad_gates.data_ptr<scalar_t>();
    each(rows, d, [=](int64_t row, int64_t i) {
      const int64_t place = row * d + i;
      const scalar_t reset = g[2 * row * d + i], by_reset = gradient[place] * reset;
      of_x[place] += by_reset;
      of_y[3 * row * d + i] = of_g[2 * row * d + i] = by_reset * (1 - reset) * x[place];
      of_g[(2 * row + 1) * d + i] = of_y[(3 * row + 1) * d + i];
    });
  });
  return grad_gates;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def("gate_reset(Tensor(a!) gates, Tensor sublayer, Tensor bias, Tensor skip) -> Tensor");
  library.def("gate_output(Tensor(a!) candidate, Tensor sublayer, Tensor gates, Tensor skip) -> Tensor");
  library.def("gate_output_backward(Tensor grad, Tensor candidate, Tensor gates, Tensor skip)"
              " -> (Tensor, Tensor, Tensor)");
  library.def(
      "gate_reset_backward(Tensor grad_reset_skip, Tensor gates, Tensor skip, Tensor(a!) grad_sublayer,"
      " Tensor(b!) grad_skip) -> Tensor");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("gate_reset", gate_reset);
  library.impl("gate_output", gate_output);
  library.impl("gate_output_backward", gate_output_backward);
  library.impl("gate_reset_backward", gate_reset_backward);
}

}  // namespace rllib_recattn
