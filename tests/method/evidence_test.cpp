#include "trmml/method/evidence.hpp"

#include <cstdint>

#include "support/catch.hpp"

// `gather_evidence` is tested where it is used: training/pseudo_label_refresh_test.cpp.

TEST_CASE("pictures_at_once: 2^26 numbers, worked by hand") {
  using trmml::pictures_at_once;
  CHECK(pictures_at_once(80, 512) == 500);     // 1,638 would do
  CHECK(pictures_at_once(1000, 512) == 131);   // 67,108,864 / 512,000 = 131.07
  CHECK(pictures_at_once(20000, 512) == 6);    // 67,108,864 / 10,240,000 = 6.55
  CHECK(pictures_at_once(1 << 17, 256) == 2);  // 2^25 each
  CHECK(pictures_at_once(1 << 16, 1024) == 1);
  CHECK(pictures_at_once(1'000'000, 1024) == 1);  // not even one
  CHECK(pictures_at_once(1, 1) == 500);
  CHECK(pictures_at_once(0, 512) == 500);
}
