#include "named_rows.hpp"

#include "trmml/data/image.hpp"

#include <fmt/format.h>

#include <utility>

#include "../io/quoted.hpp"
#include "../io/text.hpp"

namespace trmml::data {

namespace {

std::string_view without_ending(std::string_view name) {
  const std::string lower = io::ascii_lower(name);
  for (const std::string_view ending : kImageExtensions) {
    if (lower.size() > ending.size() && lower.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return name;
}

/// Without folder and ending.
std::string_view bare(std::string_view name) {
  const size_t slash = name.rfind('/');
  return without_ending(
      slash == std::string_view::npos ? name : name.substr(slash + 1));
}

/// Whether the longer name ends with the shorter one, as a path.
bool agree(std::string_view a, std::string_view b) {
  a = without_ending(a);
  b = without_ending(b);
  if (a.size() < b.size()) {
    std::swap(a, b);
  }
  return a.ends_with(b) && (a.size() == b.size() || a[a.size() - b.size() - 1] == '/');
}

}  // namespace

NamedRows::NamedRows(
    const std::vector<std::string>& images,
    std::filesystem::path file,
    Faults& faults)
    : images_(images), file_(std::move(file)), faults_(faults), taken_(images.size()) {
  rows_.reserve(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    rows_.emplace(bare(images[i]), static_cast<int64_t>(i));
  }
}

int64_t NamedRows::take(std::string_view name, std::string_view place) {
  int64_t row = -1;
  int64_t found = 0;
  const auto [begin, end] = rows_.equal_range(bare(name));
  for (auto it = begin; it != end; ++it) {
    const std::string_view image = images_[static_cast<size_t>(it->second)];
    if (image == name) {  // beats those that end alike
      row = it->second;
      found = 1;
      break;
    }
    if (agree(image, name)) {
      row = it->second;
      ++found;
    }
  }
  const std::string quoted = io::in_quotes(name);
  if (found != 1) {
    faults_.add(
        file_,
        place,
        found == 0 ? fmt::format("expected a picture of the data set, got {}", quoted)
                   : fmt::format(
                         "expected a name that is one picture's, but {} is that of {}",
                         quoted,
                         found));
    return -1;
  }
  if (taken_[static_cast<size_t>(row)]) {
    faults_.add(file_, place, fmt::format("the picture {} stands there twice", quoted));
    return -1;
  }
  taken_[static_cast<size_t>(row)] = true;
  return row;
}

void NamedRows::expect_all(const std::function<bool(int64_t row)>& may_lack) {
  for (size_t i = 0; i < images_.size(); ++i) {
    if (!taken_[i] && (!may_lack || !may_lack(static_cast<int64_t>(i)))) {
      faults_.add(
          file_,
          "",
          fmt::format(
              "expected the picture {} of the data set, found none",
              io::in_quotes(images_[i])));
    }
  }
}

}  // namespace trmml::data
