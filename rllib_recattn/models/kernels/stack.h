// One acting step of a whole stack without gradients: the blocks around any mixer, and what a mixer has to know.
#pragma once

#include "affine.h"
#include "gate.h"
#include "norm.h"
#include "operator.h"
#include "room.h"

namespace rllib_recattn {

// A step of B rows. The state of a row is S numbers behind one another.
template <typename T>
struct Step {
  int64_t rows, size;     // B and S
  const bool* is_first;   // [B], or null where none is
  const T* state;         // [B, S]
  T* new_state;           // likewise
  Room<T>& room;

  bool starts(int64_t row) const { return is_first && is_first[row]; }
};

// What lies at one place of all rows' states.
template <typename T>
struct Part {
  const Step<T>& step;
  int64_t place;

  T* after(int64_t row, int64_t offset = 0) const { return step.new_state + row * step.size + place + offset; }
  // n numbers from `offset` on before the step, which are zeros where it starts an episode.
  const T* before(int64_t row, int64_t n, int64_t offset = 0) const {
    if (!step.starts(row)) return step.state + row * step.size + place + offset;
    std::fill_n(after(row, offset), n, T(0));
    return after(row, offset);
  }
};

// What the output projection of a mixer reads [B, width].
template <typename T>
struct Mixed {
  const T* values;
  int64_t width;
};

// The part of a block that mixes the steps of a sequence; rllib_recattn/models/parts/stack.py has it for PyTorch. It is
// asked for one layer after the other, and lives for one call.
template <typename T>
class Mixer {
 public:
  virtual ~Mixer() = default;
  // How many numbers stand in front of all layers' in a row's state, and how many are each layer's mixer's.
  virtual int64_t shared_size() const { return 0; }
  virtual int64_t state_size() const = 0;
  // Takes the model's own weights, if it has some, and writes the shared part of the state.
  virtual void begin(const Step<T>&, Arrays<const T>&) {}
  // Takes the weights of the next layer, and returns those of its output projection, which are the last.
  virtual Affine<const T> next_layer(Arrays<const T>& weights) = 0;
  // Reads h [B, D], and the layer's part of the state.
  virtual Mixed<T> mix(const Part<T>& part, const T* h, int64_t d) = 0;
};

// sizes: D_in, S, D, D_ff (0: no feed-forward part), layers, whether gated, whether a relu follows the embedding, taps of
// a convolution in front of each mixer. The mixer's own sizes follow.
constexpr int64_t kStackSizes = 8;

// Arrays of `weights`: the model's in the order in which PyTorch lists them, buffers behind a module's parameters.
template <typename T>
void take_step(Mixer<T>& mixer, Arrays<const T> weights, const int64_t* sizes, const Step<T>& step, const T* x, T* y);

// The room of the calling thread.
template <typename T>
Room<T>& own_room();

template <typename T, template <typename> typename Kind>
void call_step(void* const* weights, const double* constants, const int64_t* sizes, int64_t rows, const T* x,
               const T* state, const bool* is_first, T* y, T* new_state, int64_t threads) {
  set_threads(threads);
  Room<T>& room = own_room<T>();
  room.back_to({});
  Kind<T> mixer(sizes + kStackSizes, constants);
  take_step<T>(mixer, Arrays<const T>(weights), sizes, {rows, sizes[1], is_first, state, new_state, room}, x, y);
}

}  // namespace rllib_recattn

// Defines name_step_float and name_step_double for stacks of a kind of mixers: of x [B, D_in] and the state [B, S] they
// make y [B, D] and the new state.
#define RLLIB_RECATTN_STEP_OF(name, Kind, suffix, T)                                                               \
  RLLIB_RECATTN_EXPORT void name##_step_##suffix(void* const* weights, const double* constants,                    \
                                                 const int64_t* sizes, int64_t rows, const T* x, const T* state,   \
                                                 const bool* is_first, T* y, T* new_state, int64_t threads) {      \
    rllib_recattn::call_step<T, rllib_recattn::Kind>(weights, constants, sizes, rows, x, state, is_first, y,       \
                                                     new_state, threads);                                          \
  }
#define RLLIB_RECATTN_STEP(name, Kind)                \
  RLLIB_RECATTN_STEP_OF(name, Kind, float, float)     \
  RLLIB_RECATTN_STEP_OF(name, Kind, double, double)
