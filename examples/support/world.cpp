#include "support/world.hpp"

#include "trmml/core/error.hpp"
#include "trmml/functional/pseudo_label.hpp"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace experiment {

at::Tensor collect(
    const Part& part,
    const std::function<bool()>& should_stop,
    const std::function<at::Tensor(const trmml::clip::ImageFeatures&)>& map) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < part.features->size(); i += kCollected) {
    if (should_stop && should_stop()) {
      throw trmml::Interrupted("stopped while pictures were being scored");
    }
    const int64_t n = std::min(kCollected, part.features->size() - i);
    rows.push_back(map(part.features->test_views(i, n)).cpu());
  }
  return at::cat(rows);
}

const at::Tensor&
zero_shot_of(const World& world, Part& part, const std::function<bool()>& should_stop) {
  if (!part.zero_shot.defined()) {
    const auto score = [&](const trmml::clip::ImageFeatures& images) {
      return trmml::functional::zero_shot_scores(
          images.global, images.regions, world.frozen_text.to(images.global.device()));
    };
    part.zero_shot = collect(part, should_stop, score);
  }
  return part.zero_shot;
}

}  // namespace experiment
