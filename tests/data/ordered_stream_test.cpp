#include "trmml/data/ordered_stream.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using trmml::data::OrderedStream;

namespace {

// Later items are ready sooner.
int64_t square_late(int64_t i) {
  std::this_thread::sleep_for(std::chrono::microseconds(200 * (7 - i % 8)));
  return i * i;
}

template <typename Item>
std::vector<Item> all_of(OrderedStream<Item>& stream, int64_t n) {
  std::vector<Item> items;
  for (int64_t i = 0; i < n; ++i) {
    items.push_back(stream.next());
  }
  return items;
}

}  // namespace

TEST_CASE("OrderedStream: items come in order, whatever makes them") {
  const std::vector<int64_t> expected = {9, 16, 25, 36, 49, 64, 81, 100, 121, 144};
  for (const int threads : {1, 2, 5}) {
    for (const int64_t ahead : {1, 3, 100}) {
      OrderedStream<int64_t> stream(3, 13, threads, ahead, square_late);
      CHECK(all_of(stream, 10) == expected);
    }
  }
}

TEST_CASE("OrderedStream: no more than `ahead` items wait or are being made") {
  std::atomic<int64_t> made{0};
  constexpr int64_t kAhead = 4;
  OrderedStream<int64_t> stream(0, 50, 3, kAhead, [&](int64_t i) {
    ++made;
    return i;
  });
  for (int64_t i = 0; i < 50; ++i) {
    CHECK(made <= i + kAhead);
    CHECK(stream.next() == i);
  }
  CHECK(made == 50);
}

TEST_CASE("OrderedStream: items may be movable only, and there may be none") {
  using Item = std::unique_ptr<int64_t>;
  OrderedStream<Item> stream(
      0, 3, 2, 2, [](int64_t i) { return std::make_unique<int64_t>(i); });
  for (int64_t i = 0; i < 3; ++i) {
    CHECK(*stream.next() == i);
  }
  const OrderedStream<Item> none(0, 0, 2, 2, [](int64_t) { return Item(); });
}

TEST_CASE("OrderedStream: an error comes in its item's place, and the rest after it") {
  OrderedStream<int64_t> stream(0, 8, 3, 3, [](int64_t i) {
    return i % 3 == 1 ? throw std::runtime_error("item " + std::to_string(i))
                      : square_late(i);
  });
  for (int64_t i = 0; i < 8; ++i) {
    if (i % 3 == 1) {
      CHECK_THROWS_WITH(stream.next(), "item " + std::to_string(i));
    } else {
      CHECK(stream.next() == i * i);
    }
  }
}

TEST_CASE("OrderedStream: ending early makes no further items") {
  std::atomic<int64_t> made{0};
  {
    OrderedStream<int64_t> stream(0, 1'000'000, 2, 8, [&](int64_t i) {
      ++made;
      return i;
    });
    CHECK(stream.next() == 0);
  }
  const int64_t at_the_end = made;
  CHECK(at_the_end >= 1);
  CHECK(at_the_end <= 9);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(made == at_the_end);
}

TEST_CASE("OrderedStream: messages") {
  const auto stream = [](int threads, int64_t ahead) {
    OrderedStream<int64_t>(0, 1, threads, ahead, [](int64_t i) { return i; });
  };
  CHECK(support::error_of([&] {
          stream(0, 1);
        }) == "OrderedStream: expected threads >= 1 and ahead >= 1, got 0 and 1");
  CHECK(support::error_of([&] {
          stream(2, 0);
        }) == "OrderedStream: expected threads >= 1 and ahead >= 1, got 2 and 0");
}
