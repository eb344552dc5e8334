#include "trmml/data/voc.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/category_names.hpp"

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/quoted.hpp"
#include "close_match.hpp"
#include "faults.hpp"
#include "label_rows.hpp"
#include "text_file.hpp"
#include <pugixml.hpp>

namespace trmml::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCategories = kVocCategories.size();
constexpr int64_t kLargestAnnotation = int64_t{16} << 20;  // bytes; the real: 10 KB

struct Object {
  std::size_t category = 0;
  bool is_difficult = false;
  double area = 0;  // of the box, in pixels
};

// The name of a folder, however its path is written.
std::string last_name(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

fs::path find_folder(const fs::path& given, int year) {
  const std::string name = fmt::format("VOC{}", year);
  const std::string other = year == 2007 ? "VOC2012" : "VOC2007";
  const fs::path candidates[] = {given / "VOCdevkit" / name, given / name, given};
  for (const fs::path& candidate : candidates) {
    std::error_code error;
    if (fs::is_directory(candidate / "ImageSets" / "Main", error) &&
        last_name(candidate) != other) {
      return candidate;
    }
  }
  throw DataError(fmt::format(
      "{}: expected the folder of {}, which holds ImageSets/Main; looked at {}, {} and "
      "{}{}",
      given.string(),
      name,
      candidates[0].string(),
      candidates[1].string(),
      candidates[2].string(),
      last_name(given) == other ? fmt::format(" (which is {})", other) : ""));
}

std::vector<std::string> category_names() {
  return {kVocCategories.begin(), kVocCategories.end()};
}

std::vector<std::string> names_for_clip(VocNames names) {
  NameTable table;
  if (names != VocNames::kOriginal) {
    table = {
        {"diningtable", "dining table"},
        {"pottedplant", "potted plant"},
        {"tvmonitor", "tv monitor"}};
  }
  if (names == VocNames::kSynonyms) {
    table["aeroplane"] = "airplane";
    table["motorbike"] = "motorcycle";
    table["tvmonitor"] = "television";
  }
  return names_in_words(category_names(), table);
}

// ---------------------------------------------------------------------- one annotation

// Adds the faults of one object.
class ObjectFaults {
 public:
  ObjectFaults(const fs::path& file, std::string place, Faults& faults)
      : file_(file), place_(std::move(place)), faults_(faults) {}

  void add(std::string_view what) { faults_.add(file_, place_, what); }

  void add_unknown_category(std::string_view name) {
    data::add_unknown_category(name, category_names(), file_, place_, faults_);
  }

 private:
  const fs::path& file_;
  std::string place_;
  Faults& faults_;
};

// A corner of a box; some of VOC2012 are not whole pixels.
std::optional<double>
read_corner(const pugi::xml_node& box, const char* name, ObjectFaults& faults) {
  const std::string_view text = box.child_value(name);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) {
    faults.add(fmt::format(
        "expected a number as <{}> of <bndbox>, got {}", name, io::in_quotes(text)));
    return std::nullopt;
  }
  return value;
}

std::optional<double> read_area(const pugi::xml_node& object, ObjectFaults& faults) {
  const pugi::xml_node box = object.child("bndbox");
  if (!box) {
    faults.add("expected a <bndbox>, got none");
    return std::nullopt;
  }
  const std::optional<double> left = read_corner(box, "xmin", faults);
  const std::optional<double> top = read_corner(box, "ymin", faults);
  const std::optional<double> right = read_corner(box, "xmax", faults);
  const std::optional<double> bottom = read_corner(box, "ymax", faults);
  if (!left || !top || !right || !bottom) {
    return std::nullopt;
  }
  if (*right < *left || *bottom < *top) {
    faults.add(fmt::format(
        "expected xmin <= xmax and ymin <= ymax, got x {} to {}, y {} to {}",
        *left,
        *right,
        *top,
        *bottom));
    return std::nullopt;
  }
  return (*right - *left + 1) * (*bottom - *top + 1);
}

std::optional<Object> read_object(const pugi::xml_node& node, ObjectFaults& faults) {
  Object object;
  const std::string_view name = node.child_value("name");
  const auto* found = std::find(kVocCategories.begin(), kVocCategories.end(), name);
  const bool is_known = found != kVocCategories.end();
  if (name.empty()) {
    faults.add("expected a <name>, got none");
  } else if (!is_known) {
    faults.add_unknown_category(name);
  } else {
    object.category = static_cast<std::size_t>(found - kVocCategories.begin());
  }
  const std::string_view difficult = node.child_value("difficult");
  const bool is_flag = difficult.empty() || difficult == "0" || difficult == "1";
  if (!is_flag) {
    faults.add("expected 0 or 1 as <difficult>, got " + io::in_quotes(difficult));
  }
  object.is_difficult = difficult == "1";
  const std::optional<double> area = read_area(node, faults);
  if (!is_known || !is_flag || !area) {
    return std::nullopt;
  }
  object.area = *area;
  return object;
}

std::vector<Object> read_objects(const fs::path& file, Faults& faults) {
  std::optional<std::string> text = read_utf8(file, faults, kLargestAnnotation);
  if (!text) {
    return {};
  }
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer_inplace(
      text->data(),
      text->size(),
      pugi::parse_default | pugi::parse_trim_pcdata,
      pugi::encoding_utf8);
  if (!result) {
    faults.add(
        file,
        fmt::format("byte {}", result.offset),
        fmt::format("expected XML, got an error of it: {}", result.description()));
    return {};
  }
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "annotation") {
    faults.add(file, "", "expected <annotation>, got " + io::in_quotes(root.name()));
    return {};
  }
  std::vector<Object> objects;
  int number = 0;
  for (const pugi::xml_node& node : root.children("object")) {
    const std::string place =
        fmt::format("object {} (byte {})", ++number, node.offset_debug());
    ObjectFaults of_object(file, place, faults);
    if (const auto object = read_object(node, of_object)) {
      objects.push_back(*object);
    }
  }
  return objects;
}

// ----------------------------------------------------------------------------- a part

// Rows of labels from the objects of pictures, under one rule for difficult ones.
class VocRows {
 public:
  explicit VocRows(VocDifficult rule) : rule_(rule) {}

  void add(const std::vector<Object>& objects) {
    std::array<bool, kCategories> is_there = {};
    std::array<bool, kCategories> is_certain = {};  // thanks to an object that counts
    const Object* largest = nullptr;
    for (const Object& object : objects) {
      const bool counts = !object.is_difficult || rule_ == VocDifficult::kPresent;
      is_there[object.category] = true;
      is_certain[object.category] = is_certain[object.category] || counts;
      if (counts && (largest == nullptr || object.area > largest->area)) {
        largest = &object;
      }
    }
    const bool is_masked = rule_ == VocDifficult::kIgnored;
    for (std::size_t c = 0; c < kCategories; ++c) {
      labels_.push_back(is_certain[c] || (is_masked && is_there[c]) ? 1 : -1);
      ignore_.push_back(is_masked && is_there[c] && !is_certain[c] ? 1 : 0);
    }
    salient_.push_back(
        largest == nullptr ? -1 : static_cast<int64_t>(largest->category));
  }

  void move_to(Split& split) && {
    split.table.labels = label_tensor(labels_, kCategories);
    if (rule_ == VocDifficult::kIgnored) {
      split.ignore = label_tensor(ignore_, kCategories).to(at::kBool);
    }
    split.salient = std::move(salient_);
  }

 private:
  VocDifficult rule_;
  std::vector<int8_t> labels_;
  std::vector<int8_t> ignore_;
  std::vector<int64_t> salient_;
};

std::string_view name_of(VocDifficult rule) {
  switch (rule) {
    case VocDifficult::kSkipped:
      return "skipped";
    case VocDifficult::kPresent:
      return "present";
    case VocDifficult::kIgnored:
      return "ignored";
  }
  return "";
}

}  // namespace

Split read_voc(const fs::path& root, Part part, const VocOptions& options) {
  TORCH_CHECK_VALUE(
      options.year() == 2007 || options.year() == 2012,
      "read_voc: expected the year 2007 or 2012, got ",
      options.year());
  Split split;
  split.name = fmt::format(
      "VOC{} {}, difficult objects {}",
      options.year(),
      to_string(part),
      name_of(options.difficult()));
  split.root = find_folder(root, options.year());
  split.table.classnames = category_names();
  split.names_for_clip = names_for_clip(options.names());

  Faults faults(split.name);
  const fs::path list =
      split.root / "ImageSets" / "Main" / fmt::format("{}.txt", to_string(part));
  const std::optional<std::string> text = read_utf8(list, faults);
  faults.throw_if_any();
  if (!fs::is_directory(split.root / "Annotations")) {
    throw DataError(fmt::format(
        "{}: expected a folder of annotations", (split.root / "Annotations").string()));
  }
  PictureList pictures(split.root, "JPEGImages/", options.check_pictures());
  VocRows rows(options.difficult());
  for_each_line(*text, [&](std::string_view line, int64_t number) {
    const std::string_view id = trim(line);
    const std::string place = line_place(number);
    if (id.empty()) {
      return;
    }
    if (id.find_first_of(" \t") != std::string_view::npos) {
      faults.add(
          list,
          place,
          fmt::format(
              "expected the id of a picture, got {} (is it the list of one category?)",
              io::in_quotes(id)));
      return;
    }
    if (pictures.add(std::string(id) + ".jpg", list, place, faults)) {
      const std::string annotation = std::string(id) + ".xml";
      rows.add(read_objects(split.root / "Annotations" / annotation, faults));
    }
  });
  if (pictures.size() == 0 && faults.count() == 0) {
    faults.add(list, "", "expected an id a line, got none");
  }
  faults.throw_if_any();
  split.table.images = pictures.take();
  std::move(rows).move_to(split);
  validate(split);
  return split;
}

}  // namespace trmml::data
