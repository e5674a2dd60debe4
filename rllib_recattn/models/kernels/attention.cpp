// AGaLiTe's attention over sequences as operators.

#include "operator.h"
#include "sequence.h"

namespace rllib_recattn {
namespace {

// sizes: B, T, H, d, η, r + 1. The next of the arrays: the features, the channels, and where episodes begin.
template <typename T>
Sequences<T> sequences_in(Arrays<T>& arrays, const int64_t* sizes) {
  const T *const features = arrays.next(), *const channels = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  return {sizes[0], sizes[1], features, channels, is_first, {sizes[2], sizes[3], sizes[4], sizes[5]}};
}

}  // namespace

// Arrays: projections [B, T, P], which become features, channels, is_first; keys and values, which become those after
// the last step; and to be written, the attended values [B, T, H d].
template <typename T>
void attention(Arrays<T> arrays, const int64_t* sizes) {
  T* const projected = Arrays<T>(arrays).next();
  const Sequences<T> sequences = sequences_in(arrays, sizes);
  T *const keys = arrays.next(), *const values = arrays.next();
  activate(sequences.rows * sequences.steps, sequences.n, projected);
  read_sequence(sequences, keys, values, arrays.next());
}

// Arrays: features, channels, is_first, keys, values; ∂ of the attended values; those of the memories after the last
// step, which become those of the ones before the first; and to be written, ∂ of the projections [B, T, P].
template <typename T>
void attention_backward(Arrays<T> arrays, const int64_t* sizes) {
  const Sequences<T> sequences = sequences_in(arrays, sizes);
  const T *const keys = arrays.next(), *const values = arrays.next(), *const grad_attended = arrays.next();
  T *const grad_keys = arrays.next(), *const grad_values = arrays.next();
  read_sequence_back(sequences, keys, values, grad_attended, grad_keys, grad_values, arrays.next());
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(attention)
RLLIB_RECATTN_OPERATOR(attention_backward)
