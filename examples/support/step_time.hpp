#pragma once

#include <string>

#include "support/run_options.hpp"
#include "support/world.hpp"

namespace experiment {

/// What training takes, as a line: the time of a step, measured on a few with the
/// features of `world.sample` over and over, that of all epochs, and the most memory
/// that the program has had. Empty for methods that are not trained step by step.
std::string training_line(const World& world, const RunOptions& options);

}  // namespace experiment
