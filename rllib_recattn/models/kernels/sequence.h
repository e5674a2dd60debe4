// Whole sequences of AGaLiTe's attention, forward and backward.
#pragma once

#include "attention.h"

namespace rllib_recattn {

// What an attention reads: features [B, T, P] of `activate`, channels [B, T, R], is_first [B, T] or null.
template <typename T>
struct Sequences {
  int64_t rows, steps;
  const T *features, *channels;
  const bool* is_first;
  Sizes n;
};

// keys [B, H, R, η d] and values [B, H, r, d] become those after the last step; writes the attended values [B, T, H d].
template <typename T>
void read_sequence(const Sequences<T>& sequences, T* keys, T* values, T* attended);

// Writes the gradients of what the features were made of [B, T, P], given those of the attended values and the memories
// before the first step; those of the memories after the last step become those of the ones before the first.
template <typename T>
void read_sequence_back(const Sequences<T>& sequences, const T* keys, const T* values, const T* grad_attended,
                        T* grad_keys, T* grad_values, T* grad_projected);

}  // namespace rllib_recattn
