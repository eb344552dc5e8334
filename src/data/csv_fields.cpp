#include "csv_fields.hpp"

#include <utility>

namespace trmml::data {

bool split_csv_line(std::string_view line, std::vector<std::string>& fields) {
  fields.clear();
  for (;;) {
    std::string field;
    if (line.starts_with('"')) {
      line.remove_prefix(1);
      for (;;) {
        const size_t quote = line.find('"');
        if (quote == std::string_view::npos) {
          return false;
        }
        field += line.substr(0, quote);
        line.remove_prefix(quote + 1);
        if (!line.starts_with('"')) {
          break;
        }
        field += '"';
        line.remove_prefix(1);
      }
      if (!line.empty() && line.front() != ',') {
        return false;
      }
    } else {
      field = line.substr(0, line.find(','));
      line.remove_prefix(field.size());
    }
    fields.push_back(std::move(field));
    if (line.empty()) {
      return true;
    }
    line.remove_prefix(1);
  }
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

}  // namespace trmml::data
