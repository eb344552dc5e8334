#include "trmml/data/split.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace trmml::data;
using support::error_of;

namespace {

// Three pictures, two categories.
Split three_pictures() {
  Split split;
  split.name = "three pictures";
  split.root = "photos";
  split.table = {
      {"cat", "dog"},
      {"a.jpg", "b.jpg", "c.jpg"},
      at::tensor({1, -1, 0, 1, -1, -1}, at::kChar).view({3, 2})};
  split.names_for_clip = {"a cat", "a dog"};
  split.ignore = at::tensor({0, 0, 1, 0, 0, 0}).view({3, 2}).to(at::kBool);
  split.salient = {0, 1, -1};
  return split;
}

}  // namespace

TEST_CASE("split: selected rows keep everything that belongs to them, in any order") {
  const Split split = three_pictures();
  const Split part = select_rows(split, {2, 1});
  validate(part);
  CHECK(part.name == "three pictures");
  CHECK(part.root == "photos");
  CHECK(part.table.classnames == split.table.classnames);
  CHECK(part.names_for_clip == split.names_for_clip);
  CHECK(part.table.images == std::vector<std::string>{"c.jpg", "b.jpg"});
  CHECK(part.table.labels.equal(at::tensor({-1, -1, 0, 1}, at::kChar).view({2, 2})));
  CHECK(part.ignore.equal(at::tensor({0, 0, 1, 0}).view({2, 2}).to(at::kBool)));
  CHECK(part.salient == std::vector<int64_t>{-1, 1});
}

TEST_CASE("split: what it does not have, its rows do not have either") {
  Split split = three_pictures();
  split.ignore.reset();
  split.salient.clear();
  const Split part = select_rows(split, {0});
  validate(part);
  CHECK_FALSE(part.ignore.defined());
  CHECK(part.salient.empty());
  const Split none = select_rows(three_pictures(), {});
  validate(none);
  CHECK(none.table.images.empty());
  CHECK(none.table.labels.sizes() == at::IntArrayRef({0, 2}));
}

TEST_CASE("split: messages") {
  const Split split = three_pictures();
  for (const int64_t row : {-1, 3}) {
    CHECK(error_of([&] {
            select_rows(split, {0, row});
          }) == "select_rows: expected rows from 0 to 2, got " + std::to_string(row));
  }
  Split wrong = split;
  wrong.salient.pop_back();
  CHECK(error_of([&] {
          validate(wrong);
        }) == "three pictures: expected 3 salient categories, got 2");
  wrong = split;
  wrong.ignore = wrong.ignore.to(at::kChar);
  CHECK(
      error_of([&] { validate(wrong); }) ==
      "three pictures: expected a bool mask of shape [3, 2], got [3, 2] of type Char");
}
