#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "html_parts.hpp"

namespace trmml::report {

namespace {

constexpr double kBarWidth = 1000.0;  // of the drawing, which is stretched to fit
constexpr double kBarHeight = 12.0;
constexpr std::size_t kMinSplit = 16;  // bars from which two columns are made

std::string
rectangle_svg(double left, double top, double width, std::string_view color) {
  return fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"fill\" "
      "style=\"{}\"/>",
      coordinate(left),
      coordinate(top),
      coordinate(width),
      coordinate(kBarHeight - 2.0 * top),
      color);
}

std::string bar_html(const Bar& bar, const std::string& reference_name) {
  const std::string name = escape_html(bar.name);
  std::string title = fmt::format("{}: {} %", name, percent(bar.value));
  std::string shapes = rectangle_svg(0.0, 1.0, kBarWidth, "--c:var(--track)");
  if (!std::isnan(bar.value)) {
    shapes += rectangle_svg(0.0, 1.0, kBarWidth * bar.value, color_of(0));
  }
  if (!std::isnan(bar.reference)) {
    title +=
        fmt::format(" ({}: {} %)", escape_html(reference_name), percent(bar.reference));
    const double left =
        std::clamp(kBarWidth * bar.reference - 3.0, 0.0, kBarWidth - 6.0);
    shapes += rectangle_svg(left, 0.0, 6.0, color_of(1));
  }
  return fmt::format(
      "<span class=\"n\">{}</span><svg viewBox=\"0 0 {} {}\" "
      "preserveAspectRatio=\"none\" "
      "role=\"img\"><title>{}</title>{}</svg><span class=\"v\">{}</span>\n",
      breakable(name),
      kBarWidth,
      kBarHeight,
      title,
      shapes,
      percent(bar.value));
}

// Bars `begin` to `end` of the chart.
std::string bars_html(const BarChart& chart, std::size_t begin, std::size_t end) {
  std::string html = "<div class=\"bars\">\n";
  for (std::size_t i = begin; i < end; ++i) {
    html += bar_html(chart.bars[i], chart.reference_name);
  }
  return html + "</div>\n";
}

}  // namespace

std::string bar_chart_html(const BarChart& chart) {
  for (const Bar& bar : chart.bars) {
    for (const double value : {bar.value, bar.reference}) {
      if (value < 0.0 || value > 1.0) {
        throw std::invalid_argument(fmt::format(
            "HtmlReport::add_bars: expected values in [0, 1], got {} for '{}'",
            value,
            bar.name));
      }
    }
  }
  std::string html = fmt::format(
      "<figure class=\"wide\"><figcaption>{}</figcaption>\n", escape_html(chart.title));
  if (!chart.reference_name.empty()) {
    html += fmt::format(
        "<ul class=\"keys\"><li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><line "
        "x1=\"11\" "
        "x2=\"11\" y1=\"0\" y2=\"8\" class=\"key\" "
        "style=\"{}\"/></svg>{}</li></ul>\n",
        color_of(1),
        escape_html(chart.reference_name));
  }
  html += "<div class=\"columns\">\n";
  const std::size_t count = chart.bars.size();
  const std::size_t half = count >= kMinSplit ? (count + 1) / 2 : count;
  html += bars_html(chart, 0, half);
  if (half < count) {
    html += bars_html(chart, half, count);
  }
  return html + "</div></figure>\n";
}

}  // namespace trmml::report
