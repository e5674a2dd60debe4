// Mamba-2's acting step; rllib_recattn/models/mamba2.py has the equations.

#include "convolution.h"
#include "memory_step.h"

namespace rllib_recattn {
namespace {

// sizes: H, K, V, taps of the convolution (0: none), whether keys are rotated. constants: the angles' cosines and sines.
template <typename T>
class Mamba2 : public Mixer<T> {
 public:
  Mamba2(const int64_t* sizes, const double* constants)
      : n_{sizes[0], sizes[1], sizes[2]}, taps_(sizes[3]), rotary_(sizes[4]), angles_(constants) {}

  int64_t state_size() const override { return n_.memory() + (taps_ ? (taps_ - 1) * convolved() : 0); }

  void begin(const Step<T>& step, Arrays<const T>&) override {
    if (rotary_) rotation_ = rotation_of(step.room, n_, angles_);
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    step_bias_ = weights.next(), decay_rate_ = weights.next(), skip_ = weights.next();
    if (taps_) convolution_ = weights.next();
    project_ = {weights.next(), nullptr}, norm_ = weights.next();
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, values = n_.all_values(), heads = n_.n, v = n_.values;
    const int64_t size = convolved() + values + heads;
    Room<T>& room = part.step.room;
    T *const projected = room.take(rows * size), *const output = room.take(rows * values);
    T *const written = room.take(rows * values), *const decays = room.take(rows * heads);
    apply<T>(project_, rows, size, d, h, projected);
    if (taps_) convolve<T>({part.step, part.place + n_.memory()}, taps_, convolved(), convolution_, projected, size);
    each(rows, convolved(), [=](int64_t row, int64_t i) { projected[row * size + i] = silu(projected[row * size + i]); });
    T *const value = projected + 2 * n_.keys, *const width = projected + convolved() + values;  // Δ
    each(rows, heads, [=, bias = step_bias_, rate = decay_rate_](int64_t row, int64_t head) {
      T& delta = width[row * size + head];
      delta = softplus(delta + bias[head]);
      decays[row * heads + head] = exponential(-delta * exponential(rate[head]));
    });
    for (int64_t head = 0; head < heads; ++head) {
      each(rows, v, [=](int64_t row, int64_t i) {
        written[row * values + head * v + i] = width[row * size + head] * value[row * size + head * v + i];
      });
    }
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      Write<T> w{projected + row * size};
      w.key = w.query + n_.keys, w.value = written + row * values, w.one_key = true;
      w.decay = decays + row * heads, w.decays = Decays::kByHead, w.rotation = rotation_;
      return w;
    });
    for (int64_t head = 0; head < heads; ++head) {
      each(rows, v, [=, skip = skip_[head]](int64_t row, int64_t i) {
        output[row * values + head * v + i] += skip * value[row * size + head * v + i];
      });
    }
    gate_by_silu(rows, values, projected + convolved(), size, output);
    normalise_said(rows, values, output, norm_, false);
    return {output, values};
  }

 private:
  int64_t convolved() const { return 2 * n_.keys + n_.all_values(); }

  const Heads n_;
  const int64_t taps_;
  const bool rotary_;
  const double* const angles_;
  const T *rotation_ = nullptr, *step_bias_ = nullptr, *decay_rate_ = nullptr, *skip_ = nullptr;
  const T *convolution_ = nullptr, *norm_ = nullptr;
  Affine<const T> project_{};
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(mamba2, Mamba2)
