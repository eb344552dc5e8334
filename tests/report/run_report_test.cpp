#include "trmml/report/run_report.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using support::contains;
using trmml::report::ablation_table;
using trmml::report::html_report;
using trmml::report::RunReport;
using trmml::report::to_json;
using trmml::report::write_json;

namespace {

RunReport example() {
  RunReport report;
  report.method = "trm-ml";
  report.dataset = "FashionScenes";
  report.split = "test: 2,000 scenes";
  report.known_label_proportion = 0.1;
  report.seed = 3;
  report.known_entries = 3587;
  report.mask_digest = "1a2b3c4d";
  report.mAP = 0.75;
  report.mAP_by_definition = {
      {"precision_at_positives", 0.75},
      {"interpolated", 0.78125},
      {"tie_grouped", 0.75}};
  report.per_class_AP = {{"bag", 0.5}, {"T-shirt", 1.0}, {"hat", NAN}};
  report.at_threshold.CP = 0.5;
  report.at_threshold.CR = 0.25;
  report.at_threshold.CF1_of_means = 0.375;
  report.at_threshold.CF1_mean_of_classes = 0.3125;
  report.at_threshold.OP = 0.625;
  report.at_threshold.OR = 0.5;
  report.at_threshold.OF1 = 0.5625;
  report.at_threshold.per_class_F1 = {0.5, 0.25, NAN};
  report.at_threshold.skipped_without_positive = 1;
  report.selected_on = "held-out";
  report.epochs = 15;
  report.seconds = 12.5;
  report.torch_version = "1.13.1";
  report.trmml_version = "0.1.0";
  return report;
}

}  // namespace

TEST_CASE("report.json, to the letter") {
  CHECK(to_json(example()) == R"({
  "method": "trm-ml",
  "dataset": "FashionScenes",
  "split": "test: 2,000 scenes",
  "known_label_proportion": 0.1,
  "seed": 3,
  "known_entries": 3587,
  "mask_digest": "1a2b3c4d",
  "mAP": 0.75,
  "average_precision_definition": "precision_at_positives",
  "mAP_by_definition": {
    "precision_at_positives": 0.75,
    "interpolated": 0.78125,
    "tie_grouped": 0.75
  },
  "per_class_AP": {
    "bag": 0.5,
    "T-shirt": 1.0,
    "hat": null
  },
  "CF1": 0.375,
  "CF1_definition": "of_means",
  "CF1_by_definition": {
    "of_means": 0.375,
    "mean_of_classes": 0.3125
  },
  "OF1": 0.5625,
  "threshold": 0.5,
  "at_threshold": {
    "CP": 0.5,
    "CR": 0.25,
    "CF1_of_means": 0.375,
    "CF1_mean_of_classes": 0.3125,
    "OP": 0.625,
    "OR": 0.5,
    "OF1": 0.5625,
    "per_class_F1": [
      0.5,
      0.25,
      null
    ],
    "skipped_without_positive": 1
  },
  "selected_on": "held-out",
  "epochs": 15,
  "seconds": 12.5,
  "torch_version": "1.13.1",
  "trmml_version": "0.1.0"
}
)");
}

TEST_CASE("what only some runs have") {
  RunReport report = example();
  report.known_label_proportion.reset();
  report.protocol = "single-positive-salient";
  report.runs = 3;
  report.mAP_sd = 0.0625;
  report.top_k = 3;
  report.at_top_k.OF1 = 0.4375;
  report.mAP_best_on_test = 0.7578125;
  report.held_out_mAP = 0.625;
  report.best_epoch = 7;
  report.stopped_early = true;
  report.unreadable = {{"training", 2}, {"test", 0}};
  report.settings = {{"n-ctx", 16.0}, {"pseudo-weight", 0.375}};
  report.environment = {{"threads", "2"}, {"blas", "OpenBLAS"}};
  report.history.resize(2);
  report.history[1].epoch = 1;
  report.history[1].pseudo_labels.emplace().positive_precision = 0.875;
  report.history[1].pseudo_labels->unknown = 32000;
  RunReport row = example();
  row.method = "zero-shot";
  row.mAP = NAN;
  report.rows = {row, example()};
  const std::string json = to_json(report);
  CHECK(!contains(json.substr(0, json.find("\"rows\"")), "known_label_proportion"));
  CHECK(contains(json, "\n  \"protocol\": \"single-positive-salient\",\n"));
  CHECK(contains(json, "\n  \"runs\": 3,\n  \"mAP_sd\": 0.0625,\n"));
  CHECK(contains(json, "\n  \"top_k\": 3,\n  \"at_top_k\": {\n    \"CP\": null,\n"));
  CHECK(contains(json, "\n    \"OF1\": 0.4375,\n"));
  CHECK(contains(
      json,
      "\n  \"unreadable_pictures\": {\n    \"training\": 2,\n    \"test\": 0\n  },\n"
      "  \"settings\": {\n    \"n-ctx\": 16,\n    \"pseudo-weight\": 0.375\n  },\n"));
  CHECK(contains(
      json,
      "\n  \"held_out_mAP\": 0.625,\n  \"best_epoch\": 7,\n  \"mAP_best_on_test\": "
      "0.7578125,\n  \"epochs\": 15,\n  \"stopped_early\": true,\n"));
  CHECK(contains(
      json,
      "\n  \"environment\": {\n    \"threads\": \"2\",\n    \"blas\": \"OpenBLAS\"\n  "
      "},\n"));
  CHECK(contains(
      json,
      "\n  \"pseudo_labels\": [\n    {\n      \"epoch\": 1,\n      "
      "\"positive_precision\": "
      "0.875,\n      \"positive_recall\": null,\n"));
  CHECK(contains(json, "\n      \"unknown\": 32000,\n"));
  CHECK(contains(json, "\n  \"rows\": [\n    {\n      \"method\": \"zero-shot\",\n"));
  CHECK(contains(json, "\n      \"mAP\": null,\n"));
  CHECK(!contains(json, "NaN"));
  CHECK(!contains(json, "nan"));
}

TEST_CASE("scores from elsewhere have no training, but intervals and categories") {
  RunReport report = example();
  report.method.clear();
  report.dataset.clear();
  report.files = {{"scores", "s.npy"}, {"labels", "l.npy"}};
  report.skipped_without_negative = 2;
  report.mAP_interval.emplace();
  report.mAP_interval->low = 0.5;
  report.mAP_interval->high = 0.875;
  report.mAP_interval->options.replicates = 3;
  report.mAP_interval->replicates = {0.5, 0.875};
  report.calibration.emplace();
  report.calibration->ECE = 0.125;
  report.calibration->bins.resize(1);
  report.calibration->bins[0].entries = 4;
  report.categories.resize(1);
  report.categories[0].name = "bag";
  report.categories[0].positives = 7;
  report.categories[0].AP = {0.25, 0.5, NAN};
  const std::string json = to_json(report);
  CHECK(json.rfind("{\n  \"files\": {\n    \"scores\": \"s.npy\",\n", 0) == 0);
  for (const std::string key :
       {"method", "dataset", "split", "mask_digest", "epochs", "selected_on"}) {
    CHECK(!contains(json, "\n  \"" + key + "\""));
  }
  CHECK(contains(
      json,
      "\n  \"mAP_interval\": {\n    \"low\": 0.5,\n    \"high\": 0.875,\n    "
      "\"standard_error\": null,\n    \"confidence\": 0.95,\n"));
  CHECK(contains(
      json, "\n    \"replicates\": 3,\n    \"replicates_without_category\": 1,\n"));
  CHECK(contains(json, "\n  \"skipped_without_negative\": 2,\n"));
  CHECK(contains(
      json,
      "\n  \"ECE\": 0.125,\n  \"calibration_bins\": [\n    {\n      \"low\": 0.0,\n "
      "     \"high\": 1.0,\n      \"entries\": 4,\n      \"mean_probability\": null,"));
  CHECK(contains(
      json,
      "\n  \"categories\": [\n    {\n      \"name\": \"bag\",\n      \"positives\": "
      "7,\n      \"negatives\": 0,\n      \"AP_precision_at_positives\": 0.25,\n      "
      "\"AP_interpolated\": 0.5,\n      \"AP_tie_grouped\": null,\n"));
}

TEST_CASE("names are escaped, and bytes that are not UTF-8 cost no report") {
  RunReport report = example();
  report.dataset = "a \"b\"\n\\c";
  report.split = "\xff!";
  const std::string json = to_json(report);
  CHECK(contains(json, R"("dataset": "a \"b\"\n\\c")"));
  CHECK(contains(json, "\"split\": \"\xef\xbf\xbd!\""));
}

TEST_CASE("report.json is written as it is") {
  const auto path =
      std::filesystem::temp_directory_path() / "trmml_run_report_test.json";
  write_json(path, example());
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  CHECK(bytes == to_json(example()));
}

TEST_CASE("the table of methods") {
  std::vector<RunReport> rows(3, example());
  rows[0].method = "zero-shot";
  rows[0].mAP = NAN;
  rows[0].epochs = 0;
  rows[0].known_entries = 0;
  rows[1].method = "trm-ml";
  rows[1].mAP = 0.7512;
  rows[1].runs = 3;
  rows[1].mAP_sd = 0.004;
  rows[1].known_entries = 1234567;
  rows[2].method = "linear";
  using Row = std::vector<std::string>;
  const auto table = ablation_table(rows);
  CHECK(
      table.header ==
      Row{"Method", "mAP", "CF1", "OF1", "Known entries", "Epochs", "Seconds"});
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0] == Row{"zero-shot", "-", "37.5", "56.2", "0", "0", "12"});
  CHECK(
      table.rows[1] ==
      Row{"trm-ml", "75.1 \u00b1 0.4", "37.5", "56.2", "1,234,567", "15", "12"});
  CHECK(table.rows[2] == Row{"linear", "75.0", "37.5", "56.2", "3,587", "15", "12"});
  CHECK(table.emphasised == std::vector<std::size_t>{1});
  CHECK(
      table.caption ==
      "In percent. mAP: precision_at_positives. CF1 (of means) and OF1 at threshold "
      "0.5.");
  CHECK(ablation_table({}).rows.empty());
}

TEST_CASE("the common part of report.html") {
  RunReport report = example();
  report.rows = {example(), example()};
  report.environment = {{"BLAS", "OpenBLAS"}, {"git revision", ""}};
  const std::string html = html_report(report).html();
  CHECK(contains(html, "<h1>trm-ml on FashionScenes</h1>"));
  CHECK(contains(html, "10 % known labels"));
  CHECK(contains(html, "<dt>mAP (precision_at_positives)</dt><dd>75.0 %</dd>"));
  CHECK(contains(html, "<dt>mAP (interpolated)</dt><dd>78.1 %</dd>"));
  CHECK(contains(html, "<dt>CF1 mean of classes at 0.5</dt><dd>31.2 %</dd>"));
  CHECK(contains(html, "<dt>Selected on</dt><dd>held-out</dd>"));
  CHECK(contains(html, "<dt>Known entries</dt><dd>3,587</dd>"));
  CHECK(contains(html, "<dt>Mask digest</dt><dd>1a2b3c4d</dd>"));
  CHECK(contains(html, "<dt>LibTorch</dt><dd>1.13.1</dd>"));
  CHECK(contains(html, "<dt>BLAS</dt><dd>OpenBLAS</dd>"));
  CHECK(!contains(html, "git revision"));  // not known
  CHECK(!contains(html, "best on test"));
  const std::size_t first = html.find("<span class=\"n\">T-shirt</span>");
  const std::size_t second = html.find("<span class=\"n\">bag</span>");
  const std::size_t last = html.find("<span class=\"n\">hat</span>");
  CHECK(first < second);
  CHECK(second < last);
  CHECK(last != std::string::npos);
  for (const std::string heading : {"Run", "Methods", "Categories", "Environment"}) {
    CHECK(contains(html, "<h2>" + heading + "</h2>"));
  }
  for (const std::string heading : {"Training", "Pseudo-labels"}) {  // nothing of them
    CHECK(!contains(html, "<h2>" + heading + "</h2>"));
  }
  report.at_threshold.OF1 = NAN;
  CHECK(contains(html_report(report).html(), "<dt>OF1 at 0.5</dt><dd>-</dd>"));
  report.mAP_best_on_test = 0.8;
  CHECK(contains(
      html_report(report).html(), "<dt>mAP, best on test</dt><dd>80.0 %</dd>"));
  report.held_out_mAP = NAN;
  report.best_epoch = 7;
  report.stopped_early = true;
  report.unreadable = {{"training", 2}, {"test", 0}};
  report.settings = {{"n-ctx", 16.0}};
  for (const std::string fact :
       {"<dt>Held-out mAP</dt><dd>-</dd>",
        "<dt>Epochs</dt><dd>15, stopped early</dd>",
        "<dt>Epoch chosen, from 0</dt><dd>7</dd>",
        "<dt>Unreadable pictures, left out</dt><dd>2 training, 0 test</dd>",
        "<dt>Setting n-ctx</dt><dd>16</dd>"}) {
    CHECK(contains(html_report(report).html(), fact));
  }
}

TEST_CASE("report.html draws what the epochs have shown") {
  RunReport report = example();
  report.history.resize(3);
  for (int epoch = 0; epoch < 3; ++epoch) {
    auto& metrics = report.history[static_cast<std::size_t>(epoch)];
    metrics.epoch = epoch;
    metrics.held_out_mAP = 0.5 + 0.1 * epoch;
    metrics.losses = {{"distillation", 0.1}, {"total", 10.0}};
  }
  report.history[2].losses.insert(report.history[2].losses.begin(), {"pseudo", 1.0});
  const auto html = [&] { return html_report(report).html(); };
  CHECK(contains(html(), "<h2>Training</h2>"));
  CHECK(contains(html(), "<title>held out</title>"));
  // mAP: x 46, 248, 450; y: 50 % at 232, 70 % at 22.
  CHECK(contains(html(), "d=\"M46.00 232.00L248.00 127.00L450.00 22.00\""));
  for (const std::string absent :
       {"weights not averaged",
        "test, for comparison",
        "Learning rate",
        "<h2>Pseudo-labels</h2>"}) {
    CHECK(!contains(html(), absent));
  }
  // The total first; a term that begins later is a dot in the last epoch.
  const std::string page = html();
  CHECK(page.find("<title>total</title>") < page.find("<title>distillation</title>"));
  CHECK(contains(page, "<title>pseudo</title></path><circle cx=\"450.00\""));

  report.history[1].held_out_mAP_raw = 0.4;
  report.history[1].test_mAP = 0.45;
  report.history[1].learning_rate = 1e-3;
  report.history[2].pseudo_labels.emplace().coverage = 0.25;
  for (const std::string present :
       {"<title>held out, weights not averaged</title>",
        "<title>test, for comparison</title>",
        "Learning rate at each epoch&#39;s end",
        "<h2>Pseudo-labels</h2>",
        "<title>coverage</title>"}) {
    CHECK(contains(html(), present));
  }
  CHECK(!contains(html(), "<title>precision, present</title>"));  // no value at all
}
