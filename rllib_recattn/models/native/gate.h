// The elementwise parts of the GRU gate, for use by other kernels.
#pragma once

#include <ATen/ATen.h>

namespace rllib_recattn {

at::Tensor gate_reset(const at::Tensor& gates, const at::Tensor& sublayer, const at::Tensor& bias,
                      const at::Tensor& skip);
at::Tensor gate_output(const at::Tensor& candidate, const at::Tensor& sublayer, const at::Tensor& gates,
                       const at::Tensor& skip);

}  // namespace rllib_recattn
