#include "trmml/training/evaluate.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::fill;
using support::is_close;
using support::numbers;

namespace {

/// Scores are the first C entries of the global feature; remembers what it was asked.
class Copy : public torch::nn::Module, public trmml::Method {
 public:
  torch::nn::Module& as_module() override { return *this; }
  at::Tensor text_features() override {
    ++texts;
    return text;
  }
  trmml::TrmMlOutput forward(
      const trmml::clip::ImageFeatures& images,
      const at::Tensor& text_features) override {
    sizes.push_back(images.global.size(0));
    always_eval = always_eval && !is_training() && !at::GradMode::is_enabled();
    always_text = always_text && text_features.defined();
    trmml::TrmMlOutput output;
    output.region_logits = images.global.narrow(1, 0, 2);
    output.query_logits = output.region_logits * 3;
    return output;
  }
  std::vector<trmml::ParameterGroup> parameter_groups() override { return {}; }

  at::Tensor text = at::zeros({2, 2, 3});
  std::vector<int64_t> sizes;
  int texts = 0;
  bool always_eval = true;
  bool always_text = true;
};

trmml::clip::ImageFeatures features(int64_t n) {
  return {fill({n, 3}, 1), fill({n, 2, 3}, 2)};
}

}  // namespace

TEST_CASE("predict: all pictures in order, in evaluation mode, text computed once") {
  Copy method;
  method.train();
  const auto images = features(7);
  const at::Tensor scores =
      trmml::training::predict(method, images, trmml::Score::kMean, 3);
  CHECK(method.sizes == std::vector<int64_t>{3, 3, 1});
  CHECK(method.texts == 1);
  CHECK(method.always_eval);
  CHECK(method.always_text);
  CHECK(method.is_training());  // as it was
  CHECK(is_close(scores, images.global.narrow(1, 0, 2) * 2, 1e-6));
  CHECK(scores.scalar_type() == at::kFloat);
  CHECK(trmml::training::predict(method, images, trmml::Score::kMean, 7).equal(scores));
  CHECK(trmml::training::predict(method, images).equal(scores));
  const at::Tensor query =
      trmml::training::predict(method, images, trmml::Score::kQuery);
  CHECK(is_close(query, images.global.narrow(1, 0, 2) * 3, 1e-6));
  method.eval();
  trmml::training::predict(method, images);
  CHECK_FALSE(method.is_training());
}

TEST_CASE("predict: many categories, few pictures at a time") {
  Copy method;
  const auto images = features(7);
  const at::Tensor scores = trmml::training::predict(method, images);
  CHECK(method.sizes == std::vector<int64_t>{7});
  method.text = at::zeros({1}).expand({2, 1 << 15, 1 << 10});  // 2^25 numbers a picture
  method.sizes.clear();
  CHECK(trmml::training::predict(method, images).equal(scores));
  CHECK(method.sizes == std::vector<int64_t>{2, 2, 2, 1});
  method.sizes.clear();
  CHECK(trmml::training::predict(method, images, trmml::Score::kMean, 5).equal(scores));
  CHECK(method.sizes == std::vector<int64_t>{5, 2});  // what is asked for counts
  CHECK(error_of<c10::ValueError>([&] {
          trmml::training::predict(method, images, trmml::Score::kMean, -1);
        }) == "predict: expected batch_size >= 0, got -1");
}

TEST_CASE("predict: asks between two batches whether to stop") {
  Copy method;
  method.train();
  int asked = 0;
  const auto stop_at = [&](int question) {
    asked = 0;
    return error_of<trmml::Interrupted>([&] {
      trmml::training::predict(method, features(7), trmml::Score::kMean, 3, [&] {
        return ++asked == question;
      });
    });
  };
  CHECK(stop_at(0) == "no error");
  CHECK(asked == 2);
  CHECK(stop_at(2) == "predict: stopped after 6 of 7 pictures");
  CHECK(method.is_training());  // as it was
}

TEST_CASE("as_matrix, as_label_matrix: the same memory") {
  const at::Tensor scores = fill({3, 2}, 1).to(at::kFloat);
  const auto matrix = trmml::training::as_matrix(scores);
  REQUIRE(matrix.rows() == 3);
  REQUIRE(matrix.cols() == 2);
  CHECK(matrix(2, 1) == scores[2][1].item<float>());
  CHECK(matrix.data() == scores.data_ptr<float>());
  const at::Tensor labels = support::states({1, 0, -1, 1, 0, 0}, {3, 2});
  const auto states = trmml::training::as_label_matrix(labels);
  CHECK(states(1, 0) == -1);
  CHECK(states.data() == labels.data_ptr<int8_t>());
}

TEST_CASE("as_matrix, as_label_matrix: messages") {
  const auto matrix = [](const at::Tensor& x) {
    return error_of([&] { trmml::training::as_matrix(x); });
  };
  const std::string wrong = "as_matrix: expected contiguous float scores on the CPU";
  CHECK(matrix(at::zeros({2, 3}, at::kDouble)) == wrong);
  CHECK(matrix(at::zeros({2, 3}).t()) == wrong);
  CHECK(
      matrix(at::zeros({2})) == "as_matrix: expected scores of shape [*, *], got [2]");
  const auto labels = [](const at::Tensor& x) {
    return error_of([&] { trmml::training::as_label_matrix(x); });
  };
  CHECK(
      labels(at::zeros({2, 3}, at::kLong)) ==
      "as_label_matrix: expected contiguous int8 labels on the CPU");
  CHECK(
      labels(at::zeros({2, 3, 1}, at::kChar)) ==
      "as_label_matrix: expected labels of shape [*, *], got [2, 3, 1]");
}

TEST_CASE("mean_average_precision: any types, worked by hand") {
  // Category 0: present, absent, present by falling score: (1 + 2/3) / 2. Category 1:
  // the unknown picture is left out, its present one comes second: 1/2.
  const at::Tensor scores = numbers({3, 1, 2, 5, 1, 2}, {3, 2});
  const at::Tensor labels = at::tensor({1, 1, -1, 0, 1, -1}, at::kLong).view({3, 2});
  const auto result = trmml::training::mean_average_precision(scores, labels);
  CHECK(result.per_class[0] == Catch::Approx(5.0 / 6));
  CHECK(result.per_class[1] == Catch::Approx(0.5));
  CHECK(result.mAP == Catch::Approx(2.0 / 3));

  // Truth as 0 and 1 has no absences; as bool it is refused instead of misread.
  CHECK_THROWS_AS(
      trmml::training::mean_average_precision(scores, labels.gt(0)), c10::TypeError);
  CHECK_THROWS_AS(
      trmml::training::mean_average_precision(scores, labels * 2), c10::ValueError);
}
