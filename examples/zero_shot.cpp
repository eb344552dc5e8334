// Scores of categories for pictures by a CLIP, without training.
//
//   zero_shot --clip clip.safetensors --vocab merges.txt --images photos --names
//   names.txt zero_shot ... --templates templates.txt --score probability --out
//   scores.json
//
// prints a CSV line (or writes CSV or JSON, by the ending of --out) for every picture
// below the folder, in the order of their sorted paths: one score a category, in the
// order of the lines of --names. The score is the cosine of picture and category, or
// with `--score probability` CLIP's softmax over the categories (for pictures that show
// one of them). A category is the normalised mean of the normalised features of its
// name in every template ("{}" stands for it), as in CLIP's own ensembles.

#include "trmml/data/image.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/report/progress.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/clip_program.hpp"
#include "support/program.hpp"

namespace {

using trmml::functional::l2_normalise;

struct Options {
  clip_program::Options clip;
  std::string names;
  std::vector<std::string> templates = {"a photo of a {}."};
  std::string templates_file;
  std::string score = "cosine";
  std::string out;
};

std::string fill(std::string text, const std::string& name) {
  for (size_t at = 0; (at = text.find("{}", at)) != std::string::npos;) {
    text.replace(at, 2, name);
    at += name.size();
  }
  return text;
}

/// One vector a category, of length 1: [C, D].
at::Tensor categories(
    clip_program::Clip& clip,
    const Options& options,
    const std::vector<std::string>& names) {
  const trmml::clip::Tokenizer tokenizer = clip_program::load_tokenizer(options.clip);
  at::Tensor sum;
  for (const std::string& text : options.templates) {
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i < names.size(); i += static_cast<size_t>(options.clip.batch)) {
      const size_t end =
          std::min(names.size(), i + static_cast<size_t>(options.clip.batch));
      std::vector<std::string> prompts;
      for (size_t k = i; k < end; ++k) {
        prompts.push_back(fill(text, names[k]));
      }
      parts.push_back(
          clip_program::encode_texts(clip, tokenizer, prompts, options.clip.truncate));
    }
    const at::Tensor features = l2_normalise(at::cat(parts));  // [C, D]
    sum = sum.defined() ? sum + features : features;
  }
  return l2_normalise(sum);
}

/// RFC 4180: in quotes when it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

/// Lines of CSV as they come, or one JSON object in the end.
class Output {
 public:
  Output(const Options& options, const std::vector<std::string>& names)
      : path_(options.out), is_json_(path_.extension() == ".json") {
    if (is_json_) {
      json_ = {
          {"score", options.score},
          {"templates", options.templates},
          {"names", names},
          {"images", nlohmann::json::array()}};
      return;
    }
    std::string header = "image";
    for (const std::string& name : names) {
      header += "," + csv_field(name);
    }
    write(header + "\n");
  }

  void add(const std::string& image, const at::Tensor& scores) {
    const float* values = scores.data_ptr<float>();
    if (is_json_) {
      json_["images"].push_back(
          {{"image", image},
           {"scores", std::vector<float>(values, values + scores.numel())}});
      return;
    }
    std::string line = csv_field(image);
    for (int64_t i = 0; i < scores.numel(); ++i) {
      line += fmt::format(",{:.6g}", values[i]);
    }
    write(line + "\n");
  }

  void finish() {
    if (is_json_) {
      text_ =
          json_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    if (!path_.empty()) {
      trmml::io::write_file_atomically(path_, text_);
    }
  }

 private:
  void write(const std::string& text) {
    if (path_.empty()) {
      fmt::print("{}", text);
      std::fflush(stdout);
    } else {
      text_ += text;
    }
  }

  std::filesystem::path path_;
  bool is_json_;
  nlohmann::json json_;
  std::string text_;
};

void zero_shot(Options options) {
  if (!options.templates_file.empty()) {
    options.templates = clip_program::read_lines(options.templates_file);
  }
  for (const std::string& text : options.templates) {
    if (text.find("{}") == std::string::npos) {
      throw program::UsageError(
          fmt::format("--template: expected {{}} for the name, got '{}'", text));
    }
  }
  program::catch_signals();
  const std::vector<std::string> names = clip_program::read_lines(options.names);
  const std::vector<std::string> paths = trmml::data::list_images(options.clip.images);
  if (paths.empty()) {
    throw trmml::DataError(options.clip.images + ": there is no picture below it");
  }
  clip_program::Clip clip = clip_program::load(options.clip);
  const at::Tensor text = categories(clip, options, names);  // [C, D]
  const float scale = clip.model->logit_scale.exp().item<float>();
  Output output(options, names);
  trmml::report::Progress progress(
      "zero_shot", static_cast<int64_t>(paths.size()), stderr, {.unit = "pictures"});
  const auto use = [&](const clip_program::Batch& batch) {
    if (!batch.indices.empty()) {
      const at::Tensor image =
          clip.model->encode_image(batch.pixels).to(at::kCPU, at::kFloat);  // [B, D]
      at::Tensor scores = l2_normalise(image).matmul(text.t());             // [B, C]
      if (options.score == "probability") {
        scores = (scores * scale).softmax(-1);
      }
      for (size_t i = 0; i < batch.indices.size(); ++i) {
        output.add(
            paths[static_cast<size_t>(batch.indices[i])],
            scores[static_cast<int64_t>(i)].contiguous());
      }
    }
    progress.update(batch.end);
  };
  clip_program::for_each_batch(
      options.clip,
      clip,
      paths,
      0,
      use,
      [&progress](const std::string& line) { progress.message(line); },
      "stopped; what was printed is right, nothing was written to --out");
  output.finish();
  progress.finish();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Scores of categories for pictures by a CLIP, without training."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.clip.images, "Folder of pictures, at any depth")
      ->required();
  app.add_option("--names", options.names, "File with the name of a category a line")
      ->required();
  app.add_option(
      "--template", options.templates, "Prompt with {} for the name; several");
  app.add_option("--templates", options.templates_file, "File with a template a line");
  app.add_option("--score", options.score, "What is printed")
      ->check(CLI::IsMember({"cosine", "probability"}));
  app.add_option("--out", options.out, "File .csv or .json instead of printing");
  clip_program::add_options(app, options.clip);
  program::parse(app, argc, argv);
  return program::run("zero_shot", [&] { zero_shot(options); });
}
