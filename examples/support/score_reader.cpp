#include "support/score_reader.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/data/label_code.hpp"
#include "trmml/data/number_table.hpp"
#include "trmml/io/npy.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <set>

#include "support/label_source.hpp"

namespace evaluation_program {

namespace {

using trmml::DataError;
using trmml::format_shape;
using trmml::data::NumberTable;

// The tensor of a file of several.
at::Tensor choose(
    const std::string& path,
    const std::string& role,
    const trmml::io::TensorMap& tensors) {
  const auto found = tensors.find(role);
  if (found != tensors.end()) {
    return found->second;
  }
  if (tensors.size() == 1) {
    return tensors.begin()->second;
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    names.push_back(name);
  }
  throw DataError(fmt::format(
      "{}: expected one tensor, or one of the name \"{}\", got {} ({})",
      path,
      role,
      names.size(),
      fmt::join(
          names.begin(), names.begin() + std::min<ptrdiff_t>(names.size(), 8), ", ")));
}

NumberTable read_table(const std::string& path, const std::string& role) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  NumberTable table;
  if (ending == ".csv") {
    table = trmml::data::read_number_table(path);
  } else if (ending == ".safetensors") {
    table.values = choose(path, role, trmml::io::read_safetensors(path).tensors);
  } else if (ending == ".npy") {
    table.values = trmml::io::read_npy(path);
  } else {
    throw DataError(
        path + ": expected a file that ends with .csv, .npy or .safetensors");
  }
  if (table.values.dim() != 2 || table.values.numel() == 0) {
    throw DataError(fmt::format(
        "{}: expected {} of shape [pictures, categories], got {}",
        path,
        role,
        format_shape(table.values.sizes())));
  }
  return table;
}

at::Tensor as_scores(const std::string& path, const at::Tensor& values) {
  if (!values.is_floating_point()) {
    throw DataError(fmt::format(
        "{}: expected scores in floating point, got {}",
        path,
        c10::toString(values.scalar_type())));
  }
  const bool is_wide = values.scalar_type() == at::kDouble;
  return values.to(is_wide ? at::kDouble : at::kFloat).contiguous();
}

at::Tensor as_labels(const ScoreFiles& files, const at::Tensor& values) {
  const auto code = trmml::data::parse_label_code(files.code);
  const bool is_ours =
      code == trmml::data::LabelCode::kHcp && values.scalar_type() == at::kChar;
  const at::Tensor labels =
      is_ours ? values.contiguous()
              : trmml::data::from_label_code(values, code, files.labels);
  if (labels.min().item<int64_t>() >= 0) {
    throw DataError(fmt::format(
        "{}: expected labels of which some are absent, got none in the code {} (--code "
        "names another; cole-complete is 1 present, 0 absent)",
        files.labels,
        files.code));
  }
  return labels;
}

at::Tensor as_mask(const std::string& path, const at::Tensor& values) {
  if (values.scalar_type() == at::kBool) {
    return values.contiguous();
  }
  const at::Tensor wrong = values.ne(0).logical_and_(values.ne(1));
  if (wrong.any().item<bool>()) {
    const at::Tensor place = wrong.nonzero()[0];
    const auto row = place[0].item<int64_t>();
    const auto column = place[1].item<int64_t>();
    throw DataError(fmt::format(
        "{}: expected a mask of 0 (counted) and 1 (left out), got {:g} at row {}, "
        "column "
        "{}",
        path,
        values[row][column].item<double>(),
        row,
        column));
  }
  return values.ne(0).contiguous();
}

// What belongs to the scores has their shape, and the names that both have are equal.
void check_fits(
    const NumberTable& scores,
    const std::string& path,
    const NumberTable& other) {
  if (other.values.sizes() != scores.values.sizes()) {
    throw DataError(fmt::format(
        "{}: expected the shape of the scores, {}, got {}",
        path,
        format_shape(scores.values.sizes()),
        format_shape(other.values.sizes())));
  }
  const auto compare = [&](const std::vector<std::string>& expected,
                           const std::vector<std::string>& got,
                           const char* what) {
    for (size_t i = 0; i < std::min(expected.size(), got.size()); ++i) {
      if (expected[i] != got[i]) {
        throw DataError(fmt::format(
            "{}: expected {} {} to be \"{}\" as in the scores, got \"{}\"",
            path,
            what,
            i,
            expected[i],
            got[i]));
      }
    }
  };
  compare(scores.columns, other.columns, "category");
  compare(scores.rows, other.rows, "picture");
}

std::vector<std::string> read_names(const std::string& path, int64_t count) {
  std::vector<std::string> names = label_source::read_names(path);
  std::set<std::string> seen;
  if (static_cast<int64_t>(names.size()) != count) {
    throw DataError(fmt::format(
        "{}: expected {} names, one a line, got {}", path, count, names.size()));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty() || !seen.insert(names[i]).second) {
      throw DataError(fmt::format(
          "{}, line {}: expected a name that no other category has, got \"{}\"",
          path,
          i + 1,
          names[i]));
    }
  }
  return names;
}

}  // namespace

void add_options(CLI::App& app, ScoreFiles& files) {
  const char* const kKinds = ": .csv, .npy or .safetensors";
  app.add_option("--scores", files.scores, std::string("Scores") + kKinds);
  app.add_option(
      "--labels",
      files.labels,
      std::string("Labels: -1 absent, 0 unknown, +1 present") + kKinds);
  app.add_option(
      "--mask",
      files.mask,
      std::string("Entries to leave out: 1 is left out, 0 is counted") + kKinds);
  app.add_option("--names", files.names, "File with the name of a category a line");
  app.add_option(
      "--code",
      files.code,
      "How labels are written: hcp (as above), dualcoop, cole, cole-complete, splc");
}

Scored read_score_files(const ScoreFiles& files) {
  Scored scored;
  NumberTable labels = read_table(files.labels, "labels");
  labels.values = as_labels(files, labels.values);
  const NumberTable scores = read_table(files.scores, "scores");
  check_fits(scores, files.labels, labels);
  scored.labels = labels.values;
  scored.scores = as_scores(files.scores, scores.values);
  scored.files = {{"scores", files.scores}, {"labels", files.labels}};
  if (!files.mask.empty()) {
    const NumberTable mask = read_table(files.mask, "mask");
    check_fits(scores, files.mask, mask);
    scored.ignore = as_mask(files.mask, mask.values);
    scored.files.emplace_back("mask", files.mask);
  }
  const int64_t categories = scored.scores.size(1);
  if (!files.names.empty()) {
    scored.names = read_names(files.names, categories);
  } else if (!scores.columns.empty() || !labels.columns.empty()) {
    scored.names = scores.columns.empty() ? labels.columns : scores.columns;
  } else {
    for (int64_t c = 0; c < categories; ++c) {
      scored.names.push_back(std::to_string(c));
    }
  }
  return scored;
}

}  // namespace evaluation_program
