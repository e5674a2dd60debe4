// AGaLiTe's attention over sequences as operators of PyTorch.

#include <torch/library.h>

#include "sequence.h"

namespace rllib_recattn {
namespace {

using at::Tensor;

Tensor copy_of(const Tensor& x) { return x.clone(at::MemoryFormat::Contiguous); }

std::optional<Tensor> contiguous(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? std::optional<Tensor>(tensor->contiguous()) : std::nullopt;
}

// projected [B, T, P], channels [B, T, R], is_first [B, T] booleans, keys [B, H, R, η d], values [B, H, r, d].
// Returns the attended values [B, T, H d], both memories after the last step, and the features [B, T, P].
std::tuple<Tensor, Tensor, Tensor, Tensor> attention(const Tensor& projected, const Tensor& channels,
                                                     const std::optional<Tensor>& is_first, const Tensor& keys_,
                                                     const Tensor& values_) {
  const Sizes n = sizes_of(keys_, values_);
  TORCH_CHECK(projected.size(2) == n.projected() && channels.size(2) == n.channels, "sizes do not fit together");
  const Tensor features = copy_of(projected), keys = copy_of(keys_), values = copy_of(values_);
  AT_DISPATCH_FLOATING_TYPES(projected.scalar_type(), "attention", [&] {
    activate(features.size(0) * features.size(1), n, features.data_ptr<scalar_t>());
  });
  return {read_sequence(features, channels.contiguous(), contiguous(is_first), keys, values), keys, values, features};
}

// Gradients of `projected`, `keys` and `values`, given those of the outputs and of the memories after the last step.
std::tuple<Tensor, Tensor, Tensor> attention_backward(const Tensor& grad_attended, const Tensor& grad_keys_,
                                                      const Tensor& grad_values_, const Tensor& features,
                                                      const Tensor& channels, const std::optional<Tensor>& is_first,
                                                      const Tensor& keys, const Tensor& values) {
  const Tensor grad_keys = copy_of(grad_keys_), grad_values = copy_of(grad_values_);
  const Tensor grad = read_sequence_back(grad_attended.contiguous(), grad_keys, grad_values, features,
                                         channels.contiguous(), contiguous(is_first), keys.contiguous(),
                                         values.contiguous());
  return {grad, grad_keys, grad_values};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "attention(Tensor projected, Tensor channels, Tensor? is_first, Tensor keys, Tensor values)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "attention_backward(Tensor grad_attended, Tensor grad_keys, Tensor grad_values, Tensor features,"
      " Tensor channels, Tensor? is_first, Tensor keys, Tensor values) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("attention", attention);
  library.impl("attention_backward", attention_backward);
}

}  // namespace rllib_recattn
