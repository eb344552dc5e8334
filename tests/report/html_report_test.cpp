#include "trmml/report/html_report.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using support::argument_error;
using support::contains;
using trmml::report::BarChart;
using trmml::report::escape_html;
using trmml::report::HtmlReport;
using trmml::report::LabelPanel;
using trmml::report::LineChart;
using trmml::report::Picture;
using trmml::report::Table;

namespace {

// What stands between <main> and </main>.
std::string body_of(const HtmlReport& report) {
  const std::string html = report.html();
  const std::size_t begin = html.find("<main>\n") + 7;
  return html.substr(begin, html.find("</main>") - begin);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

// An example of every part, with `text` wherever a text can stand.
HtmlReport everything(const std::string& text) {
  const Picture picture{2, 1, {1, 2, 3, 4, 5, 6}};
  LabelPanel panel;
  panel.title = text;
  panel.picture = picture;
  panel.labels = {
      {text, 1, 1, 0.9}, {text, -1, -1, 0.8}, {text, 0, 1, 0.1}, {text, 0, 0, 0.7}};
  panel.saliency = {{text, picture}};
  HtmlReport report(text, text);
  report.add_section(text).add_text(text).add_facts({{text, text}});
  report.add_table({text, {text, text}, {{text, text}}, {0}});
  report.add_line_chart({text, text, text, {{text, {0, 1}, {0, 1}}}});
  report.add_bars({text, {{text, 0.5, 0.25}}, text});
  report.add_panels({panel});
  report.add_pictures(text, {{text, picture}});
  return report;
}

}  // namespace

TEST_CASE("escaping") {
  CHECK(
      escape_html("a < b & \"c\" > 'd'") ==
      "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;");
  CHECK(escape_html(std::string("a\0b\x1b[31m\tc\n", 11)) == "ab[31m\tc\n");
  CHECK(escape_html("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("no text that is given becomes markup") {
  const std::string html = everything("<script>alert('1')</script>\"x\"&").html();
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "alert('1')"));
  CHECK(!contains(html, "\"x\""));
  CHECK(
      count(html, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;x&quot;&amp;") >
      25);
}

TEST_CASE("the file needs nothing else") {
  const std::string html = everything("text").html();
  CHECK(html.rfind("<!DOCTYPE html>\n", 0) == 0);
  CHECK(!contains(html, "http"));
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "@import"));
  CHECK(!contains(html, "url("));
  CHECK(count(html, "src=") == 3);
  CHECK(count(html, "src=\"data:image/png;base64,") == 2);
  CHECK(count(html, "src=\"data:image/jpeg;base64,/9j/") == 1);
  CHECK(count(html, "href=") == 1);
  CHECK(contains(html, "href=\"data:,\""));
  CHECK(contains(html, "<meta name=\"viewport\""));
}

TEST_CASE("every colour has a value in the dark") {
  const std::string html = everything("text").html();
  const std::size_t dark = html.find("prefers-color-scheme: dark");
  REQUIRE(dark != std::string::npos);
  const std::string style = html.substr(0, html.find("</style>"));
  std::vector<std::string> used;
  for (std::size_t at = html.find("var("); at != std::string::npos;
       at = html.find("var(", at + 1)) {
    used.push_back(html.substr(at + 4, html.find(')', at) - at - 4));
  }
  CHECK(used.size() > 40);
  for (const std::string& name : used) {
    INFO(name);
    if (name != "--c") {
      CHECK(style.find(name + ": ") < dark);
      CHECK(style.find(name + ": ", dark) != std::string::npos);
    }
  }
  CHECK(!contains(html.substr(html.find("<body>")), "=\"#"));
}

TEST_CASE("every element is closed") {
  const std::string html = everything("text").html();
  for (const std::string name :
       {"div",  "figure", "svg", "table", "tr", "td",      "th",   "ul",
        "li",   "g",      "dl",  "dt",    "dd", "article", "main", "header",
        "text", "span",   "p",   "h2",    "h3", "h4"}) {
    INFO(name);
    CHECK(
        count(html, "<" + name + ">") + count(html, "<" + name + " ") ==
        count(html, "</" + name + ">"));
  }
}

TEST_CASE("sections, text, facts and tables") {
  HtmlReport report("Title");
  report.add_section("Result").add_text("Read this.").add_facts({{"seed", "7"}});
  const Table table{
      "In percent.", {"Method", "mAP"}, {{"a+b", "70.0"}, {"b", "71.5"}}, {1}};
  report.add_table(table);
  CHECK(
      body_of(report) ==
      "<h2>Result</h2>\n"
      "<p>Read this.</p>\n"
      "<dl class=\"facts\">\n<div><dt>seed</dt><dd>7</dd></div>\n</dl>\n"
      "<p class=\"caption\">In percent.</p>\n"
      "<div class=\"scroll\"><table>\n"
      "<thead><tr><th scope=\"col\">Method</th><th "
      "scope=\"col\">mAP</th></tr></thead>\n"
      "<tbody>\n<tr><td>a+<wbr>b</td><td>70.0</td></tr>\n"
      "<tr class=\"best\"><td>b</td><td>71.5</td></tr>\n"
      "</tbody></table></div>\n");
  CHECK(argument_error([&] {
          report.add_table({"", {"a", "b"}, {{"1", "2"}, {"1"}}, {}});
        }) == "HtmlReport::add_table: expected 2 cells in row 1, got 1");
}

TEST_CASE("bars") {
  HtmlReport report("Title");
  BarChart chart{"AP", {{"cat", 0.5, 0.25}, {"dog", NAN}}, "before"};
  report.add_bars(chart);
  const std::string body = body_of(report);
  CHECK(contains(
      body,
      "<span class=\"n\">cat</span><svg viewBox=\"0 0 1000 12\" "
      "preserveAspectRatio=\"none\" "
      "role=\"img\"><title>cat: 50.0 % (before: 25.0 %)</title>"
      "<rect x=\"0.00\" y=\"1.00\" width=\"1000.00\" height=\"10.00\" class=\"fill\" "
      "style=\"--c:var(--track)\"/>"
      "<rect x=\"0.00\" y=\"1.00\" width=\"500.00\" height=\"10.00\" class=\"fill\" "
      "style=\"--c:var(--s0)\"/>"
      "<rect x=\"247.00\" y=\"0.00\" width=\"6.00\" height=\"12.00\" class=\"fill\" "
      "style=\"--c:var(--s1)\"/></svg>"
      "<span class=\"v\">50.0</span>\n"));
  CHECK(contains(
      body,
      "<title>dog: - %</title><rect x=\"0.00\" y=\"1.00\" width=\"1000.00\" "
      "height=\"10.00\" class=\"fill\" "
      "style=\"--c:var(--track)\"/></svg><span class=\"v\">-</span>\n"));
  CHECK(count(body, "<div class=\"bars\">") == 1);

  chart.bars.assign(17, {"x", 1.0, NAN});
  HtmlReport two("Title");
  two.add_bars(chart);
  CHECK(count(body_of(two), "<div class=\"bars\">") == 2);
  CHECK(count(body_of(two), "<span class=\"n\">x</span>") == 17);

  chart.bars = {{"cat", 50.0, NAN}};
  CHECK(argument_error([&] {
          report.add_bars(chart);
        }) == "HtmlReport::add_bars: expected values in [0, 1], got 50 for 'cat'");
}

TEST_CASE("line charts: points, gaps, axes") {
  HtmlReport report("Title");
  LineChart chart{
      "mAP", "epoch", "%", {{"a", {0, 1, 2, 4}, {0.1, NAN, 0.2, 0.5}}}, true};
  report.add_line_chart(chart);
  const std::string body = body_of(report);
  // x: 46 at 0, 450 at 4; y: 232 at 10 %, 22 at 50 %; a gap at 1 leaves a dot at 0.
  CHECK(contains(body, "<path d=\"M46.00 232.00M248.00 179.50L450.00 22.00\""));
  CHECK(contains(body, "<circle cx=\"46.00\" cy=\"232.00\" r=\"3\""));
  for (const std::string tick : {"10", "20", "30", "40", "50"}) {
    CHECK(contains(body, "text-anchor=\"end\">" + tick + "</text>"));
  }
  for (const std::string tick : {"0", "1", "2", "3", "4"}) {  // whole epochs only
    CHECK(count(body, "text-anchor=\"middle\">" + tick + "</text>") == 1);
  }
  CHECK(count(body, "text-anchor=\"middle\">") == 5);

  SECTION("a logarithmic axis") {
    HtmlReport log("Title");
    log.add_line_chart(
        {"loss", "epoch", "", {{"a", {0, 1, 2, 3}, {0.1, 0, 1, 10}}}, false, true});
    const std::string drawn = body_of(log);
    // y: 232 at 0.1, 127 at 1, 22 at 10; 0 has no place, so 0.1 is a dot.
    CHECK(contains(drawn, "d=\"M46.00 232.00M315.33 127.00L450.00 22.00\""));
    CHECK(contains(drawn, "<circle cx=\"46.00\" cy=\"232.00\""));
    for (const std::string tick : {"0.1", "0.2", "0.5", "1", "2", "5", "10"}) {
      CHECK(count(drawn, "text-anchor=\"end\">" + tick + "</text>") == 1);
    }

    HtmlReport wide("Title");  // from 3e-7 to 700: 2e-7 to 1000, every second decade
    wide.add_line_chart({"loss", "", "", {{"a", {0, 1}, {3e-7, 700}}}, false, true});
    const std::string ticks = body_of(wide);
    for (const std::string tick : {"1e-06", "0.0001", "0.01", "1", "100"}) {
      CHECK(count(ticks, "text-anchor=\"end\">" + tick + "</text>") == 1);
    }
    CHECK(count(ticks, "text-anchor=\"end\">") == 5 + 1);  // and the label below

    HtmlReport odd("Title");
    odd.add_line_chart({"none", "", "", {}, false, true});
    odd.add_line_chart({"no place", "", "", {{"a", {0, 1}, {0, -1}}}, false, true});
    odd.add_line_chart({"one", "", "", {{"a", {0}, {1}}}, false, true});
    odd.add_line_chart(
        {"tiny", "", "", {{"a", {0, 1}, {1e-300, 1e-299}}}, false, true});
    CHECK(!contains(odd.html(), "nan"));
    CHECK(!contains(odd.html(), "inf"));
  }
  SECTION("charts in a row share one grid") {
    report.add_line_chart(chart).add_section("Next").add_line_chart(chart);
    CHECK(count(body_of(report), "<div class=\"charts\">") == 2);
    CHECK(count(body_of(report), "<figure class=\"chart\">") == 3);
  }
  SECTION("nothing to show, one point, a constant") {
    HtmlReport odd("Title");
    odd.add_line_chart({"none", "", "", {}});
    odd.add_line_chart({"all NaN", "", "", {{"a", {1, 2}, {NAN, NAN}}}});
    odd.add_line_chart({"point", "", "", {{"a", {3}, {7}}}});
    odd.add_line_chart({"constant", "", "", {{"a", {0, 1}, {0, 0}}}});
    odd.add_line_chart({"tiny", "", "", {{"a", {0, 1}, {1e-9, 2e-9}}}});
    odd.add_line_chart({"huge", "", "", {{"a", {0, 1e9}, {-1e12, 1e12}}}});
    CHECK(!contains(odd.html(), "nan"));
    CHECK(!contains(odd.html(), "inf"));
  }
  SECTION("series that do not fit") {
    chart.series[0].x.pop_back();
    CHECK(
        argument_error([&] { report.add_line_chart(chart); }) ==
        "HtmlReport::add_line_chart: expected as many x as y in series 'a', got 3 and "
        "4");
    chart.series[0].x.push_back(INFINITY);
    CHECK(argument_error([&] {
            report.add_line_chart(chart);
          }) == "HtmlReport::add_line_chart: expected finite x in series 'a'");
  }
}

TEST_CASE("pictures stand below their title, each above its caption") {
  const Picture dot{1, 1, {9, 9, 9}};
  HtmlReport report("Title");
  report.add_pictures("cats & dogs", {{"one", dot}, {"two", dot}});
  const std::string body = body_of(report);
  CHECK(contains(
      body,
      "<h3 class=\"title\">cats &amp; dogs</h3>\n<div "
      "class=\"pictures\">\n<figure><img "
      "src=\"data:image/jpeg;base64,/9j/"));
  CHECK(contains(body, "alt=\"one\"><figcaption>one</figcaption></figure>\n<figure>"));
  CHECK(contains(body, "<figcaption>two</figcaption></figure>\n</div>\n"));
  CHECK_THROWS_AS(
      report.add_pictures("none", {{"broken", {1, 1, {}}}}), std::invalid_argument);
  CHECK(body_of(report) == body);
}

TEST_CASE("panels tell known, hidden and predicted labels apart") {
  LabelPanel panel;
  panel.title = "scene 7";
  panel.picture = {1, 1, {9, 9, 9}};
  panel.labels = {
      {"bag", 1, 1, 0.9},     // known, rightly predicted
      {"boot", -1, -1, 0.8},  // known absent, wrongly predicted
      {"coat", 0, 1, 0.2},    // hidden, missed
      {"hat", 0, -1, 0.1},    // hidden absence
      {"shoe", 0, 0, 0.7}};   // nobody knows
  panel.saliency = {{"bag", panel.picture}};
  HtmlReport report("Title");
  report.add_panels({panel});
  const std::string body = body_of(report);
  CHECK(contains(
      body,
      "<h4>Known to training</h4>\n<ul class=\"labels\"><li class=\"present\">&#10003; "
      "bag</li><li class=\"absent\">boot</li></ul>\n"));
  CHECK(contains(
      body,
      "<h4>Hidden from training</h4>\n<ul class=\"labels\"><li "
      "class=\"hidden\">coat</li>"
      "<li class=\"more\">and 1 absence</li></ul>\n"));
  CHECK(contains(
      body,
      "<li class=\"right\"><span class=\"m\">&#10003;</span><span "
      "class=\"n\">bag</span>"
      "<span class=\"b\"><i style=\"width:90.0%\"></i><b "
      "style=\"left:50.0%\"></b></span>"
      "<span class=\"v\">90 %</span></li>\n"));
  CHECK(contains(
      body,
      "<li class=\"wrong\"><span class=\"m\">&#10007;</span><span "
      "class=\"n\">boot</span>"));
  CHECK(contains(
      body,
      "<li class=\"missed\"><span class=\"m\">&#9675;</span><span "
      "class=\"n\">coat</span>"));
  CHECK(contains(
      body, "<li class=\"low\"><span class=\"m\"></span><span class=\"n\">hat</span>"));
  CHECK(contains(
      body,
      "<li class=\"open\"><span class=\"m\">?</span><span class=\"n\">shoe</span>"));
  CHECK(contains(body, "alt=\"saliency of bag\"><figcaption>bag</figcaption>"));

  LabelPanel many;
  many.picture = panel.picture;
  for (int c = 0; c < 80; ++c) {
    many.labels.push_back({"c" + std::to_string(c), -1, -1});
  }
  HtmlReport long_report("Title");
  long_report.add_panels({many});
  CHECK(contains(body_of(long_report), "<li class=\"more\">and 72 more</li>"));
}

TEST_CASE("report.html is written as it is") {
  const auto path =
      std::filesystem::temp_directory_path() / "trmml_html_report_test.html";
  const HtmlReport report = everything("text");
  report.write(path);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  CHECK(bytes == report.html());
}
