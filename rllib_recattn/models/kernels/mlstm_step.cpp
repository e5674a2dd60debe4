// mLSTM's acting step; rllib_recattn/models/mlstm.py has the equations.

#include "convolution.h"
#include "memory_step.h"

namespace rllib_recattn {
namespace {

constexpr double kEpsilon = 1e-6, kLargestExponent = 80;

// sizes: H, K, V, D, taps of the convolution (0: none).
template <typename T>
class MLSTM : public Mixer<T> {
 public:
  MLSTM(const int64_t* sizes, const double*) : n_{sizes[0], sizes[1], sizes[2]}, d_(sizes[3]), taps_(sizes[4]) {}

  int64_t state_size() const override { return of_memory() + (taps_ ? (taps_ - 1) * d_ : 0); }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    if (taps_) convolution_ = weights.next();
    project_keys_ = {weights.next(), nullptr}, project_ = {weights.next(), nullptr};
    gates_ = {weights.next(), weights.next()}, norm_ = weights.next();
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values(), heads = n_.n, v = n_.values;
    Room<T>& room = part.step.room;
    T *const query = room.take(rows * 2 * keys), *const value = room.take(rows * 2 * values);
    T *const gates = room.take(rows * 2 * heads), *const output = room.take(rows * values);
    T *const weights = room.take(rows * heads), *const least = room.take(rows * heads);
    apply<T>(project_, rows, 2 * values, d, h, value);
    apply<T>(gates_, rows, 2 * heads, d, h, gates);
    apply<T>(project_keys_, rows, 2 * keys, d, taps_ ? convolved(part, h) : h, query);
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      T *const key = query + row * 2 * keys + keys, *const kept = gates + row * 2 * heads;
      const T *const exponent = part.before(row, heads, of_memory() - heads);
      T *const new_exponent = part.after(row, of_memory() - heads);
      for (int64_t head = 0; head < heads; ++head) {
        const T in = kept[head], from_before = log_sigmoid(kept[heads + head]) + exponent[head];
        const T m = in > from_before || in != in ? in : from_before;  // NaN is the largest
        const T written = exponential(in - m) / std::sqrt(T(n_.keys));
        kept[head] = exponential(from_before - m), new_exponent[head] = m;
        least[row * heads + head] = exponential(-m > T(kLargestExponent) ? T(kLargestExponent) : -m);
#pragma omp simd
        for (int64_t i = 0; i < n_.keys; ++i) key[head * n_.keys + i] *= written;
      }
      Write<T> w{query + row * 2 * keys};
      w.key = key, w.value = value + row * 2 * values, w.decay = kept, w.decays = Decays::kByHead;
      step_sum_of_keys(n_, part, row, w, weights + row * heads);
      return w;
    });
    each(rows * heads, v, [=](int64_t head, int64_t i) {
      const T weight = weights[head] < 0 ? -weights[head] : weights[head];
      output[head * v + i] /= (weight < least[head] ? least[head] : weight) + T(kEpsilon);
    });
    normalise_said(rows * heads, v, output, norm_, true);
    each(rows, values, [=](int64_t row, int64_t i) {
      output[row * values + i] *= sigmoid(value[row * 2 * values + values + i]);
    });
    return {output, values};
  }

 private:
  // swish of the convolution of h.
  const T* convolved(const Part<T>& part, const T* h) {
    const int64_t rows = part.step.rows, d = d_;
    T* const c = part.step.room.take(rows * d);
    std::copy_n(h, rows * d, c);
    convolve<T>({part.step, part.place + of_memory()}, taps_, d, convolution_, c, d);
    each(rows, d, [=](int64_t row, int64_t i) { c[row * d + i] = silu(c[row * d + i]); });
    return c;
  }

  int64_t of_memory() const { return n_.memory() + n_.all_keys() + n_.n; }

  const Heads n_;
  const int64_t d_, taps_;
  const T *convolution_ = nullptr, *norm_ = nullptr;
  Affine<const T> project_keys_{}, project_{}, gates_{};
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(mlstm, MLSTM)
