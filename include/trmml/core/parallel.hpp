#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

namespace trmml {

/// Calls `f(begin, end)` for ranges that cover 0 .. `n` - 1 once, on as many threads as
/// LibTorch computes with (`at::get_num_threads()`), and returns when all are done.
///
/// `at::parallel_for` is another function in programs compiled with OpenMP than in
/// those without, where it is serial; this one is the same in both. The helping threads
/// are those of `at::launch`. The caller takes ranges too, so that it never waits for a
/// thread that is busy elsewhere. `f` must not throw.
///
/// Example:
/// ```
/// parallel_for(tiles, [&](int64_t begin, int64_t end) { .. });
/// ```
template <typename F>
void parallel_for(int64_t n, const F& f) {
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  constexpr int64_t kRangesPerThread = 4;  // threads are not equally fast
  const int64_t ranges = std::min(n, kRangesPerThread * threads);
  if (threads == 1 || ranges <= 1) {
    if (n > 0) {
      f(int64_t{0}, n);
    }
    return;
  }
  struct Progress {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable changed;
    int64_t done = 0;
  };
  const auto progress = std::make_shared<Progress>();
  // A thread that comes late finds no range, and touches nothing of the caller's.
  const auto work = [progress, &f, n, ranges] {
    for (int64_t i = progress->next++; i < ranges; i = progress->next++) {
      f(n * i / ranges, n * (i + 1) / ranges);
      const std::lock_guard<std::mutex> lock(progress->mutex);
      if (++progress->done == ranges) {
        progress->changed.notify_all();
      }
    }
  };
  for (int64_t i = 1; i < threads; ++i) {
    at::launch(work);
  }
  work();
  std::unique_lock<std::mutex> lock(progress->mutex);
  progress->changed.wait(lock, [&] { return progress->done == ranges; });
}

}  // namespace trmml
