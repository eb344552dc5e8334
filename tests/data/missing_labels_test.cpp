#include "trmml/data/missing_labels.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/label_table.hpp"

#include <ATen/ATen.h>

#include "support/catch.hpp"

using namespace trmml::data;

namespace {

// A label matrix that both languages can write: entry (i, c) is present if
// (7 i + 3 c) % 5 < 2.
at::Tensor pattern(int64_t n, int64_t c) {
  at::Tensor labels = at::empty({n, c}, at::kChar);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < c; ++k) {
      labels[i][k] = (7 * i + 3 * k) % 5 < 2 ? 1 : -1;
    }
  }
  return labels;
}

std::vector<int64_t> flat(const at::Tensor& tensor) {
  const at::Tensor t = tensor.to(at::kLong).contiguous();
  return {t.data_ptr<int64_t>(), t.data_ptr<int64_t>() + t.numel()};
}

template <typename Call>
std::string value_error(Call&& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const trmml::DataError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the first draws are NumPy's of seed 0") {
  std::mt19937 engine(0);
  CHECK(trmml::legacy_uniform(engine) == 0.5488135039273248);
  CHECK(trmml::legacy_uniform(engine) == 0.7151893663724195);
  CHECK(trmml::legacy_uniform(engine) == 0.6027633760716439);
}

TEST_CASE("known-label proportion: the published counts of VOC2007 trainval") {
  // 5,011 x 20 entries, seed 0; the counts do not depend on the labels.
  const at::Tensor labels = at::full({5011, 20}, -1, at::kChar);
  CHECK(count_labels(known_label_proportion(labels, 0.1)).known == 10108);
  CHECK(count_labels(known_label_proportion(labels, 0.5)).known == 50163);
  CHECK(count_labels(known_label_proportion(labels, 0.9)).known == 90174);
}

TEST_CASE("known-label proportion: nested, and never changes what it keeps") {
  const at::Tensor labels = pattern(200, 11);
  const at::Tensor few = known_label_proportion(labels, 0.1, 3);
  const at::Tensor more = known_label_proportion(labels, 0.4, 3);
  CHECK(few.ne(0).logical_and(more.eq(0)).sum().item<int64_t>() == 0);
  CHECK(more.ne(0).logical_and(more.ne(labels)).sum().item<int64_t>() == 0);
  CHECK(at::equal(known_label_proportion(labels, 1.0, 3), labels));
  CHECK(known_label_proportion(labels, 0.0, 3).abs().sum().item<int64_t>() == 0);
  CHECK_FALSE(at::equal(few, known_label_proportion(labels, 0.1, 4)));
  CHECK(
      value_error([&] { known_label_proportion(labels, 10); }) ==
      "known_label_proportion: expected a proportion in [0, 1], got 10 (10 % is 0.1)");
}

TEST_CASE("single positive: equal to NumPy's legacy shuffles") {
  const at::Tensor one = single_positive(pattern(12, 9));
  CHECK(flat(one.sum(1)) == std::vector<int64_t>(12, 1));
  // python3 tests/reference/missing_labels.py
  CHECK(
      flat(one.argmax(1)) == std::vector<int64_t>{0, 6, 2, 8, 6, 5, 6, 2, 5, 6, 7, 8});
  CHECK(one.gt(0).logical_and(pattern(12, 9).le(0)).sum().item<int64_t>() == 0);
  const at::Tensor none = single_positive(at::full({3, 4}, -1, at::kChar));
  CHECK(none.abs().sum().item<int64_t>() == 0);
}

TEST_CASE("keep one positive") {
  const at::Tensor labels = pattern(2, 5);  // present: 0, 2 and 1, 3
  CHECK(
      flat(keep_one_positive(labels, {2, -1})) ==
      std::vector<int64_t>{0, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(
      value_error([&] {
        keep_one_positive(labels, {1, 1});
      }) ==
      "keep_one_positive: expected a category that is present in picture 0, got 1");
}

TEST_CASE("labels outside {-1, 0, 1} are refused with their place") {
  at::Tensor labels = pattern(3, 4);
  labels[2][1] = 2;
  CHECK(
      value_error([&] { single_positive(labels); }) ==
      "single_positive: expected labels in {-1 absent, 0 unknown, +1 present}, got 2 "
      "at "
      "[2, 1] (other projects code their labels differently: convert them first)");
}

TEST_CASE("label table: names, contradictions, digest") {
  LabelTable table{{"cat", "wild cat", "dog"}, {"a.jpg", "b.jpg"}, pattern(2, 3)};
  table.validate();
  CHECK(table.index_of("dog") == 2);
  CHECK(
      value_error([&] { table.index_of("Cat"); }) ==
      "LabelTable: expected one of 3 categories, got \"Cat\" (did you mean \"cat\" or "
      "\"wild cat\"?)");
  const std::string digest = label_digest(table.labels);
  CHECK(digest.size() == 16);
  table.labels[1][2] = 0;
  CHECK(label_digest(table.labels) != digest);
  table.images.pop_back();
  CHECK(value_error([&] {
          table.validate();
        }).find("[1, 3] for 1 images") != std::string::npos);
  table.classnames[0] = "dog";
  CHECK(value_error([&] { table.validate(); }).find("unique") != std::string::npos);
}
