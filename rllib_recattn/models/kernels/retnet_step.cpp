// RetNet's acting step; rllib_recattn/models/retnet.py has the equations.

#include "memory_step.h"

namespace rllib_recattn {
namespace {

// sizes: H, K, V, whether keys are rotated. constants: the angles' cosines and sines.
template <typename T>
class RetNet : public Mixer<T> {
 public:
  RetNet(const int64_t* sizes, const double* constants)
      : n_{sizes[0], sizes[1], sizes[2]}, rotary_(sizes[3]), angles_(constants) {}

  int64_t state_size() const override { return n_.memory(); }

  void begin(const Step<T>& step, Arrays<const T>&) override {
    if (rotary_) rotation_ = rotation_of(step.room, n_, angles_);
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    decay_ = weights.next(), project_ = {weights.next(), nullptr};
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values();
    const int64_t size = 2 * keys + 2 * values;
    T *const projected = part.step.room.take(rows * size), *const output = part.step.room.take(rows * values);
    apply<T>(project_, rows, size, d, h, projected);
    const T scale = 1 / std::sqrt(T(n_.keys));
    each(rows, keys, [=](int64_t row, int64_t i) { projected[row * size + i] *= scale; });
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      Write<T> w{projected + row * size};
      w.key = w.query + keys, w.value = w.key + keys, w.decay = decay_, w.decays = Decays::kByHead;
      w.rotation = rotation_;
      return w;
    });
    normalise_said<T>(rows * n_.n, n_.values, output, nullptr, true);
    gate_by_silu(rows, values, projected + 2 * keys + values, size, output);
    return {output, values};
  }

 private:
  const Heads n_;
  const bool rotary_;
  const double* const angles_;
  const T *rotation_ = nullptr, *decay_ = nullptr;
  Affine<const T> project_{};
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(retnet, RetNet)
