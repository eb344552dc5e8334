#include "trmml/data/coco.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ops/full.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../io/quoted.hpp"
#include "coco_file.hpp"
#include "faults.hpp"
#include "part_check.hpp"

namespace trmml::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxLabels = size_t{1} << 33;  // a byte each

/// What both readers ask for.
struct Request {
  std::string name;    // of the data
  fs::path file;       // with the annotations
  fs::path root;       // of the table's paths
  std::string folder;  // before each "file_name": "train2014/" or ""
  CocoImages images;
  CocoOrder order;
  const NameTable& synonyms;
  bool check_pictures;
};

/// An annotation whose ids were looked up.
struct Object {
  size_t image = 0;     // in CocoFile::images
  size_t category = 0;  // in CocoFile::categories, sorted: the column
  double area = 0;
  bool is_crowd = false;
};

std::string name_split(const Request& request) {
  std::string name = request.name;
  name +=
      request.images == CocoImages::kAll ? ", all images" : ", annotated images only";
  switch (request.order) {
    case CocoOrder::kImages:
      name += ", order of the images array";
      break;
    case CocoOrder::kAnnotations:
      name += ", order of annotations";
      break;
    case CocoOrder::kIdAsText:
      name += ", image ids sorted as text";
      break;
  }
  return request.synonyms.empty() ? name : name + ", synonyms in prompts";
}

std::string show(int64_t id) {
  return std::to_string(id);
}
std::string show(const std::string& text) {
  return io::in_quotes(text);
}

/// Where each id (or another member) is in `items`; one that comes twice is a fault.
template <typename Item, typename Key>
std::unordered_map<Key, size_t> index_by(
    const std::vector<Item>& items,
    Key Item::*member,
    std::string_view kind,
    std::string_view key,
    const fs::path& file,
    Faults& faults) {
  std::unordered_map<Key, size_t> positions;
  positions.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const auto [first, is_new] = positions.emplace(items[i].*member, i);
    if (!is_new) {
      faults.add(
          file,
          fmt::format("{} {}", kind, items[i].index),
          fmt::format(
              "expected a unique \"{}\", got {} as in {} {}",
              key,
              show(first->first),
              kind,
              items[first->second].index));
    }
  }
  return positions;
}

/// Looks the ids of all annotations up. Ids and names that come twice, and ids that do
/// not exist, are faults; where an array lacks faulty items, nobody knows.
std::vector<Object>
look_up(const CocoFile& content, const fs::path& file, Faults& faults) {
  const auto images =
      index_by(content.images, &CocoImage::id, "image", "id", file, faults);
  const auto categories =
      index_by(content.categories, &CocoCategory::id, "category", "id", file, faults);
  index_by(content.images, &CocoImage::file_name, "image", "file_name", file, faults);
  index_by(content.categories, &CocoCategory::name, "category", "name", file, faults);

  std::vector<Object> objects;
  objects.reserve(content.annotations.size());
  for (const CocoAnnotation& annotation : content.annotations) {
    const auto expected = [&](std::string_view what, int64_t got) {
      faults.add(
          file,
          fmt::format("annotation {}", annotation.index),
          fmt::format("expected {} of the file, got {}", what, got));
    };
    const auto image = images.find(annotation.image_id);
    const auto category = categories.find(annotation.category_id);
    if (image == images.end() && content.images_are_complete) {
      expected("an image id", annotation.image_id);
    }
    if (category == categories.end() && content.categories_are_complete) {
      expected("a category id", annotation.category_id);
    }
    if (image != images.end() && category != categories.end()) {
      objects.push_back(
          {image->second, category->second, annotation.area, annotation.is_crowd});
    }
  }
  return objects;
}

/// The images that become rows, in their order.
std::vector<size_t> choose_rows(
    const std::vector<CocoImage>& images,
    const std::vector<Object>& objects,
    const Request& request) {
  std::vector<size_t> rows;
  std::vector<bool> is_mentioned(images.size());
  for (const Object& object : objects) {
    if (!is_mentioned[object.image]) {
      is_mentioned[object.image] = true;
      rows.push_back(object.image);
    }
  }
  if (request.images == CocoImages::kAll) {
    for (size_t image = 0; image < images.size(); ++image) {
      if (!is_mentioned[image]) {
        rows.push_back(image);
      }
    }
  }
  if (request.order == CocoOrder::kImages) {
    std::sort(rows.begin(), rows.end());
  } else if (request.order == CocoOrder::kIdAsText) {
    std::vector<std::pair<std::string, size_t>> ids;
    ids.reserve(rows.size());
    for (const size_t image : rows) {
      ids.emplace_back(std::to_string(images[image].id), image);
    }
    std::sort(ids.begin(), ids.end());
    std::transform(
        ids.begin(), ids.end(), rows.begin(), [](const auto& id) { return id.second; });
  }
  return rows;
}

/// int8 [N, C]: present where an annotation says so.
at::Tensor make_labels(
    const std::vector<Object>& objects,
    const std::vector<size_t>& row_of,
    size_t rows,
    size_t n_cls) {
  at::Tensor labels = at::full(
      {static_cast<int64_t>(rows), static_cast<int64_t>(n_cls)},
      static_cast<int64_t>(LabelState::kAbsent),
      at::kChar);
  auto* entries = labels.data_ptr<int8_t>();
  for (const Object& object : objects) {
    entries[row_of[object.image] * n_cls + object.category] =
        static_cast<int8_t>(LabelState::kPresent);
  }
  return labels;
}

/// [N] The category of the largest object, else of the largest crowd, else -1.
std::vector<int64_t> find_salient(
    const std::vector<Object>& objects,
    const std::vector<size_t>& row_of,
    size_t rows) {
  std::vector<const Object*> best(rows);
  const auto rank = [](const Object& object) {
    return std::tuple(
        !object.is_crowd, object.area, -static_cast<int64_t>(object.category));
  };
  for (const Object& object : objects) {
    const Object*& row = best[row_of[object.image]];
    if (row == nullptr || rank(*row) < rank(object)) {
      row = &object;
    }
  }
  std::vector<int64_t> salient(rows, -1);
  for (size_t row = 0; row < rows; ++row) {
    if (best[row] != nullptr) {
      salient[row] = static_cast<int64_t>(best[row]->category);
    }
  }
  return salient;
}

void check_pictures(const Split& split, Faults& faults) {
  for (const std::string& image : split.table.images) {
    const fs::path picture = split.root / image;
    std::error_code error;
    if (!fs::is_regular_file(picture, error)) {
      const bool has_reason = error && error != std::errc::no_such_file_or_directory;
      faults.add(
          picture,
          "",
          "expected a picture, got " + (has_reason ? error.message() : "no such file"));
    }
  }
  faults.throw_if_any();
}

Split read(const Request& request) {
  Split split;
  split.name = name_split(request);
  split.root = request.root;
  Faults faults(request.name);
  CocoFile content = read_coco_file(request.file, faults);
  std::stable_sort(
      content.categories.begin(),
      content.categories.end(),
      [](const CocoCategory& a, const CocoCategory& b) { return a.id < b.id; });
  const std::vector<Object> objects = look_up(content, request.file, faults);
  faults.throw_if_any();

  const std::vector<size_t> rows = choose_rows(content.images, objects, request);
  const size_t n_cls = content.categories.size();
  if (rows.size() > kMaxLabels / n_cls) {
    throw DataError(fmt::format(
        "{}: {}: expected at most {} labels, got {} images x {} categories",
        request.name,
        request.file.string(),
        kMaxLabels,
        rows.size(),
        n_cls));
  }
  std::vector<size_t> row_of(content.images.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    row_of[rows[row]] = row;
    split.table.images.push_back(request.folder + content.images[rows[row]].file_name);
  }
  for (const CocoCategory& category : content.categories) {
    split.table.classnames.push_back(category.name);
  }
  split.table.labels = make_labels(objects, row_of, rows.size(), n_cls);
  split.names_for_clip = names_in_words(split.table.classnames, request.synonyms);
  if (content.has_areas) {
    split.salient = find_salient(objects, row_of, rows.size());
  }
  validate(split);
  if (request.check_pictures) {
    check_pictures(split, faults);
  }
  return split;
}

}  // namespace

Split read_coco(const fs::path& root, Part part, const CocoOptions& options) {
  TORCH_CHECK_VALUE(
      options.year() == 2014 || options.year() == 2017,
      "read_coco: expected the year 2014 or 2017, got ",
      options.year());
  check_part("read_coco", part, {Part::kTrain, Part::kVal});
  const std::string folder = fmt::format("{}{}", to_string(part), options.year());
  const std::string name = fmt::format("COCO {} {}", options.year(), to_string(part));
  const fs::path file = root / "annotations" / ("instances_" + folder + ".json");
  std::error_code error;
  if (!fs::exists(file, error)) {
    throw DataError(fmt::format(
        "{}: expected {}, got no such file (docs/data/coco.md shows the folders and "
        "where to get them)",
        name,
        file.string()));
  }
  return read(
      {name,
       file,
       root,
       folder + "/",
       options.images(),
       options.order(),
       options.synonyms(),
       options.check_pictures()});
}

Split read_coco_json(
    const fs::path& file,
    const fs::path& image_root,
    const CocoJsonOptions& options) {
  return read(
      {options.name().empty() ? file.filename().string() : options.name(),
       file,
       image_root,
       "",
       options.images(),
       options.order(),
       options.synonyms(),
       options.check_pictures()});
}

}  // namespace trmml::data
