#pragma once

#include "trmml/report/picture.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace trmml::report {

/// One category of a picture: what training was shown, what is true, what is predicted.
struct PanelLabel {
  std::string name;
  int known = 0;  ///< shown to training: +1 present, -1 absent, 0 unknown
  int truth = 0;  ///< true label: +1 present, -1 absent, 0 nobody knows
  double probability =
      std::numeric_limits<double>::quiet_NaN();  ///< NaN: not predicted
};

/// Where a category was looked for: a picture made by `heatmap`, and what it shows.
struct PanelMap {
  std::string name;
  Picture picture;
};

/// A picture with all that is known and was predicted about it.
struct LabelPanel {
  std::string title;  ///< e.g. the file's name
  Picture picture;
  std::vector<PanelLabel> labels;
  std::vector<PanelMap> saliency;
  double threshold = 0.5;  ///< probability above which a category counts as predicted
};

/// Puts together a panel from the rows of a label table and of a model's output.
///
/// Shapes: known, truth [C] in {-1, 0, +1}; probabilities [C] in [0, 1], or empty.
/// Throws `std::invalid_argument` when a length differs from that of `names`, when a
/// label is another number, or when a probability is outside [0, 1].
///
/// Example:
/// ```
/// LabelPanel panel = make_label_panel("000042.jpg", picture, names, known, truth, p);
/// panel.saliency.push_back({"red coat", heatmap(picture, map, 6, 6)});
/// ```
LabelPanel make_label_panel(
    std::string title,
    Picture picture,
    std::span<const std::string> names,
    std::span<const std::int8_t> known,
    std::span<const std::int8_t> truth,
    std::span<const float> probabilities);

/// The labels of `panel` in the groups in which a reader looks for them.
struct PanelGroups {
  std::vector<PanelLabel> known_present;   ///< in the order of the categories
  std::vector<PanelLabel> known_absent;    ///< in the order of the categories
  std::vector<PanelLabel> hidden_present;  ///< true, but hidden from training
  std::int64_t hidden_absent = 0;          ///< number of absences hidden from training
  /// By falling probability: all above the threshold, and what follows up to
  /// `max_predicted`; then present ones that were missed.
  std::vector<PanelLabel> predicted;
};

/// Sorts the labels of `panel` into groups.
PanelGroups group_labels(const LabelPanel& panel, std::int64_t max_predicted = 6);

}  // namespace trmml::report
