#include "trmml/data/csv.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/category_names.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../io/quoted.hpp"
#include "close_match.hpp"
#include "csv_records.hpp"
#include "faults.hpp"
#include "label_rows.hpp"
#include "label_text.hpp"
#include "list_file.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

namespace fs = std::filesystem;

fs::path pictures_folder(const fs::path& file, const CsvOptions& options) {
  if (!options.pictures.empty()) {
    return options.pictures;
  }
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// One CSV in one of the two forms; decides by the header, then takes rows.
class CsvReader {
 public:
  CsvReader(const fs::path& file, const CsvOptions& options, Faults& faults)
      : file_(file),
        options_(options),
        faults_(faults),
        pictures_(pictures_folder(file, options), "", options.check_pictures) {
    if (!options.names_file.empty()) {
      categories_ = read_names(options.names_file, faults);
    }
  }

  bool has_header() const { return !header_.empty(); }

  void read_header(const std::vector<std::string>& fields, int64_t line) {
    header_ = fields;
    const std::string place = line_place(line);
    std::map<std::string_view, int> seen;
    for (const std::string& name : header_) {
      if (name.empty() || ++seen[name] == 2) {
        faults_.add(
            file_,
            place,
            name.empty()
                ? "expected a name for each column, got an empty one"
                : fmt::format("column {} is there twice", io::in_quotes(name)));
      }
    }
    image_column_ = column("image");
    labels_column_ = column("labels");
    if (image_column_ == kNone) {
      faults_.add(
          file_,
          place,
          fmt::format(
              "expected a header with a column \"image\", got {}{}",
              io::in_quotes(fmt::format("{}", fmt::join(header_, ","))),
              header_.size() == 1 ? " (columns are separated by commas)" : ""));
      return;
    }
    if (labels_column_ == kNone) {
      read_category_columns(place);
    } else if (header_.size() > 2) {
      faults_.add(
          file_, place, "expected no other columns beside \"image\" and \"labels\"");
    } else {
      rows_ = categories_.empty() ? LabelRows() : LabelRows(categories_);
    }
  }

  void read_row(const std::vector<std::string>& fields, int64_t line) {
    const std::string place = line_place(line);
    if (fields.size() != header_.size()) {
      faults_.add(
          file_,
          place,
          fmt::format("expected {} fields, got {}", header_.size(), fields.size()));
      return;
    }
    if (!pictures_.add(fields[image_column_], file_, place, faults_)) {
      return;
    }
    if (labels_column_ == kNone) {
      read_states(fields, place);
    } else {
      read_labels(fields[labels_column_], place);
    }
  }

  LabelTable table() && {
    if (pictures_.size() == 0 && faults_.count() == 0) {
      faults_.add(
          file_,
          "",
          has_header() ? "expected a picture a line, got none"
                       : "expected a header with a column \"image\", got an "
                         "empty file");
    }
    faults_.throw_if_any();
    LabelTable table;
    if (labels_column_ == kNone) {
      table.classnames = std::move(categories_);
      table.images = pictures_.take();
      table.labels =
          label_tensor(states_, static_cast<int64_t>(table.classnames.size()));
    } else {
      table = std::move(rows_).table(pictures_.take());
    }
    if (table.classnames.empty()) {
      throw DataError(
          file_.string() +
          ": expected a category in at least one line, got none (names_file can name "
          "them)");
    }
    return table;
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  std::size_t column(std::string_view name) const {
    const auto found = std::find(header_.begin(), header_.end(), name);
    return found == header_.end() ? kNone
                                  : static_cast<std::size_t>(found - header_.begin());
  }

  void read_category_columns(const std::string& place) {
    if (header_.size() == 1) {
      faults_.add(
          file_,
          place,
          "expected a column \"labels\" or a column a category beside \"image\"");
      return;
    }
    TORCH_CHECK_VALUE(
        options_.values.has_value(),
        "read_csv: expected `values` for the columns of categories in ",
        file_.string(),
        ", got none (projects code labels differently: say which code it is)");
    if (categories_.empty()) {
      categories_ = header_;
      categories_.erase(
          categories_.begin() + static_cast<std::ptrdiff_t>(image_column_));
    }
    for (const std::string& name : header_) {
      if (name != "image" && std::find(categories_.begin(), categories_.end(), name) ==
                                 categories_.end()) {
        add_unknown_category(name, categories_, file_, place, faults_);
      }
    }
    for (const std::string& name : categories_) {
      field_of_.push_back(column(name));
      if (field_of_.back() == kNone) {
        faults_.add(
            file_,
            place,
            fmt::format("expected a column {}, got none", io::in_quotes(name)));
      }
    }
  }

  void read_states(const std::vector<std::string>& fields, const std::string& place) {
    for (std::size_t c = 0; c < categories_.size(); ++c) {
      const std::string& value = fields[field_of_[c]];
      const std::optional<int8_t> state = state_of(value, *options_.values);
      states_.push_back(state.value_or(0));
      if (!state) {
        faults_.add(
            file_,
            place,
            fmt::format(
                "expected {} in column {}, got {}",
                values_of(*options_.values),
                io::in_quotes(categories_[c]),
                io::in_quotes(value)));
      }
    }
  }

  void read_labels(std::string_view labels, const std::string& place) {
    rows_.begin_picture();
    if (labels.empty()) {
      return;
    }
    const char other = options_.separator == ';' ? '|' : ';';
    if (labels.find(other) != std::string_view::npos) {
      faults_.add(
          file_,
          place,
          fmt::format(
              "expected labels separated by '{}', got {} (the separator is an option)",
              options_.separator,
              io::in_quotes(labels)));
      return;
    }
    while (true) {
      const std::size_t end = labels.find(options_.separator);
      rows_.add(trim(labels.substr(0, end)), file_, place, faults_);
      if (end == std::string_view::npos) {
        return;
      }
      labels.remove_prefix(end + 1);
    }
  }

  const fs::path& file_;
  const CsvOptions& options_;
  Faults& faults_;
  PictureList pictures_;
  std::vector<std::string> categories_;  // empty until they are known

  std::vector<std::string> header_;
  std::size_t image_column_ = kNone;
  std::size_t labels_column_ = kNone;

  LabelRows rows_;                     // column "labels"
  std::vector<std::size_t> field_of_;  // a column a category
  std::vector<int8_t> states_;         // a column a category, row-major
};

}  // namespace

Split read_csv(const fs::path& file, const CsvOptions& options) {
  TORCH_CHECK_VALUE(
      options.separator == ';' || options.separator == '|',
      "read_csv: expected ';' or '|' between labels, got '",
      options.separator,
      "'");
  Split split;
  split.name = file.filename().string();
  split.root = pictures_folder(file, options);

  Faults faults(split.name);
  CsvReader reader(file, options, faults);
  const std::optional<std::string> text = read_utf8(file, faults);
  faults.throw_if_any();
  for_each_record(
      *text, file, faults, [&](const std::vector<std::string>& fields, int64_t line) {
        if (reader.has_header()) {
          reader.read_row(fields, line);
          return;
        }
        reader.read_header(fields, line);
        faults.throw_if_any();  // without a header the rows mean nothing
      });
  split.table = std::move(reader).table();
  split.names_for_clip = names_in_words(split.table.classnames);
  validate(split);
  return split;
}

}  // namespace trmml::data
