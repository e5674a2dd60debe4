// The GRU gate as operators of PyTorch.

#include "gate.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace rllib_recattn {
namespace {

using at::Tensor;

template <typename T>
GateWeights<const T> weights_of(const Tensor& bias, const Tensor& from_sublayer, const Tensor& from_skip,
                                const Tensor& from_reset_skip) {
  return {bias.const_data_ptr<T>(), from_sublayer.const_data_ptr<T>(), from_skip.const_data_ptr<T>(),
          from_reset_skip.const_data_ptr<T>()};
}

// skip x and sublayer y [N, D]; returns the output [N, D], r, u and c [N, 3 D], and r ⊙ x [N, D].
std::tuple<Tensor, Tensor, Tensor> gate_forward(const Tensor& skip, const Tensor& sublayer, const Tensor& bias,
                                                const Tensor& from_sublayer, const Tensor& from_skip,
                                                const Tensor& from_reset_skip) {
  const int64_t rows = skip.size(0), d = skip.size(1);
  const Tensor output = at::empty({rows, d}, skip.options()), reset_skip = at::empty({rows, d}, skip.options());
  const Tensor gates = at::empty({rows, 3 * d}, skip.options());
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate", [&] {
    gate<scalar_t>(rows, d, skip.const_data_ptr<scalar_t>(), sublayer.const_data_ptr<scalar_t>(),
                   weights_of<scalar_t>(bias, from_sublayer, from_skip, from_reset_skip),
                   {gates.data_ptr<scalar_t>(), reset_skip.data_ptr<scalar_t>()}, output.data_ptr<scalar_t>());
  });
  return {output, gates, reset_skip};
}

// Returns the gradients of the arguments of gate_forward, given that of the output.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> gate_backward(
    const Tensor& grad, const Tensor& skip, const Tensor& sublayer, const Tensor& bias, const Tensor& from_sublayer,
    const Tensor& from_skip, const Tensor& from_reset_skip, const Tensor& gates, const Tensor& reset_skip) {
  const auto like = [](const Tensor& x) { return at::empty(x.sizes(), x.options()); };
  const int64_t rows = skip.size(0), d = skip.size(1);
  const Tensor of_skip = like(skip), of_sublayer = like(sublayer), of_gates = like(gates);
  const Tensor of_bias = at::zeros_like(bias), of_w = at::zeros_like(from_sublayer);
  const Tensor of_u = at::zeros_like(from_skip), of_u_reset = at::zeros_like(from_reset_skip);
  AT_DISPATCH_FLOATING_TYPES(skip.scalar_type(), "gate_backward", [&] {
    gate_back<scalar_t>(rows, d, grad.const_data_ptr<scalar_t>(), skip.const_data_ptr<scalar_t>(),
                        sublayer.const_data_ptr<scalar_t>(),
                        weights_of<scalar_t>(bias, from_sublayer, from_skip, from_reset_skip),
                        {gates.const_data_ptr<scalar_t>(), reset_skip.const_data_ptr<scalar_t>()},
                        of_gates.data_ptr<scalar_t>(), of_skip.data_ptr<scalar_t>(), of_sublayer.data_ptr<scalar_t>(),
                        {of_bias.data_ptr<scalar_t>(), of_w.data_ptr<scalar_t>(), of_u.data_ptr<scalar_t>(),
                         of_u_reset.data_ptr<scalar_t>()});
  });
  return {of_skip, of_sublayer, of_bias, of_w, of_u, of_u_reset};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "gate(Tensor skip, Tensor sublayer, Tensor bias, Tensor from_sublayer, Tensor from_skip, Tensor from_reset_skip)"
      " -> (Tensor, Tensor, Tensor)");
  library.def(
      "gate_backward(Tensor grad, Tensor skip, Tensor sublayer, Tensor bias, Tensor from_sublayer, Tensor from_skip,"
      " Tensor from_reset_skip, Tensor gates, Tensor reset_skip)"
      " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("gate", gate_forward);
  library.impl("gate_backward", gate_backward);
}

}  // namespace rllib_recattn
