#include "trmml/clip/checkpoint.hpp"

#include <ATen/Context.h>

#include <mutex>
#include <variant>

#include "checkpoint_description.hpp"
#include "checkpoint_file.hpp"
#include "checkpoint_names.hpp"
#include "checkpoint_options.hpp"
#include "checkpoint_weights.hpp"

namespace trmml::clip {

namespace fs = std::filesystem;

namespace {

/// A model with the options, on its device; the global generator is left as it was.
ClipModel make_model(const ClipModelOptions& options, const CheckpointOptions& wanted) {
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  at::Tensor state;
  {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    state = generator.get_state();
  }
  ClipModel model = [&] {
    const SkipInitialValues skip;
    return ClipModel(options);
  }();
  {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
  model->to(wanted.device(), wanted.dtype());
  return model;
}

void check(const CheckpointOptions& options) {
  const at::ScalarType dtype = options.dtype();
  TORCH_CHECK_VALUE(
      dtype == at::kFloat || dtype == at::kDouble || dtype == at::kBFloat16 ||
          (dtype == at::kHalf && !options.device().is_cpu()),
      "load_clip: expected dtype Float, Double, BFloat16, or Half on an accelerator, "
      "got ",
      toString(dtype),
      " on ",
      options.device().str());
  TORCH_CHECK_VALUE(
      !options.mapped() || (options.device().is_cpu() && dtype == at::kFloat),
      "load_clip: expected neither device nor dtype for mapped weights, got ",
      toString(dtype),
      " on ",
      options.device().str());
}

}  // namespace

LoadedClip load_clip(const fs::path& file_or_folder, const CheckpointOptions& options) {
  using namespace checkpoint;
  check(options);
  Weights weights = read_weights(file_or_folder);
  const Named named = name_tensors(weights);
  LoadedClip result;
  result.file = weights.file;
  result.format = weights.format;
  const ClipModelOptions sizes = choose_options(weights, named, options, result);
  try {
    std::visit([](const auto& tower) { check_options(tower); }, sizes.image());
    check_options(sizes.text());
  } catch (const c10::Error& error) {
    fail(weights.file, error.what_without_backtrace());
  }
  check_weights(weights, named, sizes);
  result.model = make_model(sizes, options);
  options.mapped() ? share_weights(named, *result.model)
                   : copy_weights(named, *result.model);
  freeze(*result.model);
  describe(named, sizes, result);
  return result;
}

}  // namespace trmml::clip
