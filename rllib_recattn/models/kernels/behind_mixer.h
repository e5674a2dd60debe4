// What stands behind the mixer of a gated block with a feed-forward part, over rows [N, D], forward and backward;
// rllib_recattn/models/parts/blocks.py has the equations. Here y is the first gate's output, z the second's.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "affine.h"
#include "gate.h"
#include "norm.h"
#include "operator.h"

namespace rllib_recattn {

template <typename T>
struct BehindWeights {
  GateWeights<T> gate;
  Affine<T> norm, enter, leave;
  GateWeights<T> hidden_gate;

  // The next of the arrays, in the order in which PyTorch lists weights. An initialiser list goes from left to right.
  template <typename Mutable>
  explicit BehindWeights(Arrays<Mutable>& a)
      : gate{a.next(), a.next(), a.next(), a.next()},
        norm{a.next(), a.next()},
        enter{a.next(), a.next()},
        leave{a.next(), a.next()},
        hidden_gate{a.next(), a.next(), a.next(), a.next()} {}
};

struct BehindSizes {
  int64_t rows, d, d_ff;
};

// Rows that a pass leaves for the pass back, besides its gates: LayerNorm's moments; relu of what the mixer says, r ⊙ x,
// y; LayerNorm y, the relu of what the feed-forward part says, r ⊙ y, its hidden units. The buffer has
// rows · (2 + 6 D + D_ff) numbers.
template <typename T>
struct BehindRows {
  T *moments, *mixed, *reset_skip, *y, *h, *said, *hidden_reset_skip, *hidden;

  BehindRows(T* place, const BehindSizes& s, int64_t first) {
    const auto next = [&](int64_t width) { return std::exchange(place, place + s.rows * width) + first * width; };
    moments = next(2);
    for (T** rest : {&mixed, &reset_skip, &y, &h, &said, &hidden_reset_skip}) *rest = next(s.d);
    hidden = next(s.d_ff);
  }
};

// Calls f(first row, rows) for some rows at a time, so that what one product leaves is in the second-level cache for
// the next.
template <typename F>
void in_chunks(int64_t rows, int64_t d, const F& f) {
  const int64_t size = std::max<int64_t>(192, 32768 / d);
  for (int64_t first = 0; first < rows; first += size) f(first, std::min(size, rows - first));
}

// Some rows: from x and relu of what the mixer says, which is in kept.mixed, to r, u and c of both gates [m, 3 D], and z.
template <typename T>
void behind(int64_t m, const BehindSizes& s, const T* x, const BehindWeights<const T>& w, const BehindRows<T>& kept,
            T* gates, T* hidden_gates, T* z) {
  const int64_t d = s.d;
  gate<T>(m, d, x, kept.mixed, w.gate, {gates, kept.reset_skip}, kept.y);
  normalise<T>(m, d, kept.y, w.norm.weight, w.norm.bias, kept.h, kept.moments);
  apply<T>(w.enter, m, s.d_ff, d, kept.h, kept.hidden, true);
  apply<T>(w.leave, m, d, s.d_ff, kept.hidden, kept.said, true);
  gate<T>(m, d, kept.y, kept.said, w.hidden_gate, {hidden_gates, kept.hidden_reset_skip}, z);
}

// Their way back, given ∂z: sets ∂x and ∂ of the relu's input, and adds to those of the weights.
template <typename T>
void behind_back(int64_t m, const BehindSizes& s, const T* grad, const T* x, const BehindWeights<const T>& w,
                 const BehindRows<T>& kept, const T* gates, const T* hidden_gates, T* of_x, T* of_mixed,
                 const BehindWeights<T>& of_w) {
  const int64_t d = s.d, d_ff = s.d_ff;
  // Fresh memory costs more than much of the arithmetic here, so a thread keeps it.
  thread_local std::vector<T> room;
  room.resize(std::max<size_t>(room.size(), m * (4 * d + d_ff)));
  T *const of_y = room.data(), *const of_gates = of_y + m * d, *const of_hidden = of_gates + m * 3 * d;
  gate_back<T>(m, d, grad, kept.y, kept.said, w.hidden_gate, {hidden_gates, kept.hidden_reset_skip},
               of_gates, of_y, of_mixed, of_w.hidden_gate);
  relu_back(m, d, kept.said, of_mixed, of_w.leave.bias);
  apply_back<T>(w.leave, m, d, d_ff, kept.hidden, of_mixed, of_hidden, of_w.leave.weight);
  relu_back(m, d_ff, kept.hidden, of_hidden, of_w.enter.bias);
  apply_back<T>(w.enter, m, d_ff, d, kept.h, of_hidden, of_mixed, of_w.enter.weight);
  normalise_back<T>(m, d, of_mixed, kept.y, kept.moments, w.norm.weight, of_y, of_w.norm.weight, of_w.norm.bias);
  gate_back<T>(m, d, of_y, x, kept.mixed, w.gate, {gates, kept.reset_skip}, of_gates, of_x, of_mixed,
               of_w.gate);
}

}  // namespace rllib_recattn
