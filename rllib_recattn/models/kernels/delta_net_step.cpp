// The acting step of DeltaNet, Gated DeltaNet and KDA; rllib_recattn/models/delta_net.py has the equations.

#include "convolution.h"
#include "memory_step.h"

namespace rllib_recattn {
namespace {

constexpr double kLengthEpsilon = 1e-6;

// sizes: H, K, V, taps of the convolution (0: none), whether keys are rotated, how many decays all heads have together,
// of which kind of Decays. constants: the angles' cosines and sines.
template <typename T>
class DeltaNet : public Mixer<T> {
 public:
  DeltaNet(const int64_t* sizes, const double* constants)
      : n_{sizes[0], sizes[1], sizes[2]},
        taps_(sizes[3]),
        rotary_(sizes[4]),
        n_decays_(sizes[5]),
        decays_(static_cast<Decays>(sizes[6])),
        angles_(constants) {}

  int64_t state_size() const override { return n_.memory() + (taps_ ? (taps_ - 1) * convolved() : 0); }

  void begin(const Step<T>& step, Arrays<const T>&) override {
    if (rotary_) rotation_ = rotation_of(step.room, n_, angles_);
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    if (n_decays_) decay_rate_ = weights.next(), decay_bias_ = weights.next();
    if (taps_) convolution_ = weights.next();
    project_ = {weights.next(), nullptr};
    if (by_feature()) decay_features_ = weights.next();
    norm_ = weights.next();
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values(), heads = n_.n;
    const int64_t of_decays = by_feature() ? n_.values : n_decays_, size = convolved() + values + heads + of_decays;
    Room<T>& room = part.step.room;
    T *const projected = room.take(rows * size), *const output = room.take(rows * values);
    T *const gate = projected + convolved(), *const strength = gate + values, *decays = strength + heads;
    int64_t decays_row = size;
    apply<T>(project_, rows, size, d, h, projected);
    if (by_feature()) {
      const Matrix<T> low_rank{decays, size};
      decays = room.take(rows * n_decays_), decays_row = n_decays_;
      multiply<T>(rows, n_decays_, n_.values, low_rank, Matrix<T>{decay_features_, n_.values}.transposed(), decays,
                  decays_row);
    }
    if (taps_) convolve<T>({part.step, part.place + n_.memory()}, taps_, convolved(), convolution_, projected, size);
    each(rows, convolved(), [=](int64_t row, int64_t i) { projected[row * size + i] = silu(projected[row * size + i]); });
    each(rows, heads, [=](int64_t row, int64_t i) { strength[row * size + i] = sigmoid(strength[row * size + i]); });
    if (n_decays_) {
      T* const rates = room.take(n_decays_);  // e^a
      for (int64_t i = 0; i < n_decays_; ++i) rates[i] = exponential(decay_rate_[i / (n_decays_ / heads)]);
      each(rows, n_decays_, [=, bias = decay_bias_](int64_t row, int64_t i) {
        T& decay = decays[row * decays_row + i];
        decay = exponential(-rates[i] * softplus(decay + bias[i]));
      });
    }
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      T *const query = projected + row * size, *const key = query + keys;
      for (int64_t head = 0; head < heads; ++head) {
        scale_to_length_one(query + head * n_.keys, 1 / std::sqrt(T(n_.keys)));
        scale_to_length_one(key + head * n_.keys, T(1));
      }
      Write<T> w{query};
      w.key = key, w.value = key + keys, w.strength = strength + row * size;
      w.decays = decays_, w.decay = decays + row * decays_row, w.rotation = rotation_;
      return w;
    });
    normalise_said(rows * heads, n_.values, output, norm_, false);
    gate_by_silu(rows, values, gate, size, output);
    return {output, values};
  }

 private:
  int64_t convolved() const { return 2 * n_.all_keys() + n_.all_values(); }
  bool by_feature() const { return decays_ == Decays::kByFeature || decays_ == Decays::kByPair; }

  // x [K] ← scale x / ‖x‖.
  void scale_to_length_one(T* x, T scale) const {
    T squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n_.keys; ++i) squares += x[i] * x[i];
    scale /= std::sqrt(squares + T(kLengthEpsilon));
#pragma omp simd
    for (int64_t i = 0; i < n_.keys; ++i) x[i] *= scale;
  }

  const Heads n_;
  const int64_t taps_;
  const bool rotary_;
  const int64_t n_decays_;
  const Decays decays_;
  const double* const angles_;
  const T *rotation_ = nullptr, *decay_rate_ = nullptr, *decay_bias_ = nullptr, *convolution_ = nullptr;
  const T *decay_features_ = nullptr, *norm_ = nullptr;
  Affine<const T> project_{};
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(delta_net, DeltaNet)
