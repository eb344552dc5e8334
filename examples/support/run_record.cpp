#include "support/run_record.hpp"

#include "trmml/clip/clip_model.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <string>
#include <utility>

#include "support/experiment.hpp"
#include "support/trained.hpp"

namespace experiment {

namespace fs = std::filesystem;

namespace {

using Record = nlohmann::ordered_json;

constexpr const char* kLabels = "mask_digest";
constexpr const char* kClip = "clip_fingerprint";

fs::path file_in(const fs::path& folder) {
  return folder / "trained_on.json";
}

Record record_of(const World& world, const RunOptions& options) {
  trmml::clip::ClipModel clip = world.clip;
  return {{kLabels, mask_digest(world, options)}, {kClip, fingerprint(*clip)}};
}

}  // namespace

void check_record(
    const fs::path& folder,
    const World& world,
    const RunOptions& options) {
  const fs::path file = file_in(folder);
  if (!fs::exists(file)) {
    return;
  }
  std::ifstream stream(file);
  const Record before = Record::parse(stream, nullptr, /*allow_exceptions=*/false);
  const Record now = record_of(world, options);
  for (const auto& [key, what] :
       {std::pair(kLabels, "known labels"), std::pair(kClip, "CLIP")}) {
    const std::string expected =
        before.contains(key) ? before.at(key).dump() : "nothing";
    const std::string got = now.at(key).dump();
    if (got != expected) {
      throw trmml::CheckpointError(fmt::format(
          "{}: expected the {} that the run began with, of {} {}, got {} (undo the "
          "change, or name another --out)",
          file.string(),
          what,
          key,
          expected,
          got));
    }
  }
}

void keep_record(
    const fs::path& folder,
    bool resume,
    const World& world,
    const RunOptions& options) {
  if (resume && fs::exists(file_in(folder))) {
    check_record(folder, world, options);
    return;
  }
  trmml::io::write_file_atomically(
      file_in(folder), record_of(world, options).dump(2) + "\n");
}

}  // namespace experiment
