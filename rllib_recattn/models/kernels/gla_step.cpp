// GLA's acting step; rllib_recattn/models/gla.py has the equations.

#include "memory_step.h"

namespace rllib_recattn {
namespace {

// sizes: H, K, V, the rank of what makes decays, whether keys are rotated. constants: τ, and the angles' cosines and sines.
template <typename T>
class GLA : public Mixer<T> {
 public:
  GLA(const int64_t* sizes, const double* constants)
      : n_{sizes[0], sizes[1], sizes[2]}, rank_(sizes[3]), rotary_(sizes[4]), constants_(constants) {}

  int64_t state_size() const override { return n_.memory(); }

  void begin(const Step<T>& step, Arrays<const T>&) override {
    if (rotary_) rotation_ = rotation_of(step.room, n_, constants_ + 1);
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    project_ = {weights.next(), nullptr}, decay_ = {weights.next(), weights.next()}, norm_ = weights.next();
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values();
    const int64_t size = 2 * keys + 2 * values + rank_, n_decays = rotary_ ? keys / 2 : keys;
    T *const projected = part.step.room.take(rows * size), *const output = part.step.room.take(rows * values);
    T* const decays = part.step.room.take(rows * n_decays);
    apply<T>(project_, rows, size, d, h, projected);
    multiply<T>(rows, n_decays, rank_, {projected + size - rank_, size}, Matrix<T>{decay_.weight, rank_}.transposed(),
                decays, n_decays, {false, decay_.bias});
    const T inverse = 1 / T(constants_[0]), scale = 1 / std::sqrt(T(n_.keys));
    each(rows, n_decays, [=](int64_t row, int64_t i) {
      T& decay = decays[row * n_decays + i];
      decay = exponential(log_sigmoid(decay) * inverse);
    });
    each(rows, keys, [=](int64_t row, int64_t i) { projected[row * size + i] *= scale; });
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      Write<T> w{projected + row * size};
      w.key = w.query + keys, w.value = w.key + keys, w.decay = decays + row * n_decays;
      w.decays = rotary_ ? Decays::kByPair : Decays::kByFeature, w.rotation = rotation_;
      return w;
    });
    normalise_said(rows * n_.n, n_.values, output, norm_, false);
    gate_by_silu(rows, values, projected + 2 * keys + values, size, output);
    return {output, values};
  }

 private:
  const Heads n_;
  const int64_t rank_;
  const bool rotary_;
  const double* const constants_;
  const T* rotation_ = nullptr;
  Affine<const T> project_{}, decay_{};
  const T* norm_ = nullptr;
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(gla, GLA)
