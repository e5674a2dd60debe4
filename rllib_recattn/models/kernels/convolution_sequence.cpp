// A short causal convolution over whole sequences, forward and backward, as operators;
// rllib_recattn/models/parts/short_convolution.py has the equations.

#include <algorithm>
#include <vector>

#include "operator.h"

namespace rllib_recattn {
namespace {

struct ConvolutionSizes {
  int64_t batch, steps, d, taps;

  explicit ConvolutionSizes(const int64_t* s) : batch(s[0]), steps(s[1]), d(s[2]), taps(s[3]) {}
  int64_t before() const { return taps - 1; }
};

// How many of the steps before each step of a row belong to its episode, as far as it matters.
void find_ages(const ConvolutionSizes& s, const bool* is_first, int64_t row, int64_t* ages) {
  int64_t age = s.before();  // what is remembered of before the first step is zero where there was none
  for (int64_t t = 0; t < s.steps; ++t) {
    age = is_first && is_first[row * s.steps + t] ? 0 : std::min(age + (t > 0), s.before());
    ages[t] = age;
  }
}

// The values [D] that lie `lag` steps before step t of a row: among its inputs [T, D], or what is remembered [W − 1, D].
template <typename T>
T* look_back(const ConvolutionSizes& s, T* inputs, T* recent, int64_t t, int64_t lag) {
  return lag <= t ? inputs + (t - lag) * s.d : recent + (lag - t - 1) * s.d;
}

}  // namespace

// sizes: B, T, D, W. Arrays: h [B, T, D], recent [B, W − 1, D], the newest first, is_first [B, T], the taps [W, D]; and to
// be written, the output [B, T, D] and the recent values after the last step [B, W − 1, D].
template <typename T>
void convolution(Arrays<T> arrays, const int64_t* sizes) {
  const ConvolutionSizes s(sizes);
  const T *const h = arrays.next(), *const recent = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  const T* const weight = arrays.next();
  T *const output = arrays.next(), *const new_recent = arrays.next();
  if (s.steps == 0) return void(std::copy_n(recent, s.batch * s.before() * s.d, new_recent));
  parallel_for(0, s.batch, 32768 / (s.steps * s.d) + 1, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> ages(s.steps);
    for (int64_t row = begin; row < end; ++row) {
      find_ages(s, is_first, row, ages.data());
      const T *const inputs = h + row * s.steps * s.d, *const before = recent + row * s.before() * s.d;
      for (int64_t t = 0; t < s.steps; ++t) {
        const T* const now = inputs + t * s.d;
        T* const y = output + (row * s.steps + t) * s.d;
#pragma omp simd
        for (int64_t i = 0; i < s.d; ++i) y[i] = now[i] * weight[i];
        for (int64_t lag = 1; lag <= ages[t]; ++lag) {
          const T *const earlier = look_back(s, inputs, before, t, lag), *const w = weight + lag * s.d;
#pragma omp simd
          for (int64_t i = 0; i < s.d; ++i) y[i] += earlier[i] * w[i];
        }
      }
      const int64_t last = s.steps - 1;
      for (int64_t lag = 0; lag < s.before(); ++lag) {
        T* const place = new_recent + (row * s.before() + lag) * s.d;
        if (lag > ages[last]) std::fill_n(place, s.d, T(0));
        else std::copy_n(look_back(s, inputs, before, last, lag), s.d, place);
      }
    }
  });
}

// Arrays: ∂ of both results; what `convolution` was given; and to be written, ∂h, ∂recent and ∂ of the taps.
template <typename T>
void convolution_backward(Arrays<T> arrays, const int64_t* sizes) {
  const ConvolutionSizes s(sizes);
  const T *const grad = arrays.next(), *const grad_recent = arrays.next();
  const T *const h = arrays.next(), *const recent = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  const T* const weight = arrays.next();
  T *const of_h = arrays.next(), *const of_recent = arrays.next(), *const of_weight = arrays.next();
  std::fill_n(of_h, s.batch * s.steps * s.d, T(0));
  std::fill_n(of_recent, s.batch * s.before() * s.d, T(0));
  std::fill_n(of_weight, s.taps * s.d, T(0));
  if (s.batch == 0) return;
  if (s.steps == 0) return void(std::copy_n(grad_recent, s.batch * s.before() * s.d, of_recent));
  std::vector<int64_t> ages(s.batch * s.steps);
  for (int64_t row = 0; row < s.batch; ++row) find_ages(s, is_first, row, ages.data() + row * s.steps);
  // By features, so that no two threads add to one number.
  const int64_t grain = 32768 / (s.batch * s.steps * s.taps) + 16;
  parallel_for(0, s.d, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < s.batch; ++row) {
      const int64_t place = row * s.steps * s.d, place_before = row * s.before() * s.d;
      const int64_t* const age = ages.data() + row * s.steps;
      for (int64_t t = 0; t < s.steps; ++t) {
        const T* const g = grad + place + t * s.d;
        for (int64_t lag = 0; lag <= age[t]; ++lag) {
          const T* const earlier = look_back(s, h + place, recent + place_before, t, lag);
          T* const of_earlier = look_back(s, of_h + place, of_recent + place_before, t, lag);
          const T* const w = weight + lag * s.d;
          T* const of_w = of_weight + lag * s.d;
#pragma omp simd
          for (int64_t i = begin; i < end; ++i) {
            of_earlier[i] += g[i] * w[i];
            of_w[i] += g[i] * earlier[i];
          }
        }
      }
      const int64_t last = s.steps - 1;
      for (int64_t lag = 0; lag < s.before() && lag <= age[last]; ++lag) {
        const T* const g = grad_recent + place_before + lag * s.d;
        T* const of_earlier = look_back(s, of_h + place, of_recent + place_before, last, lag);
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) of_earlier[i] += g[i];
      }
    }
  });
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(convolution)
RLLIB_RECATTN_OPERATOR(convolution_backward)
