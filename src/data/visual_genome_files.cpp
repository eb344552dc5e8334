#include "visual_genome_files.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <optional>
#include <system_error>

#include "json_text.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kFirst = "VG_100K";
constexpr std::string_view kSecond = "VG_100K_2";

std::unordered_set<std::string> files_of(const fs::path& folder) {
  std::unordered_set<std::string> names;
  std::error_code error;
  if (!fs::exists(folder, error)) {
    return names;
  }
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.insert(entry->path().filename().string());
  }
  if (error) {
    throw DataError(
        fmt::format("{}: cannot be listed: {}", folder.string(), error.message()));
  }
  return names;
}

std::vector<std::string_view> names_of(json::Object object) {
  std::vector<std::string_view> names;
  json::for_each_member(object, [&](std::string_view key, json::Value value) {
    if (key == "names") {
      json::for_each_element(
          json::get<json::Array>(value, "an array of names"), [&](json::Value name) {
            names.push_back(json::get<std::string_view>(name, "a name"));
          });
    }
  });
  if (names.empty()) {
    throw json::Wrong("expected \"names\" of every object, got none");
  }
  return names;
}

VisualGenomePicture picture_of(json::Object element) {
  VisualGenomePicture picture;
  std::optional<std::int64_t> image_id;
  std::optional<std::int64_t> id;
  bool has_objects = false;
  const auto number = [](json::Value value) {
    const auto got = json::get<std::int64_t>(value, "the number of a picture");
    if (got < 0) {
      throw json::Wrong(fmt::format("expected a number of 0 or more, got {}", got));
    }
    return got;
  };
  const auto once = [](bool seen, std::string_view key) {
    if (seen) {
      throw json::Wrong(fmt::format("expected \"{}\" once, got it again", key));
    }
  };
  json::for_each_member(element, [&](std::string_view key, json::Value value) {
    if (key == "image_id") {
      once(image_id.has_value(), key);
      image_id = number(value);
    } else if (key == "id") {
      once(id.has_value(), key);
      id = number(value);
    } else if (key == "objects") {
      once(has_objects, key);
      has_objects = true;
      json::for_each_element(
          json::get<json::Array>(value, "an array of objects"),
          [&](json::Value object) {
            picture.objects.push_back(
                names_of(json::get<json::Object>(object, "an object")));
          });
    }
  });
  if (!has_objects || (!image_id && !id)) {
    throw json::Wrong("expected \"image_id\" and \"objects\", got an object without");
  }
  picture.id = image_id ? *image_id : *id;
  return picture;
}

}  // namespace

VisualGenomeLists::VisualGenomeLists(const fs::path& folder, std::int64_t n_cls)
    : train(folder / "train_list_500.txt"),
      test(folder / "test_list_500.txt"),
      index(folder / fmt::format("vg_category_{}_labels_index.json", n_cls)),
      names(folder / fmt::format("vg_category_{}.txt", n_cls)),
      built(folder / fmt::format("vg_category_{}_built.txt", n_cls)) {}

VisualGenomeFolders::VisualGenomeFolders(const fs::path& root)
    : first_(files_of(root / kFirst)), second_(files_of(root / kSecond)) {}

bool VisualGenomeFolders::has(const std::string& name) const {
  return first_.count(name) > 0 || second_.count(name) > 0;
}

std::string VisualGenomeFolders::path_of(const std::string& name) const {
  const bool only_second = first_.count(name) == 0 && second_.count(name) > 0;
  return fmt::format("{}/{}", only_second ? kSecond : kFirst, name);
}

void for_each_picture(
    const fs::path& file,
    Faults& faults,
    const std::function<void(const VisualGenomePicture&)>& use) {
  const std::optional<std::string> text = read_text_or_fault(file, faults);
  if (!text) {
    return;
  }
  json::Parser parser;
  std::string padded;
  std::unordered_set<std::int64_t> seen;
  json::for_each_part(
      file, *text, faults, [&](std::string_view element, std::int64_t number) {
        try {
          padded = element;
          const auto first_byte =
              static_cast<std::size_t>(element.data() - text->data());
          const auto read = [&](json::Object object) {
            const VisualGenomePicture picture = picture_of(object);
            if (!seen.insert(picture.id).second) {
              throw json::Wrong(fmt::format("picture {} came before", picture.id));
            }
            use(picture);
          };
          parser.object(padded, read, first_byte);
        } catch (const json::Wrong& wrong) {
          faults.add(file, fmt::format("image {}", number), wrong.what());
        }
      });
  if (seen.empty() && faults.count() == 0) {
    faults.add(file, "", "expected pictures, got an empty array");
  }
}

}  // namespace trmml::data
