#include "trmml/data/number_table.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "../io/quoted.hpp"
#include "csv_records.hpp"
#include "faults.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

// A decimal number and nothing else; "+1" is one, NaN is none.
std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') {
    text.remove_prefix(1);
  }
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_number = error == std::errc() && stop == end && !std::isnan(value);
  return is_number ? std::optional<double>(value) : std::nullopt;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : path_(path), faults_("table of numbers") {}

  NumberTable read() {
    const std::string text = read_text(path_);
    const auto bytes = static_cast<int64_t>(text.size());
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    for_each_line(text, [&](std::string_view line, int64_t number) {
      if (trim(line).empty()) {
        first_empty_ = first_empty_ == 0 ? number : first_empty_;
        return;
      }
      if (first_empty_ != 0) {
        add_fault(first_empty_, 0, "expected a row, got an empty line");
        first_empty_ = 0;
      }
      if (!table_.values.defined()) {
        begin(line, number, lines, bytes);
      }
      if (number != header_line_) {
        add_row(line, number);
      }
    });
    if (rows_ == 0 && faults_.count() == 0) {
      faults_.add(path_, "", "expected a row of numbers at least, got none");
    }
    faults_.throw_if_any();
    table_.values = table_.values.narrow(0, 0, rows_);
    return table_;
  }

 private:
  void add_fault(int64_t line, int64_t column, std::string_view what) {
    const std::string place = column == 0
                                  ? line_place(line)
                                  : fmt::format("line {}, column {}", line, column);
    faults_.add(path_, place, what);
  }

  // What the first line says: header or not, and how many columns.
  void begin(std::string_view line, int64_t number, int64_t lines, int64_t bytes) {
    columns_ = std::count(line.begin(), line.end(), ',') + 1;
    if (!parse_number(line.substr(0, line.find(',')))) {
      header_line_ = number;
      read_header(line, number);
    }
    // A good row has two bytes a number at least: a small file takes little memory.
    const int64_t most = (bytes + 1) / (2 * std::max<int64_t>(columns_, 1));
    table_.values = at::empty({std::min(lines, most), columns_}, at::kDouble);
    row_.resize(static_cast<size_t>(columns_));
  }

  void read_header(std::string_view line, int64_t number) {
    std::vector<std::string> names;
    if (const std::string_view wrong = split_record(line, names); !wrong.empty()) {
      add_fault(number, 0, wrong);
      return;
    }
    std::set<std::string> seen;
    for (std::string& name : names) {
      const auto column = &name - names.data() + 1;
      if (name.empty()) {
        add_fault(
            number,
            column,
            "expected a name, got an empty field (with pandas: to_csv(index=False))");
      } else if (!is_utf8(name)) {
        add_fault(number, column, "expected a name in UTF-8");
      } else if (!seen.insert(name).second) {
        add_fault(
            number,
            column,
            fmt::format(
                "expected names that differ, got {} again", io::in_quotes(name)));
      }
    }
    has_row_names_ = names.front() == "image";
    table_.columns.assign(names.begin() + (has_row_names_ ? 1 : 0), names.end());
    columns_ = static_cast<int64_t>(table_.columns.size());
  }

  void add_row(std::string_view line, int64_t number) {
    const size_t faults = faults_.count();
    if (has_row_names_) {
      if (const std::string_view wrong = split_record(line, texts_); !wrong.empty()) {
        add_fault(number, 0, wrong);
        return;
      }
      fields_.assign(texts_.begin() + 1, texts_.end());
    } else {
      fields_.clear();
      for (bool has_next = true; has_next;) {
        fields_.push_back(line.substr(0, line.find(',')));
        has_next = fields_.back().size() < line.size();
        line.remove_prefix(fields_.back().size() + (has_next ? 1 : 0));
      }
    }
    read_numbers(number);
    if (faults_.count() > faults) {
      return;
    }
    if (has_row_names_) {
      table_.rows.push_back(texts_.front());
    }
    std::copy(
        row_.begin(), row_.end(), table_.values.data_ptr<double>() + rows_ * columns_);
    ++rows_;
  }

  // From `fields_` into `row_`.
  void read_numbers(int64_t number) {
    const auto count = static_cast<int64_t>(fields_.size());
    if (count != columns_) {
      add_fault(number, 0, fmt::format("expected {} numbers, got {}", columns_, count));
    }
    for (int64_t i = 0; i < count; ++i) {
      const std::string_view field = fields_[static_cast<size_t>(i)];
      const std::optional<double> value = parse_number(field);
      if (!value) {
        add_fault(
            number,
            i + (has_row_names_ ? 2 : 1),
            fmt::format("expected a number, got {}", io::in_quotes(field)) +
                hint(field));
      } else if (i < columns_) {
        row_[static_cast<size_t>(i)] = *value;
      }
    }
  }

  static std::string hint(std::string_view field) {
    const bool has_other = field.find_first_of(";\t") != std::string_view::npos;
    return has_other ? " (commas separate the numbers)" : "";
  }

  std::filesystem::path path_;
  Faults faults_;
  NumberTable table_;
  std::vector<std::string> texts_;        // the fields of a line that has a name
  std::vector<std::string_view> fields_;  // those with numbers
  std::vector<double> row_;               // these numbers
  int64_t columns_ = 0;
  int64_t rows_ = 0;
  int64_t header_line_ = 0;  // 0: none
  int64_t first_empty_ = 0;  // 0: none so far
  bool has_row_names_ = false;
};

}  // namespace

NumberTable read_number_table(const std::filesystem::path& path) {
  return Reader(path).read();
}

}  // namespace trmml::data
