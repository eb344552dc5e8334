// RegionMatcher inside somebody else's model: a small convolutional network learns
// which of six coloured squares are in a picture, with half of the labels hidden.
// Nothing in it is a CLIP. Where a linear classifier over the pooled map would stand,
// the feature map goes to trmml::RegionMatcher, with one learned vector a colour in the
// place of text.
//
//   use_one_module          (no options and no data; takes 5 seconds on one core)
//
// The loss falls from about 7 to below 0.1, the mAP on 500 new pictures is above 99 %,
// and the saliency of a colour points at its square (more than 90 %; a neighbour at
// times).

#include "trmml/core/random.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/evaluation/average_precision.hpp"
#include "trmml/functional/asymmetric_loss.hpp"
#include "trmml/modules/region_matcher.hpp"

#include <ATen/ATen.h>
#include <torch/nn/modules/conv.h>
#include <torch/optim/adam.h>

#include <fmt/format.h>

#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace {

constexpr int64_t kColours = 6, kWidth = 32;  // C, D
constexpr const char* kNames[] = {"red", "green", "blue", "cyan", "magenta", "yellow"};

struct Pictures {
  at::Tensor images;  // [N, 3, 32, 32]
  at::Tensor labels;  // int8 [N, 6] in {-1, +1}
  at::Tensor cells;   // [N, 6] which of the 16 cells holds the square; -1: none does
};

// Grey noise; each colour is there with probability 0.4, as a square of 8 x 8 pixels
// that fills one cell of the network's 4 x 4 map.
Pictures make_pictures(int64_t n, uint64_t seed) {
  const at::Tensor rgb = at::cat({at::eye(3), 1 - at::eye(3)}).view({6, 3, 1, 1});
  const at::Generator noise = trmml::make_generator(seed, 0, "noise");
  std::mt19937 engine(static_cast<uint32_t>(trmml::derive_seed(seed, 0, "squares")));
  Pictures pictures{
      at::rand({n, 3, 32, 32}, noise) * 0.6 + 0.2,
      at::full({n, kColours}, -1, at::kChar),
      at::full({n, kColours}, -1, at::kLong)};
  std::vector<int64_t> cells(16);
  std::iota(cells.begin(), cells.end(), 0);
  for (int64_t i = 0; i < n; ++i) {
    trmml::legacy_shuffle(engine, cells);
    for (int64_t c = 0; c < kColours; ++c) {
      if (trmml::legacy_uniform(engine) < 0.4) {
        const int64_t cell = cells[static_cast<size_t>(c)];
        at::Tensor square = pictures.images[i].narrow(1, cell / 4 * 8, 8);
        square = square.narrow(2, cell % 4 * 8, 8);  // [3, 8, 8]
        square.mul_(0.5).add_(rgb[c] * 0.5);
        pictures.labels[i][c] = 1;
        pictures.cells[i][c] = cell;
      }
    }
  }
  return pictures;
}

// The user's own network; only `matcher_` is trmml's.
class SquareNet : public torch::nn::Module {
 public:
  SquareNet() {
    const auto conv = [this](const char* name, int64_t in, int64_t out) {
      const auto options = torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1);
      return register_module(name, torch::nn::Conv2d(options));
    };
    conv1_ = conv("conv1", 3, 16);
    conv2_ = conv("conv2", 16, kWidth);
    conv3_ = conv("conv3", kWidth, kWidth);
    text_ = register_parameter("text", at::randn({kColours, kWidth}));  // [C, D]
    const auto options = trmml::RegionMatcherOptions(kColours, kWidth)
                             .query_init(trmml::QueryInit::kRandom)
                             .logit_scale_init(10);
    matcher_ = register_module("matcher", trmml::RegionMatcher(options));
  }

  trmml::RegionMatch forward(const at::Tensor& images) {
    at::Tensor map = conv1_->forward(images - 0.5).relu();
    map = conv3_->forward(conv2_->forward(map).relu());               // [B, D, 4, 4]
    return matcher_->forward(map.flatten(2).transpose(1, 2), text_);  // [B, 16, D]
  }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  at::Tensor text_;
  trmml::RegionMatcher matcher_{nullptr};
};

void train(SquareNet& net, const Pictures& pictures, int64_t steps) {
  using trmml::functional::partial_asymmetric_loss;
  const at::Tensor known = trmml::data::known_label_proportion(pictures.labels, 0.5);
  torch::optim::Adam optimizer(net.parameters(), torch::optim::AdamOptions(2e-3));
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t first = step * 64 % pictures.images.size(0);
    const auto match = net.forward(pictures.images.narrow(0, first, 64));
    const at::Tensor labels = known.narrow(0, first, 64);
    const at::Tensor loss = partial_asymmetric_loss(match.region_logits, labels) +
                            partial_asymmetric_loss(match.query_logits, labels);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step == 0 || step % 40 == 39) {
      fmt::print("step {:3}  loss {:.3f}\n", step + 1, loss.item<double>());
    }
  }
}

void test(SquareNet& net, const Pictures& pictures) {
  using namespace trmml::evaluation;
  const c10::NoGradGuard no_grad;
  const auto match = net.forward(pictures.images);
  const at::Tensor scores = (match.region_logits + match.query_logits) / 2;
  const int64_t n = scores.size(0);
  const Eigen::Map<const ScoreMatrix<float>> s(scores.data_ptr<float>(), n, kColours);
  const int8_t* labels = pictures.labels.data_ptr<int8_t>();
  const Eigen::Map<const LabelMatrix> y(labels, n, kColours);
  fmt::print("mAP {:.1f} %\n", 100 * mean_average_precision(s, y).mAP);
  const at::Tensor cells = match.saliency.argmax(-1);  // [N, C]
  const at::Tensor present = pictures.labels.gt(0);    // [N, C]
  const at::Tensor hits = cells.eq(pictures.cells).masked_select(present);
  const double share = 100 * hits.to(at::kFloat).mean().item<double>();
  fmt::print("strongest cell is the square's: {:.0f} % (by chance 6 %)\n", share);
  for (int64_t c = 0; c < kColours; ++c) {
    if (present[0][c].item<bool>()) {
      fmt::print("picture 0, {}: ", kNames[c]);
      fmt::print("in cell {}, ", pictures.cells[0][c].item<int64_t>());
      fmt::print("saliency points at {}\n", cells[0][c].item<int64_t>());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    fmt::print(stderr, "use_one_module: expected no arguments, got {}\n", argv[1]);
    return 2;
  }
  at::manual_seed(0);
  const auto net = std::make_shared<SquareNet>();
  train(*net, make_pictures(1024, 1), 200);
  test(*net, make_pictures(500, 2));
}
