// HGRN2's acting step; rllib_recattn/models/hgrn2.py has the equations.

#include "memory_step.h"

namespace rllib_recattn {
namespace {

// sizes: H, K, V, layers.
template <typename T>
class HGRN2 : public Mixer<T> {
 public:
  HGRN2(const int64_t* sizes, const double*) : n_{sizes[0], sizes[1], sizes[2]}, layers_(sizes[3]) {}

  int64_t state_size() const override { return n_.memory(); }

  // Works out the lower bounds of all layers [layers, H, K]: cumulative sums of a softmax over the layers.
  void begin(const Step<T>& step, Arrays<const T>& weights) override {
    const T* const logits = weights.next();
    const int64_t keys = n_.all_keys();
    T* const bounds = step.room.take(layers_ * keys);
    for (int64_t i = 0; i < keys; ++i) {
      T largest = logits[i], sum = 0, below = 0;
      for (int64_t layer = 1; layer < layers_; ++layer) largest = std::max(largest, logits[layer * keys + i]);
      for (int64_t layer = 0; layer < layers_; ++layer) sum += exponential(logits[layer * keys + i] - largest);
      for (int64_t layer = 0; layer < layers_; ++layer) {
        if (layer) below += exponential(logits[layer * keys + i] - largest) / sum;
        bounds[layer * keys + i] = below;
      }
    }
    bounds_ = bounds - keys;
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    bounds_ += n_.all_keys(), project_ = {weights.next(), nullptr}, norm_ = weights.next();
    return {weights.next(), nullptr};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values(), size = 2 * keys + values;
    T *const projected = part.step.room.take(rows * size), *const output = part.step.room.take(rows * values);
    T* const decays = part.step.room.take(rows * keys);
    apply<T>(project_, rows, size, d, h, projected);
    const T scale = 1 / std::sqrt(T(n_.keys)), *const bounds = bounds_;
    each(rows, keys, [=](int64_t row, int64_t i) {
      T &query = projected[row * size + i], &key = projected[row * size + keys + i];
      query = silu(query) * scale;
      key = (1 - bounds[i]) * sigmoid(-key);
      decays[row * keys + i] = 1 - key;
    });
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      Write<T> w{projected + row * size};
      w.key = w.query + keys, w.value = w.key + keys, w.decay = decays + row * keys, w.decays = Decays::kByFeature;
      return w;
    });
    normalise_said(rows, values, output, norm_, false);
    return {output, values};
  }

 private:
  const Heads n_;
  const int64_t layers_;
  const T* bounds_ = nullptr;
  Affine<const T> project_{};
  const T* norm_ = nullptr;
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(hgrn2, HGRN2)
