#include "trmml/data/missing_labels.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/label_table.hpp"
#include "trmml/data/protocol.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "reference/missing_labels.hpp"
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

// Rows with anything from no positive to many; some entries are not known.
at::Tensor varied(int64_t n, int64_t c) {
  at::Tensor labels = at::empty({n, c}, at::kChar);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < c; ++k) {
      const int64_t hash = (i * i + 5 * k * k + i * k) % 11;
      labels[i][k] = (i + 2 * k) % 23 == 0 ? 0 : hash < i % 12 ? 1 : -1;
    }
  }
  return labels;
}

template <size_t size>
std::vector<int64_t> list(const double (&values)[size]) {
  std::vector<int64_t> whole;
  for (const double value : values) {
    whole.push_back(std::lround(value));
  }
  return whole;
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
  CHECK(flat(one.argmax(1)) == list(reference::missing_labels::kSinglePositive));
  CHECK(one.gt(0).logical_and(pattern(12, 9).le(0)).sum().item<int64_t>() == 0);
  const at::Tensor none = single_positive(at::full({3, 4}, -1, at::kChar));
  CHECK(none.abs().sum().item<int64_t>() == 0);
}

TEST_CASE("random draws an entry: equal to NumPy's") {
  const at::Tensor labels = varied(24, 9);
  CHECK(
      flat(known_label_proportion(labels, 0.3, 5)) ==
      list(reference::missing_labels::kKnownLabelProportion));
  CHECK(
      flat(random_per_sample(labels, 0.6, 5)) ==
      list(reference::missing_labels::kRandomPerSample));
  CHECK(at::equal(random_per_sample(labels, 0.0), labels));
  CHECK(count_labels(random_per_sample(labels, 1.0)).known == 0);
  // What one keeps the other hides.
  CHECK(
      count_labels(
          random_per_sample(labels, 0.3, 5) * known_label_proportion(labels, 0.3, 5))
          .known == 0);
  CHECK(
      value_error([&] { random_per_sample(labels, 90); }) ==
      "random_per_sample: expected a removal rate in [0, 1], got 90 (10 % is 0.1)");
  CHECK(value_error([&] {
          random_per_sample(labels, std::nan(""));
        }) == "random_per_sample: expected a removal rate in [0, 1], got nan");
}

TEST_CASE("fixed per class: equal to NumPy's choice, or all there are") {
  const at::Tensor labels = varied(24, 9);
  CHECK(
      flat(fixed_per_class(labels, 4, 3)) ==
      list(reference::missing_labels::kFixedPerClass));
  CHECK(
      flat(fixed_per_class(labels, 12)) ==
      list(reference::missing_labels::kFixedPerClassMany));
  const at::Tensor kept = fixed_per_class(labels, 12);
  for (const int64_t state : {1, -1}) {
    CHECK(at::equal(kept.eq(state).sum(0), labels.eq(state).sum(0).clamp_max(12)));
  }
  CHECK(kept.ne(0).logical_and(kept.ne(labels)).sum().item<int64_t>() == 0);
  CHECK(at::equal(fixed_per_class(labels, 24), labels));
  CHECK(count_labels(fixed_per_class(labels, 0)).known == 0);
  CHECK(value_error([&] {
          fixed_per_class(labels, -1);
        }) == "fixed_per_class: expected 0 entries or more, got -1");
}

TEST_CASE("missing positives: the counts of SPLC") {
  // A row with 0, 1, .. 12 positives each, some entries unknown.
  at::Tensor labels = at::full({13, 14}, -1, at::kChar);
  for (int64_t row = 0; row < 13; ++row) {
    labels[row].slice(0, 13 - row, 13).fill_(1);
  }
  labels.select(1, 13).zero_();
  const auto kept = [&labels](PositivesLeft left) {
    return flat(missing_positives(labels, left).sum(1));
  };
  CHECK(
      kept(PositivesLeft::kThreeQuarters) ==
      std::vector<int64_t>{0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7});
  CHECK(
      kept(PositivesLeft::kTwoFifths) ==
      std::vector<int64_t>{0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3});
}

TEST_CASE("missing positives: equal to NumPy's shuffles, nested, no negative kept") {
  const at::Tensor labels = varied(24, 9);
  const at::Tensor more = missing_positives(labels, PositivesLeft::kThreeQuarters, 7);
  const at::Tensor less = missing_positives(labels, PositivesLeft::kTwoFifths, 7);
  CHECK(flat(more) == list(reference::missing_labels::kThreeQuarters));
  CHECK(flat(less) == list(reference::missing_labels::kTwoFifths));
  CHECK(less.gt(more).sum().item<int64_t>() == 0);
  CHECK(more.gt(labels.gt(0)).sum().item<int64_t>() == 0);
  CHECK(more.lt(0).sum().item<int64_t>() == 0);
  CHECK_FALSE(
      at::equal(more, missing_positives(labels, PositivesLeft::kThreeQuarters, 8)));
}

TEST_CASE("the rows that Cole et al. hold out") {
  const HeldOutRows rows = cole_held_out(43);
  CHECK(rows.held_out == list(reference::missing_labels::kHeldOut));
  std::vector<int64_t> all = rows.train;
  all.insert(all.end(), rows.held_out.begin(), rows.held_out.end());
  std::sort(all.begin(), all.end());
  CHECK(all == flat(at::arange(43)));
  CHECK(std::is_sorted(rows.train.begin(), rows.train.end()));
  const std::vector<int64_t> voc = cole_held_out(5717).held_out;
  const std::vector<int64_t> seen = {
      static_cast<int64_t>(voc.size()),
      voc.front(),
      voc.back(),
      std::accumulate(voc.begin(), voc.end(), int64_t{0})};
  CHECK(seen == list(reference::missing_labels::kHeldOutVoc));
  // Halves round to even, as numpy.round has it.
  CHECK(cole_held_out(5, 0.5).held_out.size() == 2);
  CHECK(cole_held_out(7, 0.5).held_out.size() == 4);
  CHECK(cole_held_out(10, 0.0, 0).held_out.empty());
  CHECK(cole_held_out(10, 1.0, 0).train.empty());
  CHECK(cole_held_out(0).train.empty());
  CHECK(value_error([] {
          cole_held_out(10, 20, 0);
        }) == "cole_held_out: expected a share in [0, 1], got 20");
}

TEST_CASE("rows to choose the epoch on") {
  // tests/reference/loader.py: order(10, 7, 0) begins with 0, 4, 1.
  const HeldOutRows rows = hold_out(10, 0.25, 7);
  CHECK(rows.held_out == std::vector<int64_t>{0, 1, 4});
  CHECK(rows.train == std::vector<int64_t>{2, 3, 5, 6, 7, 8, 9});
  CHECK(hold_out(2, 0.5, 0).train.size() == 1);
  CHECK(value_error([] {
          hold_out(10, 0.04, 0);
        }) == "hold_out: expected rows on both sides, got 0 of 10 held out");
  CHECK(value_error([] {
          hold_out(10, 0.95, 0);
        }) == "hold_out: expected rows on both sides, got 10 of 10 held out");
  CHECK(value_error([] {
          hold_out(0, 0.5, 0);
        }) == "hold_out: expected rows on both sides, got 0 of 0 held out");
}

TEST_CASE("protocols by name do what their functions do") {
  Split split;
  split.name = "twelve rows";
  split.table.labels = pattern(12, 9);
  const at::Tensor& labels = split.table.labels;
  for (const std::string& name : protocol_names()) {
    CHECK(to_string(parse_protocol(name)) == name);
  }
  ProtocolOptions options;
  const auto with = [&](Protocol protocol) {
    options.protocol = protocol;
    return hide_labels(split, options);
  };
  CHECK(at::equal(with(Protocol::kAllLabels), labels));
  CHECK(describe(options) == "all-labels");
  CHECK(at::equal(
      with(Protocol::kKnownLabelProportion), known_label_proportion(labels, 0.1, 0)));
  CHECK(describe(options) == "known-label-proportion 0.1, seed 0");
  CHECK(at::equal(with(Protocol::kSinglePositive), single_positive(labels, 1200)));
  CHECK(describe(options) == "single-positive, seed 1200");
  options.seed = 5;
  CHECK(at::equal(with(Protocol::kSinglePositive), single_positive(labels, 5)));
  options.removal_rate = 0.5;
  CHECK(at::equal(with(Protocol::kRandomPerSample), random_per_sample(labels, 0.5, 5)));
  CHECK(describe(options) == "random-per-sample 0.5 removed, seed 5");
  options.labels_per_class = 2;
  CHECK(at::equal(with(Protocol::kFixedPerClass), fixed_per_class(labels, 2, 5)));
  CHECK(describe(options) == "fixed-per-class 2, seed 5");
  CHECK(at::equal(
      with(Protocol::kMissingPositives),
      missing_positives(labels, PositivesLeft::kThreeQuarters, 5)));
  CHECK(describe(options) == "missing-positives 0.75 left, seed 5");
  options.positives_left = 0.4;
  CHECK(at::equal(
      with(Protocol::kMissingPositives),
      missing_positives(labels, PositivesLeft::kTwoFifths, 5)));
  options.positives_left = 0.5;
  CHECK(value_error([&] {
          with(Protocol::kMissingPositives);
        }) == "missing-positives: expected 0.75 or 0.4 of the positives left, got 0.5");
  CHECK(
      value_error([&] { with(Protocol::kSalientPositive); }) ==
      "salient-positive: expected the category of each picture's largest object, but "
      "twelve rows has no sizes of objects");
  split.salient = std::vector<int64_t>(12, -1);
  CHECK(count_labels(with(Protocol::kSalientPositive)).known == 0);
  CHECK(
      value_error([] { parse_protocol("spml"); }) ==
      "parse_protocol: expected one of all-labels, known-label-proportion, "
      "missing-positives, single-positive, salient-positive, fixed-per-class, "
      "random-per-sample, got \"spml\"");
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
