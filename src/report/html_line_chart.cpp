#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "html_parts.hpp"

namespace trmml::report {

namespace {

constexpr std::array<std::string_view, 3> kDashes = {"none", "6 3", "2 3"};

struct Axis {
  double low;
  double high;
  double step;
};

// 1, 2 or 5 times a power of ten, so that about `count` steps cover `range`.
double round_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power * (1.0 + 1e-9)) {
      return factor * power;
    }
  }
  return 10.0 * power;
}

// Widened to whole steps when `is_rounded`.
Axis make_axis(double low, double high, int count, bool is_rounded) {
  if (!(low <= high)) {  // nothing to show
    return {0.0, 1.0, 0.2};
  }
  if (low == high) {
    const double margin = low == 0.0 ? 1.0 : 0.1 * std::abs(low);
    low -= margin;
    high += margin;
  }
  const double step = round_step(high - low, count);
  return is_rounded
             ? Axis{std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step}
             : Axis{low, high, step};
}

std::vector<double> axis_ticks(const Axis& axis) {
  std::vector<double> ticks;
  const double first = std::ceil(axis.low / axis.step - 1e-9);
  const double last = std::floor(axis.high / axis.step + 1e-9);
  for (double i = first; i <= last; i += 1.0) {
    ticks.push_back(i == 0.0 ? 0.0 : i * axis.step);
  }
  return ticks;
}

std::string tick_text(double value, double step) {
  if (value != 0.0 && (std::abs(value) >= 1e6 || step < 1e-5)) {
    return fmt::format("{:.3g}", value);
  }
  const int digits =
      std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return fmt::format("{:.{}f}", value, digits);
}

// Of powers of ten: from one of 1, 2, 5 of a decade to another.
Axis make_log_axis(double low, double high) {
  if (!(low <= high)) {  // nothing to show
    return {0.0, 1.0, 1.0};
  }
  const auto snapped = [](double place, bool up) {
    const double power = std::floor(place);
    double best = up ? power + 1.0 : power;
    for (const double digit : {2.0, 5.0}) {
      const double candidate = power + std::log10(digit);
      if (up ? candidate >= place - 1e-9 && candidate < best
             : candidate <= place + 1e-9 && candidate > best) {
        best = candidate;
      }
    }
    return up && place - power < 1e-9 ? power : best;
  };
  low = snapped(low, false);
  high = snapped(high, true);
  if (high - low < 1e-9) {
    high += std::log10(2.0);
  }
  return {low, high, std::max(1.0, std::ceil((high - low) / 6.0))};
}

// ----------------------------------------------------------------- drawing

constexpr double kChartWidth = 460.0;
constexpr double kChartHeight = 270.0;
constexpr double kLeft = 46.0;
constexpr double kRight = 10.0;
constexpr double kTop = 22.0;
constexpr double kBottom = 38.0;

// Data to pixels.
struct Frame {
  Axis x;
  Axis y;
  double scale = 1.0;
  bool is_log = false;

  // A value in the units of the axis; not finite when it has no place there.
  double on_axis(double value) const {
    return is_log ? std::log10(scale * value) : scale * value;
  }

  double across(double value) const {
    return kLeft + (value - x.low) / (x.high - x.low) * (kChartWidth - kLeft - kRight);
  }
  double down(double value) const {
    const double share = (value - y.low) / (y.high - y.low);
    return kChartHeight - kBottom - share * (kChartHeight - kTop - kBottom);
  }
};

Frame make_frame(const LineChart& chart) {
  Frame frame{};
  frame.scale = chart.y_in_percent ? 100.0 : 1.0;
  frame.is_log = chart.y_in_log;
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  bool is_whole = true;  // epochs and steps get no ticks between them
  for (const Series& series : chart.series) {
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      x_low = std::min(x_low, series.x[i]);
      x_high = std::max(x_high, series.x[i]);
      is_whole = is_whole && series.x[i] == std::round(series.x[i]);
      const double y = frame.on_axis(series.y[i]);
      if (std::isfinite(y)) {
        y_low = std::min(y_low, y);
        y_high = std::max(y_high, y);
      }
    }
  }
  frame.x = make_axis(x_low, x_high, 6, false);
  if (is_whole) {
    frame.x.step = std::max(1.0, frame.x.step);
  }
  frame.y =
      frame.is_log ? make_log_axis(y_low, y_high) : make_axis(y_low, y_high, 5, true);
  return frame;
}

// Where lines go across, and what stands beside them.
std::vector<std::pair<double, std::string>> y_ticks(const Frame& frame) {
  std::vector<std::pair<double, std::string>> ticks;
  if (!frame.is_log) {
    for (const double tick : axis_ticks(frame.y)) {
      ticks.emplace_back(tick, tick_text(tick, frame.y.step));
    }
    return ticks;
  }
  const double decades = frame.y.high - frame.y.low;
  for (double power = std::floor(frame.y.low); power <= frame.y.high; power += 1.0) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double place = power + std::log10(digit);
      const bool is_there =
          digit == 1.0 ? std::fmod(power, frame.y.step) == 0.0 : decades <= 2.0;
      if (is_there && place >= frame.y.low - 1e-9 && place <= frame.y.high + 1e-9) {
        ticks.emplace_back(place, fmt::format("{:g}", digit * std::pow(10.0, power)));
      }
    }
  }
  return ticks;
}

std::string frame_svg(const Frame& frame, const LineChart& chart) {
  std::string svg;
  const std::string left = coordinate(kLeft);
  const std::string right = coordinate(kChartWidth - kRight);
  for (const auto& [tick, text] : y_ticks(frame)) {
    const std::string y = coordinate(frame.down(tick));
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" class=\"grid\"/>"
        "<text x=\"{}\" y=\"{}\" dy=\".35em\" text-anchor=\"end\">{}</text>\n",
        left,
        right,
        y,
        y,
        coordinate(kLeft - 6.0),
        y,
        text);
  }
  const double bottom = kChartHeight - kBottom;
  for (const double tick : axis_ticks(frame.x)) {
    const std::string x = coordinate(frame.across(tick));
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" class=\"axis\"/>"
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        x,
        x,
        coordinate(bottom),
        coordinate(bottom + 4.0),
        x,
        coordinate(bottom + 17.0),
        tick_text(tick, frame.x.step));
  }
  svg += fmt::format(
      "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" class=\"axis\"/>\n",
      left,
      right,
      coordinate(bottom),
      coordinate(bottom));
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
      right,
      coordinate(kChartHeight - 5.0),
      escape_html(chart.x_label));
  svg += fmt::format("<text x=\"0\" y=\"11\">{}</text>\n", escape_html(chart.y_label));
  return svg;
}

std::string_view series_dash(std::size_t index) {
  return kDashes[index / 8 % kDashes.size()];
}

// A path with a gap at every value that has no place; a lone point is a dot.
std::string series_svg(const Series& series, const Frame& frame, std::size_t index) {
  std::string path;
  std::string dots;
  const auto is_there = [&](std::size_t i) {
    return i < series.y.size() && std::isfinite(frame.on_axis(series.y[i]));
  };
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (!is_there(i)) {
      continue;
    }
    const std::string x = coordinate(frame.across(series.x[i]));
    const std::string y = coordinate(frame.down(frame.on_axis(series.y[i])));
    const bool follows = i > 0 && is_there(i - 1);
    path += fmt::format("{}{} {}", follows ? "L" : "M", x, y);
    if (!follows && !is_there(i + 1)) {
      dots += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"3\" class=\"fill\"/>", x, y);
    }
  }
  return fmt::format(
      "<g style=\"{}\"><path d=\"{}\" class=\"line\" "
      "stroke-dasharray=\"{}\"><title>{}</title></path>{}</g>\n",
      color_of(index),
      path,
      series_dash(index),
      escape_html(series.name),
      dots);
}

std::string keys_html(const std::vector<Series>& series) {
  std::string html = "<ul class=\"keys\">";
  for (std::size_t i = 0; i < series.size(); ++i) {
    html += fmt::format(
        "<li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\" style=\"{}\"><line "
        "x1=\"0\" x2=\"22\" y1=\"4\" y2=\"4\" class=\"key\" "
        "stroke-dasharray=\"{}\"/></svg>{}</li>",
        color_of(i),
        series_dash(i),
        escape_html(series[i].name));
  }
  return html + "</ul>\n";
}

void check_series(const LineChart& chart) {
  for (const Series& series : chart.series) {
    if (series.x.size() != series.y.size()) {
      throw std::invalid_argument(fmt::format(
          "HtmlReport::add_line_chart: expected as many x as y in series '{}', got {} "
          "and {}",
          series.name,
          series.x.size(),
          series.y.size()));
    }
    const bool are_finite = std::all_of(
        series.x.begin(), series.x.end(), [](double x) { return std::isfinite(x); });
    if (!are_finite) {
      throw std::invalid_argument(fmt::format(
          "HtmlReport::add_line_chart: expected finite x in series '{}'", series.name));
    }
  }
}

}  // namespace

std::string line_chart_html(const LineChart& chart) {
  check_series(chart);
  const Frame frame = make_frame(chart);
  const std::string title = escape_html(chart.title);
  std::string html = fmt::format(
      "<figure class=\"chart\"><figcaption>{}</figcaption>\n{}"
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}",
      title,
      keys_html(chart.series),
      kChartWidth,
      kChartHeight,
      title,
      frame_svg(frame, chart));
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    html += series_svg(chart.series[i], frame, i);
  }
  return html + "</svg></figure>\n";
}

}  // namespace trmml::report
