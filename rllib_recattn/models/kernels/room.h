// Room for the numbers of a call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace rllib_recattn {

// Hands out room that its owner keeps from call to call: fresh memory costs more than much of the arithmetic here.
template <typename T>
class Room {
 public:
  struct Mark {
    std::size_t block = 0, used = 0;
  };

  T* take(int64_t n) {
    const auto size = static_cast<std::size_t>(n);
    while (at_.block < blocks_.size() && at_.used + size > blocks_[at_.block].size()) ++at_.block, at_.used = 0;
    if (at_.block == blocks_.size()) blocks_.emplace_back(std::max(size, kBlock));
    T* const place = blocks_[at_.block].data() + at_.used;
    at_.used += size;
    return place;
  }
  Mark mark() const { return at_; }
  // Takes back what was handed out since.
  void back_to(Mark mark) { at_ = mark; }

 private:
  static constexpr std::size_t kBlock = 1 << 16;
  std::vector<std::vector<T>> blocks_;
  Mark at_;
};

}  // namespace rllib_recattn
