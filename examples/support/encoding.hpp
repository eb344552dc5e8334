#pragma once

#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/report/progress.hpp"

#include <optional>
#include <string>
#include <vector>

#include "support/clip_program.hpp"
#include "support/feature_file.hpp"

// The program encode: rows of features for pictures or texts.

namespace clip_program {

struct EncodeOptions {
  Options clip;
  std::string texts;
  std::string out;
  std::string dense;  ///< "", "plain", "dualcoop"
  bool restart = false;
  double save_every = 5.0;  ///< seconds
};

/// One run over all `names`: the paths of pictures, or texts. Goes on where a run with
/// the same options and names has stopped.
class Encoding {
 public:
  Encoding(const EncodeOptions& options, const std::vector<std::string>& names);

  /// Makes the rows that are missing. Throws `trmml::Interrupted` after a signal; what
  /// is done is saved then, as with every other error.
  void run();

  /// Writes the file; how many rows it has.
  size_t finish();

 private:
  void images();
  void texts();
  void append(const Batch& batch);

  const EncodeOptions& options_;
  const std::vector<std::string>& names_;
  Clip clip_;
  std::optional<trmml::clip::Tokenizer> tokenizer_;     // for texts
  std::optional<trmml::clip::FrozenImageTower> tower_;  // for pictures
  program::FeatureFile file_;
  trmml::report::Progress progress_;
};

}  // namespace clip_program
