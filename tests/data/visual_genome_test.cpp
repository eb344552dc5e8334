#include "trmml/data/visual_genome.hpp"

#include "trmml/core/random.hpp"

#include <numeric>
#include <random>
#include <string>

#include "reference/visual_genome.hpp"
#include "support/catch.hpp"
#include "support/splits.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::complaint;
using support::present;
using support::read_bytes;
using support::write_bytes;

namespace {

namespace fs = std::filesystem;
constexpr auto kTrain = Part::kTrain;
constexpr auto kTest = Part::kTest;

// The published layout with three categories; 7.jpg lies in the second folder.
class Folder : public support::TemporaryFolder {
 public:
  Folder() {
    fs::create_directories(*this / "VG_100K");
    fs::create_directories(*this / "VG_100K_2");
    write_bytes(*this / "VG_100K/1.jpg", "");
    write_bytes(*this / "VG_100K/7.jpg.part", "");
    write_bytes(*this / "VG_100K_2/7.jpg", "");
    write_bytes(*this / "train_list_500.txt", "7.jpg\n1.jpg\n30.jpg\n");
    write_bytes(
        *this / "test_list_500.txt",
        "\xef\xbb\xbf"
        "2.jpg \r\n\r\n");
    write_bytes(*this / "vg_category_3.txt", "man\ntraffic light\ntree\n");
    index(R"({"1.jpg": [2, 0], "2.jpg":[1],
              "7.jpg": [], "30.jpg": [ 1 ], "99.jpg": [0]})");
  }
  void index(std::string_view text) const {
    write_bytes(*this / "vg_category_3_labels_index.json", text);
  }
  VisualGenomeOptions options() const { return VisualGenomeOptions().n_cls(3); }
  std::string complaint_of(const VisualGenomeOptions& options) const {
    return complaint(path(), [&] { read_visual_genome(path(), kTrain, options); });
  }
  std::string complaint_about_index(std::string_view text) const {
    index(text);
    return complaint_of(options());
  }
};

// As `present`, without the folder and the ending of the pictures' names.
std::string numbers(const Split& split) {
  std::string text = present(split);
  for (const std::string part : {"VG_100K/", ".jpg"}) {
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part)) {
      text.erase(at, part.size());
    }
  }
  return text;
}

}  // namespace

TEST_CASE("VG-200: lists, labels and the folder of each picture") {
  const Folder folder;
  const Split train = read_visual_genome(folder.path(), kTrain, folder.options());
  CHECK(present(train) == "VG_100K_2/7.jpg: \nVG_100K/1.jpg: 0 2\nVG_100K/30.jpg: 1\n");
  CHECK(train.root == folder.path());
  CHECK(train.table.classnames[1] == "traffic light");
  CHECK(train.names_for_clip == train.table.classnames);
  CHECK(
      train.name ==
      "VG-3 train, lists of other sizes than the published 98249, 3 pictures");
  CHECK(
      present(read_visual_genome(folder.path(), kTest, folder.options())) ==
      "VG_100K/2.jpg: 1\n");
}

TEST_CASE("VG-200: lists of the published size are called so") {
  const Folder folder;
  std::string list;
  std::string index = "{";
  for (int i = 0; i < 10000; ++i) {
    list += std::to_string(i) + ".jpg\n";
    index += (i == 0 ? "\"" : ", \"") + std::to_string(i) + ".jpg\": []";
  }
  write_bytes(folder / "test_list_500.txt", list);
  folder.index(index + "}");
  CHECK(
      read_visual_genome(folder.path(), kTest, folder.options()).name ==
      "VG-3 test, published lists, 10000 pictures");
}

TEST_CASE("VG-200: names are required, from a file or not at all") {
  const Folder folder;
  fs::rename(folder / "vg_category_3.txt", folder / "names.txt");
  CHECK(
      folder.complaint_of(folder.options()) ==
      "VG-3: FOLDER/vg_category_3.txt: expected the names of the 3 categories, which "
      "prompts need, one a line; there is no such file (the published lists come "
      "without: write one, or build the lists, or take unnamed categories for methods "
      "without prompts)");
  const auto named = read_visual_genome(
      folder.path(), kTrain, folder.options().names(folder / "names.txt"));
  CHECK(named.table.classnames[2] == "tree");
  const auto unnamed =
      read_visual_genome(folder.path(), kTrain, folder.options().unnamed(true));
  CHECK(unnamed.table.classnames[2] == "category 2");
  CHECK_THROWS_AS(
      read_visual_genome(folder.path(), Part::kVal, folder.options()), c10::ValueError);
  write_bytes(folder / "names.txt", "man\ntree\nman\nbus\n");
  CHECK(
      folder.complaint_of(folder.options().names(folder / "names.txt")) ==
      "VG-3: 2 faults\n"
      "  FOLDER/names.txt, line 3: \"man\" stands in line 1 already\n"
      "  FOLDER/names.txt: expected 3 names, got 4");
}

TEST_CASE("VG-200: pictures are looked for when that is asked for") {
  const Folder folder;
  CHECK(
      folder.complaint_of(folder.options().check_pictures(true)) ==
      "VG-3: FOLDER/train_list_500.txt, line 3: \"30.jpg\" is neither in VG_100K nor "
      "in "
      "VG_100K_2");
  write_bytes(folder / "VG_100K_2/30.jpg", "");
  const auto split =
      read_visual_genome(folder.path(), kTrain, folder.options().check_pictures(true));
  CHECK(split.table.images[2] == "VG_100K_2/30.jpg");
}

TEST_CASE("VG-200: everything that is wrong with the list is told") {
  const Folder folder;
  write_bytes(
      folder / "train_list_500.txt",
      "1.jpg\n../1.jpg\n\n/1.jpg\n1.jpg\n5.jpg\nVG_100K\\1.jpg\n\xff\n");
  CHECK(
      folder.complaint_of(folder.options()) ==
      R"(VG-3: 7 faults
  FOLDER/train_list_500.txt, line 3: expected an entry, got an empty line
  FOLDER/train_list_500.txt, line 8: expected UTF-8, got "\ufffd"
  FOLDER/train_list_500.txt, line 2: expected a path below the folder of the pictures, with '/', got "../1.jpg"
  FOLDER/train_list_500.txt, line 4: expected a path below the folder of the pictures, with '/', got "/1.jpg"
  FOLDER/train_list_500.txt, line 5: "1.jpg" stands in line 1 already
  FOLDER/train_list_500.txt, line 6: "5.jpg" has no labels in vg_category_3_labels_index.json
  FOLDER/train_list_500.txt, line 7: expected a path below the folder of the pictures, with '/', got "VG_100K\\1.jpg")");
  write_bytes(folder / "train_list_500.txt", "\r\n");
  CHECK(
      folder.complaint_of(folder.options()) ==
      "VG-3: FOLDER/train_list_500.txt: expected an entry a line, got an empty file");
  CHECK(
      folder.complaint_of(folder.options().n_cls(0)) ==
      "read_visual_genome: expected n_cls > 0, got 0");
}

TEST_CASE("VG-200: everything that is wrong with the labels is told") {
  const Folder folder;
  const std::string file = "FOLDER/vg_category_3_labels_index.json";
  CHECK(
      folder.complaint_about_index(
          R"({"1.jpg": [0, 3], "7.jpg": [-1], "30.jpg": [99999999999999999999],
              "1.jpg": [0], "2.jpg": 5, "3.jpg": ["1"], "4.jpg": [1, 2, 1],
              "5.jpg": [1.5], "6.jpg": [null], "8.jpg": {"0": 1}, "9.jpg": [[0]],
              "10.jpg": true, "11.jpg": [2]})") ==
      "VG-3: 12 faults\n  " + file +
          ", \"1.jpg\": expected a category from 0 to 2, got 3\n  " + file +
          ", \"7.jpg\": expected a category from 0 to 2, got -1\n  " + file +
          ", \"30.jpg\": expected a category from 0 to 2, got 99999999999999999999\n "
          " " +
          file + ", \"1.jpg\": expected one entry, got another\n  " + file +
          ", \"2.jpg\": expected an array of categories, got 5\n  " + file +
          ", \"3.jpg\": expected a category from 0 to 2, got \"1\"\n  " + file +
          ", \"4.jpg\": expected every category once, got 1 twice (allow_repeated "
          "takes "
          "it as present)\n  " +
          file + ", \"5.jpg\": expected a category from 0 to 2, got 1.5\n  " + file +
          ", \"6.jpg\": expected a category from 0 to 2, got null\n  " + file +
          ", \"8.jpg\": expected an array of categories, got an object\n  " + file +
          ", \"9.jpg\": expected a category from 0 to 2, got an array\n  " + file +
          ", \"10.jpg\": expected an array of categories, got true");
  for (const char* text :
       {"{\"7.jpg\": [], \"1.jpg\": [0], \"30.jpg\": [1",
        "{\"7.jpg\": [], \"1.jpg\": [0], \"30.jpg\": [1]",
        "{\"7.jpg\": [], \"1.jpg\": [0], \"30.jpg\"",
        "{\"7.jpg\": [], \"1.jpg\": [0], \"30.jp",
        "{\"7.jpg\": [], \"1.jpg\": [0], \"30.jpg\": [1]]",
        "{\"7.jpg\": [], \"1.jpg\": [0] \"30.jpg\": [1]}",
        "",
        " \n"}) {
    INFO(text);
    CHECK(folder.complaint_about_index(text).find("JSON") != std::string::npos);
  }
  CHECK(
      folder.complaint_about_index("[1]").find(
          "expected a JSON object, got an array") != std::string::npos);
  CHECK(
      folder.complaint_about_index("{\"7.jpg\": [], \"1.jpg\": [], \"30.jpg\": []} {}")
          .find("byte 41: expected the end after the JSON object, got more") !=
      std::string::npos);
  folder.index(R"({"1.jpg": [2, 0, 2], "7.jpg": [], "30.jpg": []})");
  CHECK(
      present(read_visual_genome(
          folder.path(), kTrain, folder.options().allow_repeated(true))) ==
      "VG_100K_2/7.jpg: \nVG_100K/1.jpg: 0 2\nVG_100K/30.jpg: \n");
}

TEST_CASE("Visual Genome: lists built from the annotations equal Python's") {
  namespace reference = reference::visual_genome;
  const support::TemporaryFolder folder;
  write_bytes(folder / "objects.json", reference::kObjects);
  write_bytes(folder / "object_alias.txt", reference::kAliases);
  fs::create_directories(folder / "lists");
  const auto options =
      VisualGenomeBuildOptions(folder / "objects.json", folder / "lists")
          .aliases(folder / "object_alias.txt")
          .n_cls(6)
          .test_share(0.25)
          .seed(5);
  const VisualGenomeBuild build = build_visual_genome(options);
  std::string categories;
  for (const auto& [name, count] : build.categories) {
    categories += name + ": " + std::to_string(count) + "\n";
  }
  CHECK(categories == reference::kBuilt);
  CHECK(build.names == reference::kBuiltNames);
  CHECK(build.train + build.test == 36);
  CHECK(
      build.description ==
      "lists built from objects.json (with aliases, 27/9 pictures, seed 5)");

  const auto lists = VisualGenomeOptions().lists(folder / "lists").n_cls(6);
  const Split train = read_visual_genome(folder.path(), kTrain, lists);
  CHECK(numbers(train) == reference::kBuiltTrain);
  CHECK(
      numbers(read_visual_genome(folder.path(), kTest, lists)) ==
      reference::kBuiltTest);
  CHECK(
      train.name ==
      "VG-6 train, lists built from objects.json (with aliases, 27/9 pictures, seed "
      "5), "
      "27 pictures");

  // Nothing that is there is replaced unless that is asked for.
  const std::string before = read_bytes(folder / "lists/train_list_500.txt");
  CHECK(
      complaint(folder.path(), [&] { build_visual_genome(options); }) ==
      "FOLDER/lists/train_list_500.txt: is there already (the published lists are hard "
      "to get: build into another folder, or ask for overwriting)");
  build_visual_genome(VisualGenomeBuildOptions(options).overwrite(true));
  CHECK(read_bytes(folder / "lists/train_list_500.txt") == before);
  build_visual_genome(VisualGenomeBuildOptions(options).overwrite(true).seed(6));
  CHECK(read_bytes(folder / "lists/train_list_500.txt") != before);

  const VisualGenomeBuild labelled = build_visual_genome(
      VisualGenomeBuildOptions(options).overwrite(true).keep_unlabelled(false));
  CHECK(labelled.unlabelled > 0);
  CHECK(labelled.train + labelled.test == 36 - labelled.unlabelled);
  CHECK(
      numbers(read_visual_genome(folder.path(), kTrain, lists)).find(": \n") ==
      std::string::npos);
}

TEST_CASE("Visual Genome: what cannot be built") {
  const support::TemporaryFolder folder;
  const auto complaint_of = [&](std::string_view objects, int64_t n_cls, int64_t test) {
    write_bytes(folder / "objects.json", objects);
    return complaint(folder.path(), [&] {
      build_visual_genome(
          VisualGenomeBuildOptions(folder / "objects.json", folder.path())
              .n_cls(n_cls)
              .test_size(test));
    });
  };
  const std::string two =
      R"([{"image_id": 1, "objects": [{"names": ["a"]}]}, {"id": 2, "objects": []}])";
  CHECK(
      complaint_of(two, 2, 1) ==
      "FOLDER/objects.json: expected 2 different names or more, got 1 (ask for fewer "
      "categories)");
  CHECK(
      complaint_of(two, 1, 2) ==
      "FOLDER/objects.json: expected more than 2 pictures, the size of the test set "
      "(and "
      "1 or more there), got 2");
  CHECK(complaint_of(two, 0, 1) == "build_visual_genome: expected n_cls > 0, got 0");
  CHECK(folder.names() == std::vector<std::string>{"objects.json"});
  CHECK(
      complaint_of(
          R"([{"image_id": 1, "objects": [{"names": ["a"]}]},
              {"image_id": 1, "objects": []},
              {"objects": []},
              {"image_id": 2},
              {"image_id": "3", "objects": []},
              {"image_id": -4, "objects": []},
              {"image_id": 5, "image_id": 6, "objects": []},
              {"image_id": 7, "objects": [{"names": []}]},
              {"image_id": 8, "objects": [{"synsets": []}]},
              {"image_id": 9, "objects": [{"names": "a"}]},
              {"image_id": 10, "objects": {"names": "a"}},
              {"image_id": 11, "objects": [{"names": ["a" "b"]}]},
              12,
              {"image_id": 99999999999999999999, "objects": []},,
              {"image_id": 13, "objects": []}] ])",
          1,
          1) ==
      R"(Visual Genome: 15 faults
  FOLDER/objects.json, image 2: picture 1 came before
  FOLDER/objects.json, image 3: expected "image_id" and "objects", got an object without
  FOLDER/objects.json, image 4: expected "image_id" and "objects", got an object without
  FOLDER/objects.json, image 5: expected the number of a picture, got "3"
  FOLDER/objects.json, image 6: expected a number of 0 or more, got -4
  FOLDER/objects.json, image 7: expected "image_id" once, got it again
  FOLDER/objects.json, image 8: expected "names" of every object, got none
  FOLDER/objects.json, image 9: expected "names" of every object, got none
  FOLDER/objects.json, image 10: expected an array of names, got "a"
  FOLDER/objects.json, image 11: expected an array of objects, got an object
  FOLDER/objects.json, image 12: byte 610 or shortly before: not JSON: The JSON document has an improper structure: missing or superfluous commas, braces, missing keys, etc. (it begins with "{\"image_id\": 11, \"object")
  FOLDER/objects.json, image 13: expected a JSON object, got 12
  FOLDER/objects.json, image 14: expected the number of a picture, got 99999999999999999999
  FOLDER/objects.json, image 15: expected JSON, got nothing
  FOLDER/objects.json, byte 751: expected the end behind the array, got "]")");
  // Cut anywhere, the text is refused.
  for (std::size_t length = 0; length < two.size(); ++length) {
    INFO(length);
    CHECK(complaint_of(two.substr(0, length), 1, 1) != "no error");
  }
  CHECK(complaint_of(two, 1, 1) == "no error");
}

TEST_CASE("Visual Genome: aliases that nobody can stand for") {
  const support::TemporaryFolder folder;
  write_bytes(folder / "objects.json", R"([{"image_id": 1, "objects": []}])");
  write_bytes(folder / "object_alias.txt", "man,men\n,guy\n");
  CHECK(
      complaint(
          folder.path(),
          [&] {
            build_visual_genome(
                VisualGenomeBuildOptions(folder / "objects.json", folder.path())
                    .aliases(folder / "object_alias.txt"));
          }) ==
      "Visual Genome: FOLDER/object_alias.txt, line 2: expected a name in front of the "
      "first comma, got none");
}

TEST_CASE("VG-256: names, order and split equal Python's") {
  namespace reference = reference::visual_genome;
  const support::TemporaryFolder folder;
  write_bytes(folder / "objects.json", reference::kObjects);
  write_bytes(folder / "vg256.json", reference::kGroups);
  const Split train = read_visual_genome_256(folder.path(), kTrain);
  CHECK(numbers(train) == reference::kGroupsTrain);
  CHECK(
      numbers(read_visual_genome_256(folder.path(), kTest)) == reference::kGroupsTest);
  CHECK(train.name == "VG-8 train, split of RandomState(1), 22 pictures");
  CHECK(train.table.classnames[4] == "carcpet");
  CHECK(train.names_for_clip[4] == "carpet");

  std::vector<int64_t> order(108077);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::mt19937 engine(1);
  trmml::legacy_shuffle(engine, order);
  std::string ends;
  for (std::size_t i = 0; i < 20; ++i) {
    ends += (i == 0 ? "" : " ") +
            std::to_string(i < 10 ? order[i] : order[order.size() - 20 + i]);
  }
  CHECK(ends == reference::kPermutation);
}

TEST_CASE("VG-256: what cannot be read") {
  const support::TemporaryFolder folder;
  const auto complaint_of = [&](std::string_view groups) {
    write_bytes(folder / "vg256.json", groups);
    return complaint(
        folder.path(), [&] { read_visual_genome_256(folder.path(), kTrain); });
  };
  write_bytes(
      folder / "objects.json",
      R"([{"image_id": 1, "objects": [{"names": ["Red Bus"]}]},
          {"image_id": 2, "objects": [{"names": ["bus."]}]}])");
  CHECK(complaint_of(R"({"bus": ["bus"]})") == "no error");
  CHECK_THROWS_AS(read_visual_genome_256(folder.path(), Part::kVal), c10::ValueError);
  CHECK(
      complaint_of(R"({"bus": ["tram"]})") ==
      "VG-256 train: FOLDER/objects.json: expected pictures with categories, got none");
  CHECK(
      complaint_of(R"({"bus": ["bus"], "man": "man", "tree": [1], "bus": []})") ==
      "VG-256 train: 3 faults\n"
      "  FOLDER/vg256.json, \"man\": expected an array of names, got \"man\"\n"
      "  FOLDER/vg256.json, \"tree\": expected a name, got 1\n"
      "  FOLDER/vg256.json, \"bus\": expected one entry, got another");
  write_bytes(folder / "vg256.json", R"({"bus": ["bus"]})");
  CHECK(complaint(folder.path(), [&] {
          read_visual_genome_256(
              folder.path(), kTrain, VisualGenome256Options().check_pictures(true));
        }).find("is neither in VG_100K nor in VG_100K_2") != std::string::npos);
}
