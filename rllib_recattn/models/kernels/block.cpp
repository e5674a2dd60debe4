// A gated AGaLiTe block with a feed-forward part over whole sequences, forward and backward, as operators: one node of
// autograd in the place of some thirty. rllib_recattn/models/parts/blocks.py has the equations.

#include <vector>

#include "behind_mixer.h"
#include "sequence.h"

namespace rllib_recattn {
namespace {

template <typename T>
struct BlockWeights {
  Affine<T> project, output, norm;
  BehindWeights<T> behind;

  template <typename Mutable>
  explicit BlockWeights(Arrays<Mutable>& a)
      : project{a.next(), a.next()}, output{a.next(), a.next()}, norm{a.next(), a.next()}, behind(a) {}
};

struct BlockSizes {
  int64_t batch, steps;
  BehindSizes behind;
  Sizes n;

  explicit BlockSizes(const int64_t* s)
      : batch(s[0]), steps(s[1]), behind{s[0] * s[1], s[2], s[3]}, n{s[4], s[5], s[6], s[7]} {}
};

// Rows that a pass leaves for the pass back, besides its gates and what its attention reads: LayerNorm x and its moments,
// and those of `BehindRows`. The buffer has rows · (4 + 7 D + D_ff) numbers.
template <typename T>
struct Kept {
  T *moments, *h;
  BehindRows<T> behind;

  Kept(T* place, const BehindSizes& s, int64_t first)
      : moments(place + 2 * first),
        h(place + 2 * s.rows + first * s.d),
        behind(place + s.rows * (2 + s.d), s, first) {}
};

}  // namespace

// sizes: B, T, D, D_ff, H, d, η, r + 1. Arrays: x [B, T, D], channels [B, T, R], is_first [B, T]; keys [B, H, R, η d] and
// values [B, H, r, d], which become those after the last step; the weights; and to be written, the output [B, T, D], r, u
// and c of both gates [B, T, 3 D], and for the way back the attention's features [B, T, P], its attended values
// [B, T, H d], and the buffer of Kept.
template <typename T>
void block(Arrays<T> arrays, const int64_t* sizes) {
  const BlockSizes s(sizes);
  const T *const x = arrays.next(), *const channels = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  T *const keys = arrays.next(), *const values = arrays.next();
  const BlockWeights<const T> w(arrays);
  T *const z = arrays.next(), *const gates = arrays.next(), *const hidden_gates = arrays.next();
  T *const features = arrays.next(), *const attended = arrays.next(), *const buffer = arrays.next();
  const int64_t rows = s.behind.rows, d = s.behind.d, projected_size = s.n.projected(), width = s.n.width();
  in_chunks(rows, d, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s.behind, first);
    T* const projected = features + first * projected_size;
    normalise(m, d, x + first * d, w.norm.weight, w.norm.bias, kept.h, kept.moments);
    apply(w.project, m, projected_size, d, kept.h, projected);
    activate(m, s.n, projected);
  });
  read_sequence<T>({s.batch, s.steps, features, channels, is_first, s.n}, keys, values, attended);
  in_chunks(rows, d, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s.behind, first);
    apply<T>(w.output, m, d, width, attended + first * width, kept.behind.mixed, true);
    behind<T>(m, s.behind, x + first * d, w.behind, kept.behind, gates + first * 3 * d, hidden_gates + first * 3 * d,
              z + first * d);
  });
}

// Arrays: ∂ of the output; those of both memories after the last step, which become those before the first; x, channels,
// is_first, both memories before the first step, the weights; what `block` has written behind its output; to be written,
// ∂x; and to be added to, ∂ of the weights.
template <typename T>
void block_backward(Arrays<T> arrays, const int64_t* sizes) {
  const BlockSizes s(sizes);
  const T* const grad = arrays.next();
  T *const grad_keys = arrays.next(), *const grad_values = arrays.next();
  const T *const x = arrays.next(), *const channels = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  const T *const keys = arrays.next(), *const values = arrays.next();
  const BlockWeights<const T> w(arrays);
  const T *const gates = arrays.next(), *const hidden_gates = arrays.next(), *const features = arrays.next();
  const T* const attended = arrays.next();
  T *const buffer = arrays.next(), *const of_x = arrays.next();
  const BlockWeights<T> of_w(arrays);
  const int64_t rows = s.behind.rows, d = s.behind.d, projected_size = s.n.projected(), width = s.n.width();
  // Fresh memory costs more than much of the arithmetic here, so a thread keeps it.
  thread_local std::vector<T> room, of_attended, of_features;
  of_attended.resize(rows * width);
  of_features.resize(rows * projected_size);
  in_chunks(rows, d, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s.behind, first);
    if (first == 0) room.resize(m * d);
    T* const of_mixed = room.data();
    behind_back<T>(m, s.behind, grad + first * d, x + first * d, w.behind, kept.behind, gates + first * 3 * d,
                   hidden_gates + first * 3 * d, of_x + first * d, of_mixed, of_w.behind);
    relu_back(m, d, kept.behind.mixed, of_mixed, of_w.output.bias);
    apply_back<T>(w.output, m, d, width, attended + first * width, of_mixed, of_attended.data() + first * width,
                  of_w.output.weight);
  });
  read_sequence_back<T>({s.batch, s.steps, features, channels, is_first, s.n}, keys, values, of_attended.data(),
                        grad_keys, grad_values, of_features.data());
  in_chunks(rows, d, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s.behind, first);
    const T* const of_projected = of_features.data() + first * projected_size;
    T* const of_h = room.data();
    sum_rows(m, projected_size, of_projected, of_w.project.bias);
    apply_back<T>(w.project, m, projected_size, d, kept.h, of_projected, of_h, of_w.project.weight);
    normalise_back<T>(m, d, of_h, x + first * d, kept.moments, w.norm.weight, of_x + first * d, of_w.norm.weight,
                      of_w.norm.bias);
  });
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(block)
RLLIB_RECATTN_OPERATOR(block_backward)
