#include "trmml/report/html_report.hpp"

#include "trmml/io/atomic_file.hpp"
#include "trmml/report/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace trmml::report {

namespace {

constexpr std::string_view kStyle = R"css(
:root { --ink: #1c2024; --soft: #5f6772; --rule: #dde1e6; --wash: #f5f6f8;
  --blue: #1f5fa8; --green: #18703a; --red: #b3261e; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; color: var(--ink);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Noto Sans", "DejaVu Sans", sans-serif; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em;
  margin: 0; overflow-wrap: anywhere; }
.subtitle { margin: .4rem 0 0; color: var(--soft); }
h2 { font-size: 1.2rem; line-height: 1.3; font-weight: 650; margin: 2.75rem 0 .75rem; }
p { max-width: 42rem; margin: .75rem 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(11rem, 42%), 1fr));
  gap: .9rem 1.5rem; margin: 1.25rem 0; }
dl.facts dt { font-size: .8rem; color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; font-size: .92rem; min-width: 60%;
  font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: .86rem; margin: 1.25rem 0 -.75rem; }
th, td { padding: .38rem .9rem .38rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th { font-weight: 600; border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th:last-child, td:last-child { padding-right: 0; }
tr.best td { font-weight: 650; }
.charts { display: grid; gap: 1.75rem 2rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.chart { margin: 0; min-width: 0; max-width: 36rem; }
.wide { margin: 1.25rem 0; }
.wide .columns { display: grid; gap: 0 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.bars { display: grid; grid-template-columns: fit-content(45%) minmax(6rem, 1fr) auto;
  gap: .22rem .7rem; align-items: center; align-content: start; font-size: .85rem;
  line-height: 1.25; max-width: 44rem; }
.bars .n { overflow-wrap: anywhere; }
.bars .v { text-align: right; font-variant-numeric: tabular-nums; }
.bars svg { height: .8rem; }
figcaption { font-size: .92rem; font-weight: 600; margin-bottom: .3rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: 0 0 .3rem; padding: 0;
  list-style: none; font-size: .82rem; color: var(--soft); }
.keys svg { display: inline-block; width: 22px; height: 8px; margin-right: .35rem;
  vertical-align: middle; }
.panels { display: grid; gap: 2rem 1.75rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); }
.panel { border-top: 1px solid var(--ink); padding-top: .75rem; min-width: 0; }
.panel h3 { font-size: .92rem; font-weight: 600; margin: 0 0 .5rem;
  overflow-wrap: anywhere; }
.panel h4, .legend dt { font-size: .78rem; font-weight: 400; color: var(--soft);
  margin: .7rem 0 .25rem; }
.panel > img { display: block; width: 100%; border-radius: 3px; }
.labels { display: flex; flex-wrap: wrap; gap: .3rem; margin: 0; padding: 0;
  list-style: none; font-size: .82rem; line-height: 1.35; }
.labels li { padding: .08rem .5rem; border-radius: 3px; border: 1px solid transparent;
  overflow-wrap: anywhere; }
.labels .present { background: var(--green); color: #fff; }
.labels .absent { border-color: #b9c0c8; color: var(--soft); text-decoration: line-through; }
.labels .hidden { border: 1px dashed var(--green); color: var(--green); }
.labels .more { color: var(--soft); padding-left: 0; }
.guesses { margin: 0; padding: 0; list-style: none; font-size: .82rem; line-height: 1.35; }
.guesses li { display: grid; grid-template-columns: 1.1rem 1fr 4.5rem 2.6rem; gap: .4rem;
  align-items: center; padding: .1rem 0; }
.guesses .n { overflow-wrap: anywhere; }
.guesses .m { font-weight: 700; text-align: center; }
.guesses .v { text-align: right; font-variant-numeric: tabular-nums; }
.guesses .b { position: relative; height: .55rem; background: #eceff2; }
.guesses .b i { position: absolute; left: 0; top: 0; bottom: 0; background: #8b95a1; }
.guesses .b b { position: absolute; top: -2px; bottom: -2px; width: 1px;
  background: var(--ink); }
.guesses .right .m { color: var(--green); } .guesses .right .b i { background: var(--green); }
.guesses .wrong .m { color: var(--red); } .guesses .wrong .b i { background: var(--red); }
.guesses .missed .m { color: var(--red); }
.guesses .low { color: var(--soft); }
.maps { display: grid; gap: .5rem; grid-template-columns: repeat(3, minmax(0, 1fr)); }
.maps figure { margin: 0; }
.maps img { display: block; width: 100%; border-radius: 2px; }
.maps figcaption { font-size: .74rem; font-weight: 400; line-height: 1.25; color: var(--soft);
  margin: .2rem 0 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 2rem; background: var(--wash);
  padding: .35rem 1rem .8rem; margin: 1.25rem 0; font-size: .82rem; }
.legend dd { margin: 0; }
.legend .guesses { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, auto));
  gap: 0 1.25rem; }
.legend .guesses li { grid-template-columns: 1.1rem auto; }
@media print { body { padding: 0; } .panel, .chart, tr { break-inside: avoid; } }
)css";

constexpr std::array<std::string_view, 8> kColors = {
    "#1f5fa8",
    "#c2570c",
    "#18703a",
    "#7a3fb0",
    "#a3790b",
    "#0d7c8c",
    "#b8326b",
    "#4a5563"};
constexpr std::array<std::string_view, 3> kDashes = {"none", "6 3", "2 3"};

constexpr std::string_view kCheck = "&#10003;";
constexpr std::string_view kCross = "&#10007;";

std::string percent(double fraction, int digits = 1) {
  return std::isnan(fraction) ? "-" : fmt::format("{:.{}f}", 100.0 * fraction, digits);
}

// Long names of methods may be broken after a plus sign.
std::string breakable(std::string name) {
  for (std::size_t i = name.find('+'); i != std::string::npos;
       i = name.find('+', i + 1)) {
    name.insert(i + 1, "<wbr>");
  }
  return name;
}

// A coordinate, to a hundredth of a pixel.
std::string coordinate(double value) {
  return fmt::format("{:.2f}", value);
}

// ------------------------------------------------------------------- axes

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

// ------------------------------------------------------------ line charts

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

  double across(double value) const {
    return kLeft + (value - x.low) / (x.high - x.low) * (kChartWidth - kLeft - kRight);
  }
  double down(double value) const {
    const double share = (value - y.low) / (y.high - y.low);
    return kChartHeight - kBottom - share * (kChartHeight - kTop - kBottom);
  }
};

Frame make_frame(const LineChart& chart, double scale) {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  bool is_whole = true;  // epochs and steps get no ticks between them
  for (const Series& series : chart.series) {
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      x_low = std::min(x_low, series.x[i]);
      x_high = std::max(x_high, series.x[i]);
      is_whole = is_whole && series.x[i] == std::round(series.x[i]);
      if (std::isfinite(series.y[i])) {
        y_low = std::min(y_low, scale * series.y[i]);
        y_high = std::max(y_high, scale * series.y[i]);
      }
    }
  }
  Frame frame{make_axis(x_low, x_high, 6, false), make_axis(y_low, y_high, 5, true)};
  if (is_whole) {
    frame.x.step = std::max(1.0, frame.x.step);
  }
  return frame;
}

std::string frame_svg(const Frame& frame, const LineChart& chart) {
  std::string svg;
  const std::string left = coordinate(kLeft);
  const std::string right = coordinate(kChartWidth - kRight);
  for (const double tick : axis_ticks(frame.y)) {
    const std::string y = coordinate(frame.down(tick));
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"#e6e9ed\"/>"
        "<text x=\"{}\" y=\"{}\" dy=\".35em\" text-anchor=\"end\">{}</text>\n",
        left,
        right,
        y,
        y,
        coordinate(kLeft - 6.0),
        y,
        tick_text(tick, frame.y.step));
  }
  const double bottom = kChartHeight - kBottom;
  for (const double tick : axis_ticks(frame.x)) {
    const std::string x = coordinate(frame.across(tick));
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"#8b95a1\"/>"
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
      "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"#8b95a1\"/>\n",
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

std::string_view series_color(std::size_t index) {
  return kColors[index % kColors.size()];
}

std::string_view series_dash(std::size_t index) {
  return kDashes[index / kColors.size() % kDashes.size()];
}

// A path with a gap at every NaN; a lone point is a dot.
std::string
series_svg(const Series& series, const Frame& frame, double scale, std::size_t index) {
  std::string path;
  std::string dots;
  const auto is_there = [&](std::size_t i) {
    return i < series.y.size() && std::isfinite(series.y[i]);
  };
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (!is_there(i)) {
      continue;
    }
    const std::string x = coordinate(frame.across(series.x[i]));
    const std::string y = coordinate(frame.down(scale * series.y[i]));
    const bool follows = i > 0 && is_there(i - 1);
    path += fmt::format("{}{} {}", follows ? "L" : "M", x, y);
    if (!follows && !is_there(i + 1)) {
      dots += fmt::format(
          "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{}\"/>",
          x,
          y,
          series_color(index));
    }
  }
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" "
      "stroke-linejoin=\"round\" stroke-dasharray=\"{}\"><title>{}</title></path>{}\n",
      path,
      series_color(index),
      series_dash(index),
      escape_html(series.name),
      dots);
}

std::string keys_html(const std::vector<Series>& series) {
  std::string html = "<ul class=\"keys\">";
  for (std::size_t i = 0; i < series.size(); ++i) {
    html += fmt::format(
        "<li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><line x1=\"0\" x2=\"22\" "
        "y1=\"4\" "
        "y2=\"4\" stroke=\"{}\" stroke-width=\"2.5\" "
        "stroke-dasharray=\"{}\"/></svg>{}</li>",
        series_color(i),
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

// ------------------------------------------------------------- bar charts

constexpr double kBarWidth = 1000.0;  // of the drawing, which is stretched to fit
constexpr double kBarHeight = 12.0;
constexpr std::size_t kMinSplit = 16;  // bars from which two columns are made

std::string
rectangle_svg(double left, double top, double width, std::string_view color) {
  return fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
      coordinate(left),
      coordinate(top),
      coordinate(width),
      coordinate(kBarHeight - 2.0 * top),
      color);
}

std::string bar_html(const Bar& bar, const std::string& reference_name) {
  const std::string name = escape_html(bar.name);
  std::string title = fmt::format("{}: {} %", name, percent(bar.value));
  std::string shapes = rectangle_svg(0.0, 1.0, kBarWidth, "#eceff2");
  if (!std::isnan(bar.value)) {
    shapes += rectangle_svg(0.0, 1.0, kBarWidth * bar.value, kColors[0]);
  }
  if (!std::isnan(bar.reference)) {
    title +=
        fmt::format(" ({}: {} %)", escape_html(reference_name), percent(bar.reference));
    const double left =
        std::clamp(kBarWidth * bar.reference - 3.0, 0.0, kBarWidth - 6.0);
    shapes += rectangle_svg(left, 0.0, 6.0, kColors[1]);
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

// ------------------------------------------------------------------ panels

constexpr std::size_t kMaxAbsent = 8;

std::string label_items(
    const std::vector<PanelLabel>& labels,
    std::string_view kind,
    std::string_view mark,
    std::size_t limit = SIZE_MAX) {
  std::string html;
  for (std::size_t i = 0; i < std::min(limit, labels.size()); ++i) {
    html += fmt::format(
        "<li class=\"{}\">{}{}</li>", kind, mark, escape_html(labels[i].name));
  }
  if (labels.size() > limit) {
    html += fmt::format("<li class=\"more\">and {} more</li>", labels.size() - limit);
  }
  return html;
}

std::string known_html(const PanelGroups& groups) {
  if (groups.known_present.empty() && groups.known_absent.empty()) {
    return "<h4>Known: nothing</h4>\n";
  }
  return fmt::format(
      "<h4>Known to training</h4>\n<ul class=\"labels\">{}{}</ul>\n",
      label_items(groups.known_present, "present", fmt::format("{} ", kCheck)),
      label_items(groups.known_absent, "absent", "", kMaxAbsent));
}

std::string hidden_html(const PanelGroups& groups) {
  if (groups.hidden_present.empty() && groups.hidden_absent == 0) {
    return "";
  }
  std::string items = label_items(groups.hidden_present, "hidden", "");
  if (groups.hidden_absent > 0) {
    items += fmt::format(
        "<li class=\"more\">{}{} absence{}</li>",
        groups.hidden_present.empty() ? "" : "and ",
        groups.hidden_absent,
        groups.hidden_absent == 1 ? "" : "s");
  }
  return fmt::format(
      "<h4>Hidden from training</h4>\n<ul class=\"labels\">{}</ul>\n", items);
}

// The class that colours a guess, and its mark.
std::pair<std::string_view, std::string_view> verdict(
    const PanelLabel& label,
    double threshold) {
  if (label.probability > threshold) {
    return label.truth > 0   ? std::pair{"right", kCheck}
           : label.truth < 0 ? std::pair{"wrong", kCross}
                             : std::pair{"open", std::string_view("?")};
  }
  return label.truth > 0 ? std::pair{"missed", std::string_view("&#9675;")}
                         : std::pair{"low", std::string_view("")};
}

std::string predicted_html(const PanelGroups& groups, double threshold) {
  if (groups.predicted.empty()) {
    return "";
  }
  std::string html = "<h4>Predicted</h4>\n<ul class=\"guesses\">\n";
  for (const PanelLabel& label : groups.predicted) {
    const auto [kind, mark] = verdict(label, threshold);
    html += fmt::format(
        "<li class=\"{}\"><span class=\"m\">{}</span><span class=\"n\">{}</span>"
        "<span class=\"b\"><i style=\"width:{}%\"></i><b style=\"left:{}%\"></b></span>"
        "<span class=\"v\">{} %</span></li>\n",
        kind,
        mark,
        escape_html(label.name),
        percent(label.probability),
        percent(threshold),
        percent(label.probability, 0));
  }
  return html + "</ul>\n";
}

std::string maps_html(const std::vector<PanelMap>& maps) {
  if (maps.empty()) {
    return "";
  }
  std::string html = "<h4>Where it looked</h4>\n<div class=\"maps\">\n";
  for (const PanelMap& map : maps) {
    const std::string name = escape_html(map.name);
    html += fmt::format(
        "<figure><img src=\"{}\" alt=\"saliency of "
        "{}\"><figcaption>{}</figcaption></figure>\n",
        data_uri(map.picture),
        name,
        name);
  }
  return html + "</div>\n";
}

std::string panel_html(const LabelPanel& panel) {
  const PanelGroups groups = group_labels(panel);
  const std::string title = escape_html(panel.title);
  return fmt::format(
      "<article class=\"panel\">\n<h3>{}</h3>\n<img src=\"{}\" "
      "alt=\"{}\">\n{}{}{}{}</article>\n",
      title,
      data_uri(panel.picture),
      title,
      known_html(groups),
      hidden_html(groups),
      predicted_html(groups, panel.threshold),
      maps_html(panel.saliency));
}

std::string legend_html() {
  return fmt::format(
      R"html(<dl class="legend">
<div><dt>Known to training</dt><dd><ul class="labels"><li class="present">{0} present</li><li class="absent">absent</li></ul></dd></div>
<div><dt>Hidden from training</dt><dd><ul class="labels"><li class="hidden">present</li></ul></dd></div>
<div><dt>Predicted (the line is the threshold)</dt><dd><ul class="guesses"><li class="right"><span class="m">{0}</span><span>rightly</span></li><li class="wrong"><span class="m">{1}</span><span>wrongly</span></li><li class="missed"><span class="m">&#9675;</span><span>present, but missed</span></li><li class="open"><span class="m">?</span><span>nobody knows</span></li></ul></dd></div>
</dl>
)html",
      kCheck,
      kCross);
}

}  // namespace

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
  check_series(chart);
  open_group("charts");
  const double scale = chart.y_in_percent ? 100.0 : 1.0;
  const Frame frame = make_frame(chart, scale);
  const std::string title = escape_html(chart.title);
  body_ += fmt::format(
      "<figure class=\"chart\"><figcaption>{}</figcaption>\n{}"
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}",
      title,
      keys_html(chart.series),
      kChartWidth,
      kChartHeight,
      title,
      frame_svg(frame, chart));
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    body_ += series_svg(chart.series[i], frame, scale, i);
  }
  body_ += "</svg></figure>\n";
  return *this;
}

HtmlReport& HtmlReport::add_bars(const BarChart& chart) {
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
  close_group();
  body_ += fmt::format(
      "<figure class=\"wide\"><figcaption>{}</figcaption>\n", escape_html(chart.title));
  if (!chart.reference_name.empty()) {
    body_ += fmt::format(
        "<ul class=\"keys\"><li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><line "
        "x1=\"11\" "
        "x2=\"11\" y1=\"0\" y2=\"8\" stroke=\"#c2570c\" "
        "stroke-width=\"2.5\"/></svg>{}</li></ul>\n",
        escape_html(chart.reference_name));
  }
  body_ += "<div class=\"columns\">\n";
  const std::size_t count = chart.bars.size();
  const std::size_t half = count >= kMinSplit ? (count + 1) / 2 : count;
  body_ += bars_html(chart, 0, half);
  if (half < count) {
    body_ += bars_html(chart, half, count);
  }
  body_ += "</div></figure>\n";
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
