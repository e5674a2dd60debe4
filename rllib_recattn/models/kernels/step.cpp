// One acting step of a whole AGaLiTe of gated blocks with feed-forward parts, without gradients.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#include "attention.h"
#include "layer.h"

namespace rllib_recattn {
namespace {

using at::Tensor;

// cos(ω_j t) of each row's step and 1 [B, R]; the rows' clocks after it go to the first number of their new state.
template <typename T>
Tensor channels_of(const Tensor& state, const bool* is_first, at::ArrayRef<double> frequencies, double offset,
                   int64_t period, const Tensor& new_state) {
  const int64_t rows = state.size(0), size = state.size(1), n = frequencies.size() + 1;
  const Tensor channels = at::empty({rows, n}, state.options());
  T* out = channels.data_ptr<T>();
  for (int64_t row = 0; row < rows; ++row, out += n) {
    const T count = is_first && is_first[row] ? T(0) : std::fmod(state.const_data_ptr<T>()[row * size], T(period));
    for (int64_t j = 0; j < n - 1; ++j) out[j] = std::cos((count + T(offset)) * T(frequencies[j]));
    out[n - 1] = 1;
    new_state.data_ptr<T>()[row * size] = std::fmod(count + 1, T(period));
  }
  return channels;
}

// One layer's attention, from the memories in `state` at `offset` to those in `new_state`.
template <typename T>
Tensor attend(const Tensor& features, const Tensor& channels, const bool* is_first, const Sizes& n,
              const Tensor& state, const Tensor& new_state, int64_t offset) {
  const int64_t rows = features.size(0), size = state.size(1);
  const Tensor output = at::empty({rows, n.width()}, features.options());
  at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
    std::vector<T> overlap(n.channels), scratch(n.d_head + 3 * n.eta);
    for (int64_t row = begin; row < end; ++row) {
      const T* old = state.const_data_ptr<T>() + row * size + offset;
      T *keys = new_state.data_ptr<T>() + row * size + offset, *values = keys + n.heads * n.keys();
      if (is_first && is_first[row]) {
        std::fill_n(keys, n.heads * (n.keys() + n.values()), T(0));
      } else {
        std::copy_n(old, n.heads * (n.keys() + n.values()), keys);
      }
      for (int64_t head = 0; head < n.heads; ++head) {
        const auto write = n.eta == 4 ? write_and_read<4, T> : write_and_read<0, T>;
        write({features.const_data_ptr<T>() + row * n.projected(), n, head},
              channels.const_data_ptr<T>() + row * n.channels, n, keys + head * n.keys(),
              values + head * n.values(), overlap.data(),
              output.data_ptr<T>() + row * n.width() + head * n.d_head, scratch.data());
      }
    }
  });
  return output;
}

// x [B, D_in], state [B, S], is_first [B] booleans; the model's weights in the order in which PyTorch lists them.
// Returns the output [B, D] and the new state.
std::tuple<Tensor, Tensor> agalite_step(const Tensor& x_, const Tensor& state_, const std::optional<Tensor>& is_first_,
                                        at::TensorList weights_, int64_t heads, int64_t d_head, int64_t eta,
                                        at::ArrayRef<double> frequencies, double offset, int64_t period) {
  const std::vector<Tensor> weights = dense(weights_);
  constexpr size_t kTensors = Layer<const float>::kTensors;
  TORCH_CHECK(weights.size() % kTensors == 2, weights.size(), " weights are not those of an AGaLiTe");
  const int64_t rows = x_.size(0), d = weights[0].size(0), d_ff = weights.size() > 2 ? weights[14].size(0) : 0;
  const Tensor new_state = at::empty(state_.sizes(), state_.options()), result = at::empty({rows, d}, x_.options());
  c10::InferenceMode guard;
  const Sizes n{heads, d_head, eta, static_cast<int64_t>(frequencies.size()) + 1};
  const Tensor x = x_.contiguous(), state = state_.contiguous();
  const auto first = is_first_.has_value() ? std::optional<Tensor>(is_first_->contiguous()) : std::nullopt;
  const bool* is_first = first.has_value() ? first->const_data_ptr<bool>() : nullptr;
  const Tensor features = at::empty({rows, n.projected()}, x.options());
  const Tensor room = at::empty({rows, 2 + 6 * d + d_ff}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "agalite_step", [&] {
    using T = scalar_t;
    const Tensor channels = channels_of<T>(state, is_first, frequencies, offset, period, new_state);
    T *const y = result.data_ptr<T>(), *const projected = features.data_ptr<T>();
    T *const h = room.data_ptr<T>(), *const said = h + rows * d, *const hidden = said + rows * d;
    const GateMemory<T> gates{hidden + rows * d_ff, hidden + rows * (d_ff + 3 * d)};
    T* const moments = gates.reset_skip + rows * d;
    const Affine<const T> embedding{weights[0].const_data_ptr<T>(), weights[1].const_data_ptr<T>()};
    apply(embedding, rows, d, x.size(1), x.const_data_ptr<T>(), y, true);
    int64_t place = 1;
    for (size_t index = 2; index < weights.size(); index += kTensors) {
      const Layer<const T> w(&weights[index]);
      normalise(rows, d, y, w.norm.weight, w.norm.bias, h, moments);
      apply(w.project, rows, n.projected(), d, h, projected);
      activate(rows, n, projected);
      const Tensor attended = attend<T>(features, channels, is_first, n, state, new_state, place);
      apply(w.output, rows, d, n.width(), attended.const_data_ptr<T>(), said, true);
      gate(rows, d, y, said, w.gate, gates, y);
      normalise(rows, d, y, w.hidden_norm.weight, w.hidden_norm.bias, h, moments);
      apply(w.enter, rows, d_ff, d, h, hidden, true);
      apply(w.leave, rows, d, d_ff, hidden, said, true);
      gate(rows, d, y, said, w.hidden_gate, gates, y);
      place += heads * (n.keys() + n.values());
    }
  });
  return {result, new_state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "agalite_step(Tensor x, Tensor state, Tensor? is_first, Tensor[] weights, int heads, int d_head, int eta,"
      " float[] frequencies, float offset, int period) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) { library.impl("agalite_step", agalite_step); }

}  // namespace rllib_recattn
