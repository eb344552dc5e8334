// compare_features < comparisons
//
// Whether files that `encode` wrote hold what is expected. A line of the input is
//
//   FILE TENSOR EXPECTED_FILE EXPECTED_TENSOR TOLERANCE
//
// and asks for fp32 of the same shape, rows whose difference |a - b| / |b| is at most
// TOLERANCE (0: the same bits), and the same JSON list under `names`. Prints a line for
// every comparison that fails; exit status 1 when nothing was compared.

#include "trmml/core/check.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include "clip/compare_clip.hpp"

namespace {

struct Comparison {
  std::string file, tensor, expected_file, expected_tensor;
  double tolerance = 0.0;
};

/// What differs, or nothing.
std::string difference(const Comparison& comparison) {
  const auto got = trmml::io::read_safetensors(comparison.file);
  const auto expected = trmml::io::read_safetensors(comparison.expected_file);
  const at::Tensor a = got.tensors.at(comparison.tensor);
  const at::Tensor b = expected.tensors.at(comparison.expected_tensor);
  if (a.scalar_type() != at::kFloat || a.sizes() != b.sizes()) {
    return fmt::format(
        "expected Float {}, got {} {}",
        trmml::format_shape(b.sizes()),
        toString(a.scalar_type()),
        trmml::format_shape(a.sizes()));
  }
  const auto names = [](const auto& file) {
    return nlohmann::json::parse(file.metadata.at("names"));
  };
  if (names(got) != names(expected)) {
    return fmt::format(
        "expected the names {}, got {}", names(expected).dump(), names(got).dump());
  }
  const double largest = support::row_difference(a, b);
  const bool fits =
      comparison.tolerance > 0 ? largest <= comparison.tolerance : a.equal(b);
  return fits ? "" : fmt::format("largest difference {}", largest);
}

}  // namespace

int main() {
  int count = 0;
  for (std::string line; std::getline(std::cin, line); ++count) {
    std::istringstream words(line);
    Comparison one;
    words >> one.file >> one.tensor >> one.expected_file >> one.expected_tensor >>
        one.tolerance;
    std::string what;
    try {
      what = words ? difference(one) : "expected five words";
    } catch (const std::exception& error) {
      what = error.what();
    }
    if (!what.empty()) {
      fmt::print("{}: {}\n", line, what);
    }
  }
  return count > 0 ? 0 : 1;
}
