// A gated AGaLiTe block with a feed-forward part over whole sequences, forward and backward, as operators: one node of
// autograd in the place of some thirty. rllib_recattn/models/parts/blocks.py has the equations.

#include <algorithm>
#include <utility>
#include <vector>

#include "layer.h"
#include "sequence.h"

namespace rllib_recattn {
namespace {

struct BlockSizes {
  int64_t batch, steps, d, d_ff, rows;
  Sizes n;

  explicit BlockSizes(const int64_t* s)
      : batch(s[0]), steps(s[1]), d(s[2]), d_ff(s[3]), rows(s[0] * s[1]), n{s[4], s[5], s[6], s[7]} {}
};

// Rows that a pass leaves for the pass back, besides its gates and what its attention reads: LayerNorm x, the relu of
// what the attention says, r ⊙ x, y; and LayerNorm y, the relu of what the feed-forward part says, r ⊙ y, its hidden
// units. The buffer has rows · (4 + 7 D + D_ff) numbers.
template <typename T>
struct Kept {
  T *moments, *hidden_moments, *h, *mixed, *reset_skip, *y, *hidden_h, *said, *hidden_reset_skip, *hidden;

  Kept(T* place, const BlockSizes& s, int64_t first) {
    const auto next = [&](int64_t width) { return std::exchange(place, place + s.rows * width) + first * width; };
    moments = next(2), hidden_moments = next(2);
    for (T** rest : {&h, &mixed, &reset_skip, &y, &hidden_h, &said, &hidden_reset_skip}) *rest = next(s.d);
    hidden = next(s.d_ff);
  }
};

// Calls f(first row, rows) for some rows at a time, so that what one product leaves is in the second-level cache for
// the next.
template <typename F>
void in_chunks(const BlockSizes& s, const F& f) {
  const int64_t size = std::max<int64_t>(192, 32768 / s.d);
  for (int64_t first = 0; first < s.rows; first += size) f(first, std::min(size, s.rows - first));
}

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
  const Layer<const T> w(arrays);
  T *const z = arrays.next(), *const gates = arrays.next(), *const hidden_gates = arrays.next();
  T *const features = arrays.next(), *const attended = arrays.next(), *const buffer = arrays.next();
  const int64_t d = s.d, projected_size = s.n.projected(), width = s.n.width();
  in_chunks(s, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s, first);
    T* const projected = features + first * projected_size;
    normalise(m, d, x + first * d, w.norm.weight, w.norm.bias, kept.h, kept.moments);
    apply(w.project, m, projected_size, d, kept.h, projected);
    activate(m, s.n, projected);
  });
  read_sequence<T>({s.batch, s.steps, features, channels, is_first, s.n}, keys, values, attended);
  in_chunks(s, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s, first);
    apply<T>(w.output, m, d, width, attended + first * width, kept.mixed, true);
    gate<T>(m, d, x + first * d, kept.mixed, w.gate, {gates + first * 3 * d, kept.reset_skip}, kept.y);
    normalise<T>(m, d, kept.y, w.hidden_norm.weight, w.hidden_norm.bias, kept.hidden_h, kept.hidden_moments);
    apply<T>(w.enter, m, s.d_ff, d, kept.hidden_h, kept.hidden, true);
    apply<T>(w.leave, m, d, s.d_ff, kept.hidden, kept.said, true);
    gate<T>(m, d, kept.y, kept.said, w.hidden_gate, {hidden_gates + first * 3 * d, kept.hidden_reset_skip},
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
  const Layer<const T> w(arrays);
  const T *const gates = arrays.next(), *const hidden_gates = arrays.next(), *const features = arrays.next();
  const T* const attended = arrays.next();
  T *const buffer = arrays.next(), *const of_x = arrays.next();
  const Layer<T> of_w(arrays);
  const int64_t d = s.d, d_ff = s.d_ff, projected_size = s.n.projected(), width = s.n.width();
  // Fresh memory costs more than much of the arithmetic here, so a thread keeps it.
  thread_local std::vector<T> room, of_attended, of_features;
  of_attended.resize(s.rows * width);
  of_features.resize(s.rows * projected_size);
  in_chunks(s, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s, first);
    if (first == 0) room.resize(m * (5 * d + d_ff));
    T *const of_y = room.data(), *const of_rows = of_y + m * d, *const of_gates = of_rows + m * d;
    T* const of_hidden = of_gates + m * 3 * d;
    gate_back<T>(m, d, grad + first * d, kept.y, kept.said, w.hidden_gate,
                 {hidden_gates + first * 3 * d, kept.hidden_reset_skip}, of_gates, of_y, of_rows, of_w.hidden_gate);
    relu_back(m, d, kept.said, of_rows, of_w.leave.bias);
    apply_back<T>(w.leave, m, d, d_ff, kept.hidden, of_rows, of_hidden, of_w.leave.weight);
    relu_back(m, d_ff, kept.hidden, of_hidden, of_w.enter.bias);
    apply_back<T>(w.enter, m, d_ff, d, kept.hidden_h, of_hidden, of_rows, of_w.enter.weight);
    normalise_back<T>(m, d, of_rows, kept.y, kept.hidden_moments, w.hidden_norm.weight, of_y, of_w.hidden_norm.weight,
                      of_w.hidden_norm.bias);

    gate_back<T>(m, d, of_y, x + first * d, kept.mixed, w.gate, {gates + first * 3 * d, kept.reset_skip}, of_gates,
                 of_x + first * d, of_rows, of_w.gate);
    relu_back(m, d, kept.mixed, of_rows, of_w.output.bias);
    apply_back<T>(w.output, m, d, width, attended + first * width, of_rows, of_attended.data() + first * width,
                  of_w.output.weight);
  });
  read_sequence_back<T>({s.batch, s.steps, features, channels, is_first, s.n}, keys, values, of_attended.data(),
                        grad_keys, grad_values, of_features.data());
  in_chunks(s, [&](int64_t first, int64_t m) {
    const Kept<T> kept(buffer, s, first);
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
