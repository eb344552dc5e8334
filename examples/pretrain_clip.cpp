// Trains the small CLIP of the embedded default from scratch, on pictures and captions
// of the generator of FashionScenes.
//
//   pretrain_clip --out runs/clip --steps 4200
//
// leaves runs/clip/clip.safetensors (fp16 weights), merges.txt, state.safetensors, and
// config.toml, the options that --resume has to be given again.
// The files under examples/data/ were made by the command in docs/getting_started.md.

#include "trmml/core/device.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "support/config_file.hpp"
#include "support/folder_lock.hpp"
#include "support/program.hpp"
#include "support/run_folder_state.hpp"
#include "support/small_clip.hpp"

namespace clip = trmml::clip;
namespace fs = std::filesystem;

namespace {

struct Options {
  std::string fashion_mnist = trmml::data::kFashionMnistFolder;
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

void train(
    trmml::training::ClipPretraining& run,
    const clip::ClipModel& model,
    scenes::PairSource& pairs,
    const fs::path& state,
    const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t first = run.steps_done();
  const int64_t last = options.limit_steps > 0
                           ? std::min(options.limit_steps, options.steps)
                           : options.steps;
  double mean = 0.0;
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
}

void pretrain(const Options& options, const std::string& config) {
  const fs::path out(options.out);
  const fs::path merges = out / "merges.txt";
  const fs::path state = out / "state.safetensors";
  program::check_resume(state, options.resume);
  program::make_folder(out);
  const program::FolderLock lock(out);
  if (!options.resume) {
    trmml::io::write_file_atomically(out / "config.toml", config);
  } else if (fs::exists(out / "config.toml")) {
    experiment::check_same_options(out, config);
  }
  trmml::set_threads(options.threads);
  program::catch_signals();
  fmt::print("{}\n", trmml::describe_backend());
  std::fflush(stdout);
  const auto photos =
      program::with_flag<trmml::DataError>("--fashion-mnist", [&options] {
        return std::make_shared<const trmml::data::FashionMnist>(
            trmml::data::FashionMnist::load(options.fashion_mnist));
      });
  if (!options.resume || !fs::exists(merges)) {
    scenes::learn_vocabulary(photos, options.seed, options.merges, merges);
  }
  const auto tokenizer = clip::Tokenizer::from_merges(merges);
  at::manual_seed(options.seed);
  clip::ClipModel model(
      scenes::small_clip_options(options.width, tokenizer.vocab_size()));
  trmml::training::ClipPretraining run(
      model,
      trmml::training::ClipPretrainingOptions(options.steps)
          .learning_rate(options.learning_rate)
          .bfloat16(options.precision == "bf16"));
  if (options.resume) {
    run.load(state);
    fmt::print("resumed at step {}\n", run.steps_done());
  }
  scenes::PairSource pairs(
      photos, tokenizer, options.batch, options.seed, run.steps_done());
  train(run, model, pairs, state, options);
  scenes::write_weights(model, out / "clip.safetensors");
  fmt::print("wrote {}\n", (out / "clip.safetensors").string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains the small CLIP of the embedded default from scratch."};
  Options o;
  app.option_defaults()->always_capture_default();
  app.add_option("--out", o.out, "Folder for weights, merges and state")->required();
  app.add_option("--fashion-mnist", o.fashion_mnist, "Folder of the four IDX files")
      ->configurable(false);
  app.add_option("--steps", o.steps, "Steps of the whole run")
      ->check(program::at_least(1));
  app.add_option("--batch", o.batch, "Pictures a step")->check(CLI::Range(2, 65536));
  app.add_option("--merges", o.merges, "Byte-pair merges to learn")
      ->check(program::at_least(0));
  app.add_option("--width", o.width, "Width of the image tower, even")
      ->check(program::at_least(2));
  app.add_option("--learning-rate", o.learning_rate, "Largest learning rate");
  app.add_option("--precision", o.precision, "Of the image tower")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("--seed", o.seed, "Initial weights, captions, flips");
  app.add_option("--threads", o.threads, "0: every core")->check(program::at_least(0));
  app.add_option("--checkpoint-every", o.checkpoint_every, "Steps between states")
      ->check(program::at_least(1));
  app.add_option("--limit-steps", o.limit_steps, "Stop after this step (0: do not)")
      ->configurable(false)
      ->check(program::at_least(0));
  app.add_flag("--resume", o.resume, "Continue from the state in --out");
  program::parse(app, argc, argv);
  return program::run("pretrain_clip", [&] { pretrain(o, program::config_text(app)); });
}
