#include "trmml/method/linear_probe.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>
#include <string>

#include "reference/method.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

namespace ref = reference::method;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::numbers;
using trmml::LinearProbe;
using trmml::LinearProbeOptions;

namespace {

at::Tensor probe_features() {
  return fill({14, 5}, 1) * numbers({1, 10, 0.1, 1, 3}, {5}) +
         numbers({0, 4, 0, -2, 0}, {5});
}

at::Tensor probe_labels() {
  return fill_labels({14, 3}, 2);
}

}  // namespace

TEST_CASE("LinearProbe: against the reference") {
  const auto scores = [](bool assume) {
    LinearProbe probe(
        LinearProbeOptions().assume_negative(assume).weight_decay(1e-2).steps(40));
    probe.fit(probe_features(), probe_labels());
    return probe.scores(fill({4, 5}, 3));
  };
  CHECK(is_close(scores(false), numbers(ref::kLinearKnown, {4, 3}), 1e-8));
  CHECK(is_close(scores(true), numbers(ref::kLinearAssumeNegative, {4, 3}), 1e-8));
}

TEST_CASE("LinearProbe: many steps end where the gradient of the loss is zero") {
  const double decay = 0.02;
  LinearProbe probe(LinearProbeOptions().weight_decay(decay).steps(2000));
  probe.fit(probe_features(), probe_labels());
  // W and b from the scores of the standardised unit vectors.
  const at::Tensor x = probe_features();
  const at::Tensor mean = x.mean(0);
  const at::Tensor deviation = x.std(0) + 1e-6;
  const at::Tensor b = probe.scores(mean.unsqueeze(0));               // [1, C]
  const at::Tensor w = probe.scores(at::diag(deviation) + mean) - b;  // [F, C]
  const at::Tensor z = (x - mean) / deviation;
  const at::Tensor used = probe_labels().ne(0).to(at::kDouble);
  const at::Tensor slope =
      (probe.scores(x).sigmoid() - probe_labels().gt(0).to(at::kDouble)) * used /
      used.sum();
  const at::Tensor gradient = z.t().matmul(slope) + 2 * decay * w / 3;
  CHECK(gradient.abs().max().item<double>() < 1e-4);
  CHECK(slope.sum(0).abs().max().item<double>() < 1e-4);
}

TEST_CASE("LinearProbe: scale and offset of a feature do not matter, unknowns do not") {
  LinearProbe probe;
  probe.fit(probe_features(), probe_labels());
  LinearProbe scaled;
  scaled.fit(probe_features() * 100 - 7, probe_labels());
  const at::Tensor x = fill({4, 5}, 3);
  CHECK(is_close(scaled.scores(x * 100 - 7), probe.scores(x), 1e-4));

  LinearProbe again;
  again.fit(probe_features(), probe_labels());
  CHECK(again.scores(x).equal(probe.scores(x)));  // deterministic

  LinearProbe single;  // float features, as the trainer holds them
  single.fit(probe_features().to(at::kFloat), probe_labels());
  CHECK(is_close(single.scores(x.to(at::kFloat)), probe.scores(x), 1e-3));
}

TEST_CASE(
    "LinearProbe: the gradient mode and the graph of the features do not matter") {
  LinearProbe plain, inside, with_graph;
  plain.fit(probe_features(), probe_labels());
  with_graph.fit(probe_features().requires_grad_() * 1.0, probe_labels());
  const c10::NoGradGuard no_grad;
  inside.fit(probe_features(), probe_labels());
  const at::Tensor expected = plain.scores(probe_features());
  CHECK(inside.scores(probe_features()).equal(expected));
  CHECK(with_graph.scores(probe_features()).equal(expected));
}

TEST_CASE("LinearProbe: half precision is computed in float") {
  const at::Tensor features = probe_features().to(at::kHalf);
  LinearProbe half, single;
  half.fit(features, probe_labels());
  single.fit(features.to(at::kFloat), probe_labels());
  CHECK(half.scores(features).equal(single.scores(features.to(at::kFloat))));
}

TEST_CASE("LinearProbe: messages") {
  const auto fit = [](const at::Tensor& x, const at::Tensor& y, bool assume = false) {
    return error_of<c10::ValueError>([&] {
      LinearProbe(LinearProbeOptions().assume_negative(assume).steps(1)).fit(x, y);
    });
  };
  const at::Tensor x = probe_features();
  CHECK(
      fit(x.narrow(0, 0, 1), probe_labels().narrow(0, 0, 1)) ==
      "LinearProbe::fit: expected at least two pictures (features are standardised), "
      "got 1");
  CHECK(error_of<c10::ValueError>([] {
          LinearProbe probe(LinearProbeOptions().steps(0));
        }) == "LinearProbe: expected steps > 0 and weight_decay >= 0, got 0 and 0.001");
  CHECK(
      fit(x[0], probe_labels()) ==
      "LinearProbe::fit: expected features of shape [*, *], got [5]");
  CHECK(
      fit(x, probe_labels().narrow(0, 0, 3)) ==
      "LinearProbe::fit: expected labels of shape [14, *], got [3, 3]");
  CHECK(fit(x, probe_labels() * 3).find("{-1 absent, 0 unknown") != std::string::npos);
  const at::Tensor unknown = at::zeros({14, 3}, at::kChar);
  CHECK(
      fit(x, unknown) ==
      "LinearProbe::fit: expected at least one known label, got none");
  CHECK(fit(x, unknown, /*assume=*/true) == "no error");
  const at::Tensor broken =
      x.masked_fill(x.gt(5), std::numeric_limits<double>::quiet_NaN());
  CHECK(
      fit(broken, probe_labels()) ==
      "LinearProbe::fit: expected finite features, got NaN or infinity");
  CHECK(error_of<c10::ValueError>([&x] {
          LinearProbe().scores(x);
        }) == "LinearProbe::scores: expected fit() to be called before");
  LinearProbe probe(LinearProbeOptions().steps(1));
  probe.fit(x, probe_labels());
  CHECK(error_of<c10::ValueError>([&] {
          probe.scores(at::zeros({2, 4}));
        }) == "LinearProbe::scores: expected features of shape [*, 5], got [2, 4]");
}

TEST_CASE("pooled_features: global, mean and maximum of the cells") {
  const trmml::clip::ImageFeatures images{
      numbers({1, 2}, {1, 2}), numbers({0, 4, 2, -6}, {1, 2, 2})};
  CHECK(trmml::pooled_features(images).equal(numbers({1, 2, 1, -1, 2, 4}, {1, 6})));
}
