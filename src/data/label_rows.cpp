#include "label_rows.hpp"

#include <ATen/ops/from_blob.h>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "../io/quoted.hpp"
#include "close_match.hpp"
#include "text_file.hpp"

namespace trmml::data {

namespace fs = std::filesystem;

// ------------------------------------------------------------------------- PictureList

PictureList::PictureList(fs::path root, std::string folder, bool must_exist)
    : root_(std::move(root)), folder_(std::move(folder)), must_exist_(must_exist) {}

bool PictureList::add(
    std::string_view name,
    const fs::path& file,
    std::string_view place,
    Faults& faults) {
  if (!check_inside(name, file, place, faults)) {
    return false;
  }
  std::string image = folder_ + std::string(name);
  const auto [first, is_new] = place_of_.emplace(image, place);
  if (!is_new) {
    faults.add(
        file,
        place,
        fmt::format("{} stands in {} already", io::in_quotes(name), first->second));
    return false;
  }
  std::error_code error;
  if (must_exist_ && !fs::is_regular_file(root_ / image, error)) {
    faults.add(
        file, place, fmt::format("there is no picture {}", (root_ / image).string()));
  }
  images_.push_back(std::move(image));
  return true;
}

std::vector<std::string> PictureList::take() {
  place_of_.clear();
  return std::exchange(images_, {});
}

// --------------------------------------------------------------------------- LabelRows

LabelRows::LabelRows(std::vector<std::string> categories)
    : is_open_(false), categories_(std::move(categories)) {
  for (std::size_t i = 0; i < categories_.size(); ++i) {
    id_of_.emplace(categories_[i], static_cast<int64_t>(i));
  }
}

void LabelRows::add(
    std::string_view name,
    const fs::path& file,
    std::string_view place,
    Faults& faults) {
  if (name.empty()) {
    faults.add(file, place, "expected a category, got an empty name");
    return;
  }
  auto found = id_of_.find(name);
  if (found == id_of_.end()) {
    if (!is_open_) {
      add_unknown_category(name, categories_, file, place, faults);
      return;
    }
    found = id_of_.emplace(name, static_cast<int64_t>(categories_.size())).first;
    categories_.emplace_back(name);
  }
  std::vector<int64_t>& row = rows_.back();
  if (std::find(row.begin(), row.end(), found->second) != row.end()) {
    faults.add(
        file,
        place,
        fmt::format("category {} is there twice for one picture", io::in_quotes(name)));
    return;
  }
  row.push_back(found->second);
}

LabelTable LabelRows::table(std::vector<std::string> images) && {
  LabelTable table;
  table.images = std::move(images);
  std::vector<int64_t> column_of(categories_.size());
  if (is_open_) {
    for (const auto& [name, id] : id_of_) {
      column_of[static_cast<std::size_t>(id)] =
          static_cast<int64_t>(table.classnames.size());
      table.classnames.push_back(name);
    }
  } else {
    for (std::size_t id = 0; id < column_of.size(); ++id) {
      column_of[id] = static_cast<int64_t>(id);
    }
    table.classnames = categories_;
  }
  const std::size_t columns = table.classnames.size();
  std::vector<int8_t> entries(rows_.size() * columns, -1);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (const int64_t id : rows_[row]) {
      const auto column =
          static_cast<std::size_t>(column_of[static_cast<std::size_t>(id)]);
      entries[row * columns + column] = 1;
    }
  }
  table.labels = label_tensor(entries, static_cast<int64_t>(columns));
  return table;
}

at::Tensor label_tensor(const std::vector<int8_t>& entries, int64_t columns) {
  // from_blob does not own and its pointer is not const: the clone is what stays.
  auto* data = const_cast<int8_t*>(entries.data());
  const int64_t rows =
      columns == 0 ? 0 : static_cast<int64_t>(entries.size()) / columns;
  return at::from_blob(data, {rows, columns}, at::kChar).clone();
}

}  // namespace trmml::data
