#include "trmml/training/clip_pretraining.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::fill;
using support::TemporaryFolder;
using trmml::CheckpointError;
using trmml::clip::ClipModel;
using trmml::clip::ClipModelOptions;
using trmml::clip::ModifiedResNetOptions;
using trmml::clip::TextTransformerOptions;
using trmml::clip::VisionTransformerOptions;
using trmml::training::ClipPretraining;
using trmml::training::ClipPretrainingOptions;
using trmml::training::PairBatch;

namespace {

constexpr int64_t kPairs = 6;

TextTransformerOptions text_options() {
  return TextTransformerOptions(16)
      .vocab_size(20)
      .context_length(6)
      .width(16)
      .heads(2)
      .layers(1);
}

ClipModel make_model(uint64_t seed = 1) {
  at::manual_seed(seed);
  return ClipModel(ClipModelOptions(
      ModifiedResNetOptions(16)
          .width(8)
          .layers({1, 1, 1, 1})
          .heads(4)
          .input_resolution(32),
      text_options()));
}

/// Pictures and texts that differ from pair to pair; `variant` shifts them.
PairBatch make_batch(int64_t variant = 0) {
  at::Tensor ids = at::zeros({kPairs, 6}, at::kLong);
  for (int64_t i = 0; i < kPairs; ++i) {
    ids[i][0] = 18;
    ids[i][1] = 1 + i;
    ids[i][2] = 7 + (5 * i + variant) % 9;
    ids[i][3] = 19;
  }
  return {(fill({kPairs, 3, 32, 32}, 3 + variant) * 2).to(at::kFloat), ids};
}

ClipPretrainingOptions options(int64_t steps = 40) {
  return ClipPretrainingOptions(steps).warmup(4);
}

/// `count` steps from `first` on, each with a batch of its own.
std::vector<double> steps(ClipPretraining& run, int64_t first, int64_t count) {
  std::vector<double> losses;
  for (int64_t i = first; i < first + count; ++i) {
    losses.push_back(run.step(make_batch(i % 3)));
  }
  return losses;
}

at::Tensor unit(const at::Tensor& x) {
  return x / x.norm(2, -1, true);
}

}  // namespace

TEST_CASE("ClipPretraining: the loss, by the definition of cross-entropy") {
  ClipModel model = make_model();
  ClipModel twin = make_model();
  REQUIRE(support::have_equal_state(*model, *twin));
  ClipPretraining run(model, options());
  CHECK(model->is_training());
  const double loss = run.step(make_batch());

  twin->train();
  const c10::NoGradGuard no_grad;
  const PairBatch batch = make_batch();
  const at::Tensor v = unit(twin->encode_image(batch.images)).to(at::kDouble);
  const at::Tensor t = unit(twin->encode_text(batch.ids)).to(at::kDouble);
  const at::Tensor e = (v.matmul(t.t()) * twin->logit_scale.exp().item<double>()).exp();
  double expected = 0;
  for (int64_t i = 0; i < kPairs; ++i) {
    const double own = e[i][i].item<double>();
    expected -= 0.5 * std::log(own / e[i].sum().item<double>());
    expected -= 0.5 * std::log(own / e.select(1, i).sum().item<double>());
  }
  CHECK(loss == Catch::Approx(expected / kPairs).epsilon(1e-4));
  CHECK(run.steps_done() == 1);
}

TEST_CASE("ClipPretraining: same seed, one thread, same weights") {
  for (const bool bfloat16 : {false, true}) {
    const auto trained = [bfloat16](uint64_t seed) {
      ClipModel model = make_model(seed);
      at::manual_seed(seed * 77);  // not read
      ClipPretraining run(model, options().bfloat16(bfloat16));
      steps(run, 0, 3);
      return model;
    };
    INFO("bfloat16 " << bfloat16);
    const ClipModel first = trained(1);
    CHECK(support::have_equal_state(*first, *trained(1)));
    CHECK_FALSE(support::have_equal_state(*first, *trained(2)));
    CHECK_FALSE(support::have_equal_state(*first, *make_model(1)));
    for (const at::Tensor& parameter : first->parameters()) {
      CHECK(parameter.scalar_type() == at::kFloat);
      CHECK(parameter.isfinite().all().item<bool>());
    }
  }
}

TEST_CASE("ClipPretraining: bfloat16 is near, and not the same") {
  ClipModel a = make_model();
  ClipModel b = make_model();
  ClipPretraining exact(a, options());
  ClipPretraining reduced(b, options().bfloat16(true));
  const double x = exact.step(make_batch());
  const double y = reduced.step(make_batch());
  CHECK(x != y);
  CHECK(y == Catch::Approx(x).epsilon(0.05));
  CHECK_FALSE(support::have_equal_state(*a, *b));
}

TEST_CASE("ClipPretraining: leaves the global generator alone") {
  ClipModel model = make_model();
  ClipPretraining run(model, options());
  const auto state = [] {
    return at::globalContext().defaultGenerator(at::kCPU).get_state().clone();
  };
  const at::Tensor before = state();
  run.step(make_batch());
  CHECK(state().equal(before));
}

TEST_CASE("ClipPretraining: resumed, bit for bit the same") {
  for (const bool bfloat16 : {false, true}) {
    const TemporaryFolder folder;
    ClipModel whole_model = make_model();
    ClipPretraining whole(whole_model, options().bfloat16(bfloat16));
    const auto expected = steps(whole, 0, 5);

    ClipModel first_model = make_model();
    ClipPretraining first(first_model, options().bfloat16(bfloat16));
    steps(first, 0, 2);
    first.save(folder / "state.safetensors");

    ClipModel second_model = make_model(99);
    ClipPretraining second(second_model, options().bfloat16(bfloat16));
    second.step(make_batch());  // a past that the state must replace
    second.load(folder / "state.safetensors");
    CHECK(second.steps_done() == 2);
    const auto losses = steps(second, 2, 3);
    CHECK(losses == std::vector<double>(expected.begin() + 2, expected.end()));
    CHECK(support::have_equal_state(*second_model, *whole_model));

    whole.save(folder / "whole.safetensors");
    second.save(folder / "second.safetensors");
    CHECK(
        support::read_bytes(folder / "whole.safetensors") ==
        support::read_bytes(folder / "second.safetensors"));
  }
}

TEST_CASE("ClipPretraining: learns a few pairs") {
  ClipModel model = make_model();
  ClipPretraining run(model, options(30).learning_rate(3e-3));
  const double first = run.step(make_batch());
  double last = first;
  for (int64_t i = 1; i < 30; ++i) {
    last = run.step(make_batch());
  }
  CHECK(first > 1.0);
  CHECK(last < 0.3 * first);
}

TEST_CASE("ClipPretraining: the learning rate rises over the warm-up") {
  // Adam's first step is the rate itself wherever the gradient is not tiny.
  ClipModel model = make_model();
  const at::Tensor bias = model->text->ln_final->bias.detach().clone();
  ClipPretraining run(model, options().learning_rate(1e-2).warmup(5));
  run.step(make_batch());
  const double moved =
      (model->text->ln_final->bias.detach() - bias).abs().max().item<double>();
  CHECK(moved == Catch::Approx(1e-2 / 5 + 1e-6).epsilon(0.02));
}

TEST_CASE("ClipPretraining: the scale stays between 1 and 100") {
  for (const double start : {-3.0, 9.0}) {
    ClipModel model = make_model();
    {
      const c10::NoGradGuard no_grad;
      model->logit_scale.fill_(start);
    }
    ClipPretraining run(model, options());
    run.step(make_batch());
    CHECK(
        model->logit_scale.item<double>() ==
        Catch::Approx(start < 0 ? 0.0 : std::log(100.0)));
  }
}

TEST_CASE("ClipPretraining: weight decay for matrices only") {
  // Two runs that differ in the decay: after one step vectors are equal.
  ClipModel a = make_model();
  ClipModel b = make_model();
  ClipPretraining plain(a, options().weight_decay(0));
  ClipPretraining decayed(b, options().weight_decay(10));
  plain.step(make_batch());
  decayed.step(make_batch());
  const auto others = b->named_parameters();
  for (const auto& item : a->named_parameters()) {
    INFO(item.key());
    CHECK(item.value().equal(others[item.key()]) == (item.value().dim() <= 1));
  }
}

TEST_CASE("ClipPretraining: a loss that is not finite") {
  ClipModel model = make_model();
  ClipPretraining run(model, options());
  run.step(make_batch());
  PairBatch broken = make_batch();
  broken.images[1][0][3][3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(
      error_of<trmml::Error>([&] { run.step(broken); }) ==
      "ClipPretraining::step: expected a finite loss at step 1, got nan (lower the "
      "learning rate)");
  CHECK(run.steps_done() == 1);
}

TEST_CASE("ClipPretraining: a gradient that is not finite leaves the weights alone") {
  ClipModel model = make_model();
  ClipPretraining run(model, options());
  model->logit_scale.register_hook([](const at::Tensor& gradient) {
    return gradient * std::numeric_limits<double>::infinity();
  });
  const at::Tensor before = model->text->text_projection.detach().clone();
  CHECK(
      error_of<trmml::Error>([&] { run.step(make_batch()); }) ==
      "ClipPretraining::step: expected a finite gradient at step 0, got inf (lower the "
      "learning rate)");
  CHECK(model->text->text_projection.equal(before));
  CHECK(run.steps_done() == 0);
}

TEST_CASE("ClipPretraining: no step behind the last one") {
  ClipPretraining run(make_model(), options(1));
  run.step(make_batch());
  CHECK(error_of<c10::ValueError>([&] {
          run.step(make_batch());
        }) == "ClipPretraining::step: expected at most 1 steps, as the options say");
}

TEST_CASE("ClipPretraining: options out of range") {
  const auto message = [](const ClipPretrainingOptions& chosen) {
    return error_of<c10::ValueError>(
        [&] { ClipPretraining run(make_model(), chosen); });
  };
  CHECK(
      message(ClipPretrainingOptions(0)) ==
      "ClipPretraining: expected steps > 0 and warmup >= 0, got 0 and 100");
  CHECK(
      message(ClipPretrainingOptions(5).warmup(-1)) ==
      "ClipPretraining: expected steps > 0 and warmup >= 0, got 5 and -1");
  CHECK(message(ClipPretrainingOptions(5).warmup(0)) == "no error");
}

TEST_CASE("ClipPretraining: states that do not fit are refused") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "state.safetensors";
  {
    ClipPretraining run(make_model(), options());
    run.step(make_batch());
    run.save(path);
  }
  const auto load = [&](ClipModel model, int64_t total) {
    ClipPretraining run(model, options(total));
    return error_of<CheckpointError>([&] { run.load(path); });
  };
  CHECK(load(make_model(), 40) == "no error");
  CHECK(
      load(make_model(), 41) == path.string() +
                                    ": expected the state of a run with steps 41, got "
                                    "40 (resume with the options "
                                    "of the run that wrote it)");

  ClipModel other(ClipModelOptions(
      VisionTransformerOptions(16)
          .patch_size(16)
          .width(16)
          .layers(1)
          .heads(2)
          .input_resolution(32),
      text_options()));
  const auto before = trmml::io::module_tensors(*other).at("visual.class_embedding");
  const at::Tensor copy = before.clone();
  const std::string message = load(other, 40);
  CHECK(message.find(path.string() + ": ") == 0);
  CHECK(message.find(" missing: visual.class_embedding") != std::string::npos);
  CHECK(message.find(" unexpected: ") != std::string::npos);
  CHECK(before.equal(copy));

  const std::string bytes = support::read_bytes(path);
  support::write_bytes(path, bytes.substr(0, bytes.size() / 2));
  CHECK(load(make_model(), 40).find("state.safetensors") != std::string::npos);
  trmml::io::write_safetensors(path, {{"x", at::zeros({1})}}, {{"epochs", "3"}});
  CHECK(
      load(make_model(), 40) ==
      path.string() +
          ": expected a state of format trmml.clip_pretraining.1, got a file without "
          "one");
  CHECK_THROWS_AS(
      ClipPretraining(make_model(), options()).load(folder / "none"), CheckpointError);
}
