#include "trmml/core/recompute.hpp"

#include "trmml/core/torch_version.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <vector>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using support::fill;
using support::is_close;
using support::is_equal;
using trmml::recompute;

namespace {

using Tensors = std::vector<at::Tensor>;

struct Problem {
  torch::nn::Linear linear{4, 3};
  at::Tensor x = fill({5, 4}, 1);
  at::Tensor y = fill({5, 3}, 2);
  int calls = 0;

  Problem() {
    linear->to(at::kDouble);
    const c10::NoGradGuard guard;
    linear->weight.copy_(fill({3, 4}, 3));
    linear->bias.copy_(fill({3}, 4));
    x.requires_grad_();
    y.requires_grad_();
  }

  // Two outputs; the third input is not used.
  Tensors body(const Tensors& in) {
    ++calls;
    const at::Tensor hidden = linear->forward(in[0]).tanh();
    return {hidden * in[1], hidden.exp().sum()};
  }

  Tensors gradients(bool recomputed, bool second_output = true) {
    linear->zero_grad();
    const auto function = [this](const Tensors& in) { return body(in); };
    const at::Tensor base = x * 2;  // not a leaf
    const Tensors in = {base, y, at::ones_like(x)};
    const Tensors out =
        recomputed ? recompute(function, in, linear->parameters()) : function(in);
    at::Tensor loss = (out[0] * fill({5, 3}, 5)).sum();
    loss = second_output ? loss + 3 * out[1] : loss;
    const Tensors wanted = {x, y, linear->weight, linear->bias};
    Tensors result = torch::autograd::grad({loss}, wanted);
    result.push_back(loss.detach());
    return result;
  }
};

}  // namespace

TEST_CASE("recompute: values and gradients are those of the plain call", "[core]") {
  for (const bool second_output : {true, false}) {
    Problem problem;
    const Tensors plain = problem.gradients(false, second_output);
    const Tensors again = problem.gradients(true, second_output);
    for (size_t i = 0; i < plain.size(); ++i) {
      CHECK(is_close(again[i], plain[i], 1e-14));
    }
    CHECK(problem.calls == 3);  // plain, forward, backward
    // autograd::grad asks for gradients: none is left behind in the parameters.
    CHECK_FALSE(
        (problem.linear->weight.grad().defined() &&
         problem.linear->weight.grad().abs().sum().item<double>() > 0));
  }
}

TEST_CASE("recompute: backward() adds up in the leaves", "[core]") {
  Problem problem;
  const Tensors expected = problem.gradients(false);
  const auto function = [&problem](const Tensors& in) { return problem.body(in); };
  for (int i = 0; i < 2; ++i) {
    const Tensors out = recompute(
        function,
        {problem.x * 2, problem.y, at::ones_like(problem.x)},
        problem.linear->parameters());
    ((out[0] * fill({5, 3}, 5)).sum() + 3 * out[1]).backward();
  }
  CHECK(is_close(problem.x.grad(), 2 * expected[0], 1e-14));
  CHECK(is_close(problem.y.grad(), 2 * expected[1], 1e-14));
  CHECK(is_close(problem.linear->weight.grad(), 2 * expected[2], 1e-14));
  CHECK(is_close(problem.linear->bias.grad(), 2 * expected[3], 1e-14));
}

TEST_CASE("recompute: nothing between input and output is remembered", "[core]") {
  at::Tensor x = fill({4}, 1).requires_grad_();
  int calls = 0;
  const auto function = [&](const Tensors& in) {
    ++calls;
    // A graph inside of forward() would hold what exp() returned.
    CHECK((calls > 1) == in[0].exp().requires_grad());
    return Tensors{in[0].exp().exp()};
  };
  recompute(function, {x})[0].sum().backward();
  CHECK(calls == 2);
  CHECK(is_close(x.grad(), (x.exp() + x).exp().detach(), 1e-12));
}

TEST_CASE("recompute: without gradients the function is just called", "[core]") {
  Problem problem;
  const auto function = [&problem](const Tensors& in) { return problem.body(in); };
  const Tensors in = {problem.x, problem.y, problem.x};
  {
    const c10::NoGradGuard guard;
    const Tensors out = recompute(function, in, problem.linear->parameters());
    CHECK_FALSE(out[0].requires_grad());
    CHECK(is_equal(out[0], problem.body(in)[0]));
  }
  // Nothing requires a gradient.
  for (at::Tensor& parameter : problem.linear->parameters()) {
    parameter.requires_grad_(false);
  }
  const Tensors frozen = {problem.x.detach(), problem.y.detach(), problem.x.detach()};
  CHECK_FALSE(
      recompute(function, frozen, problem.linear->parameters())[0].requires_grad());
}

TEST_CASE("recompute: a parameter that changed in between is an error", "[core]") {
  Problem problem;
  const auto function = [&problem](const Tensors& in) { return problem.body(in); };
  const Tensors out = recompute(
      function, {problem.x, problem.y, problem.x}, problem.linear->parameters());
  {
    const c10::NoGradGuard guard;
    problem.linear->weight.add_(1);
  }
  CHECK_THROWS_AS(out[1].backward(), c10::Error);
}

TEST_CASE("recompute: backward() computes in the type of forward()", "[core]") {
  Problem problem;
  problem.linear->to(at::kFloat);
  const at::Tensor x = problem.x.detach().to(at::kFloat).requires_grad_();
  std::vector<at::ScalarType> types;
  const auto function = [&](const Tensors& in) {
    const at::Tensor y = problem.linear->forward(in[0]);
    types.push_back(y.scalar_type());
    return Tensors{y};
  };
  const auto gradients = [&](bool recomputed) {
    Tensors out;
    {
      const trmml::AutocastGuard autocast(at::kCPU, true);
      out = recomputed ? recompute(function, {x}, problem.linear->parameters())
                       : function({x});
    }
    return torch::autograd::grad(
        {out[0].to(at::kFloat).square().sum()}, {x, problem.linear->weight});
  };
  const Tensors plain = gradients(false);
  const Tensors again = gradients(true);
  CHECK(types == std::vector<at::ScalarType>(3, at::kBFloat16));
  CHECK(is_equal(again[0], plain[0]));
  CHECK(is_equal(again[1], plain[1]));
}

TEST_CASE("recompute: one guard around all hides no weight", "[core]") {
  Problem problem;
  problem.linear->to(at::kFloat);
  const at::Tensor x = problem.x.detach().to(at::kFloat);
  const auto function = [&](const Tensors& in) {
    return Tensors{problem.linear->forward(in[0])};
  };
  const auto gradient = [&](const Tensors& out) {
    return torch::autograd::grad(
        {out[0].to(at::kFloat).square().sum()}, {problem.linear->weight})[0];
  };
  at::Tensor plain;
  {
    const trmml::AutocastGuard autocast(at::kCPU, true);
    plain = gradient(function({x}));
  }
  const trmml::AutocastGuard autocast(at::kCPU, true);
  CHECK(is_equal(
      gradient(recompute(function, {x}, problem.linear->parameters())), plain));
  CHECK(is_equal(gradient(function({x})), plain));  // behind a recomputed one
}
