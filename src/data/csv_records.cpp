#include "csv_records.hpp"

#include "trmml/data/csv.hpp"

#include <algorithm>
#include <cstddef>

#include "text_file.hpp"

namespace trmml::data {
namespace {

// Walks through the text, a field at a time.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  int64_t line() const { return line_; }

  /// Reads a record, and leaves its last line. What is wrong with it, or nothing.
  std::string_view read_record(std::vector<std::string>& fields) {
    fields.clear();
    std::string_view wrong;
    do {
      wrong = read_field(fields.emplace_back());
    } while (wrong.empty() && next_field());
    leave_line();
    return wrong;
  }

 private:
  // Appends the next field, up to the comma or the line end after it. What is wrong
  // with it, or nothing.
  std::string_view read_field(std::string& field) {
    skip_blanks();
    if (!text_.starts_with('"')) {
      const std::string_view plain =
          text_.substr(0, std::min(text_.size(), text_.find_first_of(",\n")));
      text_.remove_prefix(plain.size());
      field += trim(without_return(plain));
      return plain.find('"') == std::string_view::npos
                 ? ""
                 : "expected quotes around all of a field that holds a quote (doubled "
                   "there)";
    }
    if (!read_quoted(field)) {
      return "expected a closing quote, got none";
    }
    skip_blanks();
    const bool ends = text_.empty() || text_[0] == ',' || text_[0] == '\n' ||
                      text_.starts_with("\r\n") || text_ == "\r";
    return ends ? "" : "expected a comma or the end of the line after a closing quote";
  }

  // Whether another field follows in the record.
  bool next_field() {
    if (!text_.starts_with(',')) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }

  void leave_line() {
    const std::size_t end = text_.find('\n');
    if (end == std::string_view::npos) {
      text_ = {};
      return;
    }
    text_.remove_prefix(end + 1);
    ++line_;
  }

  static std::string_view without_return(std::string_view text) {
    return text.substr(0, text.size() - (text.ends_with('\r') ? 1 : 0));
  }

  void skip_blanks() {
    text_.remove_prefix(std::min(text_.size(), text_.find_first_not_of(" \t")));
  }

  // From an opening quote to after the closing one; false without that.
  bool read_quoted(std::string& field) {
    text_.remove_prefix(1);
    while (true) {
      const std::size_t quote = text_.find('"');
      if (quote == std::string_view::npos) {
        text_ = {};
        return false;
      }
      const std::string_view part = text_.substr(0, quote);
      line_ += std::count(part.begin(), part.end(), '\n');
      field += part;
      text_.remove_prefix(quote + 1);
      if (!text_.starts_with('"')) {
        return true;
      }
      field += '"';
      text_.remove_prefix(1);
    }
  }

  std::string_view text_;
  int64_t line_ = 1;
};

}  // namespace

void for_each_record(
    std::string_view text,
    const std::filesystem::path& file,
    Faults& faults,
    const std::function<void(const std::vector<std::string>&, int64_t)>& use) {
  Cursor cursor(text);
  std::vector<std::string> fields;
  while (!cursor.at_end()) {
    const int64_t line = cursor.line();
    const std::string_view wrong = cursor.read_record(fields);
    if (!wrong.empty()) {
      faults.add(file, line_place(line), wrong);
    } else if (fields.size() > 1 || !fields[0].empty()) {
      use(fields, line);
    }
  }
}

std::string_view split_record(std::string_view line, std::vector<std::string>& fields) {
  return Cursor(line).read_record(fields);
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos &&
      trim(text).size() == text.size()) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

}  // namespace trmml::data
