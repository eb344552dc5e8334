#include "support/predictor.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include <fmt/format.h>

#include <random>

#include "support/picture_tower.hpp"
#include "support/program.hpp"

namespace experiment {

namespace fs = std::filesystem;
namespace data = trmml::data;
using trmml::CheckpointError;

CLI::Option* add_options(CLI::App& app, PredictorOptions& options) {
  CLI::Option* checkpoint =
      app.add_option("--checkpoint", options.checkpoint, "RUN/best.safetensors");
  app.add_option(
      "--clip", options.clip, "File or folder of the run's CLIP (not set: as it was)");
  app.add_option("--device", options.device, "cpu, cuda, cuda:1, ...");
  app.add_option(
         "--precision",
         options.precision,
         "Of the image tower: fp32, bf16 (not set: as in training)")
      ->check(CLI::IsMember({"", "fp32", "bf16"}));
  app.add_option("--threads", options.threads, "0: every core")
      ->check(program::at_least(0));
  app.add_option("--workers", options.stream.workers, "Threads that read pictures")
      ->check(program::at_least(1));
  app.add_option(
         "--batch", options.stream.batch, "Pictures that the tower sees at a time")
      ->check(program::at_least(1));
  return checkpoint;
}

void add_skip_unreadable(CLI::App& app, PredictorOptions& options) {
  options.stream.skip_flag = "--skip-unreadable";
  app.add_flag(
      options.stream.skip_flag,
      options.stream.skip_unreadable,
      "Leave out pictures that cannot be read instead of stopping");
}

namespace {

PictureOptions picture_options(
    const Trained& trained,
    const PredictorOptions& options) {
  PictureOptions pictures = trained.pictures;
  pictures.device = options.device;
  pictures.threads = options.threads;
  if (!options.precision.empty()) {
    pictures.precision = options.precision;
  }
  if (!options.clip.empty()) {
    pictures.clip = options.clip;
  } else if (!fs::exists(pictures.clip)) {
    throw CheckpointError(fmt::format(
        "{}: expected the CLIP of the training at {}, got no such file (--clip says "
        "where it is now)",
        trained.file.string(),
        pictures.clip));
  }
  return pictures;
}

}  // namespace

Predictor::Predictor(const Trained& trained, const PredictorOptions& options)
    : trained_(trained), transform_(test_transform(trained.pictures)) {
  const PictureOptions pictures = picture_options(trained, options);
  clip_program::Options clip_options = experiment::clip_options(pictures);
  clip_options.mapped = true;  // the frozen tower copies its weights, no more is needed
  clip_program::Clip clip = clip_program::load(clip_options);
  const std::string found = fingerprint(*clip.model);
  if (found != trained.clip_fingerprint) {
    throw CheckpointError(fmt::format(
        "{}: expected the CLIP of the training, whose image tower has the fingerprint "
        "{}, got {} with {}",
        trained.file.string(),
        trained.clip_fingerprint,
        pictures.clip,
        found));
  }
  description_ = clip.description;
  device_ = clip.device;
  encode_ = encoder_of(clip, pictures);
  trained.method->as_module().to(device_);
  text_features_ = trained.text_features.to(device_);
}

data::Image Predictor::read(const fs::path& file) const {
  return data::read_image(
      file, {.exif_orientation = trained_.pictures.exif_orientation});
}

at::Tensor Predictor::pixels(const data::Image& image) const {
  std::mt19937 none(0);
  const data::Image seen = transform_(image, none);
  at::Tensor planes = at::empty({3, seen.height, seen.width}, at::kByte);
  data::to_planes(seen, planes.data_ptr<uint8_t>());
  return planes;
}

trmml::TrmMlOutput Predictor::forward(const std::vector<at::Tensor>& pixels) {
  const c10::NoGradGuard no_grad;
  return trained_.method->forward(encode_(at::stack(pixels)), text_features_);
}

at::Tensor Predictor::logits(const trmml::TrmMlOutput& output) const {
  at::Tensor scores =
      score_of(output, trained_.options.score).to(at::kCPU, at::kFloat).contiguous();
  if (scores.isnan().any().item<bool>()) {
    throw CheckpointError(fmt::format(
        "{}: expected scores that are numbers, got NaN (are weights damaged?)",
        trained_.file.string()));
  }
  return scores;
}

PictureList list_pictures(const std::vector<std::string>& arguments) {
  PictureList list;
  if (arguments.size() == 1 && fs::is_directory(arguments.front())) {
    return {arguments.front(), clip_program::list_images(arguments.front())};
  }
  for (const std::string& argument : arguments) {
    if (!fs::is_directory(argument)) {
      list.paths.push_back(argument);
      continue;
    }
    for (const std::string& path : clip_program::list_images(argument)) {
      list.paths.push_back((fs::path(argument) / path).string());
    }
  }
  return list;
}

}  // namespace experiment
