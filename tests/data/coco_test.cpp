#include "trmml/data/coco.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/category_names.hpp"
#include "trmml/data/missing_labels.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "reference/coco.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using namespace trmml::data;
using support::contains;
using support::write_bytes;

namespace {

template <size_t N>
std::vector<int64_t> ids(const double (&values)[N]) {
  return {std::begin(values), std::end(values)};
}

std::vector<int64_t> row(const at::Tensor& labels, int64_t i) {
  const at::Tensor r = labels[i].to(at::kLong).contiguous();
  return {r.data_ptr<int64_t>(), r.data_ptr<int64_t>() + r.numel()};
}

const char* const kImages =
    R"([{"id": 9, "file_name": "nine.jpg"}, {"id": 10, "file_name": "sub/ten.jpg"},
        {"id": 2, "file_name": "two.jpg"}, {"id": 1, "file_name": "one.jpg"}])";
const char* const kCategories =
    R"([{"id": 7, "name": "hot_dog"}, {"id": 3, "name": "tie"}])";
const char* const kAnnotations =
    R"([{"image_id": 2, "category_id": 7, "area": 5, "iscrowd": 0},
        {"image_id": 9, "category_id": 3, "area": 1.5, "iscrowd": 0},
        {"image_id": 10, "category_id": 3, "area": 8, "iscrowd": 1},
        {"image_id": 2, "category_id": 3, "area": 4, "iscrowd": 0}])";

std::string
document(std::string images, std::string annotations, std::string categories) {
  return R"({"images": )" + images + R"(, "annotations": )" + annotations +
         R"(, "categories": )" + categories + "}";
}

// A folder with one file in COCO's form.
struct OneFile {
  explicit OneFile(const std::string& text) { write_bytes(path(), text); }

  std::filesystem::path path() const { return folder / "own.json"; }
  Split read(const CocoJsonOptions& options = {}) const {
    return read_coco_json(path(), folder.path(), options);
  }

  support::TemporaryFolder folder;
};

Split read(const std::string& text, const CocoJsonOptions& options = {}) {
  return OneFile(text).read(options);
}

Split small(const CocoJsonOptions& options = {}) {
  return read(document(kImages, kAnnotations, kCategories), options);
}

// The error for a document, without its temporary folder.
std::string error_of(const std::string& text) {
  const OneFile file(text);
  std::string message = support::error_of<trmml::DataError>([&] { file.read(); });
  const std::string folder = file.folder.path().string() + "/";
  for (size_t at = message.find(folder); at != std::string::npos;
       at = message.find(folder)) {
    message.erase(at, folder.size());
  }
  return message;
}

std::string error_of_images(const std::string& images) {
  return error_of(
      document(images, R"([{"image_id": 1, "category_id": 7}])", kCategories));
}

std::string error_of_annotations(const std::string& annotations) {
  return error_of(document(kImages, annotations, kCategories));
}

std::string error_of_categories(const std::string& categories) {
  return error_of(
      document(kImages, R"([{"image_id": 1, "category_id": 7}])", categories));
}

}  // namespace

TEST_CASE("rows, labels and salient categories of COCO are pycocotools'", "[coco]") {
  namespace expected = reference::coco;
  struct Rows {
    CocoOrder order;
    CocoImages images;
    std::vector<int64_t> ids;
  };
  const std::vector<Rows> all = {
      {CocoOrder::kImages, CocoImages::kAll, ids(expected::kImages)},
      {CocoOrder::kImages, CocoImages::kAnnotated, ids(expected::kImagesAnnotated)},
      {CocoOrder::kAnnotations, CocoImages::kAll, ids(expected::kAnnotations)},
      {CocoOrder::kAnnotations,
       CocoImages::kAnnotated,
       ids(expected::kAnnotationsAnnotated)},
      {CocoOrder::kIdAsText, CocoImages::kAll, ids(expected::kAsText)},
      {CocoOrder::kIdAsText, CocoImages::kAnnotated, ids(expected::kAsTextAnnotated)}};
  const std::vector<int64_t> labels = ids(expected::kLabels);
  const std::vector<int64_t> salient = ids(expected::kSalient);
  const size_t n_cls = std::size(expected::kCategoryIds);
  for (const Rows& rows : all) {
    const Split split = read_coco(
        TRMML_TEST_COCO,
        Part::kTrain,
        CocoOptions().order(rows.order).images(rows.images));
    REQUIRE(split.table.images.size() == rows.ids.size());
    REQUIRE(split.table.labels.size(1) == static_cast<int64_t>(n_cls));
    for (size_t i = 0; i < rows.ids.size(); ++i) {
      CAPTURE(split.name, i);
      CHECK(
          split.table.images[i] ==
          fmt::format("train2014/COCO_train2014_{:012}.jpg", rows.ids[i]));
      const auto at = static_cast<size_t>(
          std::find(all[0].ids.begin(), all[0].ids.end(), rows.ids[i]) -
          all[0].ids.begin());
      const auto begin = labels.begin() + static_cast<std::ptrdiff_t>(at * n_cls);
      CHECK(
          row(split.table.labels, static_cast<int64_t>(i)) ==
          std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(n_cls)));
      CHECK(split.salient[i] == salient[at]);
    }
  }
}

TEST_CASE("COCO's names, paths and defaults", "[coco]") {
  const Split split = read_coco(TRMML_TEST_COCO, Part::kTrain);
  CHECK(
      split.name ==
      "COCO 2014 train, annotated images only, order of the images array");
  CHECK(split.root == TRMML_TEST_COCO);
  CHECK(split.table.images.size() == std::size(reference::coco::kImagesAnnotated));
  CHECK_FALSE(split.ignore.defined());
  CHECK(split.names_for_clip == split.table.classnames);
  // A positive in every row, which single positives need.
  CHECK(
      count_labels(keep_one_positive(split.table.labels, split.salient)).present == 20);

  const auto name = [](const CocoOptions& options) {
    return read_coco(TRMML_TEST_COCO, Part::kTrain, options).name;
  };
  CHECK(
      name(CocoOptions().images(CocoImages::kAll).order(CocoOrder::kAnnotations)) ==
      "COCO 2014 train, all images, order of annotations");
  CHECK(
      name(CocoOptions().order(CocoOrder::kIdAsText).synonyms(coco_synonyms())) ==
      "COCO 2014 train, annotated images only, image ids sorted as text, synonyms in "
      "prompts");
}

TEST_CASE("each year and part of COCO has its own file and folder", "[coco]") {
  const support::TemporaryFolder root;
  std::filesystem::create_directory(root / "annotations");
  for (const char* part : {"train2014", "val2014", "train2017", "val2017"}) {
    write_bytes(
        root / fmt::format("annotations/instances_{}.json", part),
        document(
            fmt::format(R"([{{"id": 1, "file_name": "{}.jpg"}}])", part),
            R"([{"image_id": 1, "category_id": 3, "area": 1}])",
            kCategories));
  }
  const auto image = [&](int64_t year, Part part) {
    return read_coco(root.path(), part, CocoOptions().year(year)).table.images[0];
  };
  CHECK(image(2014, Part::kTrain) == "train2014/train2014.jpg");
  CHECK(image(2014, Part::kVal) == "val2014/val2014.jpg");
  CHECK(image(2017, Part::kTrain) == "train2017/train2017.jpg");
  CHECK(image(2017, Part::kVal) == "val2017/val2017.jpg");
  CHECK_THROWS_AS(image(2015, Part::kVal), c10::ValueError);
  CHECK(support::error_of([&] {
          image(2014, Part::kTrainVal);
        }) == "read_coco: expected part train or val, got \"trainval\"");

  const std::string message = support::error_of<trmml::DataError>(
      [&] { read_coco(root / "annotations", Part::kTrain); });
  CHECK(contains(message, "COCO 2014 train: expected "));
  CHECK(contains(message, "annotations/annotations/instances_train2014.json, got no"));
}

TEST_CASE("own data in COCO's form", "[coco]") {
  const Split split = small();
  CHECK(split.name == "own.json, all images, order of the images array");
  CHECK(
      split.table.images ==
      std::vector<std::string>{"nine.jpg", "sub/ten.jpg", "two.jpg", "one.jpg"});
  // Columns by id, whatever the order of the array.
  CHECK(split.table.classnames == std::vector<std::string>{"tie", "hot_dog"});
  CHECK(split.names_for_clip == std::vector<std::string>{"tie", "hot dog"});
  const std::vector<std::vector<int64_t>> labels = {{1, -1}, {1, -1}, {1, 1}, {-1, -1}};
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(row(split.table.labels, i) == labels[static_cast<size_t>(i)]);
  }
  CHECK(split.salient == std::vector<int64_t>{0, 0, 1, -1});

  const auto images = [](CocoOrder order, CocoImages set) {
    return small(CocoJsonOptions().order(order).images(set)).table.images;
  };
  using Names = std::vector<std::string>;
  CHECK(
      images(CocoOrder::kImages, CocoImages::kAnnotated) ==
      Names{"nine.jpg", "sub/ten.jpg", "two.jpg"});
  CHECK(
      images(CocoOrder::kAnnotations, CocoImages::kAnnotated) ==
      Names{"two.jpg", "nine.jpg", "sub/ten.jpg"});
  CHECK(
      images(CocoOrder::kAnnotations, CocoImages::kAll) ==
      Names{"two.jpg", "nine.jpg", "sub/ten.jpg", "one.jpg"});
  CHECK(
      images(CocoOrder::kIdAsText, CocoImages::kAll) ==
      Names{"one.jpg", "sub/ten.jpg", "two.jpg", "nine.jpg"});
  CHECK(
      images(CocoOrder::kIdAsText, CocoImages::kAnnotated) ==
      Names{"sub/ten.jpg", "two.jpg", "nine.jpg"});
  CHECK(
      small(CocoJsonOptions().name("mine").synonyms({{"tie", "bow tie"}}))
          .names_for_clip == Names{"bow tie", "hot dog"});
}

TEST_CASE("the salient category", "[coco]") {
  // Category of the annotations (category, area, crowd) of one image.
  const auto salient = [](const std::string& annotations) {
    return read(document(kImages, annotations, kCategories)).salient;
  };
  const auto one = [](int category, const char* area, const char* rest) {
    return fmt::format(
        R"({{"image_id": 9, "category_id": {}, "area": {}{}}})", category, area, rest);
  };
  const char* const crowd = R"(, "iscrowd": 1)";
  const auto of = [&](const std::string& first, const std::string& second) {
    return salient("[" + first + "," + second + "]")[0];
  };
  CHECK(of(one(7, "2", ""), one(3, "1.75", "")) == 1);
  CHECK(of(one(3, "1.75", ""), one(7, "2", "")) == 1);
  CHECK(of(one(7, "2", ""), one(3, "2.0", "")) == 0);  // equal: the lower index
  CHECK(of(one(3, "2e0", ""), one(7, "2", "")) == 0);
  CHECK(of(one(7, "0", ""), one(3, "900", crowd)) == 1);  // crowds come last
  CHECK(of(one(3, "900", crowd), one(7, "0", "")) == 1);
  CHECK(of(one(3, "2", crowd), one(7, "3", R"(, "iscrowd": true)")) == 1);
  CHECK(salient("[" + one(3, "1", "") + "]") == std::vector<int64_t>{0, -1, -1, -1});
  CHECK(salient(R"([{"image_id": 9, "category_id": 3}])").empty());  // no areas
  CHECK(
      error_of_annotations(
          "[" + one(3, "1", "") + R"(, {"image_id": 9, "category_id": 3}])") ==
      "own.json: own.json: expected \"area\" in all annotations or in none, got 1 of 2 "
      "without (the first is annotation 1)");
}

TEST_CASE("keys in any order, unknown ones, BOM and escapes are read", "[coco]") {
  const std::string text =
      "\xef\xbb\xbf {\"categories\":" + std::string(kCategories) +
      ",\r\n\"annotations\":" + kAnnotations +
      R"(,"info":{"images":[{"id":[]}],"x":"]}\"{"},)" +
      R"("im\u0061ges":[{"license":null,"file\u005fname":"\u00e9.jpg",)" +
      R"("id":9},{"id":10,"file_name":"b","x":[[{}]]},)" +
      R"({"id":2,"file_name":"c"},{"id":1,"file_name":"d"}]} )";
  const Split split = read(text);
  CHECK(split.table.images[0] == "\u00e9.jpg");
  CHECK(at::equal(split.table.labels, small().table.labels));
}

TEST_CASE("faults of images have their place", "[coco]") {
  const auto one = [](const std::string& id) {
    return error_of_images(
        R"([{"id": 1, "file_name": "a"}, {"file_name": "b", "id": )" + id + "}]");
  };
  const std::string range =
      ": expected \"id\" to be an integer from 0 to 2^63 - 1, got ";
  CHECK(one("-1") == "own.json: own.json, image 1" + range + "-1");
  CHECK(one("1.5") == "own.json: own.json, image 1" + range + "1.5");
  CHECK(one("1.0") == "own.json: own.json, image 1" + range + "1.0");
  CHECK(one("\"7\"") == "own.json: own.json, image 1" + range + "\"7\"");
  CHECK(one("null") == "own.json: own.json, image 1" + range + "null");
  CHECK(one("[7]") == "own.json: own.json, image 1" + range + "an array");
  CHECK(one("{}") == "own.json: own.json, image 1" + range + "an object");
  CHECK(
      one("9223372036854775808") ==
      "own.json: own.json, image 1" + range + "9223372036854775808");
  CHECK(contains(one("9" + std::string(100'000, '9')), "99..."));
  CHECK(contains(one("1\x1b"), "got \"1\\u001b\""));
  CHECK(one("9223372036854775807") == "no error");

  CHECK(
      one("1") ==
      "own.json: own.json, image 1: expected a unique \"id\", got 1 as in image 0");
  CHECK(
      error_of_images(
          R"([{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}])") ==
      "own.json: own.json, image 1: expected a unique \"file_name\", got \"a\" as in "
      "image 0");
  CHECK(
      error_of_images(R"([{"id": 1}, {"file_name": "a"}])") ==
      "own.json: 2 faults\n"
      "  own.json, image 0: expected \"file_name\", got no such key\n"
      "  own.json, image 1: expected \"id\", got no such key");
  CHECK(
      error_of_images(R"([{"id": 1, "file_name": "a", "id": 2}])") ==
      "own.json: own.json, image 0: expected one \"id\", got another");
  CHECK(
      error_of_images(R"([{"id": 1, "file_name": 5}])") ==
      "own.json: own.json, image 0: expected \"file_name\" to be a string, got 5");
  CHECK(
      error_of_images("[17]") ==
      "own.json: own.json, image 0: expected an object, got 17");
  CHECK(
      error_of_images("[]") ==
      "own.json: 2 faults\n"
      "  own.json: expected at least one image in \"images\", got none\n"
      "  own.json, annotation 0: expected an image id of the file, got 1");
  CHECK(
      error_of_images("7") ==
      "own.json: own.json: expected \"images\" to be an array, got 7");
  for (const char* name :
       {"",
        "/etc/passwd",
        "../a.jpg",
        "a/../../b.jpg",
        "a\\\\b.jpg",
        "C:a.jpg",
        "a\\u0000.jpg"}) {
    CAPTURE(name);
    CHECK(contains(
        error_of_images(fmt::format(R"([{{"id": 1, "file_name": "{}"}}])", name)),
        "image 0: expected \"file_name\" to be a path below the folder of the "
        "pictures"));
  }
}

TEST_CASE("faults of annotations have their place", "[coco]") {
  const auto one = [](const std::string& fields) {
    return error_of_annotations(
        R"([{"image_id": 1, "category_id": 7, "area": 1}, {)" + fields + "}]");
  };
  const std::string place = "own.json: own.json, annotation 1: expected ";
  CHECK(
      one(R"("image_id": 3, "category_id": 7, "area": 1)") ==
      place + "an image id of the file, got 3");
  CHECK(
      one(R"("image_id": 1, "category_id": 0, "area": 1)") ==
      place + "a category id of the file, got 0");
  CHECK(
      one(R"("category_id": 7, "area": 1)") == place + "\"image_id\", got no such key");
  CHECK(
      one(R"("image_id": 1, "area": 1)") == place + "\"category_id\", got no such key");
  CHECK(
      one(R"("image_id": "1", "category_id": 7, "area": 1)") ==
      place + "\"image_id\" to be an integer from 0 to 2^63 - 1, got \"1\"");
  CHECK(
      one(R"("image_id": 1, "category_id": 7.5, "area": 1)") ==
      place + "\"category_id\" to be an integer from 0 to 2^63 - 1, got 7.5");
  for (const std::string area : {"-1", "1e999", "null", "true"}) {
    CHECK(
        one(R"("image_id": 1, "category_id": 7, "area": )" + area) ==
        place + "\"area\" to be a number >= 0, got " + area);
  }
  for (const std::string crowd : {"2", "null", "0.5"}) {
    CHECK(
        one(R"("image_id": 1, "category_id": 7, "area": 1, "iscrowd": )" + crowd) ==
        place + "\"iscrowd\" to be 0 or 1, got " + crowd);
  }
  CHECK(
      error_of_annotations("[]") ==
      "own.json: own.json: expected at least one annotation in \"annotations\", got "
      "none");
  CHECK(contains(
      error_of_annotations("{}"), "\"annotations\" to be an array, got an object"));
}

TEST_CASE("faults of categories and of the file have their place", "[coco]") {
  CHECK(
      error_of_categories(R"([{"id": 7, "name": "a"}, {"id": 7, "name": "b"}])") ==
      "own.json: own.json, category 1: expected a unique \"id\", got 7 as in category "
      "0");
  CHECK(
      error_of_categories(R"([{"id": 7, "name": "a"}, {"id": 5, "name": "a"}])") ==
      "own.json: own.json, category 0: expected a unique \"name\", got \"a\" as in "
      "category 1");
  CHECK(
      error_of_categories(R"([{"id": 7, "name": " "}])") ==
      "own.json: own.json, category 0: expected \"name\" to have letters, got \" \"");
  CHECK(contains(
      error_of_categories("[]"), "at least one category in \"categories\", got none"));

  const std::string twice = document(kImages, kAnnotations, kCategories);
  CHECK(
      error_of(twice.substr(0, twice.size() - 1) + R"(, "annotations": []})") ==
      "own.json: own.json: expected one \"annotations\", got another");
  const std::string captions = error_of(R"({"images": [{"id": 1, "file_name": "a"}],
      "annotations": [{"image_id": 1, "caption": "A cat."}]})");
  CHECK(contains(captions, "annotation 0: expected \"category_id\", got no such key"));
  CHECK(contains(
      captions, "expected \"categories\", got no such key (is it a file of captions"));
}

TEST_CASE("what is not JSON in UTF-8 is refused with its place", "[coco]") {
  const auto starts = [](const std::string& text, const std::string& expected) {
    const std::string got = error_of(text);
    CAPTURE(got, expected);
    return got.substr(0, expected.size()) == expected;
  };
  CHECK(starts("", "own.json: own.json: expected JSON, got nothing"));
  CHECK(starts(" \n", "own.json: own.json: expected JSON, got nothing"));
  CHECK(starts(
      "[{\"image_id\": 1}]",
      "own.json: own.json: expected a JSON object, got an array"));
  CHECK(starts("17", "own.json: own.json: expected a JSON object, got 17"));
  CHECK(starts(
      std::string("\xff\xfe{\0", 4), "own.json: own.json: expected UTF-8, got UTF-16"));
  CHECK(starts(
      "{\"images\": \"\xe9\"}", "own.json: own.json: expected UTF-8, got other bytes"));
  CHECK(contains(error_of("PK\3\4abc"), "not JSON"));
  CHECK(contains(error_of("<html></html>"), "(it begins with \"<html></html>\")"));

  const std::string good = document(kImages, kAnnotations, kCategories);
  CHECK(starts(
      good + "{}",
      fmt::format("own.json: own.json: byte {}: expected the end", good.size())));
  std::string no_comma = good;
  const size_t comma = good.find(", \"annotations\"");
  no_comma[comma] = ' ';
  const std::string message = error_of(no_comma);
  const size_t at = message.find("byte ");
  REQUIRE(at != std::string::npos);
  const auto offset = std::stoul(message.substr(at + 5));
  CHECK((offset >= comma && offset <= comma + 20));
}

TEST_CASE("a file that is cut off anywhere is an error", "[coco]") {
  const std::string good = document(kImages, kAnnotations, kCategories);
  const OneFile file(good);
  REQUIRE(file.read().table.images.size() == 4);
  for (size_t size = 1; size < good.size(); ++size) {
    write_bytes(file.path(), good.substr(0, size));
    const std::string message =
        support::error_of<trmml::DataError>([&] { file.read(); });
    CAPTURE(size, message);
    CHECK(contains(
        message,
        fmt::format(
            "own.json: byte {}: expected the rest of the JSON, got the end", size)));
  }
}

TEST_CASE("a file with any byte changed is read or is an error", "[coco]") {
  const std::string good = document(kImages, kAnnotations, kCategories);
  const OneFile file(good);
  int64_t errors = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'"', '}', '0', '\\', '\0', '\xff'}) {
      std::string changed = good;
      changed[i] = c;
      write_bytes(file.path(), changed);
      try {
        validate(file.read());
      } catch (const trmml::DataError& /*error*/) {
        ++errors;
      }
    }
  }
  CHECK(errors > 1000);
}

TEST_CASE("many faults are counted, not kept", "[coco]") {
  std::string annotations = "[";
  for (int i = 0; i < 3000; ++i) {
    annotations +=
        fmt::format(R"({}{{"image_id": 77, "category_id": -1}})", i > 0 ? "," : "");
  }
  const std::string message = error_of_annotations(annotations + "]");
  CHECK(contains(message, "own.json: 3000 faults\n"));
  CHECK(contains(message, "annotation 19: "));
  CHECK_FALSE(contains(message, "annotation 20: "));
  CHECK(contains(message, "\n  and 2980 more"));
}

TEST_CASE("ids are looked up only where an array is complete", "[coco]") {
  // The fault of the image is not repeated by each of its annotations.
  CHECK(
      error_of_images(R"([{"id": "1", "file_name": "a"}])") ==
      "own.json: own.json, image 0: expected \"id\" to be an integer from 0 to 2^63 - "
      "1, "
      "got \"1\"");
}

TEST_CASE("pictures are looked for on request", "[coco]") {
  const OneFile file(document(kImages, kAnnotations, kCategories));
  const auto check = CocoJsonOptions().check_pictures(true);
  write_bytes(file.folder / "nine.jpg", "");
  std::filesystem::create_directory(file.folder / "sub");
  write_bytes(file.folder / "sub/ten.jpg", "");
  const std::string message =
      support::error_of<trmml::DataError>([&] { file.read(check); });
  CHECK(contains(message, "own.json: 2 faults\n"));
  CHECK(contains(message, "/two.jpg: expected a picture, got no such file"));
  CHECK(contains(message, "/one.jpg: expected a picture, got no such file"));
  write_bytes(file.folder / "two.jpg", "");
  // one.jpg is no row.
  CHECK(
      file.read(CocoJsonOptions(check).images(CocoImages::kAnnotated))
          .table.images.size() == 3);
  std::filesystem::create_directory(file.folder / "one.jpg");
  CHECK(contains(
      support::error_of<trmml::DataError>([&] { file.read(check); }),
      "/one.jpg: expected a picture, got no such"));
}

TEST_CASE("category names in words", "[category_names]") {
  CHECK(split_words("traffic_light") == "traffic light");
  CHECK(split_words("__hot  dog_\t") == "hot dog");
  CHECK(split_words("T-shirt") == "T-shirt");
  CHECK(split_words("_") == "_");
  CHECK(split_words("") == "");
  CHECK(
      names_in_words({"tv", "a_b", "mouse"}, coco_synonyms()) ==
      std::vector<std::string>{"television", "a b", "computer mouse"});
  // Names as COCO spells them.
  const std::vector<std::string> coco = {
      "hair drier",
      "keyboard",
      "mouse",
      "orange",
      "remote",
      "sports ball",
      "tie",
      "tv"};
  std::vector<std::string> replaced;
  for (const auto& [name, words] : coco_synonyms()) {
    replaced.push_back(name);
  }
  CHECK(replaced == coco);
}
