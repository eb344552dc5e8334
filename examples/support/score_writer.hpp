#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace program {

/// What a file of scores says about itself; JSON only.
struct ScoreOrigin {
  std::string score;  ///< "cosine", "probability"
  std::vector<std::string> templates;
  std::string clip;
};

/// Scores of categories, a row a picture: CSV (RFC 4180) on the standard output as the
/// rows come, or one CSV or JSON file in the end, by the ending of its name.
class ScoreWriter {
 public:
  /// `out`: the file, or empty for the standard output.
  ScoreWriter(
      const std::filesystem::path& out,
      const std::vector<std::string>& names,
      const ScoreOrigin& origin);

  /// `scores`: [C], one for each name.
  void add(const std::string& image, const at::Tensor& scores);

  /// Writes the file, complete or not at all.
  void finish();

 private:
  void write(const std::string& text);

  std::filesystem::path path_;
  bool is_json_;
  nlohmann::json json_;
  std::string text_;
};

}  // namespace program
