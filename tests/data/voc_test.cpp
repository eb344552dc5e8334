#include "trmml/data/voc.hpp"

#include "trmml/data/missing_labels.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "reference/voc.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::contains;
using support::error_of;

namespace {

namespace fs = std::filesystem;

// VOCdevkit/VOC2007 with one part.
struct Devkit {
  explicit Devkit(const std::string& year = "2007")
      : voc(folder / "VOCdevkit" / ("VOC" + year)) {
    for (const char* name : {"ImageSets/Main", "Annotations", "JPEGImages"}) {
      fs::create_directories(voc / name);
    }
  }
  void list(const std::string& ids, const std::string& part = "trainval") const {
    support::write_bytes(voc / "ImageSets/Main" / (part + ".txt"), ids);
  }
  void annotate(const std::string& id, const std::string& xml) const {
    support::write_bytes(voc / "Annotations" / (id + ".xml"), xml);
  }
  Split read(const VocOptions& options = {}) const {
    return read_voc(folder.path(), Part::kTrainVal, options);
  }

  support::TemporaryFolder folder;
  fs::path voc;
};

// An object with a square box of `side` pixels.
std::string object(const std::string& name, int side, bool is_difficult = false) {
  return fmt::format(
      "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>1</xmin>"
      "<ymin>1</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
      name,
      is_difficult ? 1 : 0,
      side,
      side);
}

std::string annotation(const std::string& objects) {
  return "<annotation>" + objects + "</annotation>";
}

std::vector<std::string> present(const Split& split, int64_t row) {
  std::vector<std::string> names;
  for (int64_t c = 0; c < 20; ++c) {
    if (split.table.labels[row][c].item<int>() == 1) {
      names.push_back(split.table.classnames[static_cast<size_t>(c)]);
    }
  }
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("VOC: three rules for difficult objects, equal to xml.etree's") {
  const Devkit devkit;
  std::string ids;
  for (const auto& picture : reference::voc::kPictures) {
    ids += std::string(picture.id) + "\n";
    devkit.annotate(picture.id, picture.xml);
  }
  devkit.list(ids);
  using Row = reference::voc::Row;
  const auto compare = [&](VocDifficult rule, Row reference::voc::Picture::*member) {
    const Split split = devkit.read(VocOptions().difficult(rule));
    REQUIRE(split.table.images.size() == reference::voc::kPictures.size());
    CHECK(split.ignore.defined() == (rule == VocDifficult::kIgnored));
    for (size_t i = 0; i < split.table.images.size(); ++i) {
      const auto& picture = reference::voc::kPictures[i];
      const Row& expected = picture.*member;
      const auto row = static_cast<int64_t>(i);
      CAPTURE(picture.id);
      CHECK(split.table.images[i] == fmt::format("JPEGImages/{}.jpg", picture.id));
      std::string labels;
      std::string ignore;
      for (int64_t c = 0; c < 20; ++c) {
        labels += split.table.labels[row][c].item<int>() == 1 ? '+' : '-';
        const bool masked = split.ignore.defined() && split.ignore[row][c].item<bool>();
        ignore += masked ? 'x' : '.';
      }
      CHECK(labels == expected.labels);
      CHECK(ignore == expected.ignore);
      CHECK(split.salient[i] == expected.salient);
    }
    keep_one_positive(split.table.labels, split.salient);  // salient ones are present
  };
  compare(VocDifficult::kSkipped, &reference::voc::Picture::skipped);
  compare(VocDifficult::kPresent, &reference::voc::Picture::present);
  compare(VocDifficult::kIgnored, &reference::voc::Picture::ignored);
}

TEST_CASE("VOC: difficult objects by hand") {
  const Devkit devkit;
  devkit.list("one\ntwo\n");
  devkit.annotate(
      "one",
      annotation(
          object("cat", 90, true) + object("dog", 10) + object("dog", 99, true)));
  devkit.annotate("two", annotation(object("sofa", 5, true)));

  const Split skipped = devkit.read();
  CHECK(skipped.name == "VOC2007 trainval, difficult objects skipped");
  CHECK(present(skipped, 0) == Names{"dog"});
  CHECK(present(skipped, 1).empty());
  CHECK(count_labels(skipped.table.labels).absent == 39);
  CHECK(skipped.salient == std::vector<int64_t>{11, -1});

  const Split counted = devkit.read(VocOptions().difficult(VocDifficult::kPresent));
  CHECK(present(counted, 0) == Names{"cat", "dog"});
  CHECK(present(counted, 1) == Names{"sofa"});
  CHECK(counted.salient == std::vector<int64_t>{11, 17});  // the dog of 99 pixels

  const Split ignored = devkit.read(VocOptions().difficult(VocDifficult::kIgnored));
  CHECK(ignored.name == "VOC2007 trainval, difficult objects ignored");
  CHECK(present(ignored, 0) == Names{"cat", "dog"});
  CHECK(ignored.ignore.sum().item<int64_t>() == 2);
  CHECK(ignored.ignore[0][7].item<bool>());   // cat: difficult alone
  CHECK(ignored.ignore[1][17].item<bool>());  // sofa
  CHECK(ignored.salient == std::vector<int64_t>{11, -1});
}

TEST_CASE("VOC: the larger box is salient, the first of equal ones") {
  const Devkit devkit;
  devkit.list("a\nb");
  // 10 x 10 pixels, corners included, against 9 x 11 = 99 and 100 x 1 = 100.
  const std::string flat =
      "<object><name>bus</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>13</xmax>"
      "<ymax>15</ymax></bndbox></object>";
  const std::string line =
      "<object><name>car</name><bndbox><xmin>1</xmin><ymin>7</ymin><xmax>100</xmax>"
      "<ymax>7</ymax></bndbox></object>";
  devkit.annotate("a", annotation(flat + object("cat", 10) + line));
  devkit.annotate("b", annotation(line + object("cat", 10)));
  CHECK(devkit.read().salient == std::vector<int64_t>{7, 6});
}

TEST_CASE("VOC: names for prompts") {
  CHECK(std::is_sorted(kVocCategories.begin(), kVocCategories.end()));
  const Devkit devkit;
  devkit.list("a");
  devkit.annotate("a", annotation(object("cat", 3)));
  const Split words = devkit.read();
  CHECK(words.table.classnames[10] == "diningtable");
  CHECK(words.names_for_clip[10] == "dining table");
  CHECK(words.names_for_clip[15] == "potted plant");
  CHECK(words.names_for_clip[19] == "tv monitor");
  CHECK(words.names_for_clip[0] == "aeroplane");
  CHECK(
      devkit.read(VocOptions().names(VocNames::kOriginal)).names_for_clip ==
      words.table.classnames);
  const Split synonyms = devkit.read(VocOptions().names(VocNames::kSynonyms));
  CHECK(synonyms.names_for_clip[0] == "airplane");
  CHECK(synonyms.names_for_clip[10] == "dining table");
  CHECK(synonyms.names_for_clip[13] == "motorcycle");
  CHECK(synonyms.names_for_clip[19] == "television");
  CHECK(synonyms.table.classnames == words.table.classnames);
}

TEST_CASE("VOC: the folder is found, or what was looked for is said") {
  const Devkit devkit("2012");
  devkit.list(
      "\xef\xbb\xbf"
      "a \r\nb\r\n\r\n",
      "val");  // BOM, CR LF, blanks
  devkit.annotate("a", annotation(object("cat", 3)));
  devkit.annotate("b", "\xef\xbb\xbf<?xml version=\"1.0\"?>\r\n" + annotation(""));
  for (const fs::path& folder :
       {devkit.folder.path(),
        devkit.folder / "VOCdevkit",
        devkit.voc,
        devkit.voc / ""}) {
    const Split split = read_voc(folder, Part::kVal, VocOptions().year(2012));
    CHECK(split.table.images == Names{"JPEGImages/a.jpg", "JPEGImages/b.jpg"});
    CHECK(fs::equivalent(split.root, devkit.voc));
    CHECK(split.name == "VOC2012 val, difficult objects skipped");
  }
  const std::string missing = error_of([&] { devkit.read(); });
  CHECK(contains(missing, "expected the folder of VOC2007"));
  CHECK(contains(missing, (devkit.folder / "VOCdevkit/VOC2007").string()));
  CHECK(contains(
      error_of([&] { read_voc(devkit.voc, Part::kTrainVal); }), "(which is VOC2012)"));
  CHECK(contains(
      error_of([&] { devkit.read(VocOptions().year(2012)); }),
      "trainval.txt: cannot be read"));
  CHECK(error_of([&] {
          devkit.read(VocOptions().year(2010));
        }) == "read_voc: expected the year 2007 or 2012, got 2010");
}

TEST_CASE("VOC: all faults of all files in one message") {
  const Devkit devkit;
  devkit.list(
      "good\nbroken\nnowhere\ngood\n../../secret\n/etc/passwd\nx -1\nodd\nutf16\n");
  devkit.annotate("good", annotation(object("cat", 3)));
  devkit.annotate("broken", "<annotation><object></annotation>");
  devkit.annotate("utf16", std::string("\xff\xfe<\0a\0", 6));
  const std::string no_box = "<object><name>dog</name></object>";
  const std::string no_name =
      "<object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
      "</bndbox></object>";
  const std::string overflow =
      "<object><name>dog</name><bndbox><xmin>1e999</xmin><ymin>1</ymin><xmax>nan</xmax>"
      "<ymax>2px</ymax></bndbox></object>";
  const std::string upside_down =
      "<object><name>dog</name><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>2</xmax>"
      "<ymax>2</ymax></bndbox></object>";
  devkit.annotate(
      "odd",
      annotation(
          object("cart", 3) + no_box + no_name + overflow + upside_down +
          "<object><name>dog</name><difficult>2</difficult></object>"));
  const std::string message = error_of([&] { devkit.read(); });
  for (const std::string& part : {
           std::string("16 faults"),
           std::string("broken.xml, byte 22: expected XML"),
           std::string("nowhere.xml: cannot be read"),
           std::string("line 4: \"good.jpg\" stands in line 1 already"),
           std::string("line 5: expected a path below the folder of the pictures"),
           std::string("got \"/etc/passwd.jpg\""),
           std::string("line 7: expected the id of a picture, got \"x -1\" (is it"),
           std::string(
               "object 1 (byte 13): expected one of 20 categories, got \"cart\" "
               "(did you mean \"car\" or \"cat\"?)"),
           std::string("object 2 (byte 144): expected a <bndbox>, got none"),
           std::string("expected a <name>, got none"),
           std::string("expected a number as <xmin> of <bndbox>, got \"1e999\""),
           std::string("expected a number as <xmax> of <bndbox>, got \"nan\""),
           std::string("expected a number as <ymax> of <bndbox>, got \"2px\""),
           std::string("got x 9 to 2, y 1 to 2"),
           std::string("expected 0 or 1 as <difficult>, got \"2\""),
           std::string("utf16.xml: expected UTF-8, got UTF-16"),
       }) {
    CAPTURE(part, message);
    CHECK(contains(message, part));
  }
}

TEST_CASE("VOC: empty lists, other XML, missing folders and pictures") {
  const Devkit devkit;
  devkit.list("\n");
  CHECK(contains(error_of([&] { devkit.read(); }), "expected an id a line, got none"));
  devkit.list("a\n");
  devkit.annotate("a", "<html/>");
  CHECK(contains(
      error_of([&] { devkit.read(); }), "expected <annotation>, got \"html\""));
  devkit.annotate("a", annotation(object("caf\xe9", 3)));
  CHECK(contains(error_of([&] { devkit.read(); }), "line 1: expected UTF-8"));
  devkit.annotate("a", "");
  CHECK(contains(error_of([&] { devkit.read(); }), "byte 0: expected XML"));
  devkit.annotate("a", annotation(object("cat", 3)));
  CHECK(contains(
      error_of([&] { devkit.read(VocOptions().check_pictures(true)); }),
      "there is no picture"));
  support::write_bytes(devkit.voc / "JPEGImages/a.jpg", "not opened");
  CHECK(devkit.read(VocOptions().check_pictures(true)).table.images.size() == 1);
  fs::remove_all(devkit.voc / "Annotations");
  CHECK(contains(error_of([&] { devkit.read(); }), "expected a folder of annotations"));
}
