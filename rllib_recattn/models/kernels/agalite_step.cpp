// AGaLiTe's acting step; rllib_recattn/models/agalite.py has the equations.

#include <cmath>

#include "attention.h"
#include "stack.h"

namespace rllib_recattn {
namespace {

// sizes: H, d, η, r + 1, the clock's period, whether heads are normalised, whether the output is gated. constants: the
// frequencies (r numbers), the offset of the clock, and the amplitudes (r numbers).
template <typename T>
class AGaLiTe : public Mixer<T> {
 public:
  AGaLiTe(const int64_t* sizes, const double* constants)
      : n_{sizes[0], sizes[1], sizes[2], sizes[3]}, period_(sizes[4]),
        has_norm_(sizes[5]), has_gate_(sizes[6]), frequencies_(constants), amplitudes_(constants + sizes[3]) {}

  int64_t shared_size() const override { return 1; }
  int64_t state_size() const override { return n_.heads * (n_.keys() + n_.values()); }

  // Works out a_j cos(ω_j t) of each row's step and 1 [B, R]; the rows' clocks are the first number of their states.
  void begin(const Step<T>& step, Arrays<const T>&) override {
    const int64_t n = n_.channels;
    T* out = channels_ = step.room.take(step.rows * n);
    for (int64_t row = 0; row < step.rows; ++row, out += n) {
      const T count = step.starts(row) ? T(0) : std::fmod(step.state[row * step.size], T(period_));
      const T t = count + T(frequencies_[n - 1]);
      for (int64_t j = 0; j < n - 1; ++j) out[j] = T(amplitudes_[j]) * std::cos(t * T(frequencies_[j]));
      out[n - 1] = 1;
      step.new_state[row * step.size] = std::fmod(count + 1, T(period_));
    }
  }

  Affine<const T> next_layer(Arrays<const T>& weights) override {
    project_ = {weights.next(), weights.next()};
    const Affine<const T> output{weights.next(), weights.next()};
    if (has_norm_) norm_ = weights.next();
    if (has_gate_) gate_ = {weights.next(), weights.next()};
    return output;
  }

  Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) override {
    const int64_t rows = part.step.rows;
    T* const features = part.step.room.take(rows * n_.projected());
    T* const attended = part.step.room.take(rows * n_.width());
    apply<T>(project_, rows, n_.projected(), d, h, features);
    activate(rows, n_, features);
    parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
      thread_local std::vector<T> overlap, scratch;
      overlap.resize(n_.channels), scratch.resize(n_.d_head + 3 * n_.eta);
      for (int64_t row = begin; row < end; ++row) {
        const T* const before = part.before(row, state_size());
        T *const keys = part.after(row), *const values = keys + n_.heads * n_.keys();
        if (before != keys) std::copy_n(before, state_size(), keys);
        for (int64_t head = 0; head < n_.heads; ++head) {
          const auto step = n_.eta == 4 ? write_and_read<4, T> : write_and_read<0, T>;
          step({features + row * n_.projected(), n_, head}, channels_ + row * n_.channels, n_,
               keys + head * n_.keys(), values + head * n_.values(), overlap.data(),
               attended + row * n_.width() + head * n_.d_head, scratch.data());
        }
      }
    });
    if (has_norm_) normalise_said(rows * n_.heads, n_.d_head, attended, norm_, false);
    if (has_gate_) {
      T* const gate = part.step.room.take(rows * n_.width());
      apply<T>(gate_, rows, n_.width(), d, h, gate);
      gate_by_silu(rows, n_.width(), gate, n_.width(), attended);
    }
    return {attended, n_.width()};
  }

 private:
  const Sizes n_;
  const int64_t period_;
  const bool has_norm_, has_gate_;
  const double *const frequencies_, *const amplitudes_;
  T* channels_ = nullptr;
  Affine<const T> project_{}, gate_{};
  const T* norm_ = nullptr;
};

}  // namespace
}  // namespace rllib_recattn

RLLIB_RECATTN_STEP(agalite, AGaLiTe)
