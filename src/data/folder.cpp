#include "trmml/data/folder.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/category_names.hpp"
#include "trmml/data/image.hpp"

#include <fmt/format.h>

#include <optional>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "../io/quoted.hpp"
#include "faults.hpp"
#include "label_rows.hpp"
#include "list_file.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

namespace fs = std::filesystem;

void read_row(
    const fs::path& file,
    const std::string& image,
    LabelRows& rows,
    Faults& faults) {
  rows.begin_picture();
  std::error_code error;
  if (!fs::exists(file, error)) {
    faults.add(
        file,
        "",
        fmt::format(
            "expected the categories of {}, got no file (an empty one says that "
            "nothing "
            "is present)",
            io::in_quotes(image)));
    return;
  }
  const std::optional<std::string> text = read_utf8(file, faults);
  if (!text) {
    return;
  }
  for_each_line(*text, [&](std::string_view line, int64_t number) {
    const std::string_view name = trim(line);
    if (!name.empty()) {
      rows.add(name, file, line_place(number), faults);
    }
  });
}

}  // namespace

Split read_folder(const fs::path& folder) {
  Split split;
  split.root = folder;
  split.name = "folder " + folder.string();
  std::vector<std::string> images = list_images(folder);
  if (images.empty()) {
    throw DataError(folder.string() + ": expected pictures, got none");
  }
  Faults faults(split.name);
  LabelRows rows;
  const fs::path categories = folder / "classes.txt";
  std::error_code error;
  if (fs::exists(categories, error)) {
    std::vector<std::string> names = read_names(categories, faults);
    faults.throw_if_any();
    rows = LabelRows(std::move(names));
  }
  std::unordered_map<std::string, std::string> picture_of;  // by text file
  for (const std::string& image : images) {
    const fs::path file = (folder / image).replace_extension(".txt");
    const auto [first, is_new] = picture_of.emplace(file.string(), image);
    if (file == categories) {
      faults.add(folder / image, "", "classes.txt holds the categories: rename one");
    } else if (!is_new) {
      faults.add(
          folder / image,
          "",
          fmt::format(
              "picture {} has the same text file", io::in_quotes(first->second)));
    } else {
      read_row(file, image, rows, faults);
    }
  }
  faults.throw_if_any();
  split.table = std::move(rows).table(std::move(images));
  if (split.table.classnames.empty()) {
    throw DataError(
        folder.string() +
        ": expected a category in at least one text file, got none (classes.txt can "
        "name them)");
  }
  split.names_for_clip = names_in_words(split.table.classnames);
  validate(split);
  return split;
}

}  // namespace trmml::data
