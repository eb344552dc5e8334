#pragma once

#include <c10/util/Exception.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace trmml::data {

/// Work that a few threads do ahead of the one that needs it, handed out in order.
/// Ours.
///
/// Makes the items `first` .. `end` - 1 in `threads` threads (>= 1); at most `ahead` of
/// them (>= 1) wait or are being made. An `Item` can be made without arguments and
/// moved. Ending early stops the threads after their present item.
///
/// `make` is called from several threads at once, and LibTorch's modes (gradients,
/// inference) are those of a new thread there. `next` is for one thread.
///
/// Throws `c10::ValueError` for other numbers of threads and items ahead.
///
/// Example:
/// ```
/// OrderedStream<at::Tensor> pictures(0, n, 2, 64, [&](int64_t i) { return load(i); });
/// for (int64_t i = 0; i < n; ++i) use(pictures.next());
/// ```
template <typename Item>
class OrderedStream {
 public:
  OrderedStream(
      int64_t first,
      int64_t end,
      int threads,
      int64_t ahead,
      std::function<Item(int64_t)> make)
      : next_out_(first),
        next_in_(first),
        end_(end),
        ahead_(ahead),
        make_(std::move(make)) {
    TORCH_CHECK_VALUE(
        threads >= 1 && ahead >= 1,
        "OrderedStream: expected threads >= 1 and ahead >= 1, got ",
        threads,
        " and ",
        ahead);
    try {
      for (int i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { work(); });
      }
    } catch (...) {  // the system has no thread left
      stop();
      throw;
    }
  }
  ~OrderedStream() { stop(); }
  OrderedStream(const OrderedStream&) = delete;
  OrderedStream& operator=(const OrderedStream&) = delete;

  /// The next item; throws what making it threw (the one after it can still be had).
  /// Not to be called more often than there are items.
  Item next() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return done_.count(next_out_) > 0; });
    Result result = std::move(done_.at(next_out_));
    done_.erase(next_out_++);
    lock.unlock();
    changed_.notify_all();
    if (result.error) {
      std::rethrow_exception(result.error);
    }
    return std::move(result.item);
  }

 private:
  struct Result {
    Item item{};
    std::exception_ptr error;
  };

  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      next_in_ = end_;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(
          lock, [this] { return next_in_ >= end_ || next_in_ < next_out_ + ahead_; });
      if (next_in_ >= end_) {
        return;
      }
      const int64_t index = next_in_++;
      lock.unlock();
      Result result;
      try {
        result.item = make_(index);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      done_[index] = std::move(result);
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_out_;
  int64_t next_in_;
  const int64_t end_;
  const int64_t ahead_;
  const std::function<Item(int64_t)> make_;
  std::map<int64_t, Result> done_;
  std::vector<std::thread> threads_;
};

}  // namespace trmml::data
