#pragma once

#include "trmml/report/label_panel.hpp"
#include "trmml/report/picture.hpp"

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::report {

/// `text` with the five characters that mean something in HTML replaced (& < > " '),
/// and characters that may not stand in it left out.
std::string escape_html(std::string_view text);

/// A table. The first column is text, the others are set as numbers.
struct Table {
  std::string caption;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< each as long as `header`
  std::vector<std::size_t> emphasised;         ///< rows set in bold
};

/// One curve of a line chart. A NaN in `y` leaves a gap.
struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;  ///< as long as `x`
};

/// Curves over a common axis.
struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  bool y_in_percent = false;  ///< `y` holds fractions, to be shown times 100
  bool y_in_log = false;      ///< a logarithmic axis; `y` of 0 or less leaves a gap
};

/// One bar of a bar chart.
struct Bar {
  std::string name;
  double value = std::numeric_limits<double>::quiet_NaN();      ///< NaN: no bar
  double reference = std::numeric_limits<double>::quiet_NaN();  ///< NaN: no mark
};

/// Horizontal bars of fractions in [0, 1], shown in percent from 0 to 100.
struct BarChart {
  std::string title;
  std::vector<Bar> bars;
  std::string reference_name;  ///< what the marks stand for; may be empty
};

/// A picture and what stands below it.
struct CaptionedPicture {
  std::string caption;
  Picture picture;
};

/// Builds one HTML file that needs nothing else: style, charts (SVG) and pictures are
/// in it, there is no script and no address of another file, so it opens offline and
/// can be sent by mail. Every text given is escaped. Parts appear in the order in which
/// they were added; each call returns the report itself.
///
/// Example:
/// ```
/// HtmlReport report("TRM-ML on FashionScenes", "10 % known labels, seed 0");
/// report.add_section("Result").add_table(table).add_line_chart(curves);
/// report.add_section("Pictures").add_panels(panels);
/// report.write("runs/scenes/report.html");
/// ```
class HtmlReport {
 public:
  explicit HtmlReport(std::string title, std::string subtitle = "");

  /// A heading; what follows belongs to it.
  HtmlReport& add_section(std::string_view heading);

  /// A paragraph.
  HtmlReport& add_text(std::string_view paragraph);

  /// Names and values, several in a line where there is room.
  HtmlReport& add_facts(const std::vector<std::pair<std::string, std::string>>& facts);

  /// Throws `std::invalid_argument` when a row is not as long as the header.
  HtmlReport& add_table(const Table& table);

  /// Consecutive charts stand side by side where there is room.
  /// Throws `std::invalid_argument` when a series has more `x` than `y` or fewer, or
  /// when an `x` is not finite.
  HtmlReport& add_line_chart(const LineChart& chart);

  /// Throws `std::invalid_argument` when a value is outside [0, 1].
  HtmlReport& add_bars(const BarChart& chart);

  /// Pictures with known, hidden and predicted labels and saliency maps, after a
  /// legend.
  HtmlReport& add_panels(const std::vector<LabelPanel>& panels);

  /// Small pictures side by side, as JPEG of quality 85, below a line that says what
  /// they are. Throws `std::invalid_argument` when a picture is none.
  HtmlReport& add_pictures(
      std::string_view title,
      const std::vector<CaptionedPicture>& pictures);

  /// The whole file.
  std::string html() const;

  /// Writes the file, atomically. Throws `trmml::WriteError` if that fails.
  void write(const std::filesystem::path& path) const;

 private:
  void open_group(std::string_view kind);
  void close_group();

  std::string title_;
  std::string subtitle_;
  std::string body_;
  std::string group_;  // the kind of row of charts that is open, or empty
};

}  // namespace trmml::report
