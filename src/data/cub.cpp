#include "trmml/data/cub.hpp"

#include "trmml/core/error.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../io/quoted.hpp"
#include "faults.hpp"
#include "label_rows.hpp"
#include "part_check.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

namespace fs = std::filesystem;

constexpr int8_t kNotRead = 2;  // beside the values of LabelState

fs::path find_folder(const fs::path& given) {
  const fs::path candidates[] = {given / "CUB_200_2011", given};
  for (const fs::path& candidate : candidates) {
    std::error_code error;
    if (fs::is_regular_file(candidate / "images.txt", error)) {
      return candidate;
    }
  }
  throw DataError(fmt::format(
      "{}: expected the folder CUB_200_2011, which holds images.txt; looked at {} and "
      "{}",
      given.string(),
      candidates[0].string(),
      candidates[1].string()));
}

// It lies beside CUB_200_2011 in the archive that is published.
fs::path find_attributes(const fs::path& root, const fs::path& given) {
  const fs::path candidates[] = {
      root / "attributes" / "attributes.txt",
      root / "attributes.txt",
      given / "attributes.txt"};
  for (const fs::path& candidate : candidates) {
    std::error_code error;
    if (fs::is_regular_file(candidate, error)) {
      return candidate;
    }
  }
  throw DataError(fmt::format(
      "{}: expected attributes.txt in it or in its folder attributes{}",
      root.string(),
      root == given ? " (or beside it, if you give the folder that holds both)"
                    : fmt::format(", or in {}", given.string())));
}

// -------------------------------------------------------------- lines of "ID
// something"

// Takes the number that `line` begins with, and the blanks around it, out of it.
bool take_integer(std::string_view& line, int64_t& value) {
  const auto skip_blanks = [&line] {
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) {
      line.remove_prefix(1);
    }
  };
  skip_blanks();
  const char* end = line.data() + line.size();
  const auto [stopped, error] = std::from_chars(line.data(), end, value);
  if (error != std::errc() || (stopped != end && *stopped != ' ' && *stopped != '\t')) {
    return false;
  }
  line.remove_prefix(static_cast<std::size_t>(stopped - line.data()));
  skip_blanks();
  return true;
}

// Calls `use(id, rest, place)` for each line.
void for_each_id(
    const fs::path& file,
    const char* expected,
    Faults& faults,
    const std::function<void(int64_t, std::string_view, const std::string&)>& use) {
  const std::optional<std::string> text = read_utf8(file, faults);
  if (!text) {
    return;
  }
  for_each_line(*text, [&](std::string_view line, int64_t number) {
    std::string_view rest = trim(line);
    int64_t id = 0;
    if (rest.empty()) {
      return;
    }
    if (!take_integer(rest, id) || rest.empty()) {
      faults.add(
          file,
          line_place(number),
          fmt::format("expected {}, got {}", expected, io::in_quotes(line)));
      return;
    }
    use(id, rest, line_place(number));
  });
}

std::vector<std::string> read_attributes(const fs::path& file, Faults& faults) {
  std::vector<std::string> names;
  std::unordered_map<std::string, int64_t> id_of;
  for_each_id(
      file,
      "an id and an attribute",
      faults,
      [&](int64_t id, std::string_view name, const std::string& place) {
        const auto expected = static_cast<int64_t>(names.size()) + 1;
        const auto [first, is_new] = id_of.emplace(name, id);
        if (id != expected) {
          faults.add(file, place, fmt::format("expected id {}, got {}", expected, id));
        }
        if (!is_new) {
          faults.add(
              file,
              place,
              fmt::format(
                  "attribute {} has id {} already",
                  io::in_quotes(name),
                  first->second));
        }
        names.emplace_back(name);
      });
  if (names.empty() && faults.count() == 0) {
    faults.add(file, "", "expected an attribute a line, got none");
  }
  return names;
}

// For each picture's id whether it is in the part that is asked for.
using Membership = std::unordered_map<int64_t, bool>;

Membership read_parts(const fs::path& file, bool wants_train, Faults& faults) {
  Membership in_part;
  for_each_id(
      file,
      "an id and 0 or 1",
      faults,
      [&](int64_t id, std::string_view flag, const std::string& place) {
        if (flag != "0" && flag != "1") {
          faults.add(
              file,
              place,
              "expected 1 (train) or 0 (test) after the id, got " +
                  io::in_quotes(flag));
        } else if (!in_part.emplace(id, (flag == "1") == wants_train).second) {
          faults.add(file, place, fmt::format("picture {} is there twice", id));
        }
      });
  return in_part;
}

// Rows of pictures by id; those of the other part have row -1.
using RowOf = std::unordered_map<int64_t, int64_t>;

RowOf read_images(
    const fs::path& file,
    const fs::path& parts,
    const Membership& in_part,
    PictureList& pictures,
    Faults& faults) {
  RowOf row_of;
  for_each_id(
      file,
      "an id and a picture",
      faults,
      [&](int64_t id, std::string_view name, const std::string& place) {
        const auto part = in_part.find(id);
        if (part == in_part.end()) {
          faults.add(
              file,
              place,
              fmt::format("picture {} is missing in {}", id, parts.string()));
          return;
        }
        if (!row_of.emplace(id, part->second ? pictures.size() : -1).second) {
          faults.add(file, place, fmt::format("picture {} is there twice", id));
        } else if (part->second) {
          pictures.add(name, file, place, faults);
        }
      });
  for (const auto& [id, is_in] : in_part) {
    if (row_of.find(id) == row_of.end()) {
      faults.add(parts, "", fmt::format("picture {} is missing in images.txt", id));
    }
  }
  return row_of;
}

// -------------------------------------------------------------- image_attribute_labels

// Entries of the label matrix; the file has millions of lines.
class LabelReader {
 public:
  LabelReader(
      const fs::path& file,
      const RowOf& row_of,
      int64_t n_pictures,
      int64_t n_attributes,
      int min_certainty,
      Faults& faults)
      : file_(file),
        row_of_(row_of),
        n_attributes_(n_attributes),
        min_certainty_(min_certainty),
        faults_(faults),
        entries_(static_cast<std::size_t>(n_pictures * n_attributes), kNotRead) {}

  void add_line(std::string_view line, int64_t number) {
    int64_t id = 0;
    int64_t attribute = 0;
    int64_t is_present = 0;
    int64_t certainty = 0;
    std::string_view rest = line;
    if (!take_integer(rest, id) || !take_integer(rest, attribute) ||
        !take_integer(rest, is_present) || !take_integer(rest, certainty)) {
      if (!trim(line).empty()) {
        faults_.add(
            file_,
            line_place(number),
            "expected the numbers of a picture, an attribute, its presence and "
            "certainty, got " +
                io::in_quotes(line));
      }
      return;
    }
    if (attribute < 1 || attribute > n_attributes_ || is_present < 0 ||
        is_present > 1 || certainty < 1 || certainty > 4) {
      faults_.add(
          file_,
          line_place(number),
          fmt::format(
              "expected an attribute of 1 to {}, 0 or 1, and a certainty of 1 to 4, "
              "got {}, {} and {}",
              n_attributes_,
              attribute,
              is_present,
              certainty));
      return;
    }
    if (id != last_id_ && !find_row(id)) {
      faults_.add(
          file_,
          line_place(number),
          fmt::format("picture {} is missing in images.txt", id));
      return;
    }
    if (row_ < 0) {
      return;
    }
    int8_t& entry =
        entries_[static_cast<std::size_t>(row_ * n_attributes_ + attribute - 1)];
    if (entry != kNotRead) {
      faults_.add(
          file_,
          line_place(number),
          fmt::format("attribute {} of picture {} is there already", attribute, id));
      return;
    }
    entry = static_cast<int8_t>(certainty < min_certainty_ ? 0 : 2 * is_present - 1);
  }

  /// The matrix; each entry that no line has given is a fault.
  at::Tensor take(const std::vector<std::string>& images) && {
    const auto columns = static_cast<std::size_t>(n_attributes_);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i] == kNotRead) {
        faults_.add(
            file_,
            "",
            fmt::format(
                "picture {} has no label of attribute {}",
                io::in_quotes(images[i / columns]),
                i % columns + 1));
      }
    }
    faults_.throw_if_any();
    return label_tensor(entries_, n_attributes_);
  }

 private:
  // The lines of a picture follow each other.
  bool find_row(int64_t id) {
    const auto found = row_of_.find(id);
    if (found == row_of_.end()) {
      return false;
    }
    last_id_ = id;
    row_ = found->second;
    return true;
  }

  const fs::path& file_;
  const RowOf& row_of_;
  int64_t n_attributes_;
  int64_t min_certainty_;
  Faults& faults_;
  std::vector<int8_t> entries_;
  std::optional<int64_t> last_id_;
  int64_t row_ = -1;
};

}  // namespace

Split read_cub(const fs::path& root, Part part, const CubOptions& options) {
  check_part("read_cub", part, {Part::kTrain, Part::kTest});
  const int64_t min_certainty = options.min_certainty();
  TORCH_CHECK_VALUE(
      min_certainty >= 1 && min_certainty <= 4,
      "read_cub: expected a certainty of 1 to 4, got ",
      min_certainty);
  Split split;
  split.root = find_folder(root);
  const fs::path attributes = find_attributes(split.root, root);
  const fs::path parts = split.root / "train_test_split.txt";
  const fs::path labels = split.root / "attributes" / "image_attribute_labels.txt";

  Faults faults(fmt::format("CUB-200-2011 {}", to_string(part)));
  PictureList pictures(split.root, "images/", options.check_pictures());
  split.table.classnames = read_attributes(attributes, faults);
  const Membership in_part = read_parts(parts, part == Part::kTrain, faults);
  const RowOf row_of =
      read_images(split.root / "images.txt", parts, in_part, pictures, faults);
  if (pictures.size() == 0 && faults.count() == 0) {
    faults.add(
        parts, "", fmt::format("expected pictures of {}, got none", to_string(part)));
  }
  faults.throw_if_any();

  const auto n_attributes = static_cast<int64_t>(split.table.classnames.size());
  const std::string text = read_text(labels);
  LabelReader reader(
      labels, row_of, pictures.size(), n_attributes, min_certainty, faults);
  for_each_line(text, [&reader](std::string_view line, int64_t number) {
    reader.add_line(line, number);
  });
  split.table.images = pictures.take();
  split.table.labels = std::move(reader).take(split.table.images);

  split.name = fmt::format(
      "CUB-200-2011 {}, {} attributes{}",
      to_string(part),
      n_attributes,
      min_certainty == 1 ? ""
                         : fmt::format(", certainty of at least {}", min_certainty));
  for (const std::string& name : split.table.classnames) {
    split.names_for_clip.push_back(cub_phrase(name));
  }
  validate(split);
  return split;
}

}  // namespace trmml::data
