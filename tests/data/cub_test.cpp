#include "trmml/data/cub.hpp"

#include "trmml/data/label_table.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::contains;
using support::error_of;

namespace {

namespace fs = std::filesystem;

constexpr const char* kColours =
    "blue brown iridescent purple rufous grey yellow olive green pink orange black "
    "white "
    "red buff";
constexpr const char* kEyeColours =
    "blue brown purple rufous grey yellow olive green pink orange black white red buff";
constexpr const char* kPatterns = "solid spotted striped multi-colored";

// The 28 groups of attributes in the order of the data set, with their values.
const std::vector<std::pair<std::string, std::string>> kGroups = {
    {"bill_shape",
     "curved_(up_or_down) dagger hooked needle hooked_seabird spatulate all-purpose "
     "cone "
     "specialized"},
    {"wing_color", kColours},
    {"upperparts_color", kColours},
    {"underparts_color", kColours},
    {"breast_pattern", kPatterns},
    {"back_color", kColours},
    {"tail_shape",
     "forked_tail rounded_tail notched_tail fan-shaped_tail pointed_tail squared_tail"},
    {"upper_tail_color", kColours},
    {"head_pattern",
     "spotted malar crested masked unique_pattern eyebrow eyering plain eyeline "
     "striped "
     "capped"},
    {"breast_color", kColours},
    {"throat_color", kColours},
    {"eye_color", kEyeColours},
    {"bill_length", "about_the_same_as_head longer_than_head shorter_than_head"},
    {"forehead_color", kColours},
    {"under_tail_color", kColours},
    {"nape_color", kColours},
    {"belly_color", kColours},
    {"wing_shape", "rounded-wings pointed-wings broad-wings tapered-wings long-wings"},
    {"size",
     "large_(16_-_32_in) small_(5_-_9_in) very_large_(32_-_72_in) medium_(9_-_16_in) "
     "very_small_(3_-_5_in)"},
    {"shape",
     "upright-perching_water-like chicken-like-marsh long-legged-like duck-like "
     "owl-like "
     "gull-like hummingbird-like pigeon-like tree-clinging-like hawk-like "
     "sandpiper-like "
     "upland-ground-like swallow-like perching-like"},
    {"back_pattern", kPatterns},
    {"tail_pattern", kPatterns},
    {"belly_pattern", kPatterns},
    {"primary_color", kColours},
    {"leg_color", kColours},
    {"bill_color", kColours},
    {"crown_color", kColours},
    {"wing_pattern", kPatterns}};

std::vector<std::string> all_attributes() {
  std::vector<std::string> names;
  for (const auto& [group, values] : kGroups) {
    std::istringstream words(values);
    for (std::string value; words >> value;) {
      names.push_back("has_" + group + "::" + value);
    }
  }
  return names;
}

// A data set of pictures 1 .. n; every third is for testing.
struct Birds {
  explicit Birds(int n) {
    fs::create_directories(cub / "attributes");
    const std::vector<std::string> attributes = all_attributes();
    std::string text;
    for (size_t a = 0; a < attributes.size(); ++a) {
      text += fmt::format("{} {}\n", a + 1, attributes[a]);
    }
    support::write_bytes(cub / "attributes/attributes.txt", text);
    std::string images;
    std::string split;
    std::string labels;
    for (int i = 1; i <= n; ++i) {
      images += fmt::format("{} 001.Bird/Bird_{}.jpg\n", i, i);
      split += fmt::format("{} {}\n", i, i % 3 == 0 ? 0 : 1);
      for (int a = 1; a <= 312; ++a) {
        // The real file has some lines with a field too many.
        labels += fmt::format(
            "{} {} {} {} {}7.1{}\n",
            i,
            a,
            is_present(i, a) ? 1 : 0,
            certainty(i, a),
            a == 10 ? "0 " : "",
            a == 10 ? "" : "25");
      }
    }
    write("images.txt", images);
    write("train_test_split.txt", split);
    write("attributes/image_attribute_labels.txt", labels);
  }
  static bool is_present(int i, int a) { return (5 * i + a * a) % 7 < 2; }
  static int certainty(int i, int a) { return (i + 3 * a) % 4 + 1; }

  void write(const char* name, const std::string& text) const {
    support::write_bytes(cub / name, text);
  }
  std::string text(const char* name) const { return support::read_bytes(cub / name); }
  std::string error(const CubOptions& options = {}) const {
    return error_of([&] { read_cub(folder.path(), Part::kTrain, options); });
  }

  support::TemporaryFolder folder;
  fs::path cub = folder / "CUB_200_2011";
};

}  // namespace

TEST_CASE("CUB: parts, attributes and labels") {
  const Birds birds(7);
  const Split test = read_cub(birds.folder.path(), Part::kTest);
  CHECK(test.name == "CUB-200-2011 test, 312 attributes");
  CHECK(
      test.table.images ==
      std::vector<std::string>{
          "images/001.Bird/Bird_3.jpg", "images/001.Bird/Bird_6.jpg"});
  const Split train = read_cub(birds.cub, Part::kTrain);
  CHECK(train.table.classnames == all_attributes());
  CHECK(train.names_for_clip[1] == "bird with a dagger bill");
  CHECK(train.salient.empty());
  const int rows[] = {1, 2, 4, 5, 7};
  REQUIRE(train.table.labels.sizes() == at::IntArrayRef({5, 312}));
  const auto* labels = train.table.labels.data_ptr<int8_t>();
  for (int row = 0; row < 5; ++row) {
    for (int a = 1; a <= 312; ++a) {
      const int expected = Birds::is_present(rows[row], a) ? 1 : -1;
      if (labels[312 * row + a - 1] != expected) {
        FAIL("row " << row << ", attribute " << a);
      }
    }
  }
}

TEST_CASE("CUB: labels below a certainty are unknown") {
  const Birds birds(4);
  const Split split =
      read_cub(birds.folder.path(), Part::kTrain, CubOptions().min_certainty(3));
  CHECK(split.name == "CUB-200-2011 train, 312 attributes, certainty of at least 3");
  int64_t unknown = 0;
  const int rows[] = {1, 2, 4};
  for (int row = 0; row < 3; ++row) {
    for (int a = 1; a <= 312; ++a) {
      const bool is_sure = Birds::certainty(rows[row], a) >= 3;
      const int expected = !is_sure ? 0 : Birds::is_present(rows[row], a) ? 1 : -1;
      unknown += is_sure ? 0 : 1;
      if (split.table.labels.data_ptr<int8_t>()[312 * row + a - 1] != expected) {
        FAIL("row " << row << ", attribute " << a);
      }
    }
  }
  CHECK(count_labels(split.table.labels).known == 3 * 312 - unknown);
  CHECK(unknown == 3 * 156);  // two of four certainties, each equally often
}

TEST_CASE("CUB: attributes.txt may lie beside the folder that is given, not above it") {
  const Birds birds(2);
  fs::rename(birds.cub / "attributes/attributes.txt", birds.folder / "attributes.txt");
  CHECK(read_cub(birds.folder.path(), Part::kTrain).table.classnames.size() == 312);
  CHECK(contains(
      error_of([&] { read_cub(birds.cub, Part::kTrain); }),
      "(or beside it, if you give the folder that holds both)"));
  fs::rename(birds.folder / "attributes.txt", birds.cub / "attributes.txt");
  CHECK(read_cub(birds.cub, Part::kTrain).table.classnames.size() == 312);
  fs::remove(birds.cub / "attributes.txt");
  CHECK(contains(birds.error(), "expected attributes.txt"));
  fs::remove(birds.cub / "images.txt");
  CHECK(contains(birds.error(), "expected the folder CUB_200_2011"));
}

TEST_CASE("CUB: faults of the lists") {
  const Birds birds(3);
  CHECK(error_of([&] {
          read_cub(birds.folder.path(), Part::kVal);
        }) == "read_cub: expected part train or test, got \"val\"");
  CHECK(
      birds.error(CubOptions().min_certainty(5)) ==
      "read_cub: expected a certainty of 1 to 4, got 5");
  CHECK(
      contains(birds.error(CubOptions().check_pictures(true)), "there is no picture"));

  birds.write("train_test_split.txt", "1 1\n2 2\n3 0\n3 0\n9 1\nx\n");
  birds.write(
      "images.txt",
      "1 ../../secret.jpg\n3 a.jpg\n3 b.jpg\n99999999999999999999 c.jpg\n7 d.jpg\n");
  const std::string message = birds.error();
  for (const std::string& part :
       {std::string("8 faults"),
        std::string("line 2: expected 1 (train) or 0 (test) after the id, got \"2\""),
        std::string("line 4: picture 3 is there twice"),
        std::string("line 6: expected an id and 0 or 1, got \"x\""),
        std::string("line 1: expected a path below the folder of the pictures"),
        std::string("line 3: picture 3 is there twice"),
        std::string("line 4: expected an id and a picture, got \"99999999999999999999"),
        std::string("line 5: picture 7 is missing in "),
        std::string("picture 9 is missing in images.txt")}) {
    CAPTURE(part, message);
    CHECK(contains(message, part));
  }
}

TEST_CASE("CUB: faults of attributes and labels") {
  const Birds birds(1);
  const std::string labels = birds.text("attributes/image_attribute_labels.txt");
  const std::string first = labels.substr(0, labels.find('\n') + 1);
  const auto with = [&](const std::string& text) {
    birds.write("attributes/image_attribute_labels.txt", text);
    return birds.error();
  };
  CHECK(contains(with(labels + first), "line 313: attribute 1 of picture 1 is there"));
  CHECK(contains(
      with(labels.substr(first.size())),
      "picture \"images/001.Bird/Bird_1.jpg\" has no label of attribute 1"));
  CHECK(contains(with(labels + "2 1 0 1 2.5\n"), "picture 2 is missing in images.txt"));
  CHECK(contains(with(labels + "1 313 0 1 2.5\n"), "attribute of 1 to 312"));
  CHECK(contains(with(labels + "1 0 0 1 2.5\n"), "got 0, 0 and 1"));
  CHECK(contains(with(labels + "1 1 2 1 2.5\n"), "got 1, 2 and 1"));
  CHECK(contains(with(labels + "1 1 1 5 2.5\n"), "got 1, 1 and 5"));
  CHECK(contains(with(labels + "1 1 1\n"), "line 313: expected the numbers of"));
  CHECK(contains(with(labels + "1 1 1x 4 1\n"), "line 313: expected the numbers of"));
  CHECK(contains(
      with(labels + "1 1 99999999999999999999 4 1\n"), "expected the numbers of"));
  CHECK(with("\xef\xbb\xbf" + labels + "\r\n") == "no error");

  birds.write("attributes/attributes.txt", "1 has_size::big\n3 has_size::big\n");
  const std::string message = birds.error();
  CHECK(contains(message, "line 2: expected id 2, got 3"));
  CHECK(contains(message, "attribute \"has_size::big\" has id 1 already"));
  birds.write("attributes/attributes.txt", "\n");
  CHECK(contains(birds.error(), "expected an attribute a line, got none"));
}

TEST_CASE("CUB: phrases of every group") {
  const std::pair<const char*, const char*> kPhrases[] = {
      {"has_bill_shape::curved_(up_or_down)", "bird with a bill curved up or down"},
      {"has_bill_shape::dagger", "bird with a dagger bill"},
      {"has_bill_shape::hooked_seabird", "bird with a hooked seabird bill"},
      {"has_bill_shape::all-purpose", "bird with an all-purpose bill"},
      {"has_wing_color::blue", "bird with blue wings"},
      {"has_upperparts_color::olive", "bird with olive upperparts"},
      {"has_underparts_color::grey", "bird with grey underparts"},
      {"has_breast_pattern::solid", "bird with a solid-colored breast"},
      {"has_back_color::orange", "bird with an orange back"},
      {"has_tail_shape::fan-shaped_tail", "bird with a fan-shaped tail"},
      {"has_upper_tail_color::iridescent", "bird with an iridescent upper tail"},
      {"has_head_pattern::unique_pattern", "bird with a unique head pattern"},
      {"has_head_pattern::malar", "bird with a malar stripe"},
      {"has_head_pattern::eyebrow", "bird with an eyebrow stripe"},
      {"has_head_pattern::eyering", "bird with an eye ring"},
      {"has_head_pattern::eyeline", "bird with an eye line"},
      {"has_head_pattern::crested", "bird with a crested head"},
      {"has_breast_color::buff", "bird with a buff breast"},
      {"has_throat_color::red", "bird with a red throat"},
      {"has_eye_color::yellow", "bird with yellow eyes"},
      {"has_bill_length::about_the_same_as_head",
       "bird with a bill about as long as its head"},
      {"has_bill_length::shorter_than_head", "bird with a bill shorter than its head"},
      {"has_forehead_color::white", "bird with a white forehead"},
      {"has_under_tail_color::black", "bird with a black undertail"},
      {"has_nape_color::brown", "bird with a brown nape"},
      {"has_belly_color::pink", "bird with a pink belly"},
      {"has_wing_shape::rounded-wings", "bird with rounded wings"},
      {"has_size::very_large_(32_-_72_in)", "very large bird of 32 to 72 inches"},
      {"has_shape::upright-perching_water-like",
       "bird with an upright-perching water-like shape"},
      {"has_shape::chicken-like-marsh", "bird with a chicken-like marsh shape"},
      {"has_shape::long-legged-like", "bird with a long-legged shape"},
      {"has_shape::perching-like", "bird with a perching-like shape"},
      {"has_back_pattern::striped", "bird with a striped back"},
      {"has_tail_pattern::multi-colored", "bird with a multi-colored tail"},
      {"has_belly_pattern::spotted", "bird with a spotted belly"},
      {"has_primary_color::purple", "mainly purple bird"},
      {"has_leg_color::green", "bird with green legs"},
      {"has_bill_color::rufous", "bird with a rufous bill"},
      {"has_crown_color::red", "bird with a red crown"},
      {"has_wing_pattern::solid", "bird with solid-colored wings"},
      // Not of the data set.
      {"has_song::very_loud_(at_night)", "very loud at night song"},
      {"has_nest::", "nest"},
      {"Black_footed_Albatross", "Black footed Albatross"},
      {"", ""}};
  std::set<std::string> groups;
  for (const auto& [attribute, phrase] : kPhrases) {
    CHECK(cub_phrase(attribute) == phrase);
    const std::string name = attribute;
    groups.insert(name.substr(0, name.find("::")));
  }
  for (const auto& [group, values] : kGroups) {
    CHECK(groups.count("has_" + group) == 1);
  }
}

TEST_CASE("CUB: the 312 phrases are words, and no two are the same") {
  std::set<std::string> phrases;
  for (const std::string& attribute : all_attributes()) {
    const std::string phrase = cub_phrase(attribute);
    CAPTURE(attribute, phrase);
    CHECK(phrases.insert(phrase).second);
    CHECK(phrase.find_first_of("_():") == std::string::npos);
    CHECK(contains(" " + phrase + " ", " bird "));
    CHECK_FALSE(contains(phrase, "  "));
    for (const char vowel : {'a', 'e', 'i', 'o'}) {
      CHECK_FALSE(contains(phrase, std::string(" a ") + vowel));
    }
  }
  CHECK(phrases.size() == 312);
}
