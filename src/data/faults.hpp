#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

/// Gathers what is wrong with a data set, so that one run shows all of it. Ours.
/// Private to src/data.
///
/// Keeps the first 20 faults as lines and counts the rest; memory stays bounded however
/// broken a file is.
///
/// Example:
/// ```
/// Faults faults("COCO 2014 train");
/// faults.add(file, "annotation 17", "expected a category id of the file, got 91");
/// faults.throw_if_any();
/// ```
class Faults {
 public:
  static constexpr std::size_t kShown = 20;

  /// `subject` begins the message.
  explicit Faults(std::string subject);

  /// `place` is where in the file ("line 3", "annotation 17", "" for all of it),
  /// `what` one clause: what was expected and what was found. Text from files may be
  /// anything: quote it with `io::in_quotes`.
  void
  add(const std::filesystem::path& file, std::string_view place, std::string_view what);

  std::size_t count() const { return count_; }

  /// Throws one `DataError` with all lines and the count of those left out, unless
  /// there is none.
  void throw_if_any() const;

 private:
  std::string subject_;
  std::vector<std::string> lines_;  // "FILE, PLACE: WHAT", kShown at most
  std::size_t count_ = 0;
};

}  // namespace trmml::data
