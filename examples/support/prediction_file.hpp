#pragma once

#include "trmml/io/atomic_file.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What `predict` writes (docs/prediction.md).

namespace program {

/// How predictions are written, and what a file says about them.
struct PredictionFormat {
  std::vector<std::string> names;  ///< [C]
  std::vector<double> thresholds;  ///< [C]
  bool predicted_only = false;     ///< categories above their threshold
  int64_t top_k = 0;               ///< most probable categories; 0: all

  /// Of the head in JSON: "checkpoint", "method" ..
  std::vector<std::pair<std::string, std::string>> origin;
};

/// Probabilities of categories for pictures, written as they come: CSV (RFC 4180) on
/// the standard output, or one CSV or JSON file, by the ending of its name, which
/// appears complete or not at all.
///
/// With all categories a line of CSV is a picture: what `evaluate --scores` reads. With
/// `predicted_only` or `top_k` a line is a category of a picture, the most probable
/// first (of equal ones, the earlier), in CSV and within a picture in JSON.
class PredictionFile {
 public:
  /// `out`: the file, or empty for the standard output.
  PredictionFile(const std::filesystem::path& out, PredictionFormat format);

  /// `probabilities`: float [C].
  void add(const std::string& image, const at::Tensor& probabilities);

  /// A picture that could not be read.
  void left_out(const std::string& image, const std::string& error);

  /// Writes what is left; without it no file appears.
  void finish();

 private:
  struct Category {
    size_t index;
    float probability;
    bool is_predicted;
  };

  std::vector<Category> categories(const at::Tensor& probabilities) const;
  bool is_long() const { return format_.predicted_only || format_.top_k > 0; }
  std::string csv_lines(const std::string& image, const at::Tensor& probabilities)
      const;
  std::string json_object(const std::string& image, const at::Tensor& probabilities)
      const;
  void write(std::string_view text);

  PredictionFormat format_;
  std::unique_ptr<trmml::io::AtomicFile> file_;  // null: the standard output
  bool is_json_;
  bool is_first_ = true;
  std::vector<std::pair<std::string, std::string>> left_out_;
};

}  // namespace program
