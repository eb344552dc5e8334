// Trains the small CLIP of the embedded default from scratch, on pictures and captions
// of the generator of FashionScenes.
//
//   pretrain_clip --out runs/clip --steps 4200
//
// leaves runs/clip/clip.safetensors (fp16 weights), merges.txt, and state.safetensors.
// The files under examples/data/ were made by the command in docs/getting_started.md.

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/clip/tokenizer.hpp"
#include "trmml/core/device.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/training/clip_pretraining.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "support/program.hpp"

namespace data = trmml::data;
namespace clip = trmml::clip;
namespace fs = std::filesystem;

namespace {

struct Options {
  std::string fashion_mnist = data::kFashionMnistFolder;
  std::string out;
  int64_t steps = 4200;
  int64_t batch = 256;
  int64_t merges = 300;
  int64_t width = 16;
  double learning_rate = 2e-3;
  std::string precision = "bf16";
  uint64_t seed = 0;
  int threads = 0;
  int64_t checkpoint_every = 500;
  int64_t limit_steps = 0;
  bool resume = false;
};

clip::ClipModelOptions architecture(const Options& options, int64_t vocab_size) {
  return {
      clip::ModifiedResNetOptions(128)
          .width(options.width)
          .layers({1, 1, 1, 1})
          .heads(8)
          .input_resolution(96),
      clip::TextTransformerOptions(128)
          .vocab_size(vocab_size)
          .context_length(40)
          .width(128)
          .heads(2)
          .layers(2)};
}

// Pictures in the order of their pool; captions and flips drawn by (seed, step), so
// that a resumed run sees what an uninterrupted one would.
class Pairs {
 public:
  Pairs(const Options& options, const clip::Tokenizer& tokenizer, int64_t first_step)
      : options_(options),
        tokenizer_(tokenizer),
        step_(first_step),
        pictures_(
            std::make_shared<data::FashionMnist>(
                data::FashionMnist::load(options.fashion_mnist)),
            data::FashionMnist::Pool::kPretrain,
            data::SceneKind::kWeb) {
    pictures_.skip(first_step * options.batch);
  }

  trmml::training::PairBatch next() {
    std::mt19937 engine(static_cast<uint32_t>(
        trmml::derive_seed(options_.seed, static_cast<uint64_t>(step_++), "captions")));
    at::Tensor images = at::empty({options_.batch, 48, 48, 3}, at::kByte);
    std::vector<std::string> captions;
    for (int64_t i = 0; i < options_.batch; ++i) {
      const data::Scene scene = pictures_.next();
      at::Tensor image = at::tensor(at::ArrayRef<uint8_t>(scene.rgb), at::kByte)
                             .view({scene.side, scene.side, 3});
      const bool flip = (engine() & 1U) != 0;
      images[i].copy_(flip ? image.flip(1) : image);
      captions.push_back(data::scene_caption(scene, engine));
    }
    return {
        clip::normalize_images(images, 2), tokenizer_.tokenize(captions, 40, false)};
  }

 private:
  const Options& options_;
  const clip::Tokenizer& tokenizer_;
  int64_t step_;
  data::SceneGenerator pictures_;
};

void learn_vocabulary(const Options& options, const fs::path& path) {
  data::SceneGenerator pictures(
      std::make_shared<data::FashionMnist>(
          data::FashionMnist::load(options.fashion_mnist)),
      data::FashionMnist::Pool::kPretrain,
      data::SceneKind::kWeb);
  std::mt19937 engine(
      static_cast<uint32_t>(trmml::derive_seed(options.seed, 0, "vocabulary")));
  std::vector<std::string> captions;
  for (int i = 0; i < 20000; ++i) {
    captions.push_back(data::scene_caption(pictures.next(), engine));
  }
  clip::write_merges(path, clip::learn_merges(captions, options.merges));
}

void write_weights(const clip::ClipModel& model, const fs::path& path) {
  trmml::io::TensorMap tensors = trmml::io::module_tensors(*model);
  for (auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point()) {
      tensor = tensor.to(at::kHalf);
    }
  }
  trmml::io::write_safetensors(path, tensors, model->options.to_metadata());
}

void pretrain(const Options& options) {
  if (options.precision != "bf16" && options.precision != "fp32") {
    throw program::UsageError(
        "--precision: expected fp32 or bf16, got " + options.precision);
  }
  trmml::set_threads(options.threads);
  fmt::print("{}\n", trmml::describe_backend());
  const fs::path out(options.out);
  fs::create_directories(out);
  const fs::path merges = out / "merges.txt";
  const fs::path state = out / "state.safetensors";
  if (!options.resume || !fs::exists(merges)) {
    learn_vocabulary(options, merges);
  }
  const auto tokenizer = clip::Tokenizer::from_merges(merges);
  at::manual_seed(options.seed);
  clip::ClipModel model(architecture(options, tokenizer.vocab_size()));
  trmml::training::ClipPretraining run(
      model,
      trmml::training::ClipPretrainingOptions(options.steps)
          .learning_rate(options.learning_rate)
          .bfloat16(options.precision == "bf16"));
  if (options.resume && fs::exists(state)) {
    run.load(state);
    fmt::print("resumed at step {}\n", run.steps_done());
  }
  Pairs pairs(options, tokenizer, run.steps_done());
  const auto start = std::chrono::steady_clock::now();
  const int64_t first = run.steps_done();
  const int64_t last = options.limit_steps > 0
                           ? std::min(options.limit_steps, options.steps)
                           : options.steps;
  double mean = 0.0;
  program::catch_signals();
  while (run.steps_done() < last) {
    const double loss = run.step(pairs.next());
    mean = mean == 0.0 ? loss : 0.98 * mean + 0.02 * loss;
    const int64_t done = run.steps_done();
    if (done % 50 == 0 || done == last) {
      const std::chrono::duration<double> seconds =
          std::chrono::steady_clock::now() - start;
      fmt::print(
          "step {}/{}  loss {:.4f}  scale {:.1f}  {:.0f} pictures/s\n",
          done,
          options.steps,
          mean,
          model->logit_scale.exp().item<double>(),
          static_cast<double>((done - first) * options.batch) / seconds.count());
      std::fflush(stdout);
    }
    const bool stop = program::stop_flag();
    if (done % options.checkpoint_every == 0 || done == last || stop) {
      run.save(state);
    }
    if (stop && done < last) {
      throw trmml::Interrupted(fmt::format(
          "stopped at step {}; {} is saved, continue with --resume",
          done,
          state.string()));
    }
  }
  write_weights(model, out / "clip.safetensors");
  fmt::print("wrote {}\n", (out / "clip.safetensors").string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains the small CLIP of the embedded default from scratch."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--out", options.out, "Folder for weights, merges and state")
      ->required();
  app.add_option(
      "--fashion-mnist", options.fashion_mnist, "Folder of the four IDX files");
  app.add_option("--steps", options.steps, "Steps of the whole run")
      ->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "Pictures a step")
      ->check(CLI::Range(2, 65536));
  app.add_option("--merges", options.merges, "Byte-pair merges to learn")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--width", options.width, "Width of the image tower");
  app.add_option("--learning-rate", options.learning_rate, "Largest learning rate");
  app.add_option("--precision", options.precision, "Of the image tower: fp32 or bf16");
  app.add_option("--seed", options.seed, "Initial weights, captions, flips");
  app.add_option("--threads", options.threads, "0: every core");
  app.add_option("--checkpoint-every", options.checkpoint_every, "Steps between states")
      ->check(CLI::PositiveNumber);
  app.add_option(
      "--limit-steps", options.limit_steps, "Stop after this step (0: do not)");
  app.add_flag("--resume", options.resume, "Continue from the state in --out");
  program::parse(app, argc, argv);
  return program::run("pretrain_clip", [&] { pretrain(options); });
}
