// One acting step of a whole AGaLiTe of gated blocks with feed-forward parts, without gradients.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#include "attention.h"
#include "gate.h"

namespace rllib_recattn {
namespace {

using at::Tensor;

// Multiplications in a product from which oneDNN is faster; rllib_recattn/models/linear.py tells more.
constexpr int64_t kLarge = 256 * 64 * 64;

Tensor onednn_linear(const c10::OperatorHandle& op, const Tensor& x, const Tensor& weight,
                     const std::optional<Tensor>& bias) {
  c10::List<std::optional<at::Scalar>> no_scalars;
  torch::jit::Stack stack{x, weight, bias, "none", no_scalars, ""};
  op.callBoxed(stack);
  return stack.front().toTensor();
}

Tensor product(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias = std::nullopt) {
  static const auto op = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (op.has_value() && x.scalar_type() == at::kFloat && x.numel() * weight.size(0) >= kLarge) {
    return onednn_linear(*op, x, weight, bias);
  }
  return at::linear(x, weight, bias);
}

struct Affine {
  Tensor weight, bias;
  Tensor operator()(const Tensor& x) const { return product(x, weight, bias); }
  Tensor normalise(const Tensor& x) const {
    return std::get<0>(at::native_layer_norm(x, {x.size(1)}, weight, bias, 1e-6));
  }
};

struct Gate {
  Tensor bias, from_sublayer, from_skip, from_reset_skip;
  Tensor operator()(const Tensor& skip, const Tensor& sublayer) const {
    const Tensor by_sublayer = product(sublayer, from_sublayer), gates = product(skip, from_skip);
    const Tensor reset_skip = gate_reset(gates, by_sublayer, bias, skip);
    return gate_output(product(reset_skip, from_reset_skip), by_sublayer, gates, skip);
  }
};

// A block's weights, in the order in which PyTorch lists them.
struct Layer {
  static constexpr size_t kTensors = 20;
  Affine project, output, norm;
  Gate gate;
  Affine hidden_norm, enter, leave;
  Gate hidden_gate;

  explicit Layer(const Tensor* w)
      : project{w[0], w[1]},
        output{w[2], w[3]},
        norm{w[4], w[5]},
        gate{w[6], w[7], w[8], w[9]},
        hidden_norm{w[10], w[11]},
        enter{w[12], w[13]},
        leave{w[14], w[15]},
        hidden_gate{w[16], w[17], w[18], w[19]} {}
};

// cos(ω_j t) of each row's step and 1 [B, R]; the rows' clocks after it go to the first number of their new state.
template <typename T>
Tensor channels_of(const Tensor& state, const bool* is_first, at::ArrayRef<double> frequencies, double offset,
                   int64_t period, bool restarts, const Tensor& new_state) {
  const int64_t rows = state.size(0), size = state.size(1), n = frequencies.size() + 1;
  const Tensor channels = at::empty({rows, n}, state.options());
  T* out = channels.data_ptr<T>();
  for (int64_t row = 0; row < rows; ++row, out += n) {
    const bool anew = restarts && is_first && is_first[row];
    const T count = anew ? T(0) : std::fmod(state.const_data_ptr<T>()[row * size], T(period));
    for (int64_t j = 0; j < n - 1; ++j) out[j] = std::cos((count + T(offset)) * T(frequencies[j]));
    out[n - 1] = 1;
    new_state.data_ptr<T>()[row * size] = std::fmod(count + 1, T(period));
  }
  return channels;
}

// One layer's attention, from the memories in `state` at `offset` to those in `new_state`.
template <typename T>
Tensor attend(const Tensor& projected, const Tensor& channels, const bool* is_first, const Sizes& n,
              const Tensor& state, const Tensor& new_state, int64_t offset) {
  const int64_t rows = projected.size(0), size = state.size(1);
  const Tensor gates = at::sigmoid(projected.narrow(1, n.rectified(), n.gates())).contiguous();
  const Tensor output = at::empty({rows, n.width()}, projected.options());
  at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
    std::vector<T> overlap(n.channels), scratch(2 * n.d_head + 3 * n.eta);
    for (int64_t row = begin; row < end; ++row) {
      const T* old = state.const_data_ptr<T>() + row * size + offset;
      T *keys = new_state.data_ptr<T>() + row * size + offset, *values = keys + n.heads * n.keys();
      if (is_first && is_first[row]) {
        std::fill_n(keys, n.heads * (n.keys() + n.values()), T(0));
      } else {
        std::copy_n(old, n.heads * (n.keys() + n.values()), keys);
      }
      for (int64_t head = 0; head < n.heads; ++head) {
        const Features<const T> features(projected.const_data_ptr<T>() + row * n.projected(),
                                         gates.const_data_ptr<T>() + row * n.gates(), n, head);
        const auto write = n.eta == 4 ? write_and_read<4, T> : write_and_read<0, T>;
        write(features, channels.const_data_ptr<T>() + row * n.channels, n, keys + head * n.keys(),
                       values + head * n.values(), overlap.data(),
                       output.data_ptr<T>() + row * n.width() + head * n.d_head, scratch.data());
      }
    }
  });
  return output;
}

// x [B, D_in], state [B, S], is_first [B] booleans; the model's weights in the order in which PyTorch lists them.
// Returns the output [B, D] and the new state.
std::tuple<Tensor, Tensor> agalite_step(const Tensor& x, const Tensor& state_, const std::optional<Tensor>& is_first_,
                                        at::TensorList weights, int64_t heads, int64_t d_head, int64_t eta,
                                        at::ArrayRef<double> frequencies, double offset, int64_t period,
                                        bool restarts) {
  const Tensor new_state = at::empty(state_.sizes(), state_.options());
  Tensor result = at::empty({0}, x.options());
  c10::InferenceMode guard;
  const Sizes n{heads, d_head, eta, static_cast<int64_t>(frequencies.size()) + 1};
  const Tensor state = state_.contiguous();
  const auto first = is_first_.has_value() ? std::optional<Tensor>(is_first_->contiguous()) : std::nullopt;
  const bool* is_first = first.has_value() ? first->const_data_ptr<bool>() : nullptr;
  TORCH_CHECK(weights.size() % Layer::kTensors == 2, weights.size(), " weights are not those of an AGaLiTe");
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "agalite_step", [&] {
    const Tensor channels =
        channels_of<scalar_t>(state, is_first, frequencies, offset, period, restarts, new_state);
    Tensor y = Affine{weights[0], weights[1]}(x).relu_();
    int64_t place = 1;
    for (size_t index = 2; index < weights.size(); index += Layer::kTensors) {
      const Layer layer(&weights[index]);
      const Tensor projected = layer.project(layer.norm.normalise(y));
      const Tensor attended = attend<scalar_t>(projected, channels, is_first, n, state, new_state, place);
      y = layer.gate(y, layer.output(attended).relu_());
      const Tensor hidden = layer.enter(layer.hidden_norm.normalise(y)).relu_();
      y = layer.hidden_gate(y, layer.leave(hidden).relu_());
      place += heads * (n.keys() + n.values());
    }
    result.resize_(y.sizes()).copy_(y);
  });
  return {result, new_state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "agalite_step(Tensor x, Tensor state, Tensor? is_first, Tensor[] weights, int heads, int d_head, int eta,"
      " float[] frequencies, float offset, int period, bool restarts) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) { library.impl("agalite_step", agalite_step); }

}  // namespace rllib_recattn
