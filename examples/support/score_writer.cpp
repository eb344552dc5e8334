#include "support/score_writer.hpp"

#include "trmml/data/csv.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <cstdio>

namespace program {

ScoreWriter::ScoreWriter(
    const std::filesystem::path& out,
    const std::vector<std::string>& names,
    const ScoreOrigin& origin)
    : path_(out), is_json_(out.extension() == ".json") {
  if (is_json_) {
    json_ = {
        {"score", origin.score},
        {"templates", origin.templates},
        {"clip", origin.clip},
        {"names", names},
        {"images", nlohmann::json::array()}};
    return;
  }
  std::string header = "image";
  for (const std::string& name : names) {
    header += "," + trmml::data::csv_field(name);
  }
  write(header + "\n");
}

void ScoreWriter::add(const std::string& image, const at::Tensor& scores) {
  const at::Tensor dense = scores.contiguous();
  const float* values = dense.data_ptr<float>();
  if (is_json_) {
    json_["images"].push_back(
        {{"image", image},
         {"scores", std::vector<float>(values, values + dense.numel())}});
    return;
  }
  std::string line = trmml::data::csv_field(image);
  for (int64_t i = 0; i < dense.numel(); ++i) {
    line += fmt::format(",{:.6g}", values[i]);
  }
  write(line + "\n");
}

void ScoreWriter::finish() {
  if (is_json_) {
    text_ = json_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  if (!path_.empty()) {
    trmml::io::write_file_atomically(path_, text_);
  }
}

void ScoreWriter::write(const std::string& text) {
  if (path_.empty()) {
    fmt::print("{}", text);
    std::fflush(stdout);
  } else {
    text_ += text;
  }
}

}  // namespace program
