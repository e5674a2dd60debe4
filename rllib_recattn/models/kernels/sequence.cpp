#include "sequence.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <vector>

namespace rllib_recattn {
namespace {

using at::Tensor;

// A row's tensors: features [T, P], channels [T, R], is_first [T].
template <typename T>
struct Row {
  const T *projected, *channels;
  const bool* is_first;
  int64_t steps;
  Sizes n;

  Row(const Tensor& features_, const Tensor& channels_, const std::optional<Tensor>& first, const Sizes& sizes,
      int64_t row)
      : steps(features_.size(1)), n(sizes) {
    projected = features_.const_data_ptr<T>() + row * steps * n.projected();
    channels = channels_.const_data_ptr<T>() + row * steps * n.channels;
    is_first = first.has_value() ? first->const_data_ptr<bool>() + row * steps : nullptr;
  }
  Features<const T> features(int64_t t, int64_t head) const { return {projected + t * n.projected(), n, head}; }
  bool starts(int64_t t) const { return is_first && is_first[t]; }
};

template <int64_t kEta, typename T>
void read(const Row<T>& row, int64_t head, T* keys, T* values, T* output) {
  const Sizes& n = row.n;
  std::vector<T> overlap(n.channels), scratch(n.d_head + 3 * n.eta);
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
void read_back(const Row<T>& row, int64_t head, const T* keys, const T* values, const T* grad_output, T* grad_keys,
               T* grad_values, T* grad_projected) {
  const Sizes& n = row.n;
  const std::vector<T> nothing(n.keys() + n.values(), T(0));
  // Fresh memory costs more than all of the arithmetic here, so a thread keeps it.
  thread_local std::vector<T> all_keys, all_values;
  all_keys.resize((row.steps + 1) * n.keys());
  all_values.resize((row.steps + 1) * n.values());
  std::vector<T> overlaps(row.steps * n.channels), output(n.d_head), scratch(4 * n.d_head + n.channels + 3 * n.eta);
  std::copy_n(keys, n.keys(), all_keys.data());
  std::copy_n(values, n.values(), all_values.data());
  const auto keys_before = [&](int64_t t) { return row.starts(t) ? nothing.data() : &all_keys[t * n.keys()]; };
  const auto values_before = [&](int64_t t) {
    return row.starts(t) ? nothing.data() : all_values.data() + t * n.values();
  };
  for (int64_t t = 0; t < row.steps; ++t) {
    T *keys_after = &all_keys[(t + 1) * n.keys()], *values_after = all_values.data() + (t + 1) * n.values();
    std::copy_n(keys_before(t), n.keys(), keys_after);
    std::copy_n(values_before(t), n.values(), values_after);
    write_and_read<kEta>(row.features(t, head), row.channels + t * n.channels, n, keys_after, values_after,
                         &overlaps[t * n.channels], output.data(), scratch.data());
  }
  for (int64_t t = row.steps - 1; t >= 0; --t) {
    step_back<kChannels>(row.features(t, head), row.channels + t * n.channels, n, keys_before(t),
                         &all_keys[(t + 1) * n.keys()], values_before(t), all_values.data() + (t + 1) * n.values(),
                         &overlaps[t * n.channels], grad_output + t * n.width() + head * n.d_head, grad_keys,
                         grad_values, Features<T>(grad_projected + t * n.projected(), n, head), scratch.data());
    if (row.starts(t)) {
      std::fill_n(grad_keys, n.keys(), T(0));
      std::fill_n(grad_values, n.values(), T(0));
    }
  }
}

}  // namespace

Tensor read_sequence(const Tensor& features, const Tensor& channels, const std::optional<Tensor>& is_first,
                     const Tensor& keys, const Tensor& values) {
  const Sizes n = sizes_of(keys, values);
  const int64_t rows = features.size(0), steps = features.size(1);
  const Tensor output = at::empty({rows, steps, n.width()}, features.options());
  AT_DISPATCH_FLOATING_TYPES(features.scalar_type(), "read_sequence", [&] {
    at::parallel_for(0, rows * n.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t row = index / n.heads, head = index % n.heads;
        const auto some = n.eta == 4 ? read<4, scalar_t> : read<0, scalar_t>;
        some(Row<scalar_t>(features, channels, is_first, n, row), head, keys.data_ptr<scalar_t>() + index * n.keys(),
             values.data_ptr<scalar_t>() + index * n.values(), output.data_ptr<scalar_t>() + row * steps * n.width());
      }
    });
  });
  return output;
}

Tensor read_sequence_back(const Tensor& grad_attended, const Tensor& grad_keys, const Tensor& grad_values,
                          const Tensor& features, const Tensor& channels, const std::optional<Tensor>& is_first,
                          const Tensor& keys, const Tensor& values) {
  const Sizes n = sizes_of(keys, values);
  const int64_t rows = features.size(0), steps = features.size(1);
  const Tensor grad = at::empty(features.sizes(), features.options());
  AT_DISPATCH_FLOATING_TYPES(features.scalar_type(), "read_sequence_back", [&] {
    at::parallel_for(0, rows * n.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t row = index / n.heads, head = index % n.heads;
        const bool usual = n.eta == 4 && n.channels == 3;  // the defaults
        const auto back = usual ? read_back<4, 3, scalar_t> : read_back<0, 0, scalar_t>;
        back(Row<scalar_t>(features, channels, is_first, n, row), head,
             keys.const_data_ptr<scalar_t>() + index * n.keys(),
             values.const_data_ptr<scalar_t>() + index * n.values(),
             grad_attended.const_data_ptr<scalar_t>() + row * steps * n.width(),
             grad_keys.data_ptr<scalar_t>() + index * n.keys(),
             grad_values.data_ptr<scalar_t>() + index * n.values(),
             grad.data_ptr<scalar_t>() + row * steps * n.projected());
      }
    });
  });
  return grad;
}

}  // namespace rllib_recattn
