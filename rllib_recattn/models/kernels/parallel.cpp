// A pool of threads that lives as long as the process. One loop has it at a time; others do without meanwhile.

#include "parallel.h"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace rllib_recattn {
namespace {

thread_local int64_t allowed = 1;  // and within a loop, so that loops in loops take no other threads

class Pool {
 public:
  // Returns false if another loop has the pool.
  bool run(int64_t parts, const std::function<void(int64_t)>& f) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int64_t>(n_threads_) < parts - 1) {
        std::thread([this] { work(); }).detach();
        ++n_threads_;
      }
      f_ = &f, next_ = 0, parts_ = parts, left_ = parts;
    }
    wake_.notify_all();
    help();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return left_ == 0; });
    f_ = nullptr;
    return true;
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return f_ && next_ < parts_; });
      lock.unlock();
      help();
      lock.lock();
    }
  }

  // Takes parts while there are any.
  void help() {
    const int64_t before = allowed;
    allowed = 1;
    for (;;) {
      const std::function<void(int64_t)>* f;
      int64_t part;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!f_ || next_ >= parts_) break;
        f = f_, part = next_++;
      }
      (*f)(part);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--left_ == 0) done_.notify_all();
    }
    allowed = before;
  }

  std::mutex owner_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* f_ = nullptr;
  int64_t n_threads_ = 0, next_ = 0, parts_ = 0, left_ = 0;
};

// A forked process has the pool's memory and none of its threads: it makes one of its own, and leaves the other alone.
Pool& pool() {
  static std::mutex mutex;
  static Pool* pool = nullptr;
  static pid_t process = 0;
  std::lock_guard<std::mutex> lock(mutex);
  if (process != getpid()) pool = new Pool, process = getpid();
  return *pool;
}

}  // namespace

void set_threads(int64_t threads) { allowed = std::max<int64_t>(threads, 1); }

int64_t parts_of(int64_t count, int64_t grain) {
  grain = std::max<int64_t>(grain, 1);
  return std::min(allowed, (count + grain - 1) / grain);
}

void run_parts(int64_t parts, const std::function<void(int64_t)>& run) {
  if (pool().run(parts, run)) return;
  for (int64_t part = 0; part < parts; ++part) run(part);
}

}  // namespace rllib_recattn
