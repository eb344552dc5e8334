#include "trmml/training/optimizer_state.hpp"

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::fill;

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

TEST_CASE("load_optimizer: moments of another shape, moments that are missing") {
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
      "state: expected moments of the shape of parameter adamw.0001, got others or "
      "none (was the run started with other options?)");
  for (const char* entry : {".exp_avg", ".exp_avg_sq", ".step"}) {
    INFO(entry);
    wrong = saved;
    wrong.erase(std::string("adamw.0000") + entry);
    CHECK(message(wrong).find("parameter adamw.0000") != std::string::npos);
  }
  wrong.clear();
  wrong["adamw.0000.step"] = saved.at("adamw.0000.step");  // it has taken steps
  CHECK(message(wrong).find("parameter adamw.0000") != std::string::npos);
}
