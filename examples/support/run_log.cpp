#include "support/run_log.hpp"

#include "trmml/core/device.hpp"
#include "trmml/training/state_file.hpp"

#include <fmt/format.h>

#include <utility>

namespace program {
namespace {

// Epochs that the state of the folder has done.
int64_t epochs_done(const std::filesystem::path& folder) {
  return trmml::training::StateFile(folder).read().number("epoch");
}

}  // namespace

trmml::report::EpochMetrics epoch_metrics(
    const trmml::training::EpochReport& epoch,
    std::optional<trmml::evaluation::PseudoLabelQuality> pseudo_labels) {
  trmml::report::EpochMetrics metrics;
  metrics.epoch = epoch.epoch;
  metrics.held_out_mAP = epoch.held_out_mAP;
  metrics.held_out_mAP_raw = epoch.held_out_mAP_raw;
  metrics.test_mAP = epoch.test_mAP;
  metrics.learning_rate = epoch.learning_rate;
  metrics.seconds = epoch.seconds;
  metrics.losses = epoch.losses;
  metrics.pseudo_labels = pseudo_labels;
  return metrics;
}

std::vector<EpochHistogram> epoch_histograms(
    const trmml::training::EpochReport& epoch,
    const at::Tensor& held_out_labels,
    trmml::Method& method) {
  const auto values = [](const at::Tensor& tensor) {
    const at::Tensor flat =
        tensor.detach().to(at::kCPU, at::kFloat).contiguous().flatten();
    const auto* first = flat.data_ptr<float>();
    return std::vector<float>(first, first + flat.numel());
  };
  const at::Tensor& logits = epoch.held_out_logits;
  std::vector<EpochHistogram> histograms = {
      {"held_out_logits/present", values(logits.masked_select(held_out_labels.gt(0)))},
      {"held_out_logits/absent", values(logits.masked_select(held_out_labels.lt(0)))}};
  std::vector<float> norms;
  for (const trmml::ParameterGroup& group : method.parameter_groups()) {
    for (const at::Tensor& parameter : group.parameters) {
      if (group.name == "prompts" && parameter.dim() > 1) {  // no logit scale
        const std::vector<float> some = values(parameter.norm(2, -1));
        norms.insert(norms.end(), some.begin(), some.end());
      }
    }
  }
  histograms.push_back({"prompts/context_norm", norms});
  return histograms;
}

RunLog::RunLog(std::filesystem::path folder, bool resume, std::string config)
    : folder_(std::move(folder)), config_(std::move(config)) {
  if (resume) {
    resume_epoch_ = epochs_done(folder_);  // now: the trainer will overwrite the state
  }
}

void RunLog::open() {
  if (metrics_) {
    return;
  }
  // A run that begins anew drops what another one has left in the folder.
  const int64_t first = resume_epoch_.value_or(0);
  metrics_.emplace(folder_ / "metrics.jsonl", resume_epoch_);
  trmml::report::EventLogOptions options;
  options.purge_step = first;
  events_.emplace(folder_, options);
  events_->text("config.toml", fmt::format("```toml\n{}\n```", config_), first);
}

std::vector<trmml::report::EpochMetrics> RunLog::history() const {
  if (metrics_) {
    return metrics_->history();
  }
  const std::filesystem::path file = folder_ / "metrics.jsonl";
  const bool has_lines = resume_epoch_ && std::filesystem::exists(file);
  return has_lines ? trmml::report::read_metrics(file)
                   : std::vector<trmml::report::EpochMetrics>();
}

void RunLog::epoch(
    const trmml::report::EpochMetrics& metrics,
    const std::vector<EpochHistogram>& histograms) {
  open();
  metrics_->append(metrics);
  const auto add = [&](const std::string& tag, double value) {
    events_->scalar(tag, value, metrics.epoch);
  };
  add("mAP/held_out", metrics.held_out_mAP);
  add("mAP/held_out_raw", metrics.held_out_mAP_raw);
  if (metrics.test_mAP) {
    add("mAP/test", *metrics.test_mAP);
  }
  for (const auto& [name, value] : metrics.losses) {
    add("loss/" + name, value);
  }
  if (metrics.pseudo_labels) {
    add("pseudo_labels/positive_precision", metrics.pseudo_labels->positive_precision);
    add("pseudo_labels/positive_recall", metrics.pseudo_labels->positive_recall);
    add("pseudo_labels/negative_precision", metrics.pseudo_labels->negative_precision);
    add("pseudo_labels/negative_recall", metrics.pseudo_labels->negative_recall);
    add("pseudo_labels/coverage", metrics.pseudo_labels->coverage);
  }
  add("training/learning_rate", metrics.learning_rate);
  add("training/seconds", metrics.seconds);
  for (const EpochHistogram& histogram : histograms) {
    events_->histogram(histogram.tag, histogram.values, metrics.epoch);
  }
}

std::vector<std::pair<std::string, std::string>> environment() {
  return {
      {"threads", std::to_string(at::get_num_threads())},
      {"BLAS", trmml::blas_name()},
#ifdef __clang__
      {"compiler", __VERSION__},
#else
      {"compiler", "g++ " __VERSION__},
#endif
      {"git revision", std::string(git_revision())}};
}

}  // namespace program
