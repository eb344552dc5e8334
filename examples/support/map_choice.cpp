#include "support/map_choice.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/label_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "support/program.hpp"

namespace experiment {

namespace {

std::string safe(const std::string& text) {
  constexpr size_t kLongest = 60;
  std::string name = text.substr(0, kLongest);
  for (char& c : name) {
    const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-';
    c = is_safe ? c : '_';
  }
  return name;
}

// " (they are cat, dog, ...)"
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 100;
  const auto end = names.begin() + std::min(names.size(), kShown);
  return fmt::format(
      " (they are {}{})",
      fmt::join(names.begin(), end, ", "),
      names.size() > kShown ? ", ..." : "");
}

}  // namespace

std::vector<int64_t> category_indices(
    const std::vector<std::string>& wanted,
    const std::vector<std::string>& names) {
  trmml::data::LabelTable table;
  table.classnames = names;
  std::vector<int64_t> indices;
  for (const std::string& name : wanted) {
    try {
      indices.push_back(table.index_of(name));
    } catch (const trmml::DataError& error) {
      const bool has_hint =
          std::string(error.what()).find("did you mean") != std::string::npos;
      throw program::UsageError(fmt::format(
          "--categories: {}{}", error.what(), has_hint ? "" : listed(names)));
    }
  }
  return indices;
}

std::vector<int64_t> most_probable(const at::Tensor& probabilities, int64_t count) {
  const at::Tensor order =
      std::get<1>(probabilities.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < std::min(count, order.size(0)); ++k) {
    indices.push_back(order[k].item<int64_t>());
  }
  return indices;
}

std::string map_name(
    int64_t picture,
    const std::string& path,
    int64_t category,
    const std::string& name) {
  return fmt::format(
      "{:05}-{}-{:03}-{}.png",
      picture,
      safe(std::filesystem::path(path).stem().string()),
      category,
      safe(name));
}

}  // namespace experiment
