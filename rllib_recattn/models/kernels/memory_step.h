// The acting step of the memories in outer_product.h, whose place in a row's state is the mixer's.
#pragma once

#include "outer_product.h"
#include "stack.h"

namespace rllib_recattn {

// Returns cos θ [K/2] and sin θ [K/2] as T.
template <typename T>
const T* rotation_of(Room<T>& room, const Heads& n, const double* angles) {
  T* const rotation = room.take(n.keys);
  std::copy_n(angles, n.keys, rotation);
  return rotation;
}

// Calls write(row) for all rows, and takes the steps of their memories, which stand first in the part of the state.
// output [B, H, V].
template <typename T, typename F>
void step_all_memories(const Heads& n, const Part<T>& part, T* output, const F& write) {
  parallel_for(0, part.step.rows, 8, [&](int64_t begin, int64_t end) {
    thread_local std::vector<T> scratch;
    scratch.resize(n.values);
    for (int64_t row = begin; row < end; ++row) {
      step_memories<T>(n, write(row), part.before(row, n.memory()), part.after(row), output + row * n.all_values(),
                       scratch.data());
    }
  });
}

// z ← α z + k [H, K], of one row's heads, which stand behind their memories in the part of the state; writes z · q [H].
template <typename T>
void step_sum_of_keys(const Heads& n, const Part<T>& part, int64_t row, const Write<T>& w, T* weights) {
  const T* before = part.before(row, n.all_keys(), n.memory());
  T* after = part.after(row, n.memory());
  for (int64_t head = 0; head < n.n; ++head, before += n.keys, after += n.keys) {
    const T *const key = w.key + head * n.keys, *const query = w.query + head * n.keys;
    const T decay = w.decay ? w.decay[head] : T(1);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n.keys; ++i) {
      const T z = decay * before[i] + key[i];
      after[i] = z;
      sum += z * query[i];
    }
    weights[head] = sum;
  }
}

}  // namespace rllib_recattn
