// How Python calls an operator: with arrays of pointers and of sizes, for each kind of number by a name of its own.
#pragma once

#include <cstdint>

#include "parallel.h"

#define RLLIB_RECATTN_EXPORT extern "C" __attribute__((visibility("default")))

// Defines name_float and name_double(arrays, sizes, threads), which call name<T>(arrays, sizes). What `arrays` points to
// is dense and in the order that the operator's comment says; null stands for what is left out.
#define RLLIB_RECATTN_OPERATOR(name)                                                                     \
  RLLIB_RECATTN_EXPORT void name##_float(void* const* arrays, const int64_t* sizes, int64_t threads) {   \
    rllib_recattn::set_threads(threads);                                                                 \
    rllib_recattn::name<float>(rllib_recattn::Arrays<float>(arrays), sizes);                             \
  }                                                                                                      \
  RLLIB_RECATTN_EXPORT void name##_double(void* const* arrays, const int64_t* sizes, int64_t threads) {  \
    rllib_recattn::set_threads(threads);                                                                 \
    rllib_recattn::name<double>(rllib_recattn::Arrays<double>(arrays), sizes);                           \
  }

namespace rllib_recattn {

// The arrays of a call, one after the other.
template <typename T>
class Arrays {
 public:
  explicit Arrays(void* const* arrays) : place_(arrays) {}

  T* next() { return static_cast<T*>(*place_++); }
  template <typename Other>
  Other* next_of() {
    return static_cast<Other*>(*place_++);
  }

 private:
  void* const* place_;
};

}  // namespace rllib_recattn
