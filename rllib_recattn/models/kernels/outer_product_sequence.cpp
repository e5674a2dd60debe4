// The memories of outer_product.h over sequences, forward and backward, as operators.

#include <vector>

#include "operator.h"
#include "outer_product.h"
#include "parallel.h"

namespace rllib_recattn {
namespace {

constexpr int64_t kChunk = 64;  // steps whose memories are kept for the way back

// sizes: B, T, H, K, V, decays of a head (1 or K). Arrays: q and k [B, T, H, K], v [B, T, H, V], α [B, T, H, 1 or K], and
// β [B, T, H] of the delta rule, or null.
template <typename T>
struct Memories {
  int64_t rows, steps, heads;
  Heads one;  // of a head by itself
  int64_t decays;
  T *query, *key, *value, *decay, *strength;

  Memories(Arrays<T>& a, const int64_t* s)
      : rows(s[0]), steps(s[1]), heads(s[2]), one{1, s[3], s[4]}, decays(s[5]), query(a.next()), key(a.next()),
        value(a.next()), decay(a.next()), strength(a.next()) {}

  // What stands at step t of a row and head, if each has n numbers.
  int64_t at(int64_t index, int64_t t, int64_t n) const {
    return ((index / heads * steps + t) * heads + index % heads) * n;
  }
  Write<T> write(int64_t index, int64_t t) const {
    Write<T> w{query + at(index, t, one.keys)};
    w.key = key + at(index, t, one.keys), w.value = value + at(index, t, one.values);
    w.decays = decays == 1 ? Decays::kByHead : Decays::kByFeature, w.decay = decay + at(index, t, decays);
    if (strength) w.strength = strength + at(index, t, 1);
    return w;
  }
  template <typename F>
  void each_memory(const F& f) const {
    parallel_for(0, rows * heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) f(index);
    });
  }
};

// Gradients of what a step is given.
template <typename T>
struct WriteGrad {
  T *query, *key, *value, *decay, *strength;
};

// The way back through one step, from S before it to S after it. grad: that of S after the step [K, V], which becomes
// that of S before it. With u what is written, g = grad + q ∂oᵀ, and for the delta rule e = v − (α ⊙ S)ᵀ k, u = β e:
//
//   ∂q = S_after ∂o      ∂u = gᵀ k      ∂k = g u      ∂v = ∂u      ∂α = Σ g ⊙ S      grad ← α ⊙ g
//   ∂β = ∂u · e      ∂e = ∂v = β ∂u      ∂k −= (α ⊙ S) ∂e      g −= k ∂eᵀ
//
// scratch: 3 V numbers.
template <bool kDelta, typename T>
void step_back(const Heads& n, const Write<T>& w, const T* __restrict before, const T* __restrict after,
               const T* __restrict of_output, T* __restrict grad, const WriteGrad<T>& of, T* __restrict scratch) {
  const int64_t v = n.values, decay_step = w.decays == Decays::kByFeature;
  T *const of_written = scratch, *const missing = scratch + v, *const product = scratch + 2 * v;
  const T* written = w.value;
  if (kDelta) {
    read_decayed(n, before, w.decay, decay_step, w.key, missing);
    for (int64_t j = 0; j < v; ++j) missing[j] = w.value[j] - missing[j], product[j] = *w.strength * missing[j];
    written = product;
  }
  std::fill_n(of_written, v, T(0));
  for (int64_t i = 0; i < n.keys; ++i) {
    const T *const now = after + i * v, query = w.query[i], key = w.key[i];
    T *const g = grad + i * v, by_query = 0, by_key = 0;
#pragma omp simd reduction(+ : by_query, by_key)
    for (int64_t j = 0; j < v; ++j) {
      const T gradient = g[j] + query * of_output[j];
      g[j] = gradient;
      by_query += now[j] * of_output[j];
      by_key += gradient * written[j];
      of_written[j] += gradient * key;
    }
    of.query[i] = by_query, of.key[i] = by_key;
  }
  if (kDelta) {
    T by_strength = 0;
    for (int64_t j = 0; j < v; ++j) by_strength += of_written[j] * missing[j], of_written[j] *= *w.strength;
    *of.strength = by_strength;
  }
  std::copy_n(of_written, v, of.value);
  T all_decays = 0;
  for (int64_t i = 0; i < n.keys; ++i) {
    const T *const memory = before + i * v, decay = w.decay[i * decay_step], key = w.key[i];
    T *const g = grad + i * v, by_decay = 0, by_key = 0;
#pragma omp simd reduction(+ : by_decay, by_key)
    for (int64_t j = 0; j < v; ++j) {
      const T gradient = kDelta ? g[j] - key * of_written[j] : g[j];
      if (kDelta) by_key += memory[j] * of_written[j];
      by_decay += gradient * memory[j];
      g[j] = decay * gradient;
    }
    if (kDelta) of.key[i] -= decay * by_key;
    all_decays += by_decay;
    if (decay_step) of.decay[i] = by_decay;
  }
  if (!decay_step) *of.decay = all_decays;
}

}  // namespace

// Further arrays: the memories before the first step [B, H, K, V], which become those after the last one; and to be
// written, o [B, T, H, V].
template <typename T>
void outer_products(Arrays<T> arrays, const int64_t* sizes) {
  const Memories<T> all(arrays, sizes);
  T *const memories = arrays.next(), *const output = arrays.next();
  all.each_memory([&](int64_t index) {
    thread_local std::vector<T> scratch;
    scratch.resize(all.one.values);
    T* const memory = memories + index * all.one.memory();
    for (int64_t t = 0; t < all.steps; ++t) {
      step_memories<T>(all.one, all.write(index, t), memory, memory, output + all.at(index, t, all.one.values),
                       scratch.data());
    }
  });
}

// Further arrays: the memories before the first step; ∂o; ∂ of the memories after the last step, which become those of
// the ones before the first; and to be written, ∂q, ∂k, ∂v, ∂α, and ∂β or null. Each head walks through its sequence once
// more and keeps the memories at the beginnings of chunks; then through each chunk, the last one first, whose memories
// all are in the second-level cache, and back.
template <typename T>
void outer_products_backward(Arrays<T> arrays, const int64_t* sizes) {
  const Memories<T> all(arrays, sizes);
  const T *const memories = arrays.next(), *const of_output = arrays.next();
  T* const of_memories = arrays.next();
  const Memories<T> of(arrays, sizes);
  const Heads& n = all.one;
  const int64_t size = n.memory(), last_chunk = (all.steps - 1) / kChunk;
  all.each_memory([&](int64_t index) {
    thread_local std::vector<T> beginnings, kept, scratch;
    beginnings.resize((last_chunk + 1) * size);
    kept.resize((std::min(all.steps, kChunk) + 1) * size), scratch.resize(4 * n.values);
    const auto step = [&](int64_t t, const T* before, T* after) {
      step_memories<T>(n, all.write(index, t), before, after, scratch.data(), scratch.data() + n.values);
    };
    std::copy_n(memories + index * size, size, beginnings.data());
    for (int64_t chunk = 0; chunk < last_chunk; ++chunk) {
      T *const before = beginnings.data() + chunk * size, *const after = before + size;
      step(chunk * kChunk, before, after);
      for (int64_t t = chunk * kChunk + 1; t < (chunk + 1) * kChunk; ++t) step(t, after, after);
    }
    const auto back = all.strength ? step_back<true, T> : step_back<false, T>;
    for (int64_t chunk = last_chunk; chunk >= 0; --chunk) {
      const int64_t begin = chunk * kChunk, end = std::min(begin + kChunk, all.steps);
      const auto before = [&](int64_t t) { return kept.data() + (t - begin) * size; };
      std::copy_n(beginnings.data() + chunk * size, size, kept.data());
      for (int64_t t = begin; t < end; ++t) step(t, before(t), before(t + 1));
      for (int64_t t = end - 1; t >= begin; --t) {
        const int64_t keys = all.at(index, t, n.keys), values = all.at(index, t, n.values), one = all.at(index, t, 1);
        const WriteGrad<T> grads{of.query + keys, of.key + keys, of.value + values,
                                 of.decay + all.at(index, t, all.decays), of.strength ? of.strength + one : nullptr};
        back(n, all.write(index, t), before(t), before(t + 1), of_output + values, of_memories + index * size, grads,
             scratch.data());
      }
    }
  });
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(outer_products)
RLLIB_RECATTN_OPERATOR(outer_products_backward)
