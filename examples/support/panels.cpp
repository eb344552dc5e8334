#include "support/panels.hpp"

#include "trmml/method/method.hpp"

#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "support/shown_picture.hpp"

namespace experiment {

std::vector<trmml::report::LabelPanel>
panels(World& world, const RunResult& result, int64_t count) {
  const c10::NoGradGuard no_grad;
  std::vector<trmml::report::LabelPanel> all;
  const auto& names = world.names();
  count = std::min(count, world.train.features->size());
  const trmml::EvaluationMode evaluation(result.model->as_module());
  const trmml::TrmMlOutput output = result.model->forward(
      world.train.features->test_views(0, count).to(result.model->device()));
  const at::Tensor probabilities =
      score_of(output, result.score).sigmoid().cpu().contiguous();
  for (int64_t i = 0; i < count; ++i) {
    const trmml::report::Picture picture = world.train.picture(i);
    const at::Tensor known = result.observed[i].contiguous();
    const at::Tensor truth = world.train.labels[i].contiguous();
    const at::Tensor p = probabilities[i].contiguous();
    all.push_back(trmml::report::make_label_panel(
        world.all_train.table
            .images[static_cast<size_t>(world.train_rows[static_cast<size_t>(i)])],
        picture,
        names,
        {known.data_ptr<int8_t>(), names.size()},
        {truth.data_ptr<int8_t>(), names.size()},
        {p.data_ptr<float>(), names.size()}));
    if (!output.saliency.defined()) {
      continue;
    }
    const at::Tensor strongest =
        std::get<1>(at::where(truth.gt(0), p, at::zeros_like(p)).sort(0, true));
    for (int64_t k = 0; k < std::min<int64_t>(3, strongest.size(0)); ++k) {
      const int64_t c = strongest[k].item<int64_t>();
      if (truth[c].item<int64_t>() <= 0) {
        continue;
      }
      all.back().saliency.push_back(
          {names[static_cast<size_t>(c)],
           saliency_map(picture, output.saliency[i][c])});
    }
  }
  return all;
}

}  // namespace experiment
