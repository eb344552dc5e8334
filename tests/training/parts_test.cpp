#include "trmml/training/ema.hpp"
#include "trmml/training/evaluate.hpp"
#include "trmml/training/optimizer_state.hpp"
#include "trmml/training/schedule.hpp"
#include "trmml/training/state_file.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reference/training.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

// The parts of the trainer: schedule, moving average, checkpoint, evaluation.

namespace ref = reference::training;
using support::error_of;
using support::fill;
using support::is_close;
using support::numbers;
using trmml::training::Ema;
using trmml::training::one_cycle;
using trmml::training::OneCyclePoint;

// ---------------------------------------------------------------- schedule.hpp

namespace {

template <size_t n>
void check_schedule(double rise, const double (&rates)[n], const double (&momenta)[n]) {
  for (size_t step = 0; step < n; ++step) {
    const OneCyclePoint point =
        one_cycle(static_cast<int64_t>(step), static_cast<int64_t>(n), 0.02, rise);
    INFO("step " << step << " of " << n);
    CHECK(point.learning_rate == Catch::Approx(rates[step]).epsilon(1e-9));
    CHECK(point.momentum == Catch::Approx(momenta[step]).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("one_cycle: torch's OneCycleLR, step by step") {
  check_schedule(0.2, ref::kRate10, ref::kMomentum10);
  check_schedule(0.5, ref::kRate24, ref::kMomentum24);
  check_schedule(0.3, ref::kRate37, ref::kMomentum37);
  check_schedule(0.2, ref::kRate3, ref::kMomentum3);
}

TEST_CASE("one_cycle: from max / 25 over max to max / 250,000") {
  CHECK(one_cycle(0, 101, 1.0, 0.3).learning_rate == Catch::Approx(0.04));
  CHECK(one_cycle(100, 101, 1.0, 0.3).learning_rate == Catch::Approx(4e-6));
  double largest = 0;
  for (int64_t step = 0; step < 101; ++step) {
    largest = std::max(largest, one_cycle(step, 101, 1.0, 0.3).learning_rate);
  }
  CHECK(largest <= 1.0);
  CHECK(largest > 0.99);
}

TEST_CASE("one_cycle: runs too short to rise") {
  CHECK(one_cycle(0, 1, 0.5).learning_rate == 0.5);
  CHECK(one_cycle(0, 1, 0.5).momentum == 0.85);
  CHECK(one_cycle(0, 5, 0.5, 0.2).learning_rate == Catch::Approx(0.5));  // peak at 0
  CHECK(one_cycle(4, 5, 0.5, 0.2).learning_rate == Catch::Approx(0.5 / 25e4));
  CHECK(one_cycle(1, 2, 0.5).learning_rate == Catch::Approx(0.5 / 25e4));
}

// ---------------------------------------------------------------- ema.hpp

namespace {

at::Tensor parameter(double value) {
  return at::full({2}, value, at::kDouble).requires_grad_();
}

void set(at::Tensor p, double value) {
  const c10::NoGradGuard no_grad;
  p.fill_(value);
}

}  // namespace

TEST_CASE("Ema: worked by hand") {
  const at::Tensor a = parameter(1);
  const at::Tensor b = parameter(-2);
  Ema ema({{"a", a}, {"b", b}}, 0.75);
  CHECK(ema.average()[0].equal(at::full({2}, 1.0, at::kDouble)));
  set(a, 3);
  ema.update();
  CHECK(ema.average()[0].equal(at::full({2}, 1.5, at::kDouble)));
  CHECK(ema.average()[1].equal(at::full({2}, -2.0, at::kDouble)));
  set(a, 5.5);
  ema.update();
  CHECK(ema.average()[0].equal(at::full({2}, 2.5, at::kDouble)));
  CHECK(a.equal(at::full({2}, 5.5, at::kDouble)));  // the weights themselves stay
  CHECK_FALSE(ema.average()[0].requires_grad());
  CHECK(ema.parameters()[1].first == "b");
}

TEST_CASE("Ema: applied while the guard lives, also through an exception") {
  const at::Tensor a = parameter(1);
  Ema ema({{"a", a}}, 0.5);
  set(a, 3);
  ema.update();
  {
    const Ema::Applied applied(ema);
    CHECK(a.equal(at::full({2}, 2.0, at::kDouble)));
    CHECK(a.requires_grad());
  }
  CHECK(a.equal(at::full({2}, 3.0, at::kDouble)));
  CHECK(ema.average()[0].equal(at::full({2}, 2.0, at::kDouble)));
  try {
    const Ema::Applied applied(ema);
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(a.equal(at::full({2}, 3.0, at::kDouble)));
}

TEST_CASE("Ema: decay 0 is the weights themselves") {
  const at::Tensor a = parameter(1);
  Ema ema({{"a", a}}, 0.0);
  set(a, 3);
  ema.update();
  CHECK(ema.average()[0].equal(a));
}

// ---------------------------------------------------------------- checkpoint.hpp

namespace {

using Weights = std::vector<at::Tensor>;

/// Two groups; the last parameter never gets a gradient.
Weights make_weights() {
  return {
      fill({2, 3}, 1).requires_grad_(),
      fill({4}, 2).requires_grad_(),
      fill({2}, 3).requires_grad_()};
}

torch::optim::AdamW make_optimizer(const Weights& w) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(
      std::vector<at::Tensor>{w[0]}, std::make_unique<torch::optim::AdamWOptions>(0.1));
  groups.emplace_back(
      std::vector<at::Tensor>{w[1], w[2]},
      std::make_unique<torch::optim::AdamWOptions>(0.01));
  return torch::optim::AdamW(std::move(groups));
}

void step(torch::optim::AdamW& optimizer, const Weights& w, double target) {
  optimizer.zero_grad();
  ((w[0] - target).square().sum() + (w[1] * w[1]).sum()).backward();
  optimizer.step();
}

}  // namespace

TEST_CASE("save_optimizer, load_optimizer: training goes on as if nothing had been") {
  const Weights a = make_weights();
  torch::optim::AdamW optimizer = make_optimizer(a);
  for (int i = 0; i < 3; ++i) {
    step(optimizer, a, 0.5);
  }
  trmml::io::TensorMap saved;
  trmml::training::save_optimizer(optimizer, "adamw", saved);
  CHECK(saved.size() == 6);  // nothing for the parameter that never moved
  CHECK(saved.at("adamw.0000.exp_avg").sizes() == at::IntArrayRef({2, 3}));
  CHECK(saved.at("adamw.0001.step").item<int64_t>() == 3);
  CHECK(saved.count("adamw.0002.exp_avg") == 0);

  const Weights b = make_weights();
  {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor w = b[i];
      w.copy_(a[i]);
    }
  }
  const trmml::io::TensorMap before = saved;
  step(optimizer, a, -1);
  torch::optim::AdamW resumed = make_optimizer(b);
  trmml::training::load_optimizer(resumed, "adamw", saved, "state");
  step(resumed, b, -1);
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].equal(b[i]));
  }
  trmml::io::TensorMap first;
  trmml::io::TensorMap second;
  trmml::training::save_optimizer(optimizer, "x", first);
  trmml::training::save_optimizer(resumed, "x", second);
  REQUIRE(first.size() == second.size());
  for (const auto& [name, tensor] : first) {
    CHECK(tensor.equal(second.at(name)));
  }
  // What was saved is a copy: further steps did not touch it.
  CHECK(saved.at("adamw.0001.step").item<int64_t>() == 3);
  CHECK_FALSE(saved.at("adamw.0000.exp_avg").equal(first.at("x.0000.exp_avg")));
}

TEST_CASE("load_optimizer: moments of another shape") {
  const Weights w = make_weights();
  torch::optim::AdamW optimizer = make_optimizer(w);
  step(optimizer, w, 0);
  trmml::io::TensorMap saved;
  trmml::training::save_optimizer(optimizer, "adamw", saved);
  const auto message = [&w](const trmml::io::TensorMap& tensors) {
    return error_of<trmml::CheckpointError>([&] {
      torch::optim::AdamW other = make_optimizer(w);
      trmml::training::load_optimizer(other, "adamw", tensors, "state");
    });
  };
  CHECK(message(saved) == "no error");
  auto wrong = saved;
  wrong["adamw.0001.exp_avg"] = at::zeros({5});
  CHECK(
      message(wrong) ==
      "state: expected moments of the shape of parameter adamw.0001, got others "
      "(was the run started with other options?)");
  wrong = saved;
  wrong.erase("adamw.0000.exp_avg_sq");
  CHECK(message(wrong).find("parameter adamw.0000") != std::string::npos);
  wrong = saved;
  wrong.erase("adamw.0000.step");
  CHECK(message(wrong).find("parameter adamw.0000") != std::string::npos);
}

TEST_CASE("state_number: whole numbers only") {
  const trmml::io::Metadata metadata = {
      {"epoch", "12"},
      {"best", "-1"},
      {"empty", ""},
      {"tail", "12x"},
      {"half", "1.5"},
      {"huge", "18446744073709551615"}};
  const auto read = [&metadata](const char* key) {
    return trmml::training::state_number(metadata, key, "runs/last.safetensors");
  };
  CHECK(read("epoch") == 12);
  CHECK(read("best") == -1);
  const auto message = [&read](const char* key) {
    return error_of<trmml::CheckpointError>([&] { read(key); });
  };
  const std::string expected =
      "runs/last.safetensors: expected a whole number under \"";
  CHECK(message("step") == expected + "step\" in the state's metadata, got nothing");
  CHECK(message("tail") == expected + "tail\" in the state's metadata, got \"12x\"");
  for (const char* key : {"empty", "half", "huge"}) {
    CHECK(message(key).find(expected + key) == 0);
  }
}

// ---------------------------------------------------------------- evaluate.hpp

namespace {

/// Scores are the first C entries of the global feature; remembers what it was asked.
class Copy : public torch::nn::Module, public trmml::Method {
 public:
  torch::nn::Module& as_module() override { return *this; }
  at::Tensor text_features() override {
    ++texts;
    return at::zeros({2, 2, 3});
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

TEST_CASE("narrow_features: rows of both, as float") {
  const auto images = features(6);
  const auto part = trmml::narrow_features(
      {images.global.to(at::kHalf), images.regions.to(at::kHalf)}, 2, 3);
  CHECK(part.global.scalar_type() == at::kFloat);
  CHECK(part.regions.scalar_type() == at::kFloat);
  CHECK(is_close(part.global, images.global.narrow(0, 2, 3), 1e-3));
  CHECK(is_close(part.regions, images.regions.narrow(0, 2, 3), 1e-3));
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
}
