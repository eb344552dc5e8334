#include "trmml/report/metrics_log.hpp"

#include "trmml/core/error.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::report::EpochMetrics;
using trmml::report::MetricsLog;
using trmml::report::read_metrics;

namespace {

EpochMetrics metrics_of(std::int64_t epoch) {
  EpochMetrics metrics;
  metrics.epoch = epoch;
  metrics.held_out_mAP = 0.5 + 0.125 * static_cast<double>(epoch);
  return metrics;
}

std::vector<std::int64_t> epochs(const std::vector<EpochMetrics>& all) {
  std::vector<std::int64_t> numbers;
  for (const EpochMetrics& metrics : all) {
    numbers.push_back(metrics.epoch);
  }
  return numbers;
}

std::string error_of(const std::filesystem::path& path) {
  try {
    read_metrics(path);
  } catch (const trmml::DataError& error) {
    return error.what();
  }
  return "no error";
}

using Epochs = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("metrics.jsonl, to the letter") {
  const TemporaryFolder folder;
  MetricsLog log(folder / "metrics.jsonl");
  EpochMetrics metrics = metrics_of(0);
  metrics.held_out_mAP_raw = NAN;
  metrics.learning_rate = 0.001;
  metrics.seconds = 1.5;
  metrics.losses = {{"total", 0.25}, {"a \"b\"", INFINITY}};
  log.append(metrics);
  const std::string first =
      R"({"epoch":0,"held_out_mAP":0.5,"held_out_mAP_raw":null,"learning_rate":0.001,)"
      R"("seconds":1.5,"losses":{"total":0.25,"a \"b\"":null}})"
      "\n";
  CHECK(read_bytes(folder / "metrics.jsonl") == first);

  metrics = metrics_of(1);
  metrics.test_mAP = NAN;
  auto& quality = metrics.pseudo_labels.emplace();
  quality.positive_precision = 0.75;
  quality.coverage = 0.1;
  quality.unknown = 9;
  quality.false_negatives = 3;
  log.append(metrics);
  CHECK(
      read_bytes(folder / "metrics.jsonl") ==
      first +
          R"({"epoch":1,"held_out_mAP":0.625,"held_out_mAP_raw":null,"test_mAP":null,)"
          R"("learning_rate":null,"seconds":null,"losses":{},"pseudo_labels":{)"
          R"("positive_precision":0.75,"positive_recall":null,)"
          R"("negative_precision":null,"negative_recall":null,"coverage":0.1,)"
          R"("unknown":9,"pseudo_positives":0,"pseudo_negatives":0,)"
          R"("hidden_positives":0,"hidden_negatives":0,"right_positives":0,)"
          R"("right_negatives":0,"false_positives":0,"false_negatives":3}})"
          "\n");
}

TEST_CASE("metrics.jsonl is read as it was written") {
  const TemporaryFolder folder;
  MetricsLog log(folder / "metrics.jsonl");
  EpochMetrics metrics = metrics_of(7);
  metrics.held_out_mAP = 0.1 + 0.2;  // every digit
  metrics.test_mAP = 1.0 / 3.0;
  metrics.learning_rate = 5e-324;
  metrics.losses = {{"z", -1e300}, {"a", NAN}};
  metrics.pseudo_labels.emplace().negative_recall = 2.0 / 3.0;
  metrics.pseudo_labels->right_negatives = std::numeric_limits<std::int64_t>::max();
  log.append(metrics);
  log.append(metrics_of(8));
  const auto read = read_metrics(folder / "metrics.jsonl");
  REQUIRE(read.size() == 2);
  CHECK(read[0].epoch == 7);
  CHECK(read[0].held_out_mAP == 0.1 + 0.2);
  CHECK(std::isnan(read[0].held_out_mAP_raw));
  CHECK(read[0].test_mAP == 1.0 / 3.0);
  CHECK(read[0].learning_rate == 5e-324);
  REQUIRE(read[0].losses.size() == 2);
  CHECK(read[0].losses[0] == std::pair<std::string, double>("z", -1e300));
  CHECK(read[0].losses[1].first == "a");
  CHECK(std::isnan(read[0].losses[1].second));
  REQUIRE(read[0].pseudo_labels);
  CHECK(read[0].pseudo_labels->negative_recall == 2.0 / 3.0);
  CHECK(std::isnan(read[0].pseudo_labels->coverage));
  CHECK(
      read[0].pseudo_labels->right_negatives ==
      std::numeric_limits<std::int64_t>::max());
  CHECK(!read[1].test_mAP);
  CHECK(!read[1].pseudo_labels);
}

TEST_CASE("metrics.jsonl of a resumed run") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    MetricsLog log(path);
    for (int epoch = 0; epoch < 5; ++epoch) {
      log.append(metrics_of(epoch));
    }
    CHECK(epochs(log.history()) == Epochs{0, 1, 2, 3, 4});
  }
  const std::string whole = read_bytes(path);

  SECTION("goes on where the state is") {
    MetricsLog log(path, 5);
    CHECK(read_bytes(path) == whole);
    log.append(metrics_of(5));
    CHECK(epochs(read_metrics(path)) == Epochs{0, 1, 2, 3, 4, 5});
  }
  SECTION("lines of epochs that are done again are cut off") {
    MetricsLog log(path, 3);
    CHECK(epochs(log.history()) == Epochs{0, 1, 2});
    CHECK(epochs(read_metrics(path)) == Epochs{0, 1, 2});
    log.append(metrics_of(3));
    CHECK(epochs(log.history()) == Epochs{0, 1, 2, 3});
    CHECK(epochs(read_metrics(path)) == Epochs{0, 1, 2, 3});
  }
  SECTION("a last line that a kill left incomplete, at every byte") {
    const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
    for (std::size_t size = last; size < whole.size(); ++size) {
      write_bytes(path, whole.substr(0, size));
      CHECK(epochs(read_metrics(path)) == Epochs{0, 1, 2, 3});
      MetricsLog log(path, 5);
      CHECK(read_bytes(path) == whole.substr(0, last));
    }
  }
  SECTION("keys of others stay") {
    write_bytes(path, "{\"epoch\":0,\"mine\":[1, 2]}\n");
    MetricsLog log(path, 1);
    CHECK(read_bytes(path) == "{\"epoch\":0,\"mine\":[1, 2]}\n");
    CHECK(std::isnan(log.history().at(0).held_out_mAP));
  }
  SECTION("without resuming, it begins anew") {
    const MetricsLog log(path);
    CHECK(read_bytes(path).empty());
  }
  SECTION("there is none yet") {
    std::filesystem::remove(path);
    const MetricsLog log(path, 2);
    CHECK(log.history().empty());
    CHECK(std::filesystem::exists(path));
  }
}

TEST_CASE("metrics.jsonl that is something else") {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  for (const std::string line :
       {"",
        "epoch",
        "[]",
        "7",
        "{}",
        "{\"epoch\":\"a\"}",
        "{\"epoch\":1,\"losses\":3}",
        "{\"epoch\":1,\"losses\":{\"a\":\"b\"}}",
        "{\"epoch\":1,\"seconds\":[]}",
        "{\"epoch\":1,\"pseudo_labels\":[]}"}) {
    INFO(line);
    write_bytes(path, "{\"epoch\":0}\n" + line + "\n");
    const std::string message = error_of(path);
    CHECK(
        message.rfind(
            path.string() + ", line 2: expected the metrics of an epoch as JSON, got "
                            "something else",
            0) == 0);
    CHECK_THROWS_AS(MetricsLog(path, 1), trmml::DataError);
    CHECK(read_bytes(path) == "{\"epoch\":0}\n" + line + "\n");
  }
  CHECK(
      error_of(folder / "none") ==
      "cannot read '" + (folder / "none").string() + "': No such file or directory");
  CHECK_THROWS_AS(MetricsLog(folder / "none" / "metrics.jsonl"), trmml::Error);
}
