// The linear transformer's acting step; rllib_recattn/models/linear_attention.py has the equations.

#include "memory_step.h"

namespace rllib_recattn {
namespace {

constexpr double kEpsilon = 1e-10;

// sizes: H, K, V.
template <typename T>
class LinearAttention : public Mixer<T> {
 public:
  LinearAttention(const int64_t* sizes, const double*) : n_{sizes[0], sizes[1], sizes[2]} {}

  int64_t state_size() const override { return n_.memory() + n_.all_keys(); }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    project_ = {weights.next(), weights.next()};
    return {weights.next(), weights.next()};
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows, keys = n_.all_keys(), values = n_.all_values(), size = 2 * keys + values;
    T *const projected = part.step.room.take(rows * size), *const output = part.step.room.take(rows * values);
    T* const weights = part.step.room.take(rows * n_.n);
    apply<T>(project_, rows, size, d, h, projected);
    each(rows, 2 * keys, [=](int64_t row, int64_t i) {
      T& x = projected[row * size + i];
      x = relu(x) + exponential(x > 0 ? T(0) : x);
    });
    step_all_memories<T>(n_, part, output, [&](int64_t row) {
      Write<T> w{projected + row * size};
      w.key = w.query + keys, w.value = w.key + keys;
      step_sum_of_keys(n_, part, row, w, weights + row * n_.n);
      return w;
    });
    each(rows * n_.n, n_.values, [=, v = n_.values](int64_t head, int64_t i) {
      output[head * v + i] /= weights[head] + T(kEpsilon);
    });
    return {output, values};
  }

 private:
  const Heads n_;
  Affine<const T> project_{};
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(linear_attention, LinearAttention)
