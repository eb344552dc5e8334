#include "trmml/data/mask_files.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/label_code.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/io/npy.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/torch_archives.hpp"

using namespace trmml::data;
using support::error_of;
using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;

namespace {

/// a.jpg cat and dog, b.jpg none, c.jpg bird; bird of a.jpg is not known.
LabelTable animals() {
  return {
      {"cat", "dog", "bird"},
      {"train/a.jpg", "train/b.jpg", "train/c.jpg"},
      at::tensor({1, 1, 0, -1, -1, -1, -1, -1, 1}, at::kInt)
          .view({3, 3})
          .to(at::kChar)};
}

at::Tensor states(const std::vector<int>& values) {
  return at::tensor(values, at::kInt).view({-1, 3}).to(at::kChar);
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

/// A file of `torch.save(tensor)`: one storage, C's order.
std::string archive(const at::Tensor& tensor, const std::string& storage) {
  const at::Tensor dense = tensor.contiguous();
  return support::archive_of(
      support::pickle::of(support::pickle::tensor(
          support::pickle::storage(storage, "0", dense.numel()),
          0,
          dense.sizes().vec(),
          dense.strides().vec())),
      {std::string(static_cast<const char*>(dense.data_ptr()), dense.nbytes())});
}

const at::Tensor kFlags =
    at::tensor({1, 0, 1, 0, 1, 0, 0, 1, 1}, at::kLong).view({3, 3});
const std::vector<int> kObserved = {1, 0, 0, 0, -1, 0, 0, -1, 1};

}  // namespace

TEST_CASE("label codes: each family's values become ours") {
  const at::Tensor values = at::tensor({-1, 0, 1}, at::kInt).view({1, 3});
  const auto ours = [](const at::Tensor& from, LabelCode code) {
    return from_label_code(from, code, "f.npy");
  };
  CHECK(at::equal(ours(values, LabelCode::kHcp), states({-1, 0, 1})));
  CHECK(at::equal(ours(values, LabelCode::kDualCoOp), states({0, -1, 1})));
  CHECK(at::equal(ours(values, LabelCode::kCole), states({-1, 0, 1})));
  const at::Tensor two = at::tensor({0, 1, 0}, at::kInt).view({1, 3});
  CHECK(at::equal(ours(two, LabelCode::kColeComplete), states({-1, 1, -1})));
  CHECK(at::equal(ours(two, LabelCode::kSplc), states({0, 1, 0})));
  for (const at::ScalarType type : {at::kDouble, at::kHalf, at::kLong, at::kBool}) {
    CHECK(at::equal(ours(two.to(type), LabelCode::kColeComplete), states({-1, 1, -1})));
  }
  CHECK(
      error_of([&] { ours(values, LabelCode::kSplc); }) ==
      "labels in the code splc: f.npy, row 0, column 0: expected 0 not in the list or "
      "1 present, got -1");
  CHECK(
      error_of([&] {
        ours(at::tensor({0.5, -1.0, 1.0, 2.0}).view({2, 2}), LabelCode::kDualCoOp);
      }) ==
      "labels in the code dualcoop: 2 faults\n"
      "  f.npy, row 0, column 0: expected -1 unknown, 0 absent or 1 present, got 0.5\n"
      "  f.npy, row 1, column 1: expected -1 unknown, 0 absent or 1 present, got 2");
  CHECK(contains(
      error_of([&] {
        ours(at::full({1, 1}, std::nan("")), LabelCode::kHcp);
      }),
      "got nan"));
}

TEST_CASE("label codes: names") {
  for (const LabelCode code :
       {LabelCode::kHcp,
        LabelCode::kDualCoOp,
        LabelCode::kCole,
        LabelCode::kColeComplete,
        LabelCode::kSplc}) {
    CHECK(parse_label_code(to_string(code)) == code);
  }
  CHECK(parse_label_code("csl") == LabelCode::kDualCoOp);
  CHECK(parse_label_code("scpnet") == LabelCode::kSplc);
  CHECK(
      error_of([] { parse_label_code("coco"); }) ==
      "parse_label_code: expected hcp, dualcoop, cole, cole-complete or splc, got "
      "\"coco\"");
}

TEST_CASE("kept flags: every dtype and both orders of slices") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "partial_label_0.10.pt";
  const auto read = [&](const at::Tensor& flags, const std::string& storage) {
    write_bytes(path, archive(flags, storage));
    return read_kept_flags(path, animals());
  };
  CHECK(at::equal(read(kFlags, "LongStorage"), states(kObserved)));
  CHECK(at::equal(read(kFlags.to(at::kFloat), "FloatStorage"), states(kObserved)));
  CHECK(at::equal(read(kFlags.to(at::kBool), "BoolStorage"), states(kObserved)));
  CHECK(at::equal(read(kFlags.to(at::kByte), "ByteStorage"), states(kObserved)));
  // N = S = 3: the slices are those of the middle axis, as DualCoOp stacks them.
  const at::Tensor stacked = at::stack({kFlags, kFlags, kFlags}, 1);
  CHECK(at::equal(read(stacked, "LongStorage"), states(kObserved)));
  CHECK(at::equal(read(kFlags.unsqueeze(1), "LongStorage"), states(kObserved)));
  CHECK(at::equal(read(kFlags.unsqueeze(0), "LongStorage"), states(kObserved)));

  LabelTable two = animals();
  two.images.pop_back();
  two.labels = two.labels.slice(0, 0, 2);
  const at::Tensor rows = kFlags.slice(0, 0, 2);
  for (const int64_t axis : {0, 1}) {
    write_bytes(path, archive(at::stack({rows, rows, rows}, axis), "LongStorage"));
    CHECK(at::equal(read_kept_flags(path, two), states({1, 0, 0, 0, -1, 0})));
  }
  at::Tensor leaky = at::stack({rows, rows, rows}, 1).clone();
  leaky[1][2][0] = 1;
  write_bytes(path, archive(leaky, "LongStorage"));
  CHECK(
      error_of([&] { read_kept_flags(path, two); }) ==
      path.string() +
          ": expected equal slices, but 0 and 2 differ at row 1, column 0, among "
          "others "
          "(a label hidden in one would show in the other)");
}

TEST_CASE("kept flags: what does not fit is refused") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "flags.pt";
  const auto error = [&](const at::Tensor& flags) {
    write_bytes(path, archive(flags, "LongStorage"));
    return error_of([&] { read_kept_flags(path, animals()); });
  };
  CHECK(
      error(kFlags.slice(0, 0, 2)) ==
      path.string() +
          ": expected kept flags of shape [3, 3], [3, S, 3] or [S, 3, 3] with S = 1 or "
          "3, got [2, 3] (is this file of the same set of pictures?)");
  CHECK(contains(error(at::stack({kFlags, kFlags}, 1)), "got [3, 2, 3]"));
  CHECK(contains(error(kFlags.view({9})), "got [9]"));
  at::Tensor coded = kFlags.clone();
  coded[2][1] = -1;
  CHECK(
      error(coded) == "labels of flags.pt: " + path.string() +
                          ", row 2, column 1: expected kept flags, 1 or 0, got -1");
  write_bytes(path, "PK no archive");
  CHECK(contains(error_of([&] { read_kept_flags(path, animals()); }), "flags.pt: "));
}

TEST_CASE("rows of states: by name, in any order") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "train_proportion_0.5.txt";
  write_bytes(path, "c 0 -1 1\r\na.jpg\t1 0  0 \r\n\r\ntrain/b 0 -1 0");
  CHECK(at::equal(read_state_rows(path, animals()), states(kObserved)));
  write_bytes(
      path,
      "a 1 -1 0\n"     // dog is present
      "b.jpg 0 0 2\n"  // no state
      "b 0 0 0\n"      // twice
      "d 0 0 0\n"      // none of ours
      "a 1 0\n");      // twice, and too few
  const std::string where = "\n  " + path.string() + ", ";
  CHECK(
      error_of([&] { read_state_rows(path, animals()); }) ==
      "labels of train_proportion_0.5.txt: 7 faults" + where +
          "line 2, column 2: expected -1 absent, 0 unknown or 1 present, got \"2\"" +
          where + "line 3: the picture \"b\" stands there twice" + where +
          "line 4: expected a picture of the data set, got \"d\"" + where +
          "line 5: the picture \"a\" stands there twice" + where +
          "line 5: expected 3 states after the picture, got 2" + "\n  " +
          path.string() +
          ": expected the picture \"train/c.jpg\" of the data set, found none" + where +
          "row 0, column 1: calls \"dog\" absent in \"train/a.jpg\", where the "
          "complete "
          "labels say present");
}

TEST_CASE("names of pictures: folders and endings") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "rows.txt";
  LabelTable table = animals();
  table.images = {"one/a.jpg", "two/a.jpg", "a.b"};
  const auto error = [&](const std::string& text) {
    write_bytes(path, text);
    return error_of([&] { read_state_rows(path, table); });
  };
  CHECK(error("one/a 0 0 0\ntwo/a.JPG 0 0 0\na.b 0 0 0\n") == "no error");
  CHECK(error("x/one/a 0 0 0\ntwo/a.png 0 0 0\na.b 0 0 0\n") == "no error");
  CHECK(contains(
      error("a 0 0 0\n"),
      "line 1: expected a name that is one picture's, but \"a\" is that of 2"));
  CHECK(contains(
      error("three/a 0 0 0\n"), "expected a picture of the data set, got \"three/a\""));
  CHECK(contains(error("ne/a 0 0 0\n"), "got \"ne/a\""));
  CHECK(contains(error("a.c 0 0 0\n"), "got \"a.c\""));
}

TEST_CASE("lists of positives") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "list.txt";
  write_bytes(path, "c.jpg,2\na.jpg, 0 1\n");  // blanks as in the published lists
  CHECK(at::equal(
      read_positive_list(path, animals()).labels, states({1, 1, 0, 0, 0, 0, 0, 0, 1})));
  write_bytes(path, "c.jpg,2\na.jpg,1\nb.jpg\n\nx.jpg,0\nc.jpg,3\n");
  const std::string where = "\n  " + path.string() + ", ";
  CHECK(
      error_of([&] { read_positive_list(path, animals()); }) ==
      "labels of list.txt: 4 faults" + where +
          "line 3: expected a picture, a comma and indices of categories, got "
          "\"b.jpg\"" +
          where + "line 5: expected a picture of the data set, got \"x.jpg\"" + where +
          "line 6: the picture \"c.jpg\" stands there twice" + where +
          "line 6: expected an index of a category from 0 to 2, got \"3\"");
  // A picture without a positive may be left out, no other.
  write_bytes(path, "a.jpg,1\n");
  CHECK(
      error_of([&] { read_positive_list(path, animals()); }) ==
      "labels of list.txt: " + path.string() +
          ": expected the picture \"train/c.jpg\" of the data set, found none");
  write_bytes(path, "a.jpg,2\nc.jpg,0\n");
  CHECK(contains(
      error_of([&] { read_positive_list(path, animals()); }),
      "row 0, column 2: calls \"bird\" present in \"train/a.jpg\", where the complete "
      "labels say unknown"));
}

TEST_CASE("the md5 of a list, of every length of its last block") {
  // hashlib.md5(b"a.jpg,0\n" + b" " * (n - 8)).hexdigest()
  const std::vector<std::pair<size_t, std::string>> expected = {
      {8, "8296b2dd83ac9bc61ead8a8480cc3a81"},
      {55, "7c2d4258cdb276967d4362bcc7f3a0be"},
      {56, "6fe7a8a7c065b443e814ac50fd331435"},
      {57, "f898a1616f37dd6fd0fe8d07ba3e2fb3"},
      {63, "69c139e4e4433f2bde4d7e4725e899a0"},
      {64, "ea306d0d65233951bdd47f9c8a00973d"},
      {65, "07a3a25dbdb0e23747b665a81cf0e756"},
      {119, "13acacdbfec48026da52b02c1d8fdc03"},
      {120, "dbf3c56f4b445811eb05f07c2585a359"},
      {121, "467284a96bb79c0f563cd9d09942be99"},
      {500, "a6d477bcdb39485b1b9fb92a15ca34da"}};
  const TemporaryFolder folder;
  const LabelTable one{{"cat"}, {"a.jpg"}, at::ones({1, 1}, at::kChar)};
  for (const auto& [size, digits] : expected) {
    write_bytes(folder / "list", "a.jpg,0\n" + std::string(size - 8, ' '));
    const PositiveList list = read_positive_list(folder / "list", one);
    CHECK(list.md5 == digits);
    CHECK_FALSE(list.is_published_single());
  }
}

TEST_CASE("arrays: every code, with and without names of their rows") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "formatted_train_labels_obs.npy";
  const at::Tensor observed = states(kObserved);
  trmml::io::write_npy(path, observed.to(at::kDouble));
  CHECK(at::equal(read_mask_array(path, LabelCode::kCole, animals()), observed));
  // Rows in another order, with their names.
  trmml::io::write_npy(
      path, observed.index_select(0, at::tensor({2, 0, 1}, at::kLong)));
  CHECK(at::equal(
      read_mask_array(path, LabelCode::kCole, animals(), {"c.jpg", "train/a.jpg", "b"}),
      observed));
  CHECK(contains(
      error_of([&] { read_mask_array(path, LabelCode::kCole, animals()); }),
      "row 0, column 1: calls \"dog\" absent in \"train/a.jpg\", where the complete "
      "labels say present"));
  CHECK(contains(
      error_of([&] {
        read_mask_array(path, LabelCode::kCole, animals(), {"c", "a", "c"});
      }),
      "row 2: the picture \"c\" stands there twice"));
  CHECK(contains(
      error_of([&] { read_mask_array(path, LabelCode::kCole, animals(), {"c"}); }),
      "expected labels of shape [1, 3], got [3, 3]"));
  // The wrong family shows.
  trmml::io::write_npy(path, at::tensor({1, -1, -1, -1, 0, -1, -1, 0, 1}).view({3, 3}));
  CHECK(at::equal(read_mask_array(path, LabelCode::kDualCoOp, animals()), observed));
  CHECK(contains(
      error_of([&] { read_mask_array(path, LabelCode::kHcp, animals()); }),
      "row 0, column 1: calls \"dog\" absent"));

  const std::filesystem::path tensors = folder / "labels.safetensors";
  trmml::io::write_safetensors(tensors, {{"any", observed}});
  CHECK(at::equal(read_mask_array(tensors, LabelCode::kHcp, animals()), observed));
  trmml::io::write_safetensors(tensors, {{"labels", observed}, {"b", observed + 1}});
  CHECK(at::equal(read_mask_array(tensors, LabelCode::kHcp, animals()), observed));
  trmml::io::write_safetensors(tensors, {{"a", observed}, {"b", observed}});
  CHECK(contains(
      error_of([&] { read_mask_array(tensors, LabelCode::kHcp, animals()); }),
      "expected one tensor, or one called \"labels\", got 2"));
}

TEST_CASE("complete labels from an array") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "labels.npy";
  trmml::io::write_npy(path, at::tensor({0, 1, 1, 0, 0, 0}, at::kFloat).view({2, 3}));
  const LabelTable table = read_label_array(path, LabelCode::kColeComplete);
  CHECK(at::equal(table.labels, states({-1, 1, 1, -1, -1, -1})));
  CHECK(table.images == std::vector<std::string>{"0", "1"});
  CHECK(table.classnames == std::vector<std::string>{"0", "1", "2"});
  CHECK(
      read_label_array(path, LabelCode::kColeComplete, {"a", "b"}).images ==
      std::vector<std::string>{"a", "b"});
  CHECK(contains(
      error_of([&] { read_label_array(path, LabelCode::kColeComplete, {"a"}); }),
      "expected labels of the 1 pictures and 3 categories named, got [2, 3]"));
  trmml::io::write_npy(path, at::zeros({6}));
  CHECK(contains(
      error_of([&] { read_label_array(path, LabelCode::kColeComplete); }),
      "expected labels of two dimensions, got [6]"));
}

TEST_CASE("CSV: both forms, there and back") {
  const TemporaryFolder folder;
  LabelTable table = animals();
  table.classnames = {"cat, wild", "a \"dog\"", "bird"};
  LabelTable mask = table;
  mask.labels = states(kObserved);
  const std::filesystem::path path = folder / "mask.csv";
  write_mask_csv(path, mask);
  CHECK(
      read_bytes(path) ==
      "image,\"cat, wild\",\"a \"\"dog\"\"\",bird\n"
      "train/a.jpg,1,0,0\ntrain/b.jpg,0,-1,0\ntrain/c.jpg,0,-1,1\n");
  CHECK(at::equal(read_mask_csv(path, table), mask.labels));
  const LabelTable back = read_label_csv(path);
  CHECK(back.classnames == table.classnames);
  CHECK(back.images == table.images);
  CHECK(at::equal(back.labels, mask.labels));
  write_mask_csv(path, mask, MaskCsv::kLong);
  CHECK(
      read_bytes(path) ==
      "image,category,state\ntrain/a.jpg,\"cat, wild\",present\n"
      "train/b.jpg,\"a \"\"dog\"\"\",absent\ntrain/c.jpg,\"a \"\"dog\"\"\",absent\n"
      "train/c.jpg,bird,present\n");
  CHECK(at::equal(read_mask_csv(path, table), mask.labels));
  CHECK(contains(
      error_of([&] { read_label_csv(path); }),
      "expected a column for each category, got a list of known labels"));
  write_bytes(path, "image,cat,dog,cat\na,1,0,0\n");
  CHECK(error_of([&] {
          read_label_csv(path);
        }) == path.string() + ": expected unique category names, got \"cat\" twice");
  // Blanks around a name are part of it.
  table.classnames[2] = mask.classnames[2] = " bird";
  write_mask_csv(path, mask);
  CHECK(at::equal(read_mask_csv(path, table), mask.labels));
  // Columns and rows in any order.
  write_bytes(path, "image,bird,cat,dog\r\nc,1,0,-1\r\nb,0,0,-1\r\na,0,1,0\r\n");
  CHECK(at::equal(read_mask_csv(path, animals()), mask.labels));
}

TEST_CASE("CSV: faults with their lines") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "mask.csv";
  const auto error = [&](const std::string& text) {
    write_bytes(path, text);
    return error_of([&] { read_mask_csv(path, animals()); });
  };
  CHECK(contains(error(""), "line 1: expected a header \"image,\" and the names of"));
  CHECK(contains(error("picture,cat\n"), "line 1: expected a header"));
  CHECK(contains(error("image,\"cat\n"), "line 1: expected a header"));
  CHECK(contains(
      error("image,cat,dog\na,1,1\n"),
      "line 1: expected each of the 3 categories of the data set once, got 2 names of "
      "which 2 are categories"));
  CHECK(contains(error("image,cat,dog,fish\n"), "got 3 names of which 2 are"));
  CHECK(contains(error("image,cat,dog,dog\n"), "got 3 names of which 3 are"));
  const std::string header = "image,cat,dog,bird\n";
  CHECK(contains(error(header + "a,1,1\n"), "line 2: expected 4 fields, got 3"));
  CHECK(contains(
      error(header + "a,1,1,\"0\"0\n"), "line 2: expected a comma or the end of the"));
  CHECK(contains(
      error(header + "a,1,yes,0\n"),
      "line 2, column 3: expected -1 absent, 0 unknown or 1 present, got \"yes\""));
  CHECK(contains(
      error(header + "../a,0,0,0\n"),
      "line 2: expected a path below the folder of the pictures, with '/', got "
      "\"../a\""));
  CHECK(contains(
      error(header + "a,0,0,0\na,0,0,0\n"), "line 3: \"a\" stands in line 2 already"));
  CHECK(contains(error(header + "\xff,0,0,0\n"), "line 2: expected UTF-8, got"));
  const std::string list = "image,category,state\n";
  CHECK(contains(
      error(list + "a,cat,present\na,cat,present\n"),
      "line 3: the state of \"cat\" in \"a\" stands there twice"));
  CHECK(contains(
      error(list + "a,fish,present\n"),
      "line 2: expected a category of the data set, got \"fish\""));
  CHECK(contains(
      error(list + "a,cat,1\n"),
      "line 2: expected present, absent or unknown, got \"1\""));
  CHECK(contains(error(list + "b,cat,present\n"), "calls \"cat\" present in"));
}

TEST_CASE("a mask is read by family and ending, and nothing is guessed") {
  const TemporaryFolder folder;
  const at::Tensor observed = states(kObserved);
  const auto read = [&](const std::string& name, LabelCode code) {
    return read_mask(folder / name, code, animals());
  };
  write_bytes(folder / "m.pt", archive(kFlags, "LongStorage"));
  CHECK(at::equal(read("m.pt", LabelCode::kDualCoOp), observed));
  write_bytes(folder / "m.txt", "a 1 0 0\nb 0 -1 0\nc 0 -1 1\n");
  CHECK(at::equal(read("m.txt", LabelCode::kHcp), observed));
  write_bytes(folder / "list.txt", "a,0\nc,2\n");
  CHECK(at::equal(read("list.txt", LabelCode::kSplc), observed.clamp_min(0)));
  LabelTable mask = animals();
  mask.labels = observed;
  write_mask_csv(folder / "m.csv", mask);
  CHECK(at::equal(read("m.csv", LabelCode::kHcp), observed));
  trmml::io::write_npy(folder / "m.npy", observed);
  CHECK(at::equal(read("m.npy", LabelCode::kCole), observed));
  for (const auto& [name, code] : std::vector<std::pair<std::string, LabelCode>>{
           {"m.pt", LabelCode::kHcp},
           {"m.txt", LabelCode::kDualCoOp},
           {"m.csv", LabelCode::kSplc},
           {"m", LabelCode::kHcp}}) {
    CHECK(contains(
        error_of([&, &file = name, family = code] { read(file, family); }),
        "there is no reader for"));
  }
}
