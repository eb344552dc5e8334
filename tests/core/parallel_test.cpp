#include "trmml/core/parallel.hpp"

#include <atomic>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using trmml::parallel_for;

namespace {

// How often each of 0 .. n - 1 was visited.
std::vector<int> visits(int64_t n) {
  std::vector<int> counts(static_cast<size_t>(n), 0);  // each has one writer
  parallel_for(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ++counts[static_cast<size_t>(i)];
    }
  });
  return counts;
}

// LibTorch's number of threads while it lives.
class Threads {
 public:
  explicit Threads(int n) : before_(at::get_num_threads()) { at::set_num_threads(n); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace

TEST_CASE("parallel_for visits every index once") {
  for (const int threads : {1, 2, 5}) {
    const Threads guard(threads);
    for (const int64_t n : {0, 1, 2, 3, 7, 64, 1001}) {
      CHECK(visits(n) == std::vector<int>(static_cast<size_t>(n), 1));
    }
  }
}

TEST_CASE("parallel_for inside of parallel_for ends") {
  const Threads guard(4);
  std::atomic<int64_t> sum{0};
  parallel_for(50, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      parallel_for(20, [&](int64_t a, int64_t b) { sum += b - a; });
    }
  });
  CHECK(sum == 1000);
}
