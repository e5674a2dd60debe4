// A gated AGaLiTe block with a feed-forward part over whole sequences, forward and backward, as operators of PyTorch: one
// node of autograd in the place of some thirty. rllib_recattn/models/blocks.py has the equations.

#include <torch/library.h>

#include "layer.h"
#include "sequence.h"

namespace rllib_recattn {
namespace {

using at::Tensor;
using Tensors = std::vector<Tensor>;

Tensor empty(at::IntArrayRef sizes, const Tensor& like) { return at::empty(sizes, like.options()); }

Tensor copy_of(const Tensor& x) { return x.clone(at::MemoryFormat::Contiguous); }

std::optional<Tensor> contiguous(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? std::optional<Tensor>(tensor->contiguous()) : std::nullopt;
}

// Rows that a pass leaves for the pass back, besides its gates and what its attention reads: LayerNorm x, the relu of
// what the attention says, r ⊙ x, y; and LayerNorm y, what is hidden, the relu of what the feed-forward part says, r ⊙ y.
template <typename T>
struct Kept {
  T *moments, *hidden_moments, *h, *mixed, *reset_skip, *y, *hidden_h, *said, *hidden_reset_skip, *hidden;

  Kept(const Tensor& buffer, int64_t rows, int64_t d) : moments(buffer.data_ptr<T>()) {
    hidden_moments = moments + 2 * rows;
    h = hidden_moments + 2 * rows;
    T** const next[] = {&mixed, &reset_skip, &y, &hidden_h, &said, &hidden_reset_skip, &hidden};
    T* place = h;
    for (T** pointer : next) *pointer = place += rows * d;
  }
  static int64_t size(int64_t rows, int64_t d, int64_t d_ff) { return rows * (4 + 7 * d + d_ff); }
};

// x [B, T, D], channels [B, T, R], is_first [B, T] booleans, keys [B, H, R, η d], values [B, H, r, d]. Returns the block's
// output [B, T, D], both memories after the last step, r, u and c of both gates [B, T, 3 D], and for the way back the
// attention's features [B, T, P], its attended values [B, T, H d], and Kept.
Tensors block(const Tensor& x_, const Tensor& channels, const std::optional<Tensor>& is_first, const Tensor& keys_,
              const Tensor& values_, at::TensorList weights_) {
  const Tensors weights = dense(weights_);
  const Tensor x = x_.contiguous(), keys = copy_of(keys_), values = copy_of(values_);
  const Sizes n = sizes_of(keys, values);
  const int64_t batch = x.size(0), steps = x.size(1), d = x.size(2), rows = batch * steps, d_ff = weights[12].size(0);
  TORCH_CHECK(weights.size() == Layer<const float>::kTensors && weights[0].size(0) == n.projected() &&
                  channels.size(2) == n.channels,
              "sizes do not fit together");
  const Tensor z = empty({batch, steps, d}, x), features = empty({batch, steps, n.projected()}, x);
  const Tensor gates = empty({batch, steps, 3 * d}, x), hidden_gates = empty({batch, steps, 3 * d}, x);
  Tensor attended, buffer;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "block", [&] {
    using T = scalar_t;
    const Layer<const T> w(weights.data());
    buffer = empty({Kept<T>::size(rows, d, d_ff)}, x);
    const Kept<T> kept(buffer, rows, d);
    const T* const skip = x.const_data_ptr<T>();
    normalise(rows, d, skip, w.norm.weight, w.norm.bias, kept.h, kept.moments);
    apply(w.project, rows, n.projected(), d, kept.h, features.data_ptr<T>());
    activate(rows, n, features.data_ptr<T>());
    attended = read_sequence(features, channels.contiguous(), contiguous(is_first), keys, values);
    apply(w.output, rows, d, n.width(), attended.const_data_ptr<T>(), kept.mixed, true);
    gate(rows, d, skip, kept.mixed, w.gate, {gates.data_ptr<T>(), kept.reset_skip}, kept.y);
    normalise(rows, d, kept.y, w.hidden_norm.weight, w.hidden_norm.bias, kept.hidden_h, kept.hidden_moments);
    apply(w.enter, rows, d_ff, d, kept.hidden_h, kept.hidden, true);
    apply(w.leave, rows, d, d_ff, kept.hidden, kept.said, true);
    gate(rows, d, kept.y, kept.said, w.hidden_gate, {hidden_gates.data_ptr<T>(), kept.hidden_reset_skip},
         z.data_ptr<T>());
  });
  return {z, keys, values, gates, hidden_gates, features, attended, buffer};
}

Tensor or_zeros(const std::optional<Tensor>& grad, const Tensor& like) {
  return grad.has_value() ? copy_of(*grad) : at::zeros(like.sizes(), like.options());
}

// Gradients of x, keys, values and the weights, given those of the output and of both memories after the last step; and
// what `block` has been given and has returned.
Tensors block_backward(const std::optional<Tensor>& grad_, const std::optional<Tensor>& grad_keys_,
                       const std::optional<Tensor>& grad_values_, const Tensor& x_, const Tensor& channels,
                       const std::optional<Tensor>& is_first, const Tensor& keys, const Tensor& values,
                       at::TensorList weights_, const Tensor& gates, const Tensor& hidden_gates, const Tensor& features,
                       const Tensor& attended, const Tensor& buffer) {
  const Tensors weights = dense(weights_);
  const Tensor x = x_.contiguous(), grad = grad_.has_value() ? grad_->contiguous() : at::zeros_like(x);
  const Tensor grad_keys = or_zeros(grad_keys_, keys), grad_values = or_zeros(grad_values_, values);
  const Sizes n = sizes_of(keys, values);
  const int64_t d = x.size(2), rows = x.size(0) * x.size(1), d_ff = weights[12].size(0);
  const Tensor of_x = empty(x.sizes(), x), of_attended = empty(attended.sizes(), x), of_gates = empty(gates.sizes(), x);
  const Tensor room = empty({2 * d + d_ff, rows}, x);
  Tensors result{of_x, grad_keys, grad_values};
  for (const Tensor& weight : weights) result.push_back(empty(weight.sizes(), weight));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "block_backward", [&] {
    using T = scalar_t;
    const Layer<const T> w(weights.data());
    const Layer<T> of_w(result.data() + 3);
    const Kept<T> kept(buffer, rows, d);
    const T* const skip = x.const_data_ptr<T>();
    T *const of_skip = of_x.data_ptr<T>(), *const of_y = room.data_ptr<T>();
    T *const of_rows = of_y + rows * d, *const of_hidden = of_rows + rows * d;

    gate_back<T>(rows, d, grad.const_data_ptr<T>(), kept.y, kept.said, w.hidden_gate,
                 {hidden_gates.const_data_ptr<T>(), kept.hidden_reset_skip}, of_gates.data_ptr<T>(), of_y, of_rows,
                 of_w.hidden_gate);
    relu_back(rows, d, kept.said, of_rows, of_w.leave.bias);
    apply_back<T>(w.leave, rows, d, d_ff, kept.hidden, of_rows, of_hidden, of_w.leave.weight);
    relu_back(rows, d_ff, kept.hidden, of_hidden, of_w.enter.bias);
    apply_back<T>(w.enter, rows, d_ff, d, kept.hidden_h, of_hidden, of_rows, of_w.enter.weight);
    normalise_back<T>(rows, d, of_rows, kept.y, kept.hidden_moments, w.hidden_norm.weight, of_y,
                      of_w.hidden_norm.weight, of_w.hidden_norm.bias);

    gate_back<T>(rows, d, of_y, skip, kept.mixed, w.gate, {gates.const_data_ptr<T>(), kept.reset_skip},
                 of_gates.data_ptr<T>(), of_skip, of_rows, of_w.gate);
    relu_back(rows, d, kept.mixed, of_rows, of_w.output.bias);
    apply_back<T>(w.output, rows, d, n.width(), attended.const_data_ptr<T>(), of_rows, of_attended.data_ptr<T>(),
                  of_w.output.weight);
    const Tensor of_projected =
        read_sequence_back(of_attended, grad_keys, grad_values, features, channels.contiguous(), contiguous(is_first),
                           keys.contiguous(), values.contiguous());
    sum_rows(rows, n.projected(), of_projected.const_data_ptr<T>(), of_w.project.bias);
    apply_back<T>(w.project, rows, n.projected(), d, kept.h, of_projected.const_data_ptr<T>(), of_rows,
                  of_w.project.weight);
    normalise_back<T>(rows, d, of_rows, skip, kept.moments, w.norm.weight, of_skip, of_w.norm.weight, of_w.norm.bias);
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "block(Tensor x, Tensor channels, Tensor? is_first, Tensor keys, Tensor values, Tensor[] weights) -> Tensor[]");
  library.def(
      "block_backward(Tensor? grad, Tensor? grad_keys, Tensor? grad_values, Tensor x, Tensor channels, Tensor? is_first,"
      " Tensor keys, Tensor values, Tensor[] weights, Tensor gates, Tensor hidden_gates, Tensor features,"
      " Tensor attended, Tensor buffer) -> Tensor[]");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("block", block);
  library.impl("block_backward", block_backward);
}

}  // namespace rllib_recattn
