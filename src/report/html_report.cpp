#include "trmml/report/html_report.hpp"

#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "html_parts.hpp"
#include "html_style.hpp"

namespace trmml::report {

std::string percent(double fraction, int digits) {
  return std::isnan(fraction) ? "-" : fmt::format("{:.{}f}", 100.0 * fraction, digits);
}

std::string breakable(std::string name) {
  for (std::size_t i = name.find('+'); i != std::string::npos;
       i = name.find('+', i + 1)) {
    name.insert(i + 1, "<wbr>");
  }
  return name;
}

std::string coordinate(double value) {
  return fmt::format("{:.2f}", value);
}

std::string color_of(std::size_t index) {
  return fmt::format("--c:var(--s{})", index % 8);
}

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          escaped += c;
        }
    }
  }
  return escaped;
}

HtmlReport::HtmlReport(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

HtmlReport& HtmlReport::add_section(std::string_view heading) {
  close_group();
  body_ += fmt::format("<h2>{}</h2>\n", escape_html(heading));
  return *this;
}

HtmlReport& HtmlReport::add_text(std::string_view paragraph) {
  close_group();
  body_ += fmt::format("<p>{}</p>\n", escape_html(paragraph));
  return *this;
}

HtmlReport& HtmlReport::add_facts(
    const std::vector<std::pair<std::string, std::string>>& facts) {
  close_group();
  body_ += "<dl class=\"facts\">\n";
  for (const auto& [name, value] : facts) {
    body_ += fmt::format(
        "<div><dt>{}</dt><dd>{}</dd></div>\n", escape_html(name), escape_html(value));
  }
  body_ += "</dl>\n";
  return *this;
}

HtmlReport& HtmlReport::add_table(const Table& table) {
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (table.rows[r].size() != table.header.size()) {
      throw std::invalid_argument(fmt::format(
          "HtmlReport::add_table: expected {} cells in row {}, got {}",
          table.header.size(),
          r,
          table.rows[r].size()));
    }
  }
  close_group();
  if (!table.caption.empty()) {
    body_ += fmt::format("<p class=\"caption\">{}</p>\n", escape_html(table.caption));
  }
  body_ += "<div class=\"scroll\"><table>\n";
  body_ += "<thead><tr>";
  for (const std::string& cell : table.header) {
    body_ += fmt::format("<th scope=\"col\">{}</th>", escape_html(cell));
  }
  body_ += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const bool is_best =
        std::find(table.emphasised.begin(), table.emphasised.end(), r) !=
        table.emphasised.end();
    body_ += is_best ? "<tr class=\"best\">" : "<tr>";
    for (const std::string& cell : table.rows[r]) {
      body_ += fmt::format("<td>{}</td>", breakable(escape_html(cell)));
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div>\n";
  return *this;
}

HtmlReport& HtmlReport::add_line_chart(const LineChart& chart) {
  const std::string html = line_chart_html(chart);
  open_group("charts");
  body_ += html;
  return *this;
}

HtmlReport& HtmlReport::add_bars(const BarChart& chart) {
  const std::string html = bar_chart_html(chart);
  close_group();
  body_ += html;
  return *this;
}

HtmlReport& HtmlReport::add_panels(const std::vector<LabelPanel>& panels) {
  close_group();
  body_ += legend_html();
  body_ += "<div class=\"panels\">\n";
  for (const LabelPanel& panel : panels) {
    body_ += panel_html(panel);
  }
  body_ += "</div>\n";
  return *this;
}

HtmlReport& HtmlReport::add_pictures(
    std::string_view title,
    const std::vector<CaptionedPicture>& pictures) {
  const std::string html = pictures_html(pictures);
  close_group();
  body_ += fmt::format("<h3 class=\"title\">{}</h3>\n{}", escape_html(title), html);
  return *this;
}

void HtmlReport::open_group(std::string_view kind) {
  if (group_ == kind) {
    return;
  }
  close_group();
  group_ = kind;
  body_ += fmt::format("<div class=\"{}\">\n", kind);
}

void HtmlReport::close_group() {
  if (!group_.empty()) {
    body_ += "</div>\n";
    group_.clear();
  }
}

std::string HtmlReport::html() const {
  const std::string title = escape_html(title_);
  const std::string subtitle =
      subtitle_.empty()
          ? ""
          : fmt::format("<p class=\"subtitle\">{}</p>\n", escape_html(subtitle_));
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" "
      "href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<header>\n<h1>{}</h1>\n{}</header>\n<main>\n{}{}</main>\n</body>\n</"
      "html>\n",
      title,
      kStyle,
      title,
      subtitle,
      body_,
      group_.empty() ? "" : "</div>\n");
}

void HtmlReport::write(const std::filesystem::path& path) const {
  io::write_file_atomically(path, html());
}

}  // namespace trmml::report
