// What stands behind the mixer of a gated block, over whole sequences, as operators: one node of autograd in the place of
// some ten, for models whose mixers have kernels of their own, or none.

#include "behind_mixer.h"

namespace rllib_recattn {

// sizes: N, D, D_ff. Arrays: x and what the mixer says [N, D], the weights; and to be written, the output z [N, D], r, u
// and c of both gates [N, 3 D], and for the way back the buffer of BehindRows.
template <typename T>
void behind_mixer(Arrays<T> arrays, const int64_t* sizes) {
  const BehindSizes s{sizes[0], sizes[1], sizes[2]};
  const T *const x = arrays.next(), *const said = arrays.next();
  const BehindWeights<const T> w(arrays);
  T *const z = arrays.next(), *const gates = arrays.next(), *const hidden_gates = arrays.next();
  T* const buffer = arrays.next();
  in_chunks(s.rows, s.d, [&](int64_t first, int64_t m) {
    const BehindRows<T> kept(buffer, s, first);
    const T* const from = said + first * s.d;
    for (int64_t i = 0; i < m * s.d; ++i) kept.mixed[i] = relu(from[i]);
    behind<T>(m, s, x + first * s.d, w, kept, gates + first * 3 * s.d, hidden_gates + first * 3 * s.d, z + first * s.d);
  });
}

// Arrays: ∂z, x, the weights; what `behind_mixer` has written behind z; to be written, ∂x and ∂ of what the mixer says;
// and to be added to, ∂ of the weights.
template <typename T>
void behind_mixer_backward(Arrays<T> arrays, const int64_t* sizes) {
  const BehindSizes s{sizes[0], sizes[1], sizes[2]};
  const T *const grad = arrays.next(), *const x = arrays.next();
  const BehindWeights<const T> w(arrays);
  const T *const gates = arrays.next(), *const hidden_gates = arrays.next();
  T *const buffer = arrays.next(), *const of_x = arrays.next(), *const of_said = arrays.next();
  const BehindWeights<T> of_w(arrays);
  in_chunks(s.rows, s.d, [&](int64_t first, int64_t m) {
    const BehindRows<T> kept(buffer, s, first);
    T* const of_rows = of_said + first * s.d;
    behind_back<T>(m, s, grad + first * s.d, x + first * s.d, w, kept, gates + first * 3 * s.d,
                   hidden_gates + first * 3 * s.d, of_x + first * s.d, of_rows, of_w);
    for (int64_t i = 0; i < m * s.d; ++i) of_rows[i] = kept.mixed[i] > 0 ? of_rows[i] : T(0);
  });
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(behind_mixer)
RLLIB_RECATTN_OPERATOR(behind_mixer_backward)
