#include "stack.h"

#include "convolution.h"

namespace rllib_recattn {
namespace {

// What is around a mixer; without gates those are null, and without a feed-forward part what belongs to it.
template <typename T>
struct Surroundings {
  Affine<const T> norm{};
  GateWeights<const T> gate{};
  Affine<const T> hidden_norm{}, enter{}, leave{};
  GateWeights<const T> hidden_gate{};
  const T* convolution = nullptr;

  Surroundings(Arrays<const T>& a, bool gated, bool feedforward, bool convolved) {
    const auto affine = [&a] { return Affine<const T>{a.next(), a.next()}; };
    const auto gate_weights = [&a] { return GateWeights<const T>{a.next(), a.next(), a.next(), a.next()}; };
    norm = affine();
    if (gated) gate = gate_weights();
    if (feedforward) hidden_norm = affine(), enter = affine(), leave = affine();
    if (feedforward && gated) hidden_gate = gate_weights();
    if (convolved) convolution = a.next();
  }
};

// y becomes gate(y, said) or, without a gate, y + said.
template <typename T>
void join(int64_t rows, int64_t d, bool gated, const GateWeights<const T>& weights, const GateMemory<T>& memory,
          const T* said, T* y) {
  if (gated) {
    gate<T>(rows, d, y, said, weights, memory, y);
  } else {
    each(rows, d, [=](int64_t row, int64_t i) { y[row * d + i] += said[row * d + i]; });
  }
}

}  // namespace

template <typename T>
Room<T>& own_room() {
  thread_local Room<T> room;
  return room;
}

template <typename T>
void take_step(Mixer<T>& mixer, Arrays<const T> weights, const int64_t* sizes, const Step<T>& step, const T* x, T* y) {
  const int64_t d_in = sizes[0], d = sizes[2], d_ff = sizes[3], layers = sizes[4], taps = sizes[7], rows = step.rows;
  const bool gated = sizes[5], rectified = sizes[6];
  Room<T>& room = step.room;
  T *const h = room.take(rows * d), *const said = room.take(rows * d), *const moments = room.take(rows * 2);
  T* const hidden = room.take(rows * d_ff);
  const GateMemory<T> memory{room.take(gated ? rows * 3 * d : 0), room.take(gated ? rows * d : 0)};
  mixer.begin(step, weights);
  const Affine<const T> embedding{weights.next(), weights.next()};
  apply<T>(embedding, rows, d, d_in, x, y, rectified);
  int64_t place = mixer.shared_size();
  for (int64_t layer = 0; layer < layers; ++layer) {
    const auto mark = room.mark();
    const Affine<const T> output = mixer.next_layer(weights);
    const Surroundings<T> w(weights, gated, d_ff > 0, taps > 0);
    normalise<T>(rows, d, y, w.norm.weight, w.norm.bias, h, moments);
    const int64_t recent = place + mixer.state_size();
    if (taps) convolve<T>({step, recent}, taps, d, w.convolution, h, d);
    const Mixed<T> mixed = mixer.mix({step, place}, h, d);
    apply<T>(output, rows, d, mixed.width, mixed.values, said, gated);
    join<T>(rows, d, gated, w.gate, memory, said, y);
    if (d_ff) {
      normalise<T>(rows, d, y, w.hidden_norm.weight, w.hidden_norm.bias, h, moments);
      apply<T>(w.enter, rows, d_ff, d, h, hidden, true);
      apply<T>(w.leave, rows, d, d_ff, hidden, said, gated);
      join<T>(rows, d, gated, w.hidden_gate, memory, said, y);
    }
    place = recent + (taps ? (taps - 1) * d : 0);
    room.back_to(mark);
  }
  if (!gated) {
    const Affine<const T> norm{weights.next(), weights.next()};
    normalise<T>(rows, d, y, norm.weight, norm.bias, y, moments, kOutputNormEpsilon);
  }
}

template Room<float>& own_room<float>();
template Room<double>& own_room<double>();
template void take_step<float>(Mixer<float>&, Arrays<const float>, const int64_t*, const Step<float>&, const float*,
                               float*);
template void take_step<double>(Mixer<double>&, Arrays<const double>, const int64_t*, const Step<double>&,
                                const double*, double*);

}  // namespace rllib_recattn
