#include "trmml/data/nus_wide.hpp"

#include <string>

#include "reference/nus_wide.hpp"
#include "support/catch.hpp"
#include "support/splits.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::complaint;
using support::present;
using support::write_bytes;

namespace {

namespace fs = std::filesystem;
constexpr auto kTrain = Part::kTrain;
constexpr auto kTest = Part::kTest;

// The official layout with three concepts.
class Folder : public support::TemporaryFolder {
 public:
  Folder() {
    fs::create_directories(*this / "ImageList");
    fs::create_directories(*this / "TrainTestLabels");
    write_bytes(*this / "Concepts81.txt", "nighttime\nsky\nwater\n");
    list("Train", "actor\\0001_21.jpg\nzoo\\0002_5.jpg\nzoo\\0003_7.jpg\n");
    labels("nighttime", "Train", "0\n0\n1\n");
    labels("sky", "Train", "1\n0\n1\n");
    labels("water", "Train", "1\n0\n0\n");
  }
  void list(const std::string& part, std::string_view text) const {
    write_bytes(*this / ("ImageList/" + part + "Imagelist.txt"), text);
  }
  void labels(
      const std::string& concept_name,
      const std::string& part,
      std::string_view text) const {
    write_bytes(
        *this / ("TrainTestLabels/Labels_" + concept_name + "_" + part + ".txt"), text);
  }
  std::string complaint_of(Part part, const NusWideOptions& options = {}) const {
    return complaint(path(), [&] { read_nus_wide(path(), part, options); });
  }
};

NusWideOptions csv(const support::TemporaryFolder& folder, std::string_view text) {
  write_bytes(folder / "nus_wid_data.csv", text);
  return NusWideOptions().list(NusWideList::kRepublished);
}

}  // namespace

TEST_CASE("NUS-WIDE: the official list") {
  const Folder folder;
  const Split split = read_nus_wide(folder.path(), kTrain);
  CHECK(split.name == "NUS-WIDE train, official list, 3 pictures instead of 161789");
  CHECK(split.root == folder.path());
  CHECK_THROWS_AS(read_nus_wide(folder.path(), Part::kVal), c10::ValueError);
  CHECK(
      split.table.classnames == std::vector<std::string>{"nighttime", "sky", "water"});
  CHECK(split.names_for_clip == std::vector<std::string>{"night time", "sky", "water"});
  CHECK(
      present(split) ==
      "Flickr/actor/0001_21.jpg: 1 2\n"
      "Flickr/zoo/0002_5.jpg: \n"
      "Flickr/zoo/0003_7.jpg: 0 1\n");
}

TEST_CASE("NUS-WIDE: files of Windows, paths of the authors, the other part") {
  const Folder folder;
  folder.list(
      "Test",
      "\xef\xbb\xbf"
      "C:\\ImageData\\Flickr\\zoo\\0009_1.jpg \r\nzoo/0008_2.jpg\r\n\r\n");
  for (const char* name : {"nighttime", "sky", "water"}) {
    folder.labels(name, "Test", name[0] == 's' ? "1 \r\n0\r\n\r\n" : "0\r\n1");
  }
  write_bytes(folder / "Concepts81.txt", "\xef\xbb\xbfnighttime\r\nsky\r\nwater\r\n");
  const Split split = read_nus_wide(folder.path(), kTest);
  CHECK(present(split) == "Flickr/zoo/0009_1.jpg: 1\nFlickr/zoo/0008_2.jpg: 0 2\n");
  CHECK(split.name == "NUS-WIDE test, official list, 2 pictures instead of 107859");
}

TEST_CASE("NUS-WIDE: pictures without a label, folder of pictures") {
  const Folder folder;
  const NusWideOptions options =
      NusWideOptions().keep_unlabelled(false).pictures("images");
  const Split split = read_nus_wide(folder.path(), kTrain, options);
  CHECK(
      present(split) == "images/actor/0001_21.jpg: 1 2\nimages/zoo/0003_7.jpg: 0 1\n");
  CHECK(
      split.name ==
      "NUS-WIDE train, official list, 3 pictures instead of 161789, 1 without a label "
      "left out");
  CHECK(
      folder.complaint_of(kTrain, NusWideOptions().pictures("../images")) ==
      "read_nus_wide: expected a folder of pictures below root, got \"../images\"");
}

TEST_CASE("NUS-WIDE: the list of the re-crawl, files by their paths") {
  const Folder folder;
  fs::create_directories(folder / "recrawl");
  write_bytes(folder / "recrawl/list.txt", "zoo/1.jpg\n");
  write_bytes(folder / "recrawl/concepts.txt", "sky\n");
  write_bytes(folder / "recrawl/Labels_sky_Test.txt", "1\n");
  const auto options = NusWideOptions()
                           .list(NusWideList::kRecrawled)
                           .image_list(folder / "recrawl/list.txt")
                           .concepts(folder / "recrawl/concepts.txt")
                           .labels(folder / "recrawl");
  const Split split = read_nus_wide(folder.path(), kTest, options);
  CHECK(
      split.name == "NUS-WIDE test, list of the re-crawl, 1 pictures instead of 60260");
  CHECK(present(split) == "Flickr/zoo/1.jpg: 0\n");
}

TEST_CASE("NUS-WIDE: a published number of pictures is not remarked upon") {
  const Folder folder;
  std::string list;
  for (int i = 0; i < 50720; ++i) {
    list += std::to_string(i) + ".jpg,[],val\n";
  }
  const Split split = read_nus_wide(
      folder.path(), kTest, csv(folder, "filepath,label,split_name\n" + list));
  CHECK(split.name == "NUS-WIDE test, re-published list, 50720 pictures");
  CHECK(split.table.classnames == nus_wide_concepts());
  CHECK(split.table.labels.size(1) == 81);
}

TEST_CASE("NUS-WIDE: everything that is wrong with the official list is told") {
  const Folder folder;
  folder.list(
      "Train",
      "a\\1.jpg\n\nC:\\other\\2.jpg\na\\..\\..\\3.jpg\na/1.jpg\n/etc/"
      "passwd\n\xff.jpg\n");
  write_bytes(folder / "Concepts81.txt", "sky\n../../sky\nsky\nwater\n");
  folder.labels("sky", "Train", "1\n0\n\n0\n2\n-1\n0 1\n0\n");
  fs::remove(folder / "TrainTestLabels/Labels_water_Train.txt");
  CHECK(
      folder.complaint_of(kTrain) ==
      R"(NUS-WIDE train: 14 faults
  FOLDER/Concepts81.txt, line 3: "sky" stands in line 1 already
  FOLDER/Concepts81.txt, line 2: expected the name of a concept, got "../../sky"
  FOLDER/ImageList/TrainImagelist.txt, line 2: expected an entry, got an empty line
  FOLDER/ImageList/TrainImagelist.txt, line 7: expected UTF-8, got "\ufffd.jpg"
  FOLDER/TrainTestLabels/Labels_sky_Train.txt, line 3: expected 0 or 1, got an empty line
  FOLDER/TrainTestLabels/Labels_sky_Train.txt, line 5: expected 0 or 1, got "2"
  FOLDER/TrainTestLabels/Labels_sky_Train.txt, line 6: expected 0 or 1, got "-1"
  FOLDER/TrainTestLabels/Labels_sky_Train.txt, line 7: expected 0 or 1, got "0 1"
  FOLDER/TrainTestLabels/Labels_sky_Train.txt: expected 7 lines, as in TrainImagelist.txt, got 8
  FOLDER/TrainTestLabels/Labels_water_Train.txt: cannot be read: No such file or directory
  FOLDER/ImageList/TrainImagelist.txt, line 3: expected a path below the folder of the pictures, with '/', got "C:/other/2.jpg"
  FOLDER/ImageList/TrainImagelist.txt, line 4: expected a path below the folder of the pictures, with '/', got "a/../../3.jpg"
  FOLDER/ImageList/TrainImagelist.txt, line 5: "a/1.jpg" stands in line 1 already
  FOLDER/ImageList/TrainImagelist.txt, line 6: expected a path below the folder of the pictures, with '/', got "/etc/passwd")");
}

TEST_CASE("NUS-WIDE: lists that are empty, missing or UTF-16") {
  const Folder folder;
  folder.list("Test", "\n\n");
  CHECK(
      folder.complaint_of(kTest) ==
      "NUS-WIDE test: FOLDER/ImageList/TestImagelist.txt: expected an entry a line, "
      "got "
      "an empty file");
  folder.list(
      "Test",
      std::string_view(
          "\xff\xfe"
          "a\0",
          4));
  CHECK(
      folder.complaint_of(kTest) ==
      "NUS-WIDE test: FOLDER/ImageList/TestImagelist.txt: expected UTF-8, got UTF-16 "
      "(convert it: iconv -f UTF-16 -t UTF-8)");
  folder.labels("sky", "Train", "");
  CHECK(
      folder.complaint_of(kTrain) ==
      "NUS-WIDE train: FOLDER/TrainTestLabels/Labels_sky_Train.txt: expected 3 lines, "
      "as in TrainImagelist.txt, got 0");
}

TEST_CASE("NUS-WIDE: pictures are looked for when that is asked for") {
  const Folder folder;
  const auto options = NusWideOptions().check_pictures(true);
  fs::create_directories(folder / "Flickr/actor");
  fs::create_directories(folder / "Flickr/zoo/0002_5.jpg");  // no file
  write_bytes(folder / "Flickr/actor/0001_21.jpg", "");
  CHECK(
      folder.complaint_of(kTrain, options) ==
      "NUS-WIDE train: 2 faults\n"
      "  FOLDER/ImageList/TrainImagelist.txt, line 2: there is no picture "
      "FOLDER/Flickr/zoo/0002_5.jpg\n"
      "  FOLDER/ImageList/TrainImagelist.txt, line 3: there is no picture "
      "FOLDER/Flickr/zoo/0003_7.jpg");
  fs::remove(folder / "Flickr/zoo/0002_5.jpg");
  write_bytes(folder / "Flickr/zoo/0002_5.jpg", "");
  write_bytes(folder / "Flickr/zoo/0003_7.jpg", "");
  CHECK(read_nus_wide(folder.path(), kTrain, options).table.images.size() == 3);
}

TEST_CASE("NUS-WIDE: the re-published list equals what Python wrote") {
  namespace reference = reference::nus_wide;
  const support::TemporaryFolder folder;
  write_bytes(folder / "concepts.txt", reference::kConcepts);
  const NusWideOptions options =
      csv(folder, reference::kCsv).concepts(folder / "concepts.txt");
  CHECK(present(read_nus_wide(folder.path(), kTrain, options)) == reference::kCsvTrain);
  CHECK(present(read_nus_wide(folder.path(), kTest, options)) == reference::kCsvTest);
}

TEST_CASE("NUS-WIDE: everything that is wrong with the re-published list is told") {
  const support::TemporaryFolder folder;
  const auto complaint_of = [&folder](std::string_view text) {
    const NusWideOptions options = csv(folder, text);
    return complaint(
        folder.path(), [&] { read_nus_wide(folder.path(), kTrain, options); });
  };
  CHECK(
      complaint_of("path,label,split_name\na.jpg,['sky'],train\n") ==
      "NUS-WIDE train: FOLDER/nus_wid_data.csv, line 1: expected the columns filepath, "
      "label and split_name once each, got \"filepath\" nowhere");
  CHECK(
      complaint_of("filepath,label,split_name\na.jpg,['sky'],val\n") ==
      "NUS-WIDE train: FOLDER/nus_wid_data.csv: expected pictures of \"train\", got "
      "none");
  CHECK(
      complaint_of("") ==
      "NUS-WIDE train: FOLDER/nus_wid_data.csv: expected pictures of \"train\", got "
      "none");
  CHECK(
      complaint_of("filepath,label,split_name\n"
                   "a.jpg,\"['sky', 'sky']\",train\n"
                   "b.jpg,['Sky'],train\n"
                   "c.jpg,sky,train\n"
                   "c.jpg,['sky',train\n"
                   "c.jpg,\"['sky',]\",train\n"
                   "c.jpg,\"['sky' 'water']\",train\n"
                   "d.jpg,['sky'],both\n"
                   "e.jpg,['sky']\n"
                   "g.jpg,\"['sky']\"x,train\n"
                   "../h.jpg,['sky'],train\n"
                   "i.jpg,['sky'],train\n"
                   ",['sky'],train\n"
                   "i.jpg,['sky'],train\n"
                   "f.jpg,\"['sky'],train\n") ==
      R"(NUS-WIDE train: 13 faults
  FOLDER/nus_wid_data.csv, line 2: expected every concept once, got "sky" twice
  FOLDER/nus_wid_data.csv, line 3: expected one of 81 concepts, got "Sky"
  FOLDER/nus_wid_data.csv, line 4: expected a list such as ['sky', 'water'], got "sky"
  FOLDER/nus_wid_data.csv, line 5: expected a list such as ['sky', 'water'], got "['sky'"
  FOLDER/nus_wid_data.csv, line 6: expected a list such as ['sky', 'water'], got "['sky',]"
  FOLDER/nus_wid_data.csv, line 7: expected a list such as ['sky', 'water'], got "['sky' 'water']"
  FOLDER/nus_wid_data.csv, line 8: expected train, val or test, got "both"
  FOLDER/nus_wid_data.csv, line 9: expected 3 fields, got 2
  FOLDER/nus_wid_data.csv, line 10: expected a comma or the end of the line after a closing quote
  FOLDER/nus_wid_data.csv, line 13: expected the path of a picture, in UTF-8, got ""
  FOLDER/nus_wid_data.csv, line 15: expected a closing quote, got none
  FOLDER/nus_wid_data.csv, line 11: expected a path below the folder of the pictures, with '/', got "../h.jpg"
  FOLDER/nus_wid_data.csv, line 14: "i.jpg" stands in line 12 already)");
}

TEST_CASE("NUS-WIDE: a fault is told once, however many there are") {
  const support::TemporaryFolder folder;
  std::string text = "filepath,label,split_name\n";
  for (int i = 0; i < 1000; ++i) {
    text += std::to_string(i) + ".jpg,['nothing'],train\n";
  }
  const NusWideOptions options = csv(folder, text);
  const std::string what =
      complaint(folder.path(), [&] { read_nus_wide(folder.path(), kTrain, options); });
  CHECK(what.starts_with("NUS-WIDE train: 1000 faults\n"));
  CHECK(what.ends_with("and 980 more"));
}
