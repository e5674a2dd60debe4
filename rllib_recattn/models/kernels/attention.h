// AGaLiTe's attention between its projections, one head at a time; rllib_recattn/models/agalite.py has the equations.
//
// A head's memory, some 3 KB, stays in the first-level cache over all steps of a sequence.
#pragma once

#include <algorithm>
#include <cstdint>

#include "elementwise.h"

namespace rllib_recattn {

constexpr double kAttentionEpsilon = 1e-5;

struct Sizes {
  int64_t heads, d_head, eta, channels;  // channels: r + 1, the last one for the normaliser

  int64_t width() const { return heads * d_head; }
  int64_t factors() const { return heads * eta; }
  int64_t keys() const { return channels * eta * d_head; }          // of one head
  int64_t values() const { return (channels - 1) * d_head; }        // of one head
  int64_t gates() const { return 2 * width() + factors(); }         // γ, β | factor of γ
  int64_t rectified() const { return 2 * (width() + factors()); }   // k, q | their factors
  int64_t projected() const { return rectified() + gates() + width(); }
};

// Where one head's features are in a step's projections, or in their gradients.
template <typename T>
struct Features {
  T *key, *query, *key_factor, *query_factor, *gamma, *beta, *gamma_factor, *value;

  Features(T* projected, const Sizes& n, int64_t head)
      : key(projected + head * n.d_head),
        query(key + n.width()),
        key_factor(projected + 2 * n.width() + head * n.eta),
        query_factor(key_factor + n.factors()),
        gamma(projected + n.rectified() + head * n.d_head),
        beta(gamma + n.width()),
        gamma_factor(projected + n.rectified() + 2 * n.width() + head * n.eta),
        value(projected + n.rectified() + n.gates() + head * n.d_head) {}
};

// Makes features of the projections of some steps, in place: relu of the first, sigmoids of the gates.
template <typename T>
void activate(int64_t steps, const Sizes& n, T* projected) {
  const int64_t rectified = n.rectified(), gates = n.gates(), size = n.projected();
  each(steps, rectified, [=](int64_t t, int64_t i) { projected[t * size + i] = relu(projected[t * size + i]); });
  T* const gate = projected + rectified;
  each(steps, gates, [=](int64_t t, int64_t i) { gate[t * size + i] = sigmoid(gate[t * size + i]); });
}

// One channel's k̃ of a head [η, d_head] after a step, in place; returns k̃ · q. factors: of γ, of what is written, and of
// q, η each. That no two of the arrays overlap lets the compiler vectorise.
template <int64_t kEta, typename T>
T write_channel(T* __restrict memory, T channel, const T* __restrict gamma, const T* __restrict write,
                const T* __restrict query, const T* __restrict factors, int64_t d, int64_t n_eta) {
  const int64_t eta = kEta ? kEta : n_eta;
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < d; ++i) {
    T read = 0;
    const T strength = channel * write[i];
    for (int64_t e = 0; e < eta; ++e) {
      const T before = memory[e * d + i];
      const T after = before - before * (gamma[i] * factors[e]) + strength * factors[eta + e];
      memory[e * d + i] = after;
      read += after * factors[2 * eta + e];
    }
    sum += read * query[i];
  }
  return sum;
}

// Sums over a head's features i, each with the factors of one e.
template <typename T>
struct FactorSums {
  T write, query, gamma;
};

// The way back through what all channels' k̃ have in common: one of the η parts of the expanded features [d_head].
// keys, keys_before and grad_keys point to that part of the first channel, `stride` numbers before the next one's.
template <int64_t kChannels, typename T>
FactorSums<T> channels_back(const T* __restrict keys_before, const T* __restrict keys, T* __restrict grad_keys,
                            int64_t stride, int64_t n, const T* __restrict channels, const T* __restrict grad_overlap,
                            const T* __restrict gamma, const T* __restrict write, const T* __restrict query,
                            const FactorSums<T>& factors, T* __restrict of_write, T* __restrict of_query,
                            T* __restrict of_gamma, int64_t d) {
  const int64_t n_channels = kChannels ? kChannels : n;
  const T write_factor = factors.write, query_factor = factors.query, gamma_factor = factors.gamma;
  T write_sum = 0, query_sum = 0, gamma_sum = 0;
#pragma omp simd reduction(+ : write_sum, query_sum, gamma_sum)
  for (int64_t i = 0; i < d; ++i) {
    T by_write = 0, by_query = 0, by_gate = 0;  // gradients of expanded features
    const T decay = 1 - gamma[i] * gamma_factor, asked = query_factor * query[i];
    for (int64_t j = 0; j < n_channels; ++j) {
      const T g = grad_keys[j * stride + i] + grad_overlap[j] * asked;
      by_query += grad_overlap[j] * keys[j * stride + i];
      by_gate -= g * keys_before[j * stride + i];
      by_write += channels[j] * g;
      grad_keys[j * stride + i] = g * decay;
    }
    of_write[i] += by_write * write_factor;
    of_query[i] += by_query * query_factor;
    of_gamma[i] += by_gate * gamma_factor;
    write_sum += by_write * write[i];
    query_sum += by_query * query[i];
    gamma_sum += by_gate * gamma[i];
  }
  return {write_sum, query_sum, gamma_sum};
}

// Write one step into the memory of a head and read it.
// overlap: k̃_j · q and s · q; output: the head's part of the attended values; scratch: d_head + 3 η numbers.
// kEta: η, so that the compiler can unroll the loops over it; 0 for any.
template <int64_t kEta, typename T>
void write_and_read(const Features<const T>& f, const T* channels, const Sizes& n, T* keys, T* values, T* overlap,
                    T* output, T* scratch) {
  const int64_t d = n.d_head, r = n.channels - 1, eta = kEta ? kEta : n.eta;
  T *write = scratch, *factors = write + d;
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    write[i] = f.gamma[i] * f.key[i];
  }
  for (int64_t e = 0; e < eta; ++e) {
    factors[e] = f.gamma_factor[e];
    factors[eta + e] = f.gamma_factor[e] * f.key_factor[e];
    factors[2 * eta + e] = f.query_factor[e];
  }
  for (int64_t j = 0; j < n.channels; ++j) {
    overlap[j] = write_channel<kEta>(keys + j * eta * d, channels[j], f.gamma, write, f.query, factors, d, eta);
  }
  const T scale = 1 / (2 * r * overlap[r] + T(kAttentionEpsilon));
  std::fill_n(output, d, T(0));
  for (int64_t j = 0; j < r; ++j) {
    T* memory = values + j * d;
    const T weight = overlap[j] * scale;
#pragma omp simd
    for (int64_t i = 0; i < d; ++i) {
      const T written = memory[i] - memory[i] * f.beta[i] + channels[j] * (f.beta[i] * f.value[i]);
      memory[i] = written;
      output[i] += written * weight;
    }
  }
}

// Take the gradient of one step, which `write_and_read` took from the memories `keys_before` and `values_before` to
// `keys` and `values`. grad_keys and grad_values hold the gradients of the memories behind the step, and then before it.
// scratch: 4 d_head + channels numbers. kChannels: r + 1, so that the compiler can unroll the loops over it; 0 for any.
template <int64_t kChannels, typename T>
void step_back(const Features<const T>& f, const T* channels, const Sizes& n, const T* keys_before, const T* keys,
               const T* values_before, const T* values, const T* overlap, const T* grad_output, T* grad_keys,
               T* grad_values, const Features<T>& grad, T* scratch) {
  const int64_t d = n.d_head, r = n.channels - 1;
  T *write = scratch, *of_write = write + d, *of_gate = of_write + d;
  T *of_numerator = of_gate + d, *grad_overlap = of_numerator + d;

  const T scale = 1 / (2 * r * overlap[r] + T(kAttentionEpsilon));
  T of_scale = 0;
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) of_numerator[i] = grad_output[i] * scale;
  std::fill_n(of_write, d, T(0));  // Σ_j c_j ∂ṽ_j
  std::fill_n(of_gate, d, T(0));   // Σ_j ∂ṽ_j ⊙ ṽ_j before the step
  for (int64_t j = 0; j < r; ++j) {
    const T *after = values + j * d, *before = values_before + j * d;
    T *gradient = grad_values + j * d, sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < d; ++i) {
      sum += of_numerator[i] * after[i];
      const T g = gradient[i] + of_numerator[i] * overlap[j];
      of_write[i] += channels[j] * g;
      of_gate[i] += g * before[i];
      gradient[i] = g - g * f.beta[i];
    }
    grad_overlap[j] = sum;
    of_scale += sum * overlap[j];
  }
  grad_overlap[r] = -2 * r * scale * of_scale;
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    const T beta = f.beta[i];
    grad.value[i] = of_write[i] * beta;
    grad.beta[i] = (of_write[i] * f.value[i] - of_gate[i]) * beta * (1 - beta);
    write[i] = f.gamma[i] * f.key[i];
  }

  std::fill_n(of_write, d, T(0));
  std::fill_n(of_gate, d, T(0));
  std::fill_n(of_numerator, d, T(0));
  T* of_query = of_numerator;
  for (int64_t e = 0; e < n.eta; ++e) {
    const T gate_factor = f.gamma_factor[e], key_factor = f.key_factor[e];
    const T query_factor = f.query_factor[e];
    const FactorSums<T> sums = channels_back<kChannels>(
        keys_before + e * d, keys + e * d, grad_keys + e * d, n.eta * d, n.channels, channels, grad_overlap, f.gamma,
        write, f.query, {gate_factor * key_factor, query_factor, gate_factor}, of_write, of_query, of_gate, d);
    grad.key_factor[e] = f.key_factor[e] > 0 ? sums.write * gate_factor : T(0);
    grad.query_factor[e] = f.query_factor[e] > 0 ? sums.query : T(0);
    grad.gamma_factor[e] = (sums.gamma + sums.write * key_factor) * gate_factor * (1 - gate_factor);
  }
#pragma omp simd
  for (int64_t i = 0; i < d; ++i) {
    const T gamma = f.gamma[i];
    grad.key[i] = f.key[i] > 0 ? of_write[i] * gamma : T(0);
    grad.query[i] = f.query[i] > 0 ? of_query[i] : T(0);
    grad.gamma[i] = (of_gate[i] + of_write[i] * f.key[i]) * gamma * (1 - gamma);
  }
}

}  // namespace rllib_recattn
