#include "support/inspection.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "support/picture_check.hpp"
#include "support/split_statistics.hpp"
#include "support/thumbnails.hpp"

namespace inspection {

namespace data = trmml::data;
namespace fs = std::filesystem;
using picture_check::Unreadable;
using trmml::report::HtmlReport;

namespace {

// Spread over the split.
std::vector<int64_t> rows_to_decode(const std::string& decode, int64_t n) {
  const int64_t count = decode == "all" ? n : std::min<int64_t>(n, std::stoll(decode));
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.push_back(i * n / count);
  }
  return rows;
}

trmml::report::Table table(const std::string& caption, split_statistics::Rows rows) {
  trmml::report::Table made;
  made.caption = caption;
  made.header = std::move(rows.front());
  made.rows.assign(rows.begin() + 1, rows.end());
  return made;
}

void add_numbers(HtmlReport& page, const split_statistics::Statistics& statistics) {
  page.add_section(statistics.name)
      .add_facts(split_statistics::facts(statistics))
      .add_table(table("Categories", split_statistics::category_rows(statistics)))
      .add_table(table(
          "Pairs of categories that occur together most often",
          split_statistics::pair_rows(statistics)));
}

// Pictures of every category; returns those that cannot be read.
std::vector<Unreadable> add_pictures(
    HtmlReport& page,
    const data::Split& split,
    const split_statistics::Statistics& statistics,
    const Options& options) {
  const thumbnails::Galleries galleries =
      thumbnails::make(split, options.thumbnails, options.workers);
  for (size_t c = 0; c < galleries.categories.size(); ++c) {
    const split_statistics::Category& category = statistics.categories[c];
    page.add_pictures(
        fmt::format("{}: {} pictures", category.name, category.present),
        galleries.categories[c]);
  }
  return galleries.unreadable;
}

}  // namespace

Inspection::Inspection(const Options& options)
    : options_(options), page_(options.data.name, options.data.data) {}

void Inspection::add(data_set::Part part) {
  try {
    inspect(data_set::read(options_.data, part));
  } catch (const trmml::DataError& error) {
    faults_.emplace_back(error.what());
  }
}

void Inspection::inspect(const data::Split& split) {
  const auto statistics = split_statistics::describe(split, options_.pairs);
  split_statistics::print(statistics);
  if (!classnames_.empty() && classnames_ != split.table.classnames) {
    faults_.push_back(fmt::format(
        "{}: expected the categories of the part before, got others ({})",
        split.name,
        data_set::kOneListHint));
  }
  classnames_ = split.table.classnames;

  const std::vector<int64_t> rows =
      rows_to_decode(options_.decode, statistics.pictures);
  std::vector<Unreadable> unreadable;
  if (!rows.empty()) {
    unreadable = picture_check::find_unreadable(split, rows, options_.workers);
  }
  if (!options_.out.empty()) {
    add_numbers(page_, statistics);
    if (options_.thumbnails > 0) {
      const auto more = add_pictures(page_, split, statistics, options_);
      unreadable.insert(unreadable.end(), more.begin(), more.end());
    }
  }
  picture_check::sort_unique(unreadable);
  if (!unreadable.empty()) {
    faults_.push_back(fmt::format(
        "{}: {} of {} pictures cannot be read\n  {}",
        split.name,
        unreadable.size(),
        statistics.pictures,
        fmt::join(picture_check::lines_of(unreadable), "\n  ")));
  }
  nlohmann::json entry = split_statistics::to_json(statistics);
  entry["decoded"] = rows.size();
  entry["unreadable"] = nlohmann::json::array();
  for (const Unreadable& picture : unreadable) {
    entry["unreadable"].push_back(picture.message);
  }
  parts_.push_back(std::move(entry));
}

void Inspection::write() const {
  const fs::path out(options_.out);
  const nlohmann::json report = {
      {"dataset", options_.data.name},
      {"data", options_.data.data},
      {"parts", parts_},
      {"faults", faults_}};
  trmml::io::write_file_atomically(
      out / "inspect.json",
      report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
  HtmlReport page = page_;
  if (!faults_.empty()) {
    page.add_section("Faults");
    for (const std::string& fault : faults_) {
      page.add_text(fault);
    }
  }
  page.write(out / "inspect.html");
}

void Inspection::throw_if_any() const {
  if (!faults_.empty()) {
    throw trmml::DataError(fmt::format("{}", fmt::join(faults_, "\n")));
  }
}

}  // namespace inspection
