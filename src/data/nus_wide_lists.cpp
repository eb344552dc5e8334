#include "nus_wide_lists.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "../io/quoted.hpp"
#include "csv_records.hpp"
#include "list_file.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

// Paths of the official lists begin with it, or with what follows it.
constexpr std::string_view kAuthorsFolder = "C:/ImageData/Flickr/";

std::string with_slashes(std::string path) {
  std::replace(path.begin(), path.end(), '\\', '/');
  if (path.starts_with(kAuthorsFolder)) {
    path.erase(0, kAuthorsFolder.size());
  }
  return path;
}

// ------------------------------------------------------------- files of labels

// Column `concept_index` of `rows.labels` from one file.
void read_label_file(
    const fs::path& file,
    std::size_t concept_index,
    std::size_t n_cls,
    NusWideRows& rows,
    Faults& faults) {
  const std::optional<std::string> text = read_text_or_fault(file, faults);
  if (!text) {
    return;
  }
  const std::size_t n = rows.pictures.size();
  std::size_t lines = 0;  // up to the last one that is not empty
  std::size_t at = 0;
  for_each_line(*text, [&](std::string_view line, std::int64_t) {
    const std::string_view value = trim(line);
    const std::size_t i = at++;
    if (value.empty()) {
      return;
    }
    for (; lines < i; ++lines) {
      faults.add(file, line_place(lines + 1), "expected 0 or 1, got an empty line");
    }
    lines = at;
    if (value != "0" && value != "1") {
      faults.add(
          file, line_place(i + 1), "expected 0 or 1, got " + io::in_quotes(value));
    } else if (value == "1" && i < n) {
      rows.labels[i * n_cls + concept_index] = 1;
    }
  });
  if (lines != n) {
    faults.add(
        file,
        "",
        fmt::format(
            "expected {} lines, as in {}, got {}",
            n,
            rows.file.filename().string(),
            lines));
  }
}

// -------------------------------------------------------------------- the CSV file

// What is wrong with a line, as one clause.
class WrongLine : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The names in "['sky', 'water']", a list as Python prints it.
std::vector<std::string_view> names_in_list(std::string_view text) {
  const auto fail = [text] {
    throw WrongLine(
        "expected a list such as ['sky', 'water'], got " + io::in_quotes(text));
  };
  std::string_view rest = trim(text);
  if (rest.size() < 2 || rest.front() != '[' || rest.back() != ']') {
    fail();
  }
  rest = trim(rest.substr(1, rest.size() - 2));
  std::vector<std::string_view> names;
  while (!rest.empty()) {
    const char mark = rest.front();
    const std::size_t end = rest.find(mark, 1);
    if ((mark != '\'' && mark != '"') || end == std::string_view::npos) {
      fail();
    }
    names.push_back(rest.substr(1, end - 1));
    rest = trim(rest.substr(end + 1));
    if (rest.empty()) {
      break;
    }
    if (rest.front() != ',') {
      fail();
    }
    rest = trim(rest.substr(1));
    if (rest.empty()) {
      fail();
    }
  }
  return names;
}

struct Columns {
  std::size_t picture = 0;
  std::size_t labels = 0;
  std::size_t part = 0;
  std::size_t count = 0;
};

Columns columns_of(const std::vector<std::string>& header) {
  const auto column = [&header](std::string_view name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end() || std::count(header.begin(), header.end(), name) > 1) {
      throw WrongLine(fmt::format(
          "expected the columns filepath, label and split_name once each, got \"{}\" "
          "{}",
          name,
          found == header.end() ? "nowhere" : "twice"));
    }
    return static_cast<std::size_t>(found - header.begin());
  };
  return {column("filepath"), column("label"), column("split_name"), header.size()};
}

bool is_train(std::string_view part) {
  if (part != "train" && part != "val" && part != "test") {
    throw WrongLine("expected train, val or test, got " + io::in_quotes(part));
  }
  return part == "train";
}

// Adds a line's picture and labels to `rows`, unless it is of the other part.
class RowReader {
 public:
  RowReader(bool train, const std::vector<std::string>& concepts, NusWideRows& rows)
      : train_(train), n_cls_(concepts.size()), rows_(rows) {
    for (std::size_t c = 0; c < concepts.size(); ++c) {
      concepts_.emplace(concepts[c], c);
    }
  }

  void read(
      const std::vector<std::string>& fields,
      const Columns& columns,
      std::int64_t line) {
    if (fields.size() != columns.count) {
      throw WrongLine(
          fmt::format("expected {} fields, got {}", columns.count, fields.size()));
    }
    if (is_train(fields[columns.part]) != train_) {
      return;
    }
    const std::string& picture = fields[columns.picture];
    if (picture.empty() || !is_utf8(picture)) {
      throw WrongLine(
          "expected the path of a picture, in UTF-8, got " + io::in_quotes(picture));
    }
    std::vector<std::int8_t> labels(n_cls_, -1);
    for (const std::string_view name : names_in_list(fields[columns.labels])) {
      const auto found = concepts_.find(name);
      if (found == concepts_.end()) {
        throw WrongLine(fmt::format(
            "expected one of {} concepts, got {}", n_cls_, io::in_quotes(name)));
      }
      if (labels[found->second] == 1) {
        throw WrongLine(fmt::format(
            "expected every concept once, got {} twice", io::in_quotes(name)));
      }
      labels[found->second] = 1;
    }
    rows_.pictures.push_back(with_slashes(picture));
    rows_.lines.push_back(line);
    rows_.labels.insert(rows_.labels.end(), labels.begin(), labels.end());
  }

 private:
  bool train_;
  std::size_t n_cls_;
  NusWideRows& rows_;
  std::unordered_map<std::string_view, std::size_t> concepts_;
};

}  // namespace

NusWideRows read_label_files(
    const fs::path& image_list,
    const fs::path& labels,
    std::string_view part,
    const std::vector<std::string>& concepts,
    Faults& faults) {
  NusWideRows rows;
  rows.file = image_list;
  const std::size_t faults_before = faults.count();
  rows.pictures = read_list(image_list, faults);
  if (rows.pictures.empty() && faults.count() > faults_before) {
    return rows;  // 81 files of other lengths would say nothing more
  }
  for (std::size_t i = 0; i < rows.pictures.size(); ++i) {
    rows.pictures[i] = with_slashes(std::move(rows.pictures[i]));
    rows.lines.push_back(static_cast<std::int64_t>(i) + 1);
  }
  rows.labels.assign(rows.pictures.size() * concepts.size(), -1);
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    if (!concepts[c].empty()) {
      read_label_file(
          labels / fmt::format("Labels_{}_{}.txt", concepts[c], part),
          c,
          concepts.size(),
          rows,
          faults);
    }
  }
  return rows;
}

NusWideRows read_label_csv(
    const fs::path& file,
    bool train,
    const std::vector<std::string>& concepts,
    Faults& faults) {
  NusWideRows rows;
  rows.file = file;
  const std::optional<std::string> text = read_text_or_fault(file, faults);
  if (!text) {
    return rows;
  }
  RowReader reader(train, concepts, rows);
  std::optional<Columns> columns;
  bool has_header = false;
  const std::size_t faults_before = faults.count();
  const auto read_record = [&](const std::vector<std::string>& fields,
                               std::int64_t line) {
    try {
      if (!has_header) {
        has_header = true;
        columns = columns_of(fields);
      } else if (columns) {  // without columns no line means anything
        reader.read(fields, *columns, line);
      }
    } catch (const WrongLine& wrong) {
      faults.add(file, line_place(line), wrong.what());
    }
  };
  for_each_record(*text, file, faults, read_record);
  if (rows.pictures.empty() && faults.count() == faults_before) {
    faults.add(
        file,
        "",
        fmt::format("expected pictures of \"{}\", got none", train ? "train" : "val"));
  }
  return rows;
}

}  // namespace trmml::data
