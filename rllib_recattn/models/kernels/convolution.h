// A short causal convolution of one step; rllib_recattn/models/parts/short_convolution.py has the equations.
#pragma once

#include "stack.h"

namespace rllib_recattn {

// h [B, D], whose rows are `h_row` numbers apart, becomes Σ_i w_i ⊙ its value i steps before. weight [W, D]; the part of
// the state is the last W − 1 values [W − 1, D], the newest first.
template <typename T>
void convolve(const Part<T>& recent, int64_t taps, int64_t d, const T* weight, T* h, int64_t h_row) {
  parallel_for(0, recent.step.rows, 32768 / (taps * d) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const bool starts = recent.step.starts(row);
      const T* const before = recent.before(row, 0);
      T *const now = h + row * h_row, *const after = recent.after(row);
      if (taps > 1) std::copy_n(now, d, after);
      if (taps > 2 && starts) std::fill_n(after + d, (taps - 2) * d, T(0));
      if (taps > 2 && !starts) std::copy_n(before, (taps - 2) * d, after + d);
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) now[i] *= weight[i];
      for (int64_t tap = 1; tap < taps && !starts; ++tap) {
        const T *const earlier = before + (tap - 1) * d, *const w = weight + tap * d;
#pragma omp simd
        for (int64_t i = 0; i < d; ++i) now[i] += earlier[i] * w[i];
      }
    }
  });
}

}  // namespace rllib_recattn
