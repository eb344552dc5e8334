#include <trmml/evaluation/average_precision.hpp>
#include <trmml/functional/asymmetric_loss.hpp>
#include <trmml/io/safetensors.hpp>
#include <trmml/modules/region_matcher.hpp>
#include <trmml/version.hpp>

#include <ATen/ATen.h>

#include <Eigen/Core>

#include <cstdio>
#include <exception>
#include <string>

#include "other.hpp"

int main() {
  try {
    // A module, trained for one step.
    trmml::RegionMatcher matcher(trmml::RegionMatcherOptions(5, 16));
    const trmml::RegionMatch match =
        matcher->forward(at::randn({2, 9, 16}), at::randn({2, 5, 16}));
    const at::Tensor labels = at::ones({2, 5});
    const at::Tensor loss = loss_of(match, labels);
    loss.backward();

    // The compiled part.
    const std::string path = "consumer.safetensors";
    trmml::io::write_safetensors(path, {{"loss", loss.detach()}}, {{"by", "consumer"}});
    const trmml::io::SafetensorsFile file = trmml::io::read_safetensors(path);
    const bool is_same = file.tensors.at("loss").equal(loss.detach()) &&
                         file.metadata.at("by") == "consumer";
    std::remove(path.c_str());

    // The metrics.
    const trmml::evaluation::ScoreMatrix<float> scores =
        trmml::evaluation::ScoreMatrix<float>::Random(4, 1);
    trmml::evaluation::LabelMatrix truth(4, 1);
    truth << 1, -1, 0, 1;
    const double ap = trmml::evaluation::mean_average_precision(scores, truth).mAP;

    const bool is_right =
        is_same && match.saliency.size(2) == 9 && ap > 0.5 && ap <= 1.0;
    std::printf("trmml %s: %s\n", TRMML_VERSION, is_right ? "as expected" : "wrong");
    return is_right ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
