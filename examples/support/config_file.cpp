#include "support/config_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

namespace program {
namespace {

constexpr const char* kBlanks = " \t\r";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(kBlanks);
  const size_t last = text.find_last_not_of(kBlanks);
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// ---------------------------------------------------------------- reading

// The value of a line, and what is wrong with it.
class ValueReader {
 public:
  explicit ValueReader(const std::string& text) : text_(text) {}

  std::vector<std::string> read() {
    std::vector<std::string> values;
    skip_blanks();
    if (peek() != '[') {
      values.push_back(value());
    } else {
      ++at_;
      skip_blanks();
      while (peek() != ']') {
        values.push_back(value());
        skip_blanks();
        if (peek() == ',') {
          ++at_;
          skip_blanks();
        } else if (peek() != ']') {
          fail("expected a list that ends with ] on its line");
        }
      }
      ++at_;
    }
    skip_blanks();
    if (peek() != '\0' && peek() != '#') {
      fail(fmt::format(
          "expected a value in quotes, or without blanks, got {}", trimmed(text_)));
    }
    return values;
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    throw CLI::ConfigError(what);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blanks() {
    at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size());
  }

  std::string value() {
    const char first = peek();
    return first == '"' ? quoted() : first == '\'' ? literal() : word();
  }

  std::string word() {
    const size_t end = std::min(text_.find_first_of(" \t\r#,[]\"'", at_), text_.size());
    if (end == at_) {
      fail(fmt::format("expected a value, got \"{}\"", trimmed(text_.substr(at_))));
    }
    return text_.substr(std::exchange(at_, end), end - at_);
  }

  std::string literal() {
    const size_t first = at_ + 1;
    const size_t end = text_.find('\'', first);
    if (end == std::string::npos) {
      fail("expected a text that ends with ' on its line");
    }
    at_ = end + 1;
    return text_.substr(first, end - first);
  }

  std::string quoted() {
    std::string text;
    for (++at_; peek() != '"'; ++at_) {
      if (at_ >= text_.size()) {
        fail("expected a text that ends with \" on its line");
      }
      text += peek() == '\\' ? escaped() : peek();
    }
    ++at_;
    return text;
  }

  // What stands for the escape at `at_`, of which the last character is left.
  char escaped() {
    static const std::string_view names = "btnfr\"\\";
    static const std::string_view meant = "\b\t\n\f\r\"\\";
    ++at_;
    if (const size_t i = names.find(peek()); i != std::string_view::npos) {
      return meant[i];
    }
    const std::string digits = text_.substr(std::min(at_ + 1, text_.size()), 4);
    char* end = nullptr;
    const unsigned long code = std::strtoul(digits.c_str(), &end, 16);
    if (peek() != 'u' || digits.size() != 4 || *end != '\0' || code == 0 ||
        code > 0x7f) {
      fail(fmt::format("expected an escape of TOML, got \\{}", text_.substr(at_, 5)));
    }
    at_ += 4;
    return static_cast<char>(code);
  }

  std::string text_;
  size_t at_ = 0;
};

CLI::ConfigItem item_of(const std::string& line) {
  if (line.front() == '[') {
    throw CLI::ConfigError(
        fmt::format("expected name=value, got the section {}", line));
  }
  const size_t equals = line.find('=');
  if (equals == std::string::npos) {
    throw CLI::ConfigError(fmt::format("expected name=value, got \"{}\"", line));
  }
  CLI::ConfigItem item;
  item.name = trimmed(line.substr(0, equals));
  item.inputs = ValueReader(line.substr(equals + 1)).read();
  return item;
}

// ---------------------------------------------------------------- writing

bool is_bare(const std::string& value) {
  if (value == "true" || value == "false") {
    return true;
  }
  char* end = nullptr;
  std::strtod(value.c_str(), &end);
  return !value.empty() && *end == '\0' &&
         value.find_first_not_of("+-.0123456789eE") == std::string::npos;
}

std::string written(const std::string& value) {
  if (is_bare(value)) {
    return value;
  }
  std::string text = "\"";
  for (const char c : value) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += std::string("\\") + c;
    } else if (code < 0x20 || code == 0x7f) {
      text += fmt::format("\\u{:04x}", code);
    } else {
      text += c;
    }
  }
  return text + '"';
}

// Nothing for an option that is not set.
std::string written(const CLI::Option& option) {
  std::vector<std::string> values = option.reduced_results();
  if (values.empty() && !option.get_default_str().empty()) {
    values = {option.get_default_str()};
  }
  if (values.empty() && option.get_expected_min() == 0) {
    values = {"false"};  // a flag
  }
  if (values.empty() || (values.size() == 1 && values.front().empty())) {
    return "";
  }
  if (values.size() == 1) {
    return written(values.front());
  }
  std::string list;
  for (const std::string& value : values) {
    list += (list.empty() ? "" : ", ") + written(value);
  }
  return "[" + list + "]";
}

}  // namespace

std::string ConfigFile::to_config(
    const CLI::App* app,
    bool /*default_also*/,
    bool /*write_description*/,
    std::string /*prefix*/) const {
  return config_text(*app);
}

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& input) const {
  std::vector<CLI::ConfigItem> found;
  std::set<std::string> names;
  int number = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    line = trimmed(line);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    try {
      found.push_back(item_of(line));
      const std::string& name = found.back().name;
      const CLI::Option* option =
          app_ == nullptr ? nullptr : app_->get_option_no_throw("--" + name);
      if (app_ != nullptr && (option == nullptr || !option->get_configurable())) {
        throw CLI::ConfigError(fmt::format(
            "expected the name of an option that can stand in a file, got \"{}\"",
            name));
      }
      if (!names.insert(name).second) {
        throw CLI::ConfigError(fmt::format("{} stands there twice", name));
      }
    } catch (const CLI::ConfigError& error) {
      throw CLI::ConfigError(fmt::format(
          "{}line {}: {}", app_ == nullptr ? "" : "--config, ", number, error.what()));
    }
  }
  return found;
}

std::string config_text(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    const std::string value = option->get_configurable() ? written(*option) : "";
    if (!value.empty()) {
      text += option->get_single_name() + "=" + value + "\n";
    }
  }
  return text;
}

void add_config(CLI::App& app, const std::string& description) {
  app.set_config("--config", "", description);
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
}

}  // namespace program
