#pragma once

#include "trmml/report/label_panel.hpp"

#include <cstdint>
#include <vector>

#include "support/experiment.hpp"

namespace experiment {

/// The first pictures of the training part with known, hidden and predicted labels, and
/// the saliency of what is present.
std::vector<trmml::report::LabelPanel>
panels(World& world, const RunResult& result, int64_t count);

}  // namespace experiment
