// A gated AGaLiTe block with a feed-forward part over whole sequences, forward and backward, as operators of PyTorch:
// one node of autograd in the place of some thirty. rllib_recattn/models/parts/blocks.py has the equations.

#include <torch/library.h>

#include <utility>

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
// what the attention says, r ⊙ x, y; and LayerNorm y, the relu of what the feed-forward part says, r ⊙ y, its hidden
// units.
template <typename T>
struct Kept {
  T *moments, *hidden_moments, *h, *mixed, *reset_skip, *y, *hidden_h, *said, *hidden_reset_skip, *hidden;

  Kept(const Tensor& buffer, int64_t rows, int64_t d, int64_t d_ff, int64_t first) {
    T* place = buffer.data_ptr<T>();
    const auto next = [&](int64_t width) { return std::exchange(place, place + rows * width) + first * width; };
    moments = next(2), hidden_moments = next(2);
    for (T** rest : {&h, &mixed, &reset_skip, &y, &hidden_h, &said, &hidden_reset_skip}) *rest = next(d);
    hidden = next(d_ff);
  }
  static int64_t size(int64_t rows, int64_t d, int64_t d_ff) { return rows * (4 + 7 * d + d_ff); }
};

// Calls f(first row, rows) for some rows at a time, so that what one product leaves is in the second-level cache for
// the next.
template <typename F>
void in_chunks(int64_t rows, int64_t d, const F& f) {
  const int64_t size = std::max<int64_t>(192, 32768 / d);
  for (int64_t first = 0; first < rows; first += size) f(first, std::min(size, rows - first));
}

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
    in_chunks(rows, d, [&](int64_t first, int64_t m) {
      const Kept<T> kept(buffer, rows, d, d_ff, first);
      T* const projected = features.data_ptr<T>() + first * n.projected();
      normalise(m, d, x.const_data_ptr<T>() + first * d, w.norm.weight, w.norm.bias, kept.h, kept.moments);
      apply(w.project, m, n.projected(), d, kept.h, projected);
      activate(m, n, projected);
    });
    attended = read_sequence(features, channels.contiguous(), contiguous(is_first), keys, values);
    in_chunks(rows, d, [&](int64_t first, int64_t m) {
      const Kept<T> kept(buffer, rows, d, d_ff, first);
      apply(w.output, m, d, n.width(), attended.const_data_ptr<T>() + first * n.width(), kept.mixed, true);
      gate(m, d, x.const_data_ptr<T>() + first * d, kept.mixed, w.gate,
           {gates.data_ptr<T>() + first * 3 * d, kept.reset_skip}, kept.y);
      normalise(m, d, kept.y, w.hidden_norm.weight, w.hidden_norm.bias, kept.hidden_h, kept.hidden_moments);
      apply(w.enter, m, d_ff, d, kept.hidden_h, kept.hidden, true);
      apply(w.leave, m, d, d_ff, kept.hidden, kept.said, true);
      gate(m, d, kept.y, kept.said, w.hidden_gate,
           {hidden_gates.data_ptr<T>() + first * 3 * d, kept.hidden_reset_skip}, z.data_ptr<T>() + first * d);
    });
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
  const Tensor of_x = empty(x.sizes(), x), of_attended = empty(attended.sizes(), x);
  Tensors result{of_x, grad_keys, grad_values};
  for (const Tensor& weight : weights) result.push_back(at::zeros_like(weight));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "block_backward", [&] {
    using T = scalar_t;
    const Layer<const T> w(weights.data());
    const Layer<T> of_w(result.data() + 3);
    Tensor room;
    in_chunks(rows, d, [&](int64_t first, int64_t m) {
      const Kept<T> kept(buffer, rows, d, d_ff, first);
      if (!room.defined()) room = empty({m, 5 * d + d_ff}, x);
      T *const of_y = room.data_ptr<T>(), *const of_rows = of_y + m * d, *const of_gates = of_rows + m * d;
      T* const of_hidden = of_gates + m * 3 * d;
      gate_back<T>(m, d, grad.const_data_ptr<T>() + first * d, kept.y, kept.said, w.hidden_gate,
                   {hidden_gates.const_data_ptr<T>() + first * 3 * d, kept.hidden_reset_skip}, of_gates, of_y, of_rows,
                   of_w.hidden_gate);
      relu_back(m, d, kept.said, of_rows, of_w.leave.bias);
      apply_back<T>(w.leave, m, d, d_ff, kept.hidden, of_rows, of_hidden, of_w.leave.weight);
      relu_back(m, d_ff, kept.hidden, of_hidden, of_w.enter.bias);
      apply_back<T>(w.enter, m, d_ff, d, kept.hidden_h, of_hidden, of_rows, of_w.enter.weight);
      normalise_back<T>(m, d, of_rows, kept.y, kept.hidden_moments, w.hidden_norm.weight, of_y,
                        of_w.hidden_norm.weight, of_w.hidden_norm.bias);

      gate_back<T>(m, d, of_y, x.const_data_ptr<T>() + first * d, kept.mixed, w.gate,
                   {gates.const_data_ptr<T>() + first * 3 * d, kept.reset_skip}, of_gates,
                   of_x.data_ptr<T>() + first * d, of_rows, of_w.gate);
      relu_back(m, d, kept.mixed, of_rows, of_w.output.bias);
      apply_back<T>(w.output, m, d, n.width(), attended.const_data_ptr<T>() + first * n.width(), of_rows,
                    of_attended.data_ptr<T>() + first * n.width(), of_w.output.weight);
    });
    const Tensor of_features =
        read_sequence_back(of_attended, grad_keys, grad_values, features, channels.contiguous(), contiguous(is_first),
                           keys.contiguous(), values.contiguous());
    in_chunks(rows, d, [&](int64_t first, int64_t m) {
      const Kept<T> kept(buffer, rows, d, d_ff, first);
      const T* const of_projected = of_features.const_data_ptr<T>() + first * n.projected();
      T* const of_h = room.data_ptr<T>();
      sum_rows(m, n.projected(), of_projected, of_w.project.bias);
      apply_back<T>(w.project, m, n.projected(), d, kept.h, of_projected, of_h, of_w.project.weight);
      normalise_back<T>(m, d, of_h, x.const_data_ptr<T>() + first * d, kept.moments, w.norm.weight,
                        of_x.data_ptr<T>() + first * d, of_w.norm.weight, of_w.norm.bias);
    });
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "block(Tensor x, Tensor channels, Tensor? is_first, Tensor keys, Tensor values, Tensor[] weights) -> Tensor[]");
  library.def(
      "block_backward(Tensor? grad, Tensor? grad_keys, Tensor? grad_values, Tensor x, Tensor channels,"
      " Tensor? is_first, Tensor keys, Tensor values, Tensor[] weights, Tensor gates, Tensor hidden_gates, Tensor features,"
      " Tensor attended, Tensor buffer) -> Tensor[]");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("block", block);
  library.impl("block_backward", block_backward);
}

}  // namespace rllib_recattn
