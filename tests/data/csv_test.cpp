#include "trmml/data/csv.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include "reference/own_data.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/splits.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::contains;
using support::error_of;
using support::rows_of;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

struct CsvFile {
  Split read(const std::string& text, const CsvOptions& options = {}) const {
    support::write_bytes(file, text);
    return read_csv(file, options);
  }
  std::string error(const std::string& text, const CsvOptions& options = {}) const {
    return error_of([&] { read(text, options); });
  }
  fs::path write(const char* name, const std::string& text) const {
    support::write_bytes(folder / name, text);
    return folder / name;
  }

  support::TemporaryFolder folder;
  fs::path file = folder / "labels.csv";
};

}  // namespace

TEST_CASE("CSV: lists of labels, equal to Python's csv module") {
  const CsvFile csv;
  const Split split = csv.read(reference::own_data::kCsv);
  CHECK(split.name == "labels.csv");
  CHECK(split.root == csv.folder.path());
  CHECK(split.table.images == reference::own_data::kImages);
  CHECK(split.table.classnames == reference::own_data::kNames);
  CHECK(rows_of(split) == reference::own_data::kRows);
}

TEST_CASE("CSV: columns in any order, another separator, BOM, no line end") {
  const CsvFile csv;
  const Split split = csv.read(
      "\xef\xbb\xbf"
      "labels , image\ntraffic_light|cat,x/a.png\n,b.png",
      {.separator = '|'});
  CHECK(split.table.images == Names{"x/a.png", "b.png"});
  CHECK(split.table.classnames == Names{"cat", "traffic_light"});
  CHECK(split.names_for_clip == Names{"cat", "traffic light"});
  CHECK(rows_of(split) == Names{"++", "--"});
}

TEST_CASE("CSV: a column a category, in three codes") {
  const CsvFile csv;
  const std::string text = "image,dog,cat\na.jpg,+1,0\nb.jpg,-1,1\n";
  const Split ours = csv.read(text, {.values = LabelCode::kHcp});
  CHECK(ours.table.classnames == Names{"dog", "cat"});
  CHECK(rows_of(ours) == Names{"+0", "-+"});
  CHECK(rows_of(csv.read(text, {.values = LabelCode::kDualCoOp})) == Names{"+-", "0+"});
  CHECK(
      rows_of(csv.read("image,a\nx,1\ny,0\n", {.values = LabelCode::kColeComplete})) ==
      Names{"+", "-"});
  CHECK(contains(
      csv.error(text, {.values = LabelCode::kColeComplete}),
      "line 3: expected 0 absent or 1 present in column \"dog\", got \"-1\""));
  CHECK(contains(
      csv.error("image,dog\na.jpg,\nb.jpg,1.0\n", {.values = LabelCode::kDualCoOp}),
      "line 2: expected -1 unknown, 0 absent or 1 present in column \"dog\", got "
      "\"\""));
  CHECK(contains(csv.error(text), "expected `values` for the columns of categories"));
}

TEST_CASE("CSV: categories and their order from a file") {
  const CsvFile csv;
  const fs::path names = csv.write("names.txt", "zebra\r\n\r\ncat\r\ndog");
  const Split split =
      csv.read("image,labels\na.jpg,cat\nb.jpg,\n", {.names_file = names});
  CHECK(split.table.classnames == Names{"zebra", "cat", "dog"});
  CHECK(rows_of(split) == Names{"-+-", "---"});
  CHECK(contains(
      csv.error("image,labels\na.jpg,cat;Dogg\n", {.names_file = names}),
      "line 2: expected one of 3 categories, got \"Dogg\" (did you mean \"dog\"?)"));
  CHECK(contains(
      csv.error("image,labels\na.jpg,cat;dgo\n", {.names_file = names}),
      "got \"dgo\" (did you mean \"dog\"?)"));
  const CsvOptions columns{.values = LabelCode::kColeComplete, .names_file = names};
  CHECK(
      rows_of(csv.read("dog,image,cat,zebra\n1,a.jpg,1,0\n", columns)) == Names{"-++"});
  const std::string message = csv.error("image,cat,dogs\na.jpg,1,0\n", columns);
  CHECK(contains(message, "got \"dogs\" (did you mean \"dog\"?)"));
  CHECK(contains(message, "expected a column \"zebra\", got none"));
  csv.write("names.txt", "cat\ndog\ncat\n");
  CHECK(contains(
      csv.error("image,labels\na.jpg,cat\n", {.names_file = names}),
      "line 3: \"cat\" stands in line 1 already"));
  csv.write("names.txt", "\n");
  CHECK(contains(
      csv.error("image,labels\na.jpg,cat\n", {.names_file = names}),
      "expected an entry a line, got an empty file"));
  CHECK(contains(
      csv.error("image,labels\na.jpg,cat\n", {.names_file = csv.folder / "none"}),
      "none: cannot be read"));
}

TEST_CASE("CSV: faults of the header") {
  const CsvFile csv;
  CHECK(contains(csv.error(""), "got an empty file"));
  CHECK(contains(csv.error("image,labels\n"), "expected a picture a line, got none"));
  CHECK(contains(
      csv.error("a.jpg,cat\n"),
      "line 1: expected a header with a column \"image\", got \"a.jpg,cat\""));
  CHECK(contains(
      csv.error("image;labels\na.jpg;cat\n"), "(columns are separated by commas)"));
  CHECK(contains(csv.error("image\na.jpg\n"), "expected a column \"labels\""));
  CHECK(contains(csv.error("image,labels,cat\n"), "expected no other columns"));
  CHECK(
      contains(csv.error("image,labels,labels\n"), "column \"labels\" is there twice"));
  CHECK(contains(csv.error("image,,labels\n"), "got an empty one"));
  CHECK(contains(csv.error("image,labels\na.jpg,\n"), "names_file can name them"));
}

TEST_CASE("CSV: all faults of the rows, with their lines") {
  const CsvFile csv;
  const std::string message = csv.error(
      "image,labels\n"     // 1
      "a.jpg,cat;cat\n"    // 2
      "a.jpg,dog\n"        // 3
      "/etc/passwd,dog\n"  // 4
      "../x.jpg,dog\n"     // 5
      "b.jpg\n"            // 6
      "c.jpg,\"cat\n"      // 7, to the quote of line 8
      "dog\" x\n"          // 8
      "d.jpg,c\"a\"t\n"    // 9
      "e.jpg,cat;;dog\n"   // 10
      "f.jpg,cat|dog\n"    // 11
      ",cat\n"             // 12
      "g.jpg,\"cat\n");    // 13
  for (const std::string& part : {
           std::string("11 faults"),
           std::string("line 2: category \"cat\" is there twice for one picture"),
           std::string("line 3: \"a.jpg\" stands in line 2 already"),
           std::string("line 4: expected a path below the folder of the pictures"),
           std::string("line 5: expected a path below the folder of the pictures"),
           std::string("line 6: expected 2 fields, got 1"),
           std::string(
               "line 7: expected a comma or the end of the line after a closing"),
           std::string("line 9: expected quotes around all of a field"),
           std::string("line 10: expected a category, got an empty name"),
           std::string("line 11: expected labels separated by ';', got \"cat|dog\""),
           std::string("line 12: expected a path below the folder of the pictures"),
           std::string("line 13: expected a closing quote, got none"),
       }) {
    CAPTURE(part, message);
    CHECK(contains(message, part));
  }
}

TEST_CASE("CSV: encodings, options and pictures") {
  const CsvFile csv;
  CHECK(contains(
      csv.error("image,labels\na.jpg,caf\xe9\n"), "line 2: expected UTF-8, got"));
  CHECK(contains(csv.error(std::string("\xff\xfei\0", 4)), "got UTF-16"));
  CHECK(
      csv.error("image,labels\na.jpg,cat\n", {.separator = ','}) ==
      "read_csv: expected ';' or '|' between labels, got ','");
  CHECK(contains(
      error_of([&] { read_csv(csv.folder / "none.csv"); }),
      "none.csv: cannot be read"));
  const std::string text = "image,labels\na.jpg,cat\n";
  CHECK(contains(
      csv.error(text, {.check_pictures = true}), "line 2: there is no picture"));
  fs::create_directory(csv.folder / "photos");
  csv.write("photos/a.jpg", "not opened");
  const Split split =
      csv.read(text, {.pictures = csv.folder / "photos", .check_pictures = true});
  CHECK(split.root == csv.folder / "photos");
}
