#include "trmml/io/module_weights.hpp"

#include <ATen/ATen.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <string>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using support::error_of;
using trmml::io::load_module;
using trmml::io::module_tensors;
using trmml::io::TensorMap;

namespace {

/// A linear layer, a normalisation with running statistics, and a whole number.
struct Net : torch::nn::Cloneable<Net> {
  Net() { reset(); }
  void reset() override {
    linear = register_module("linear", torch::nn::Linear(2, 3));
    norm = register_module("norm", torch::nn::BatchNorm1d(3));
    steps = register_buffer("steps", at::zeros({1}, at::kLong));
    mask = register_buffer("mask", at::zeros({2}, at::kBool));
  }
  torch::nn::Linear linear{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  at::Tensor steps, mask;
};

/// Values that a fresh `Net` does not have, under every name.
TensorMap other_values() {
  TensorMap tensors;
  double value = 1;
  for (const auto& [name, tensor] : module_tensors(Net())) {
    tensors[name] =
        at::full_like(tensor, tensor.scalar_type() == at::kBool ? 1 : value);
    value += 0.5;
  }
  return tensors;
}

bool same(const TensorMap& a, const TensorMap& b) {
  bool equal = a.size() == b.size();
  for (const auto& [name, tensor] : a) {
    equal = equal && b.count(name) == 1 && tensor.equal(b.at(name));
  }
  return equal;
}

TensorMap copy_of(const TensorMap& tensors) {
  TensorMap copies;
  for (const auto& [name, tensor] : tensors) {
    copies[name] = tensor.clone();
  }
  return copies;
}

}  // namespace

TEST_CASE("module_tensors lists parameters and buffers by their full names") {
  const TensorMap tensors = module_tensors(Net());
  std::string names;
  for (const auto& [name, tensor] : tensors) {
    names += name + " ";
    CHECK_FALSE(tensor.requires_grad());
  }
  CHECK(
      names ==
      "linear.bias linear.weight mask norm.bias norm.num_batches_tracked "
      "norm.running_mean norm.running_var norm.weight steps ");
}

TEST_CASE("weights survive a file and arrive in the tensors that were there") {
  const support::TemporaryFolder folder;
  Net net;
  const at::Tensor weight = net.linear->weight;
  const at::Tensor mean = net.norm->running_mean;
  const TensorMap values = other_values();
  trmml::io::write_safetensors(folder / "net.safetensors", values);
  load_module(
      net, trmml::io::read_safetensors(folder / "net.safetensors").tensors, "net");
  CHECK(same(module_tensors(net), values));
  CHECK(weight.equal(values.at("linear.weight")));
  CHECK(mean.equal(values.at("norm.running_mean")));
  CHECK(net.steps.equal(values.at("steps")));
  CHECK(net.linear->weight.requires_grad());
  CHECK(net.linear->weight.is_leaf());
  CHECK_FALSE(net.linear->weight.is_same(values.at("linear.weight")));
}

TEST_CASE("everything that does not fit is reported at once and nothing is changed") {
  Net net;
  const TensorMap before = copy_of(module_tensors(net));
  TensorMap tensors = other_values();
  tensors.erase("linear.bias");
  tensors.erase("norm.weight");
  tensors["head.weight"] = at::ones({1});
  tensors["linear.weight"] = at::ones({2});
  tensors["norm.running_var"] = at::ones({});
  tensors["steps"] = at::ones({1});
  tensors["norm.bias"] = at::ones({3}, at::kLong);
  tensors["mask"] = at::ones({2}, at::kByte);
  CHECK(
      error_of<trmml::CheckpointError>(
          [&] { load_module(net, tensors, "weights.safetensors"); }) ==
      "weights.safetensors: 2 missing: linear.bias, norm.weight; 1 unexpected: "
      "head.weight; 2 of another shape: linear.weight expected [3, 2], got [2], "
      "norm.running_var expected [3], got []; 3 of another type: mask expected Bool, "
      "got "
      "Byte, norm.bias expected Float, got Long, steps expected Long, got Float");
  CHECK(same(module_tensors(net), before));
}

TEST_CASE("one problem alone is enough to change nothing") {
  for (const std::string name : {"linear.bias", "steps"}) {
    Net net;
    const TensorMap before = copy_of(module_tensors(net));
    TensorMap tensors = other_values();
    tensors[name] = at::Tensor();
    CHECK(error_of<trmml::CheckpointError>([&] {
            load_module(net, tensors, "w");
          }) == "w: 1 missing: " + name);
    CHECK(same(module_tensors(net), before));
  }
}

TEST_CASE("long lists end after twenty names") {
  Net net;
  TensorMap tensors = other_values();
  std::string names;
  for (int i = 10; i < 33; ++i) {
    tensors["x" + std::to_string(i)] = at::ones({1});
    names += i < 30 ? (i > 10 ? ", x" : "x") + std::to_string(i) : "";
  }
  CHECK(error_of<trmml::CheckpointError>([&] {
          load_module(net, tensors, "w");
        }) == "w: 23 unexpected: " + names + ", and 3 more");
}

TEST_CASE("widths of numbers are converted, kinds of numbers are not") {
  Net net;
  TensorMap tensors = other_values();
  tensors["linear.weight"] = at::full({3, 2}, 1.5, at::kHalf);
  tensors["norm.weight"] = at::full({3}, 2.5, at::kBFloat16);
  tensors["norm.bias"] = at::full({3}, 0.1, at::kDouble);
  tensors["steps"] = at::full({1}, 7, at::kInt);
  load_module(net, tensors, "w");
  CHECK(net.linear->weight.scalar_type() == at::kFloat);
  CHECK(net.linear->weight.equal(at::full({3, 2}, 1.5)));
  CHECK(net.norm->weight.equal(at::full({3}, 2.5)));
  CHECK(net.norm->bias.equal(at::full({3}, 0.1)));
  CHECK(net.steps.equal(at::full({1}, 7, at::kLong)));

  CHECK(trmml::io::detail::dtype_fits(at::kByte, at::kInt));
  CHECK_FALSE(trmml::io::detail::dtype_fits(at::kLong, at::kInt));
  CHECK_FALSE(trmml::io::detail::dtype_fits(at::kChar, at::kByte));
  CHECK_FALSE(trmml::io::detail::dtype_fits(at::kBool, at::kLong));
  CHECK_FALSE(trmml::io::detail::dtype_fits(at::kLong, at::kFloat));
}
