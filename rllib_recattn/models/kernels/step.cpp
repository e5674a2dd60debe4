// One acting step of a whole AGaLiTe of gated blocks with feed-forward parts, without gradients, as an operator.

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention.h"
#include "layer.h"

namespace rllib_recattn {
namespace {

// cos(ω_j t) of each row's step and 1 [B, R]; the rows' clocks after it go to the first number of their new state.
template <typename T>
void write_channels(const T* state, const bool* is_first, int64_t rows, int64_t size, const double* frequencies,
                    int64_t n, double offset, int64_t period, T* new_state, T* out) {
  for (int64_t row = 0; row < rows; ++row, out += n) {
    const T count = is_first && is_first[row] ? T(0) : std::fmod(state[row * size], T(period));
    for (int64_t j = 0; j < n - 1; ++j) out[j] = std::cos((count + T(offset)) * T(frequencies[j]));
    out[n - 1] = 1;
    new_state[row * size] = std::fmod(count + 1, T(period));
  }
}

// One layer's attention, from the memories in `state` [B, S] at `place` to those in `new_state`.
template <typename T>
void attend(const T* features, const T* channels, const bool* is_first, const Sizes& n, int64_t rows, int64_t size,
            int64_t place, const T* state, T* new_state, T* output) {
  parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
    thread_local std::vector<T> overlap, scratch;
    overlap.resize(n.channels), scratch.resize(n.d_head + 3 * n.eta);
    for (int64_t row = begin; row < end; ++row) {
      T *keys = new_state + row * size + place, *values = keys + n.heads * n.keys();
      if (is_first && is_first[row]) {
        std::fill_n(keys, n.heads * (n.keys() + n.values()), T(0));
      } else {
        std::copy_n(state + row * size + place, n.heads * (n.keys() + n.values()), keys);
      }
      for (int64_t head = 0; head < n.heads; ++head) {
        const auto write = n.eta == 4 ? write_and_read<4, T> : write_and_read<0, T>;
        write({features + row * n.projected(), n, head}, channels + row * n.channels, n, keys + head * n.keys(),
              values + head * n.values(), overlap.data(), output + row * n.width() + head * n.d_head, scratch.data());
      }
    }
  });
}

}  // namespace

// sizes: B, D_in, S, D, D_ff, layers, H, d, η, r + 1, period. Arrays: the frequencies (r numbers) and the offset behind
// them, doubles in any case; x [B, D_in], state [B, S], is_first [B]; to be written, the output [B, D] and the new state;
// and the model's weights in the order in which PyTorch lists them.
template <typename T>
void agalite_step(Arrays<T> arrays, const int64_t* sizes) {
  const int64_t rows = sizes[0], d_in = sizes[1], size = sizes[2], d = sizes[3], d_ff = sizes[4];
  const Sizes n{sizes[6], sizes[7], sizes[8], sizes[9]};
  const double* const frequencies = arrays.template next_of<double>();
  const T *const x = arrays.next(), *const state = arrays.next();
  const bool* const is_first = arrays.template next_of<bool>();
  T *const y = arrays.next(), *const new_state = arrays.next();
  thread_local std::vector<T> room;
  room.resize(rows * (2 + 6 * d + d_ff + n.projected() + n.width() + n.channels));
  T *const h = room.data(), *const said = h + rows * d, *const hidden = said + rows * d;
  const GateMemory<T> gates{hidden + rows * d_ff, hidden + rows * (d_ff + 3 * d)};
  T *const moments = gates.reset_skip + rows * d, *const projected = moments + rows * 2;
  T *const attended = projected + rows * n.projected(), *const channels = attended + rows * n.width();
  write_channels(state, is_first, rows, size, frequencies, n.channels, frequencies[n.channels - 1], sizes[10],
                 new_state, channels);
  const Affine<const T> embedding{arrays.next(), arrays.next()};
  apply<T>(embedding, rows, d, d_in, x, y, true);
  int64_t place = 1;
  for (int64_t layer = 0; layer < sizes[5]; ++layer) {
    const Layer<const T> w(arrays);
    normalise<T>(rows, d, y, w.norm.weight, w.norm.bias, h, moments);
    apply<T>(w.project, rows, n.projected(), d, h, projected);
    activate(rows, n, projected);
    attend<T>(projected, channels, is_first, n, rows, size, place, state, new_state, attended);
    apply<T>(w.output, rows, d, n.width(), attended, said, true);
    gate<T>(rows, d, y, said, w.gate, gates, y);
    normalise<T>(rows, d, y, w.hidden_norm.weight, w.hidden_norm.bias, h, moments);
    apply<T>(w.enter, rows, d_ff, d, h, hidden, true);
    apply<T>(w.leave, rows, d, d_ff, hidden, said, true);
    gate<T>(rows, d, y, said, w.hidden_gate, gates, y);
    place += n.heads * (n.keys() + n.values());
  }
}

}  // namespace rllib_recattn

RLLIB_RECATTN_OPERATOR(agalite_step)
