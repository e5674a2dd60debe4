// Loops over independent indices by as many threads as PyTorch is given, without its headers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace rllib_recattn {

// How many threads the loops of the calling thread may take; each operator sets it to what it was told.
void set_threads(int64_t threads);

// How many parts a loop over `count` indices is cut into, none shorter than `grain`, but for the last one.
int64_t parts_of(int64_t count, int64_t grain);

// Calls run(part) for all parts, each by some thread, and returns when all are done.
void run_parts(int64_t parts, const std::function<void(int64_t)>& run);

// Calls f(first, last) for pieces of [begin, end). No call may depend on another one.
template <typename F>
void parallel_for(int64_t begin, int64_t end, int64_t grain, const F& f) {
  const int64_t count = end - begin;
  if (count <= 0) return;
  const int64_t parts = parts_of(count, grain);
  if (parts == 1) return f(begin, end);
  const int64_t size = (count + parts - 1) / parts;
  run_parts(parts, [&](int64_t part) {
    const int64_t first = begin + part * size, last = std::min(first + size, end);
    if (first < last) f(first, last);
  });
}

}  // namespace rllib_recattn
