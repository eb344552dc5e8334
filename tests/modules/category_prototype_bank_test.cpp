#include "trmml/modules/category_prototype_bank.hpp"

#include <cmath>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace ref = reference::functional;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::is_equal;
using support::numbers;
using support::states;
using trmml::CategoryPrototypeBank;
using trmml::CategoryPrototypeBankOptions;
using trmml::PrototypeStatistics;

namespace {

CategoryPrototypeBank make_double(const CategoryPrototypeBankOptions& options) {
  CategoryPrototypeBank bank(options);
  bank->to(at::kDouble);
  return bank;
}

}  // namespace

TEST_CASE("CategoryPrototypeBank: by hand, both kinds and the text") {
  CategoryPrototypeBank bank(CategoryPrototypeBankOptions(2, 2).momentum(0.5));
  CHECK(bank->visual().eq(0).all().item<bool>());
  CHECK_FALSE(bank->visual_ready().any().item<bool>());

  // Image 0: category 0 present (3, 4), category 1 absent (0, 2).
  const at::Tensor text = numbers({0, 5, 2, 0, 1, 1, 1, 1}, {2, 2, 2});
  bank->update(numbers({3, 4, 0, 2}, {1, 2, 2}), states({1, -1}, {1, 2}), text);
  CHECK(is_close(bank->visual(), numbers({0.6, 0.8, 0, 0}, {2, 2}), 1e-6));
  CHECK(is_close(bank->negative(), numbers({0, 0, 0, 1}, {2, 2}), 1e-6));
  CHECK(is_equal(bank->visual_ready(), at::tensor({1, 0})));
  CHECK(is_equal(bank->visual_ready(), at::tensor({1, 0})));
  CHECK(is_equal(bank->negative_ready(), at::tensor({0, 1})));
  CHECK(is_close(bank->text(), numbers({0, 1, 1, 0}, {2, 2}), 1e-6));

  // Then (1, 0): norm((0.8, 0.4)).
  bank->update(numbers({7, 0, 1, 1}, {1, 2, 2}), states({1, 0}, {1, 2}), text[1]);
  const double length = std::sqrt(0.8);
  CHECK(is_close(bank->visual()[0], numbers({0.8 / length, 0.4 / length}, {2}), 1e-6));
  CHECK(is_close(bank->negative(), numbers({0, 0, 0, 1}, {2, 2}), 1e-6));
  const double h = std::sqrt(0.5);
  CHECK(is_close(bank->text(), numbers({h, h, h, h}, {2, 2}), 1e-6));

  bank->clear();
  CHECK(bank->visual().eq(0).all().item<bool>());
  CHECK_FALSE(bank->visual_ready().any().item<bool>());
}

TEST_CASE(
    "CategoryPrototypeBank: against the reference; all-reduced halves are the whole") {
  const CategoryPrototypeBankOptions options(5, 6);
  CategoryPrototypeBank whole = make_double(options);
  CategoryPrototypeBank ranks = make_double(options);
  for (int64_t step = 0; step < 3; ++step) {
    const at::Tensor x = fill({4, 5, 6}, 20 + step);
    const at::Tensor y = fill_labels({4, 5}, 3 + step);
    y.select(1, 3).zero_();
    if (step < 1) {
      y.select(1, 4).zero_();
    }
    whole->update(x, y, fill({5, 6}, 1));

    PrototypeStatistics sum = ranks->collect(x.narrow(0, 0, 1), y.narrow(0, 0, 1));
    const PrototypeStatistics other =
        ranks->collect(x.narrow(0, 1, 3), y.narrow(0, 1, 3));
    sum.positive.sums += other.positive.sums;
    sum.positive.counts += other.positive.counts;
    sum.negative.sums += other.negative.sums;
    sum.negative.counts += other.negative.counts;
    ranks->update_from(sum);
  }
  CHECK(is_close(whole->visual(), numbers(ref::kPrototypes, {5, 6}), 1e-12));
  CHECK(is_equal(whole->visual_ready(), numbers(ref::kReady, {5})));
  CHECK(is_close(ranks->visual(), whole->visual(), 1e-12));
  CHECK(is_close(ranks->negative(), whole->negative(), 1e-12));
}

TEST_CASE("CategoryPrototypeBank: nothing known changes nothing; one category") {
  CategoryPrototypeBank bank = make_double(CategoryPrototypeBankOptions(1, 3));
  const at::Tensor text = fill({1, 3}, 1);
  bank->update(fill({2, 1, 3}, 1), states({1, -1}, {2, 1}), text);
  const at::Tensor visual = bank->visual().clone();
  const at::Tensor negative = bank->negative().clone();
  bank->update(fill({2, 1, 3}, 2), states({0, 0}, {2, 1}), text);
  CHECK(is_equal(bank->visual(), visual));
  CHECK(is_equal(bank->negative(), negative));
  bank->update(fill({0, 1, 3}, 2), states({}, {0, 1}), text);
  CHECK(is_equal(bank->visual(), visual));
}

TEST_CASE("CategoryPrototypeBank: confidence gate") {
  CategoryPrototypeBank bank =
      make_double(CategoryPrototypeBankOptions(2, 2).confidence(0.6));
  const at::Tensor x = fill({1, 2, 2}, 1);
  const at::Tensor labels = states({1, 1}, {1, 2});
  bank->update(x, labels, fill({2, 2}, 1), numbers({0.6, 0.59}, {1, 2}));
  CHECK(is_equal(bank->visual_ready(), at::tensor({1, 0})));
  CHECK(
      error_of<c10::ValueError>([&] {
        bank->update(x, labels, fill({2, 2}, 1));
      }) ==
      "CategoryPrototypeBank::update: expected probabilities of shape [1, 2], got an "
      "undefined tensor (the confidence gate needs them)");
}

TEST_CASE("CategoryPrototypeBank: no gradient, and no stale graph after the step") {
  CategoryPrototypeBank bank = make_double(CategoryPrototypeBankOptions(2, 3));
  const at::Tensor x = fill({2, 2, 3}, 1).requires_grad_();
  bank->update(x, states({1, 1, -1, 0}, {2, 2}), fill({2, 3}, 2).requires_grad_());
  CHECK_FALSE(bank->visual().requires_grad());
  CHECK_FALSE(bank->text().requires_grad());
  // The buffers are the registered ones.
  CHECK(bank->named_buffers()["visual"].is_alias_of(bank->visual()));
  CHECK(bank->named_buffers()["text"].is_alias_of(bank->text()));
  CHECK(bank->parameters().empty());
}

TEST_CASE("CategoryPrototypeBank: clone, save and load, to") {
  CategoryPrototypeBank bank(CategoryPrototypeBankOptions(3, 4));
  bank->update(fill({4, 3, 4}, 1), fill_labels({4, 3}, 1), fill({3, 4}, 2));
  const auto copy =
      std::dynamic_pointer_cast<trmml::CategoryPrototypeBankImpl>(bank->clone());
  REQUIRE(copy != nullptr);
  CHECK(support::have_equal_state(*copy, *bank));
  CHECK(support::share_nothing(*copy, *bank));
  const at::Tensor before = bank->visual().clone();
  copy->update(fill({4, 3, 4}, 3), fill_labels({4, 3}, 3), fill({3, 4}, 4));
  CHECK(is_equal(bank->visual(), before));

  CategoryPrototypeBank other(bank->options);
  support::save_and_load(bank, other);
  CHECK(support::have_equal_state(*other, *bank));
  other->update(fill({4, 3, 4}, 3), fill_labels({4, 3}, 3), fill({3, 4}, 4));
  CHECK(is_close(other->visual(), copy->visual(), 1e-6));

  // to(dtype) converts every buffer, the flags too: they still work.
  bank->to(support::other_device(), at::kDouble);
  CHECK(bank->visual().scalar_type() == at::kDouble);
  CHECK(bank->visual_ready().scalar_type() == at::kBool);
  bank->update(
      fill({4, 3, 4}, 3).to(support::other_device()),
      fill_labels({4, 3}, 3).to(support::other_device()),
      fill({3, 4}, 4).to(support::other_device()));
  CHECK(is_close(bank->visual().cpu(), copy->visual(), 1e-6));
  CHECK(is_equal(bank->negative_ready().cpu(), copy->negative_ready()));
}

TEST_CASE("CategoryPrototypeBank: print and messages") {
  CategoryPrototypeBank bank(CategoryPrototypeBankOptions(2, 3));
  CHECK(
      support::printed(*bank) ==
      "trmml::CategoryPrototypeBank(n_cls=2, embed_dim=3, momentum=0.9, confidence=0)");
  const auto option = [](const CategoryPrototypeBankOptions& options) {
    return error_of<c10::ValueError>([&] { CategoryPrototypeBank built(options); });
  };
  CHECK(
      option(CategoryPrototypeBankOptions(2, 0)) ==
      "CategoryPrototypeBank: expected n_cls and embed_dim > 0, got 2 and 0");
  CHECK(
      option(CategoryPrototypeBankOptions(2, 3).momentum(1)) ==
      "CategoryPrototypeBank: expected momentum in [0, 1), got 1");
  CHECK(
      option(CategoryPrototypeBankOptions(2, 3).confidence(-0.1)) ==
      "CategoryPrototypeBank: expected confidence in [0, 1), got -0.1");

  const at::Tensor text = fill({2, 3}, 1);
  const auto message =
      [&](const at::Tensor& x, const at::Tensor& y, const at::Tensor& t) {
        return error_of<c10::ValueError>([&] { bank->update(x, y, t); });
      };
  CHECK(
      message(fill({1, 2, 4}, 1), states({1, 1}, {1, 2}), text) ==
      "CategoryPrototypeBank::update: expected features of shape [*, 2, 3], got [1, 2, "
      "4]");
  CHECK(
      message(fill({1, 2, 3}, 1), states({1, 1, 0}, {1, 3}), text) ==
      "CategoryPrototypeBank::update: expected labels of shape [1, 2], got [1, 3]");
  CHECK(
      message(fill({1, 2, 3}, 1), states({1, 1}, {1, 2}), fill({2, 3, 3}, 1)) ==
      "CategoryPrototypeBank::set_text: expected text_features of shape [2, 3], got "
      "[3, "
      "3]");

  // A NaN is refused before anything changes.
  bank->update(fill({1, 2, 3}, 1), states({1, 1}, {1, 2}), text);
  const at::Tensor before = bank->visual().clone();
  at::Tensor bad = fill({1, 2, 3}, 2);
  bad[0][1][2] = std::nan("");
  CHECK(
      message(bad, states({1, -1}, {1, 2}), text) ==
      "CategoryPrototypeBank::update: expected finite features, got NaN or infinity in "
      "category 1");
  CHECK(is_equal(bank->visual(), before));
}

TEST_CASE("CategoryPrototypeBank: an update that fails changes nothing") {
  CategoryPrototypeBank bank = make_double(CategoryPrototypeBankOptions(2, 3));
  const at::Tensor labels = states({1, -1}, {1, 2});
  bank->update(fill({1, 2, 3}, 1), labels, fill({2, 3}, 2));
  const at::Tensor text = bank->text().clone();
  const at::Tensor visual = bank->visual().clone();
  at::Tensor broken = fill({1, 2, 3}, 3);
  broken[0][0][0] = std::nan("");
  CHECK_THROWS_AS(bank->update(broken, labels, fill({2, 3}, 4)), c10::ValueError);
  at::Tensor broken_text = fill({2, 3}, 4);
  broken_text[1][0] = std::nan("");
  CHECK(
      error_of<c10::ValueError>([&] {
        bank->update(fill({1, 2, 3}, 3), labels, broken_text);
      }) ==
      "CategoryPrototypeBank::set_text: expected finite text_features, got NaN or "
      "infinity");
  CHECK(is_equal(bank->text(), text));
  CHECK(is_equal(bank->visual(), visual));
}

TEST_CASE("PrototypeStatistics: the parts of a batch add up to the batch") {
  CategoryPrototypeBank bank = make_double(CategoryPrototypeBankOptions(3, 4));
  const at::Tensor x = fill({5, 3, 4}, 1);
  const at::Tensor labels = fill_labels({5, 3}, 2);
  const PrototypeStatistics whole = bank->collect(x, labels);
  PrototypeStatistics sum = bank->collect(x.narrow(0, 0, 2), labels.narrow(0, 0, 2));
  sum += bank->collect(x.narrow(0, 2, 3), labels.narrow(0, 2, 3));
  CHECK(is_close(sum.positive.sums, whole.positive.sums, 1e-12));
  CHECK(is_equal(sum.positive.counts, whole.positive.counts));
  CHECK(is_close(sum.negative.sums, whole.negative.sums, 1e-12));
  CHECK(is_equal(sum.negative.counts, whole.negative.counts));
}
