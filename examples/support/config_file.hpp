#pragma once

#include <CLI/CLI.hpp>

#include <istream>
#include <string>
#include <vector>

// Options in a file, as `--config` reads them and config.toml holds them.

namespace program {

/// A line "name=value" an option, a part of TOML: values are words without blanks,
/// "texts" with TOML's escapes, 'texts' without, or [lists, of, them] on one line; a
/// comment begins with #. CLI11's own reader passes over what it does not know, and
/// cuts texts off at a #.
///
/// Throws `CLI::ConfigError` with the number of the line for anything else, and for a
/// name that stands there twice.
class ConfigFile : public CLI::Config {
 public:
  ConfigFile() = default;

  /// Refuses names that are no options of `app`, too.
  explicit ConfigFile(const CLI::App& app) : app_(&app) {}

  /// Every option that may stand in a file and is set, to what is given or else its
  /// default; flags are always set. Neither sections nor descriptions.
  std::string to_config(
      const CLI::App* app,
      bool default_also,
      bool write_description,
      std::string prefix) const override;

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

 private:
  const CLI::App* app_ = nullptr;
};

/// What `ConfigFile` makes of the options of `app`, defaults included.
std::string config_text(const CLI::App& app);

/// Adds `--config`.
void add_config(CLI::App& app, const std::string& description);

}  // namespace program
