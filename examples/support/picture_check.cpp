#include "support/picture_check.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/image.hpp"
#include "trmml/data/ordered_stream.hpp"
#include "trmml/report/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "support/program.hpp"

namespace picture_check {

namespace data = trmml::data;

std::vector<Unreadable> find_unreadable(
    const data::Split& split,
    const std::vector<int64_t>& rows,
    int workers) {
  const auto n = static_cast<int64_t>(rows.size());
  const auto read = [&](int64_t i) -> std::string {
    const auto row = static_cast<size_t>(rows[static_cast<size_t>(i)]);
    try {
      data::read_image(split.root / split.table.images[row]);
      return "";
    } catch (const trmml::DataError& error) {
      return error.what();
    }
  };
  std::vector<Unreadable> found;
  trmml::report::Progress progress(
      "checking pictures", n, stderr, {.unit = "pictures"});
  data::OrderedStream<std::string> messages(0, n, workers, 16 * workers, read);
  for (int64_t i = 0; i < n; ++i) {
    std::string message = messages.next();
    if (!message.empty()) {
      found.push_back({rows[static_cast<size_t>(i)], std::move(message)});
    }
    progress.advance();
    if (program::stop_flag()) {
      throw trmml::Interrupted(
          fmt::format("stopped after {} of {} pictures were checked", i + 1, n));
    }
  }
  progress.finish();
  return found;
}

void sort_unique(std::vector<Unreadable>& unreadable) {
  std::sort(unreadable.begin(), unreadable.end(), [](const auto& a, const auto& b) {
    return a.row < b.row;
  });
  const auto last = std::unique(
      unreadable.begin(), unreadable.end(), [](const auto& a, const auto& b) {
        return a.row == b.row;
      });
  unreadable.erase(last, unreadable.end());
}

std::vector<std::string> lines_of(const std::vector<Unreadable>& unreadable) {
  constexpr size_t kShown = 20;
  const size_t shown = std::min(unreadable.size(), kShown);
  std::vector<std::string> lines;
  for (size_t i = 0; i < shown; ++i) {
    lines.push_back(unreadable[i].message);
  }
  if (unreadable.size() > shown) {
    lines.push_back(fmt::format("and {} more", unreadable.size() - shown));
  }
  return lines;
}

std::vector<int64_t> readable_rows(
    const data::Split& split,
    const std::vector<int64_t>& rows,
    int workers,
    const std::function<void(const std::string&)>& log) {
  std::vector<int64_t> left = rows;
  const std::vector<Unreadable> unreadable = find_unreadable(split, rows, workers);
  for (const std::string& line : lines_of(unreadable)) {
    log("left out: " + line);
  }
  for (const Unreadable& picture : unreadable) {
    left.erase(std::find(left.begin(), left.end(), picture.row));
  }
  if (left.empty()) {
    throw trmml::DataError(split.name + ": none of its pictures can be read");
  }
  log(fmt::format(
      "{}: {} of {} pictures can be read", split.name, left.size(), rows.size()));
  return left;
}

}  // namespace picture_check
