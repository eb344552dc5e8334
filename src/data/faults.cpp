#include "faults.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace trmml::data {

Faults::Faults(std::string subject) : subject_(std::move(subject)) {}

void Faults::add(
    const std::filesystem::path& file,
    std::string_view place,
    std::string_view what) {
  ++count_;
  if (lines_.size() < kShown) {
    lines_.push_back(fmt::format(
        "{}{}{}: {}", file.string(), place.empty() ? "" : ", ", place, what));
  }
}

void Faults::throw_if_any() const {
  if (count_ == 0) {
    return;
  }
  if (count_ == 1) {
    throw DataError(fmt::format("{}: {}", subject_, lines_.front()));
  }
  std::string message = fmt::format("{}: {} faults", subject_, count_);
  for (const std::string& line : lines_) {
    message += "\n  " + line;
  }
  if (count_ > lines_.size()) {
    message += fmt::format("\n  and {} more", count_ - lines_.size());
  }
  throw DataError(message);
}

}  // namespace trmml::data
