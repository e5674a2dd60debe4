#include "sequence.h"

#include <vector>

#include "parallel.h"

namespace rllib_recattn {
namespace {

// A row's arrays: features [T, P], channels [T, R], is_first [T].
template <typename T>
struct Row {
  const T *projected, *channels;
  const bool* is_first;
  int64_t steps;
  Sizes n;

  Row(const Sequences<T>& all, int64_t row) : steps(all.steps), n(all.n) {
    projected = all.features + row * steps * n.projected();
    channels = all.channels + row * steps * n.channels;
    is_first = all.is_first ? all.is_first + row * steps : nullptr;
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

template <typename T>
void read_sequence(const Sequences<T>& sequences, T* keys, T* values, T* attended) {
  const Sizes& n = sequences.n;
  parallel_for(0, sequences.rows * n.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t row = index / n.heads, head = index % n.heads;
      const auto some = n.eta == 4 ? read<4, T> : read<0, T>;
      some(Row<T>(sequences, row), head, keys + index * n.keys(), values + index * n.values(),
           attended + row * sequences.steps * n.width());
    }
  });
}

template <typename T>
void read_sequence_back(const Sequences<T>& sequences, const T* keys, const T* values, const T* grad_attended,
                        T* grad_keys, T* grad_values, T* grad_projected) {
  const Sizes& n = sequences.n;
  parallel_for(0, sequences.rows * n.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t row = index / n.heads, head = index % n.heads;
      const bool usual = n.eta == 4 && n.channels == 3;  // the defaults
      const auto back = usual ? read_back<4, 3, T> : read_back<0, 0, T>;
      back(Row<T>(sequences, row), head, keys + index * n.keys(), values + index * n.values(),
           grad_attended + row * sequences.steps * n.width(), grad_keys + index * n.keys(),
           grad_values + index * n.values(), grad_projected + row * sequences.steps * n.projected());
    }
  });
}

template void read_sequence<float>(const Sequences<float>&, float*, float*, float*);
template void read_sequence<double>(const Sequences<double>&, double*, double*, double*);
template void read_sequence_back<float>(const Sequences<float>&, const float*, const float*, const float*, float*,
                                        float*, float*);
template void read_sequence_back<double>(const Sequences<double>&, const double*, const double*, const double*, double*,
                                         double*, double*);

}  // namespace rllib_recattn
