// Whole sequences of AGaLiTe's attention, forward and backward.
#pragma once

#include <ATen/ATen.h>

#include "attention.h"

namespace rllib_recattn {

inline Sizes sizes_of(const at::Tensor& keys, const at::Tensor& values) {
  const int64_t d = values.size(3);
  return {keys.size(1), d, keys.size(3) / d, keys.size(2)};
}

// features [B, T, P] of `activate`, channels [B, T, R], is_first [B, T] booleans; keys [B, H, R, η d] and values
// [B, H, r, d] become those after the last step. Returns the attended values [B, T, H d]. All tensors are contiguous.
at::Tensor read_sequence(const at::Tensor& features, const at::Tensor& channels,
                         const std::optional<at::Tensor>& is_first, const at::Tensor& keys, const at::Tensor& values);

// Returns the gradients of what the features were made of [B, T, P], given those of the attended values and the memories
// before the first step; those of the memories after the last step become those of the ones before the first.
at::Tensor read_sequence_back(const at::Tensor& grad_attended, const at::Tensor& grad_keys,
                              const at::Tensor& grad_values, const at::Tensor& features, const at::Tensor& channels,
                              const std::optional<at::Tensor>& is_first, const at::Tensor& keys,
                              const at::Tensor& values);

}  // namespace rllib_recattn
