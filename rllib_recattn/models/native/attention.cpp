// Whole sequences of AGaLiTe's attention, forward and backward, as operators of PyTorch.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <vector>

#include "attention.h"

namespace rllib_recattn {
namespace {

using at::Tensor;

Sizes sizes_of(const Tensor& keys, const Tensor& values) {
  const int64_t d = values.size(3);
  return {keys.size(1), d, keys.size(3) / d, keys.size(2)};
}

const bool* flags(const std::optional<Tensor>& is_first) {
  return is_first.has_value() ? is_first->const_data_ptr<bool>() : nullptr;
}

// A row's tensors: projections [T, P], gates [T, G], channels [T, R], is_first [T].
template <typename T>
struct Row {
  const T *projected, *gates, *channels;
  const bool* is_first;
  int64_t steps;
  Sizes n;

  Row(const Tensor& projected_, const Tensor& gates_, const Tensor& channels_, const std::optional<Tensor>& first,
      const Sizes& sizes, int64_t row)
      : steps(projected_.size(1)), n(sizes) {
    projected = projected_.const_data_ptr<T>() + row * steps * n.projected();
    gates = gates_.const_data_ptr<T>() + row * steps * n.gates();
    channels = channels_.const_data_ptr<T>() + row * steps * n.channels;
    is_first = flags(first) ? flags(first) + row * steps : nullptr;
  }
  Features<const T> features(int64_t t, int64_t head) const {
    return {projected + t * n.projected(), gates + t * n.gates(), n, head};
  }
  bool starts(int64_t t) const { return is_first && is_first[t]; }
};

template <int64_t kEta, typename T>
void read_sequence(const Row<T>& row, int64_t head, T* keys, T* values, T* output) {
  const Sizes& n = row.n;
  std::vector<T> overlap(n.channels), scratch(2 * n.d_head + 3 * n.eta);
  for (int64_t t = 0; t < row.steps; ++t) {
    if (row.starts(t)) {
      std::fill_n(keys, n.keys(), T(0));
      std::fill_n(values, n.values(), T(0));
    }
    write_and_read<kEta>(row.features(t, head), row.channels + t * n.channels, n, keys, values, overlap.data(),
                   output + t * n.width() + head * n.d_head, scratch.data());
  }
}

// Walks through the sequence once more and keeps all memories, which then are in the second-level cache, and back.
template <int64_t kEta, int64_t kChannels, typename T>
void sequence_back(const Row<T>& row, int64_t head, const T* keys, const T* values, const T* grad_output,
                   T* grad_keys, T* grad_values, T* grad_projected) {
  const Sizes& n = row.n;
  const std::vector<T> nothing(n.keys() + n.values(), T(0));
  // Fresh memory costs more than all of the arithmetic here, so a thread keeps it.
  thread_local std::vector<T> all_keys, all_values;
  all_keys.resize((row.steps + 1) * n.keys());
  all_values.resize((row.steps + 1) * n.values());
  std::vector<T> overlaps(row.steps * n.channels), output(n.d_head), scratch(6 * n.d_head + n.channels + 3 * n.eta);
  std::copy_n(keys, n.keys(), all_keys.data());
  std::copy_n(values, n.values(), all_values.data());
  const auto keys_before = [&](int64_t t) { return row.starts(t) ? nothing.data() : &all_keys[t * n.keys()]; };
  const auto values_before = [&](int64_t t) { return row.starts(t) ? nothing.data() : &all_values[t * n.values()]; };
  for (int64_t t = 0; t < row.steps; ++t) {
    T *keys_after = &all_keys[(t + 1) * n.keys()], *values_after = all_values.data() + (t + 1) * n.values();
    std::copy_n(keys_before(t), n.keys(), keys_after);
    std::copy_n(values_before(t), n.values(), values_after);
    write_and_read<kEta>(row.features(t, head), row.channels + t * n.channels, n, keys_after, values_after,
                   &overlaps[t * n.channels], output.data(), scratch.data());
  }
  for (int64_t t = row.steps - 1; t >= 0; --t) {
    T* projected = grad_projected + t * n.projected();
    Features<T> grad(projected, projected + n.rectified(), n, head);  // gates stand in the middle of the projections
    step_back<kChannels>(row.features(t, head), row.channels + t * n.channels, n, keys_before(t), &all_keys[(t + 1) * n.keys()],
              values_before(t), all_values.data() + (t + 1) * n.values(), &overlaps[t * n.channels],
              grad_output + t * n.width() + head * n.d_head, grad_keys, grad_values, grad, scratch.data());
    if (row.starts(t)) {
      std::fill_n(grad_keys, n.keys(), T(0));
      std::fill_n(grad_values, n.values(), T(0));
    }
  }
}

std::optional<Tensor> contiguous(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? std::optional<Tensor>(tensor->contiguous()) : std::nullopt;
}

// projected [B, T, P], channels [B, T, R], is_first [B, T] booleans, keys [B, H, R, η d], values [B, H, r, d].
// Returns the attended values [B, T, H d], both memories after the last step, and the gates [B, T, 2 H d + H η].
std::tuple<Tensor, Tensor, Tensor, Tensor> attention(const Tensor& projected_, const Tensor& channels_,
                                                     const std::optional<Tensor>& is_first_, const Tensor& keys_,
                                                     const Tensor& values_) {
  const Sizes n = sizes_of(keys_, values_);
  const Tensor projected = projected_.contiguous(), channels = channels_.contiguous();
  const auto is_first = contiguous(is_first_);
  const int64_t rows = projected.size(0), steps = projected.size(1);
  TORCH_CHECK(projected.size(2) == n.projected() && channels.size(2) == n.channels, "sizes do not fit together");
  const Tensor keys = keys_.clone(at::MemoryFormat::Contiguous), values = values_.clone(at::MemoryFormat::Contiguous);
  const Tensor gates = at::sigmoid(projected.narrow(2, n.rectified(), n.gates())).contiguous();
  const Tensor output = at::empty({rows, steps, n.width()}, projected.options());
  AT_DISPATCH_FLOATING_TYPES(projected.scalar_type(), "attention", [&] {
    at::parallel_for(0, rows * n.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t row = index / n.heads, head = index % n.heads;
        const auto read = n.eta == 4 ? read_sequence<4, scalar_t> : read_sequence<0, scalar_t>;
        read(Row<scalar_t>(projected, gates, channels, is_first, n, row), head,
             keys.data_ptr<scalar_t>() + index * n.keys(), values.data_ptr<scalar_t>() + index * n.values(),
             output.data_ptr<scalar_t>() + row * steps * n.width());
      }
    });
  });
  return {output, keys, values, gates};
}

// Gradients of `projected`, `keys` and `values`, given those of the outputs and of the memories after the last step.
std::tuple<Tensor, Tensor, Tensor> attention_backward(const Tensor& grad_output_, const Tensor& grad_keys_,
                                                      const Tensor& grad_values_, const Tensor& projected_,
                                                      const Tensor& gates_, const Tensor& channels_,
                                                      const std::optional<Tensor>& is_first_, const Tensor& keys_,
                                                      const Tensor& values_) {
  const Sizes n = sizes_of(keys_, values_);
  const Tensor projected = projected_.contiguous(), gates = gates_.contiguous(), channels = channels_.contiguous();
  const Tensor keys = keys_.contiguous(), values = values_.contiguous(), grad_output = grad_output_.contiguous();
  const auto is_first = contiguous(is_first_);
  const int64_t rows = projected.size(0), steps = projected.size(1);
  const Tensor grad_keys = grad_keys_.clone(at::MemoryFormat::Contiguous);
  const Tensor grad_values = grad_values_.clone(at::MemoryFormat::Contiguous);
  const Tensor grad_projected = at::empty_like(projected);
  AT_DISPATCH_FLOATING_TYPES(projected.scalar_type(), "attention_backward", [&] {
    at::parallel_for(0, rows * n.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t row = index / n.heads, head = index % n.heads;
        const bool usual = n.eta == 4 && n.channels == 3;  // the defaults
        const auto back = usual ? sequence_back<4, 3, scalar_t> : sequence_back<0, 0, scalar_t>;
        back(Row<scalar_t>(projected, gates, channels, is_first, n, row), head,
             keys.const_data_ptr<scalar_t>() + index * n.keys(),
             values.const_data_ptr<scalar_t>() + index * n.values(),
             grad_output.const_data_ptr<scalar_t>() + row * steps * n.width(),
             grad_keys.data_ptr<scalar_t>() + index * n.keys(),
             grad_values.data_ptr<scalar_t>() + index * n.values(),
             grad_projected.data_ptr<scalar_t>() + row * steps * n.projected());
      }
    });
  });
  return {grad_projected, grad_keys, grad_values};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(rllib_recattn, library) {
  library.def(
      "attention(Tensor projected, Tensor channels, Tensor? is_first, Tensor keys, Tensor values)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "attention_backward(Tensor grad_output, Tensor grad_keys, Tensor grad_values, Tensor projected, Tensor gates,"
      " Tensor channels, Tensor? is_first, Tensor keys, Tensor values) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(rllib_recattn, CPU, library) {
  library.impl("attention", attention);
  library.impl("attention_backward", attention_backward);
}

}  // namespace rllib_recattn
