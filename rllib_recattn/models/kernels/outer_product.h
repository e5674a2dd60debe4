// The memories of a row's heads that are sums of outer products with decays, and of the delta rule, in one step:
//
//   S ← Diag(α) R(−θ) S      S ← S + k uᵀ      o = Sᵀ q
//
// with u = v, or u = β (v − Sᵀ k) by the delta rule. rllib_recattn/models/parts/gated_linear_attention.py,
// delta_rule.py and rotation.py there have it for PyTorch.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rllib_recattn {

constexpr int64_t kAhead = 1024;  // bytes, by which memories are asked for before they are read

struct Heads {
  int64_t n, keys, values;  // H, K, V

  int64_t memory() const { return n * keys * values; }
  int64_t all_keys() const { return n * keys; }
  int64_t all_values() const { return n * values; }
};

// How many decays there are: none, one for each head, one for each feature of its keys, or for each of its pairs.
enum class Decays { kNone, kByHead, kByFeature, kByPair };

// What the heads of one row write, forget and ask for.
template <typename T>
struct Write {
  const T *query, *key = nullptr, *value = nullptr;  // [H, K], [H, K], [H, V]
  bool one_key = false;                              // [K] is the query and the key of all heads
  Decays decays = Decays::kNone;
  const T* decay = nullptr;     // α [H, 1, K or K/2]
  const T* strength = nullptr;  // β [H] of the delta rule
  const T* rotation = nullptr;  // cos θ [K/2] and sin θ [K/2]; null: keys are not rotated
};

// Asks for n numbers that are read soon, since a processor by itself looks ahead no further than to the end of a page.
template <typename T>
inline void ask_for(const T* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / sizeof(T)) __builtin_prefetch(from + kAhead / sizeof(T) + i);
}

// Likewise for what is written soon.
template <typename T>
inline void ask_for_writing(const T* from, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / sizeof(T)) __builtin_prefetch(from + kAhead / sizeof(T) + i, 1);
}

// after ← before ⊙ α + k uᵀ, and o [V] ← afterᵀ q, of one head; the two may be the same. α: one number every
// `decay_step`, 0 or 1.
template <typename T>
void write_and_read(const Heads& n, const T* before, T* after, const T* decay, int64_t decay_step, const T* key,
                    const T* query, const T* value, T* output) {
  const int64_t v = n.values, fours = n.keys / 4 * 4;
  std::fill_n(output, v, T(0));
  for (int64_t i = 0; i < fours; i += 4, before += 4 * v, after += 4 * v) {
    const T a0 = decay[i * decay_step], a1 = decay[(i + 1) * decay_step];
    const T a2 = decay[(i + 2) * decay_step], a3 = decay[(i + 3) * decay_step];
    if (before != after) ask_for(before, 4 * v), ask_for_writing(after, 4 * v);
#pragma omp simd
    for (int64_t j = 0; j < v; ++j) {
      const T s0 = a0 * before[j] + key[i] * value[j], s1 = a1 * before[v + j] + key[i + 1] * value[j];
      const T s2 = a2 * before[2 * v + j] + key[i + 2] * value[j], s3 = a3 * before[3 * v + j] + key[i + 3] * value[j];
      after[j] = s0, after[v + j] = s1, after[2 * v + j] = s2, after[3 * v + j] = s3;
      output[j] += s0 * query[i] + s1 * query[i + 1] + s2 * query[i + 2] + s3 * query[i + 3];
    }
  }
  for (int64_t i = fours; i < n.keys; ++i, before += v, after += v) {
#pragma omp simd
    for (int64_t j = 0; j < v; ++j) {
      const T s = decay[i * decay_step] * before[j] + key[i] * value[j];
      after[j] = s;
      output[j] += s * query[i];
    }
  }
}

// after ← α ⊙ R(−θ) before, of one head. The decays of the features κ + K/2 are `second` numbers behind those of κ.
template <typename T>
void turn_and_decay(const Heads& n, const T* before, T* after, const T* decay, int64_t decay_step, int64_t second,
                    const T* rotation) {
  const int64_t v = n.values, pairs = n.keys / 2;
  for (int64_t i = 0; i < pairs; ++i) {
    const T cosine = rotation[i], sine = rotation[pairs + i];
    const T a = decay[i * decay_step], b = decay[i * decay_step + second];
    const T *const left = before + i * v, *const right = left + pairs * v;
    T *const new_left = after + i * v, *const new_right = new_left + pairs * v;
#pragma omp simd
    for (int64_t j = 0; j < v; ++j) {
      const T x = left[j], y = right[j];
      new_left[j] = a * (x * cosine + y * sine);
      new_right[j] = b * (y * cosine - x * sine);
    }
  }
}

// sum [V] ← (α ⊙ S)ᵀ k, of one head.
template <typename T>
void read_decayed(const Heads& n, const T* memory, const T* decay, int64_t decay_step, const T* key, T* sum) {
  std::fill_n(sum, n.values, T(0));
  for (int64_t i = 0; i < n.keys; ++i, memory += n.values) {
    const T weight = decay[i * decay_step] * key[i];
#pragma omp simd
    for (int64_t j = 0; j < n.values; ++j) sum[j] += weight * memory[j];
  }
}

// Takes one row's step, from the memories before it [H, K, V] to those after it, which may be the same place; writes o
// [H, V]. scratch: V numbers.
template <typename T>
void step_memories(const Heads& n, const Write<T>& w, const T* before, T* after, T* output, T* scratch) {
  static constexpr T kOne = 1;
  const int64_t key_step = w.one_key ? 0 : n.keys, per_head = w.decays == Decays::kByPair ? n.keys / 2 : n.keys;
  const bool by_head = w.decays == Decays::kNone || w.decays == Decays::kByHead;
  for (int64_t head = 0; head < n.n; ++head, before += n.keys * n.values, after += n.keys * n.values) {
    const T *const key = w.key + head * key_step, *const query = w.query + head * key_step;
    const T *value = w.value + head * n.values, *decay = &kOne, *from = before;
    int64_t decay_step = by_head ? 0 : 1;
    if (w.decays != Decays::kNone) decay = w.decay + head * (by_head ? 1 : per_head);
    if (w.rotation) {
      turn_and_decay(n, before, after, decay, decay_step, w.decays == Decays::kByFeature ? n.keys / 2 : 0, w.rotation);
      from = after, decay = &kOne, decay_step = 0;
    }
    if (w.strength) {
      read_decayed(n, from, decay, decay_step, key, scratch);
      const T strength = w.strength[head];
#pragma omp simd
      for (int64_t j = 0; j < n.values; ++j) scratch[j] = strength * (value[j] - scratch[j]);
      value = scratch;
    }
    write_and_read(n, from, after, decay, decay_step, key, query, value, output + head * n.values);
  }
}

}  // namespace rllib_recattn
