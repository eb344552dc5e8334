#include "trmml/report/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "html_parts.hpp"

namespace trmml::report {

namespace {

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

}  // namespace

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

std::string pictures_html(const std::vector<CaptionedPicture>& pictures) {
  constexpr int kQuality = 85;
  std::string html = "<div class=\"pictures\">\n";
  for (const CaptionedPicture& picture : pictures) {
    const std::string caption = escape_html(picture.caption);
    html += fmt::format(
        "<figure><img src=\"data:image/jpeg;base64,{}\" alt=\"{}\"><figcaption>{}"
        "</figcaption></figure>\n",
        base64(encode_jpeg(picture.picture, kQuality)),
        caption,
        caption);
  }
  return html + "</div>\n";
}

}  // namespace trmml::report
