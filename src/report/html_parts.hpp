#pragma once

#include "trmml/report/html_report.hpp"

#include <string>
#include <string_view>
#include <vector>

// The parts of a report as HTML. Private to src/report.

namespace trmml::report {

inline constexpr std::string_view kCheck = "&#10003;";
inline constexpr std::string_view kCross = "&#10007;";

/// 0.5 as "50.0", NaN as "-".
std::string percent(double fraction, int digits = 1);

/// Lets long names of methods be broken after a plus sign. `name` is escaped.
std::string breakable(std::string name);

/// A coordinate of a drawing, to a hundredth of a pixel.
std::string coordinate(double value);

/// "--c:var(--s3)": sets the colour of the series `index`, which repeat after 8.
std::string color_of(std::size_t index);

std::string line_chart_html(const LineChart& chart);
std::string bar_chart_html(const BarChart& chart);
std::string panel_html(const LabelPanel& panel);
std::string legend_html();
std::string pictures_html(const std::vector<CaptionedPicture>& pictures);

}  // namespace trmml::report
