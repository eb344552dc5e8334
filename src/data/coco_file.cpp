#include "coco_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "../io/quoted.hpp"
#include "json_text.hpp"
#include "text_file.hpp"
#include <simdjson.h>

namespace trmml::data {

namespace {

using json::describe_token;
using json::token_of;
using simdjson::ondemand::json_type;
using simdjson::ondemand::object;
using simdjson::ondemand::value;

/// An item of one of the file's arrays ("annotation 17"), or the file itself ("").
struct Place {
  Faults& faults;
  const std::filesystem::path& file;
  std::string_view kind;
  std::int64_t index = 0;

  void expected(std::string_view what, std::string_view got) const {
    faults.add(
        file,
        kind.empty() ? "" : fmt::format("{} {}", kind, index),
        fmt::format("expected {}, got {}", what, got));
  }
};

/// Calls `use(k, value)` for the field `keys[k]` of `item`, skips other fields, and
/// returns true unless one of the first `required` is missing or one comes twice.
template <std::size_t N, typename Use>
bool read_fields(
    object& item,
    const std::array<std::string_view, N>& keys,
    std::size_t required,
    const Place& place,
    const Use& use) {
  std::array<bool, N> seen{};
  bool is_good = true;
  json::for_each_member(item, [&](std::string_view key, value field) {
    const auto k = static_cast<std::size_t>(
        std::find(keys.begin(), keys.end(), key) - keys.begin());
    if (k == N) {
      return;
    }
    if (seen[k]) {
      place.expected(fmt::format("one \"{}\"", key), "another");
      is_good = false;
      return;
    }
    seen[k] = true;
    use(k, field);
  });
  for (std::size_t k = 0; k < required; ++k) {
    if (!seen[k]) {
      place.expected(
          fmt::format("\"{}\"", keys[k]),
          place.kind.empty() ? "no such key (is it a file of captions, of image infos "
                               "or of detections instead of instances?)"
                             : "no such key");
      is_good = false;
    }
  }
  return is_good;
}

std::optional<std::int64_t>
read_id(value& field, std::string_view key, const Place& place) {
  const std::string_view token = token_of(field);
  std::int64_t id = 0;
  if (field.get_int64().get(id) == simdjson::SUCCESS && id >= 0) {
    return id;
  }
  place.expected(
      fmt::format("\"{}\" to be an integer from 0 to 2^63 - 1", key),
      describe_token(token));
  return std::nullopt;
}

std::optional<std::string>
read_string(value& field, std::string_view key, const Place& place) {
  const json_type type = field.type();
  if (type == json_type::string) {
    const std::string_view text = field.get_string();
    return std::string(text);
  }
  place.expected(
      fmt::format("\"{}\" to be a string", key), describe_token(token_of(field)));
  return std::nullopt;
}

std::optional<double> read_area(value& field, const Place& place) {
  const std::string_view token = token_of(field);
  double area = 0;
  if (field.get_double().get(area) == simdjson::SUCCESS && area >= 0 &&
      std::isfinite(area)) {
    return area;
  }
  place.expected("\"area\" to be a number >= 0", describe_token(token));
  return std::nullopt;
}

std::optional<bool> read_is_crowd(value& field, const Place& place) {
  const std::string_view token = token_of(field);
  if (token == "0" || token == "false") {
    return false;
  }
  if (token == "1" || token == "true") {
    return true;
  }
  place.expected("\"iscrowd\" to be 0 or 1", describe_token(token));
  return std::nullopt;
}

std::optional<CocoImage> read_image_entry(object& item, const Place& place) {
  constexpr std::array<std::string_view, 2> kKeys = {"id", "file_name"};
  std::optional<std::int64_t> id;
  std::optional<std::string> name;
  const bool is_good =
      read_fields(item, kKeys, 2, place, [&](std::size_t k, value& field) {
        if (k == 0) {
          id = read_id(field, kKeys[k], place);
        } else if (
            (name = read_string(field, kKeys[k], place)) && !stays_inside(*name)) {
          place.expected(
              "\"file_name\" to be a path below the folder of the pictures, with '/'",
              io::in_quotes(*name));
          name.reset();
        }
      });
  if (!is_good || !id || !name) {
    return std::nullopt;
  }
  return CocoImage{*id, std::move(*name), place.index};
}

std::optional<CocoCategory> read_category(object& item, const Place& place) {
  constexpr std::array<std::string_view, 2> kKeys = {"id", "name"};
  std::optional<std::int64_t> id;
  std::optional<std::string> name;
  const bool is_good =
      read_fields(item, kKeys, 2, place, [&](std::size_t k, value& field) {
        if (k == 0) {
          id = read_id(field, kKeys[k], place);
        } else if (
            (name = read_string(field, kKeys[k], place)) && trim(*name).empty()) {
          place.expected("\"name\" to have letters", io::in_quotes(*name));
          name.reset();
        }
      });
  if (!is_good || !id || !name) {
    return std::nullopt;
  }
  return CocoCategory{*id, std::move(*name), place.index};
}

/// An annotation without "area" has NaN.
std::optional<CocoAnnotation> read_annotation(object& item, const Place& place) {
  constexpr std::array<std::string_view, 4> kKeys = {
      "image_id", "category_id", "area", "iscrowd"};
  std::optional<std::int64_t> image;
  std::optional<std::int64_t> category;
  std::optional<double> area = std::nan("");
  std::optional<bool> is_crowd = false;
  const bool is_good =
      read_fields(item, kKeys, 2, place, [&](std::size_t k, value& field) {
        switch (k) {
          case 0:
            image = read_id(field, kKeys[k], place);
            break;
          case 1:
            category = read_id(field, kKeys[k], place);
            break;
          case 2:
            area = read_area(field, place);
            break;
          default:
            is_crowd = read_is_crowd(field, place);
        }
      });
  if (!is_good || !image || !category || !area || !is_crowd) {
    return std::nullopt;
  }
  return CocoAnnotation{
      *image, *category, *area, static_cast<std::uint32_t>(place.index), *is_crowd};
}

/// Reads the array `key` with `read(item, place)`, and returns whether all of it is
/// good. `place` is the file, `kind` what one item is called.
template <typename Item, typename Read>
bool read_array(
    value& field,
    std::string_view key,
    std::string_view kind,
    const Place& place,
    std::vector<Item>& items,
    const Read& read) {
  const json_type type = field.type();
  if (type != json_type::array) {
    place.expected(
        fmt::format("\"{}\" to be an array", key), describe_token(token_of(field)));
    return false;
  }
  Place here{place.faults, place.file, kind};
  bool is_complete = true;
  simdjson::ondemand::array array = field.get_array();
  for (value element : array) {
    const json_type element_type = element.type();
    if (element_type != json_type::object) {
      here.expected("an object", describe_token(token_of(element)));
      is_complete = false;
    } else {
      object item = element.get_object();
      if (std::optional<Item> good = read(item, here)) {
        items.push_back(std::move(*good));
      } else {
        is_complete = false;
      }
    }
    ++here.index;
  }
  if (here.index == 0) {
    place.expected(fmt::format("at least one {} in \"{}\"", kind, key), "none");
  }
  return is_complete;
}

/// Areas stand in all annotations or in none; returns which.
bool check_areas(const std::vector<CocoAnnotation>& annotations, const Place& place) {
  const auto has_none = [](const CocoAnnotation& a) { return std::isnan(a.area); };
  const auto without = std::count_if(annotations.begin(), annotations.end(), has_none);
  const auto count = static_cast<std::ptrdiff_t>(annotations.size());
  if (without > 0 && without < count) {
    const auto first = std::find_if(annotations.begin(), annotations.end(), has_none);
    place.expected(
        "\"area\" in all annotations or in none",
        fmt::format(
            "{} of {} without (the first is annotation {})",
            without,
            count,
            first->index));
  }
  return without == 0;
}

}  // namespace

CocoFile read_coco_file(const std::filesystem::path& path, Faults& faults) {
  constexpr std::array<std::string_view, 3> kKeys = {
      "images", "annotations", "categories"};
  CocoFile file;
  const Place place{faults, path, ""};
  json::read_object(path, faults, [&](object root) {
    read_fields(root, kKeys, kKeys.size(), place, [&](std::size_t k, value& field) {
      if (k == 0) {
        file.images_are_complete =
            read_array(field, kKeys[k], "image", place, file.images, read_image_entry);
      } else if (k == 1) {
        read_array(
            field, kKeys[k], "annotation", place, file.annotations, read_annotation);
      } else {
        file.categories_are_complete = read_array(
            field, kKeys[k], "category", place, file.categories, read_category);
      }
    });
  });
  file.has_areas = check_areas(file.annotations, place);
  return file;
}

}  // namespace trmml::data
