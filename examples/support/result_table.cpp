#include "support/result_table.hpp"

#include "trmml/data/csv.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/report/html_report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace experiment {
namespace {

using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

constexpr const char* kOfOthers =
    "Published by others, not made by this program: other code, other backbones, "
    "often the best epoch on test; see docs/protocols.md before comparing. No number "
    "of "
    "TRM-ML itself was readable to us.";
constexpr const char* kNoneOfOthers =
    "We know of no published numbers for this data set and protocol, and no number of "
    "TRM-ML itself was readable to us.";

// "84.5 ± 0.1", with the number of seeds where some lack.
std::string cell_text(const ResultCell& cell, int64_t seeds) {
  const MeanDeviation value = mean_deviation(cell.mAP);
  if (value.count == 0) {
    return "-";
  }
  std::string text = fmt::format("{:.1f}", 100 * value.mean);
  if (value.count > 1) {
    text += fmt::format(" ± {:.1f}", 100 * value.deviation);
  }
  return value.count < seeds ? text + fmt::format(" ({} of {})", value.count, seeds)
                             : text;
}

// Rows as long as the header, the first of them.
std::vector<Texts> result_cells(const ResultTable& table) {
  std::vector<Texts> lines = {{table.name == "backbones" ? "CLIP" : "method"}};
  lines.front().insert(lines.front().end(), table.columns.begin(), table.columns.end());
  for (const ResultRow& row : table.rows) {
    Texts line = {row.name};
    for (const ResultCell& cell : row.cells) {
      line.push_back(cell_text(cell, table.seeds));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<Texts> published_cells(const PublishedTable& table) {
  std::vector<Texts> lines = {{"published by others"}};
  lines.front().insert(lines.front().end(), table.columns.begin(), table.columns.end());
  lines.front().emplace_back("remark");
  for (const PublishedRow& row : table.rows) {
    Texts line = {row.method};
    for (const double mAP : row.mAP) {
      line.push_back(std::isnan(mAP) ? "-" : fmt::format("{:g}", mAP));
    }
    line.push_back(row.remark);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string escaped(std::string text) {
  for (size_t i = text.find('|'); i != std::string::npos; i = text.find('|', i + 2)) {
    text.insert(i, 1, '\\');
  }
  return text;
}

// A Markdown table that is also aligned as text.
std::string aligned(const std::vector<Texts>& lines) {
  const auto width_of = [](const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // starts a character
    }));
  };
  std::vector<size_t> widths(lines.front().size(), 3);
  for (const Texts& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(escaped(line[i])));
    }
  }
  std::string text;
  const auto add = [&](const Texts& line) {
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string cell = escaped(line[i]);
      text += "| " + cell + std::string(widths[i] - width_of(cell) + 1, ' ');
    }
    text += "|\n";
  };
  add(lines.front());
  for (const size_t width : widths) {
    text += "|" + std::string(width + 2, '-');
  }
  text += "|\n";
  std::for_each(lines.begin() + 1, lines.end(), add);
  return text;
}

trmml::report::Table html_table(
    const std::vector<Texts>& lines,
    const std::string& caption) {
  return {caption, lines.front(), {lines.begin() + 1, lines.end()}, {}};
}

Json number(double value) {
  return std::isnan(value) ? Json() : Json(value);
}

Json published_json(const PublishedTable& table) {
  Json rows = Json::array();
  for (const PublishedRow& row : table.rows) {
    Json values = Json::object();
    for (size_t i = 0; i < row.mAP.size(); ++i) {
      if (!std::isnan(row.mAP[i])) {
        values[table.columns[i]] = row.mAP[i];
      }
    }
    rows.push_back(
        {{"method", row.method}, {"mAP_in_percent", values}, {"remark", row.remark}});
  }
  return {
      {"remark", table.rows.empty() ? kNoneOfOthers : kOfOthers},
      {"data", table.data},
      {"rows", rows}};
}

}  // namespace

std::string as_markdown(const ResultTable& table) {
  std::string text = fmt::format("# {}\n\n", table.title);
  text += fmt::format("```sh\n{}\n```\n\n", table.command);
  text += aligned(result_cells(table)) + "\n";
  for (const std::string& note : table.notes) {
    text += note + "\n";
  }
  if (table.published.rows.empty()) {
    return text + "\n" + kNoneOfOthers + "\n";
  }
  text += fmt::format("\n{}, mAP in %. {}\n\n", table.published.data, kOfOthers);
  return text + aligned(published_cells(table.published));
}

std::string as_csv(const ResultTable& table) {
  using trmml::data::csv_field;
  std::string text = "row,column,runs,mAP,mAP_sd\n";
  for (const ResultRow& row : table.rows) {
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const MeanDeviation value = mean_deviation(row.cells[i].mAP);
      const auto field = [](double v) {
        return std::isnan(v) ? "" : fmt::format("{}", v);
      };
      text += fmt::format(
          "{},{},{},{},{}\n",
          csv_field(row.name),
          csv_field(table.columns[i]),
          value.count,
          field(value.mean),
          field(value.deviation));
    }
  }
  return text;
}

std::string as_json(const ResultTable& table) {
  Json rows = Json::array();
  for (const ResultRow& row : table.rows) {
    Json cells = Json::array();
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const MeanDeviation value = mean_deviation(row.cells[i].mAP);
      Json seeds = Json::array();
      for (const double mAP : row.cells[i].mAP) {
        seeds.push_back(number(mAP));
      }
      cells.push_back(
          {{"column", table.columns[i]},
           {"runs", value.count},
           {"mAP", number(value.mean)},
           {"mAP_sd", number(value.deviation)},
           {"mAP_by_run", seeds}});
    }
    rows.push_back({{"row", row.name}, {"cells", cells}, {"seconds", row.seconds}});
  }
  const Json json = {
      {"table", table.name},
      {"title", table.title},
      {"command", table.command},
      {"notes", table.notes},
      {"seeds", table.seeds},
      {"rows", rows},
      {"published_by_others", published_json(table.published)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write(const ResultTable& table, const std::filesystem::path& folder) {
  const auto file = [&](const char* ending) { return folder / (table.name + ending); };
  trmml::io::write_file_atomically(file(".md"), as_markdown(table));
  trmml::io::write_file_atomically(file(".csv"), as_csv(table));
  trmml::io::write_file_atomically(file(".json"), as_json(table));
  trmml::report::HtmlReport page(table.title, table.command);
  page.add_table(html_table(result_cells(table), "Test mAP in %."));
  for (const std::string& note : table.notes) {
    page.add_text(note);
  }
  page.add_section("Published by others");
  page.add_text(table.published.rows.empty() ? kNoneOfOthers : kOfOthers);
  if (!table.published.rows.empty()) {
    page.add_table(html_table(published_cells(table.published), table.published.data));
  }
  page.write(file(".html"));
}

}  // namespace experiment
