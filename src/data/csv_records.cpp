#include "csv_records.hpp"

#include <algorithm>
#include <cstddef>

#include "label_rows.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

// Walks through the text, a field at a time.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  int64_t line() const { return line_; }

  /// Appends the next field, up to the comma or the line end after it. What is wrong
  /// with it, or nothing.
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
      return "expected a closing quote, got the end of the file";
    }
    skip_blanks();
    const bool ends = text_.empty() || text_[0] == ',' || text_[0] == '\n' ||
                      text_.starts_with("\r\n") || text_ == "\r";
    return ends ? "" : "expected a comma or the end of the line after a closing quote";
  }

  /// Whether another field follows in the record; leaves the record if not.
  bool next_field() {
    if (text_.starts_with(',')) {
      text_.remove_prefix(1);
      return true;
    }
    leave_line();
    return false;
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

 private:
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
    std::string_view wrong;
    fields.clear();
    do {
      wrong = cursor.read_field(fields.emplace_back());
    } while (wrong.empty() && cursor.next_field());
    if (!wrong.empty()) {
      faults.add(file, line_place(line), wrong);
      cursor.leave_line();
    } else if (fields.size() > 1 || !fields[0].empty()) {
      use(fields, line);
    }
  }
}

}  // namespace trmml::data
