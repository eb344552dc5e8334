#include "support/program.hpp"

#include "trmml/core/torch_version.hpp"
#include "trmml/core/version.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace program {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) {
    return;
  }
  const std::string sentence = fmt::format(
      "--out: expected a folder or a place for one, got {} ({})",
      folder.string(),
      error.message());
  if (error == std::errc::not_a_directory || error == std::errc::file_exists) {
    throw UsageError(sentence);
  }
  throw trmml::WriteError(sentence);
}

bool same_value(const std::string& one, const std::string& other) {
  // NaN, which equals nothing, for a text that is none.
  const auto number = [](const std::string& text) {
    if (text == "true" || text == "false") {
      return text == "true" ? 1.0 : 0.0;
    }
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    return text.empty() || *end != '\0' ? std::nan("") : value;
  };
  return one == other || number(one) == number(other);
}

void check_ending(
    const std::string& flag,
    const fs::path& path,
    const std::vector<std::string>& endings) {
  const std::string ending = path.extension().string();
  if (path.empty() ||
      std::find(endings.begin(), endings.end(), ending) != endings.end()) {
    return;
  }
  throw UsageError(fmt::format(
      "{}: expected a name that ends with {}, got {}",
      flag,
      fmt::join(endings, " or "),
      path.string()));
}

void check_output(
    const std::string& flag,
    const fs::path& path,
    const std::vector<std::string>& endings) {
  check_ending(flag, path, endings);
  if (!path.empty()) {
    const trmml::io::AtomicFile probe(path);  // and away with it
  }
}

void check_finite(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_type_name().rfind("FLOAT", 0) != 0) {
      continue;
    }
    for (const std::string& text : option->results()) {
      if (!std::isfinite(std::strtod(text.c_str(), nullptr))) {
        throw CLI::ValidationError(
            option->get_name(), "expected a finite number, got " + text);
      }
    }
  }
}

namespace {

// CLI11 makes a large number of -1.
void check_sign(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& text : option->results()) {
      if (option->get_type_name().rfind("UINT", 0) == 0 && text.rfind('-', 0) == 0) {
        throw CLI::ValidationError(
            option->get_name(), "expected a whole number of 0 or more, got " + text);
      }
    }
  }
}

// "predict" of "build/predict", "reproduce" of an app that is called "reproduce table".
std::string name_of(const CLI::App& app, const char* path) {
  const std::string& own = app.get_name();
  return own.empty() ? fs::path(path).filename().string()
                     : own.substr(0, own.find(' '));
}

// What an option whose value cannot be converted takes.
std::string expected_by(const CLI::App& app, const std::string& flag) {
  const CLI::Option* option = app.get_option_no_throw(flag);
  const std::string type = option == nullptr ? "" : option->get_type_name();
  const auto is = [&type](const char* name) { return type.rfind(name, 0) == 0; };
  return is("FLOAT")     ? "a number"
         : is("INT")     ? "a whole number"
         : is("UINT")    ? "a whole number of 0 or more"
         : is("BOOLEAN") ? "true or false"
                         : "another value";
}

// CLI11's words for a mistake, or ours where it only says that something is wrong.
std::string sentence_of(const CLI::App& app, const CLI::Error& error) {
  const std::string text = error.what();
  const std::string conversion = "Could not convert: ";
  const size_t equals = text.find(" = ");
  if (text.rfind(conversion, 0) == 0 && equals != std::string::npos) {
    const std::string flag = text.substr(conversion.size(), equals - conversion.size());
    const std::string value = text.substr(equals + 3);
    const bool is_large = !value.empty() && value.size() > 9 &&
                          value.find_first_not_of("0123456789") == std::string::npos;
    return fmt::format(
        "{}: expected {}, got '{}'",
        flag,
        is_large ? "a smaller number" : expected_by(app, flag),
        value);
  }
  const size_t missing = text.find(": 1 required ");
  if (missing != std::string::npos) {  // "--out: 1 required TEXT missing"
    return text.substr(0, missing) + ": expected a value, got none";
  }
  return text;
}

}  // namespace

void parse(CLI::App& app, int argc, char** argv) {
  const std::string name = name_of(app, argv[0]);
  app.footer(kExitStatuses);
  app.set_version_flag(
      "--version",
      fmt::format(
          "{} (trmml {}, LibTorch {})", name, TRMML_VERSION, trmml::torch_version()));
  app.failure_message([name](const CLI::App* failed, const CLI::Error& error) {
    return fmt::format(
        "{}: {}\nRun with --help for more information.\n",
        name,
        sentence_of(*failed, error));
  });
  try {
    app.parse(argc, argv);
    check_finite(app);
    check_sign(app);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? kDone : kUsage);
  }
}

}  // namespace program
