#include "trmml/io/torch_archive.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/mapped_pages.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "support/torch_archives.hpp"

using support::archive_of;
using support::error_of;
using support::little;
using support::same;
using support::TemporaryFolder;
using support::write_bytes;
using support::zip_of;
using support::ZipEnd;
using support::ZipItem;
using trmml::io::read_torch_archive;
using trmml::io::TensorMap;
using trmml::io::TorchArchive;
namespace pickle = support::pickle;

namespace {

const std::filesystem::path kArchives = TRMML_ARCHIVES;

TorchArchive read_bytes_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "file.pt", bytes);
  return read_torch_archive(folder / "file.pt");  // the mapping outlives the name
}

/// The message for a file with these bytes, without the path in front.
std::string error_of_file(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "bad.pt";
  write_bytes(path, bytes);
  const std::string message =
      error_of<trmml::CheckpointError>([&] { read_torch_archive(path); });
  const std::string prefix = path.string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string zeros(size_t count) {
  return std::string(count, '\0');
}

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * 4, '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

const std::string kSix = floats({0, 1, 2, 3, 4, 5});
const std::string kStorage = pickle::storage("FloatStorage", "0", 6);

/// {"x": a tensor of the storage of six floats}.
std::string tensor_of(
    int64_t offset,
    const std::vector<int64_t>& sizes,
    const std::vector<int64_t>& strides) {
  return archive_of(
      pickle::of(
          pickle::dict({{"x", pickle::tensor(kStorage, offset, sizes, strides)}})),
      {kSix});
}

/// The archive of a pickle that leaves `value`, with the storage of six floats.
std::string value_of(const std::string& value, bool is_script = false) {
  return archive_of(pickle::of(value), {kSix}, is_script);
}

const std::string kGood = tensor_of(0, {2, 3}, {3, 1});
const std::string kPickle =
    pickle::of(pickle::dict({{"x", pickle::tensor(kStorage, 0, {2, 3}, {3, 1})}}));

/// The good archive as a list of records, to be spoilt.
std::vector<ZipItem> items() {
  return {{"a/data.pkl", kPickle}, {"a/data/0", kSix}, {"a/version", "3\n"}};
}

std::string with_item(size_t index, const std::function<void(ZipItem&)>& change) {
  std::vector<ZipItem> all = items();
  change(all[index]);
  return zip_of(all);
}

std::string with_end(const ZipEnd& end) {
  return zip_of(items(), end);
}

std::string repeated(std::string_view text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) {
    all += text;
  }
  return all;
}

struct BadFile {
  std::string bytes;
  std::string message;  // a star at the end: and so on; at the start: anything before
};

const std::string kSafe =
    " (weights need none but those of dense tensors and dicts; nothing of the file was "
    "run)";
const std::string kModuleHint =
    " (if this file comes from torch.save(model), save model.state_dict() instead; "
    "nothing of the file was run)";

const std::vector<BadFile> kBadFiles = {
    // No archive
    {"", "expected a zip archive of torch.save or torch.jit.save"},
    {"P", "expected a zip archive of torch.save or torch.jit.save"},
    {"not a zip archive", "expected a zip archive of torch.save or torch.jit.save"},
    {"\x80\x02\x8a\nl\xfc\x9c\x46\xf9 \x6a\xa8P\x19.",
     "expected the zip format of PyTorch 1.6 and later, got an older one *"},
    {zeros(257) + "ustar" + zeros(250),
     "expected the zip format of PyTorch 1.6 and later, got an older one *"},
    {"PK", "zip: expected the first record at the first byte (no zip file?)"},
    {"PK\3\4",
     "zip: expected a directory at the end of the file (was the file cut off?)"},
    {"PK\5\6" + zeros(18),
     "zip: expected the first record at the first byte (no zip file?)"},
    {"#!/bin/sh\n" + kGood, "expected a zip archive of torch.save or torch.jit.save"},
    {kGood.substr(0, kGood.size() / 2),
     "zip: expected a directory at the end of the file (was the file cut off?)"},
    {kGood.substr(0, kGood.size() - 1),
     "zip: expected a directory at the end of the file (was the file cut off?)"},
    {kGood + "x",
     "zip: expected a directory at the end of the file (was the file cut off?)"},
    // The end of the archive
    {with_end({.directory_begin = 0}), "zip: expected a directory that ends at byte *"},
    {with_end({.directory_begin = 1 << 30}),
     "zip: expected a directory that ends at byte *"},
    {with_end({.directory_size = 7}), "zip: expected a directory that ends at byte *"},
    {with_end({.entries = 2}), "zip: expected 2 entries in the directory, got 3"},
    {with_end({.entries = 4}), "zip: expected 4 entries in the directory, got 3"},
    {with_end({.disk = 1}), "zip: expected an archive in one part"},
    {with_end({.entries = 0xFFFF}), "zip: expected the ZIP64 end record, found none"},
    {with_end({.directory_size = 0xFFFFFFFF}),
     "zip: expected the ZIP64 end record, found none"},
    {with_end({.has_zip64 = true, .zip64_entries = 5}),
     "zip: the end record and the ZIP64 end record contradict each other"},
    {with_end({.has_zip64 = true, .entries = 0xFFFF, .zip64_entries = 1LL << 60}),
     "zip: expected 1152921504606846976 entries in the directory, got 3"},
    {with_end({.comment = "PK\5\6" + zeros(18)}),
     "zip: expected a directory that ends at byte *"},
    // Records
    {with_item(1, [](ZipItem& item) { item.name = "a/data.pkl"; }),
     "zip: record \"a/data.pkl\": the name stands there twice"},
    {with_item(1, [](ZipItem& item) { item.local_name = "a/data/1"; }),
     "zip: record \"a/data/0\": its header has another name, \"a/data/1\""},
    {with_item(1, [](ZipItem& item) { item.local_name = "a/\x1b[2J/0"; }),
     "zip: record \"a/data/0\": its header has another name, \"a/\\u001b[2J/0\""},
    {with_item(1, [](ZipItem& item) { item.local_method = 8; }),
     "zip: record \"a/data/0\": its header and the directory disagree on how it is "
     "stored"},
    {with_item(1, [](ZipItem& item) { item.unpacked_size = 1 << 30; }),
     "zip: record \"a/data/0\": stored as it is, but 24 bytes are said to be "
     "1073741824"},
    {with_item(1, [](ZipItem& item) { item.method = 8; }),
     "the record \"a/data/0\" is compressed or encrypted; expected it stored, as "
     "PyTorch does (unpack the archive and pack it again with zip -0)"},
    {with_item(0, [](ZipItem& item) { item.flags = 1; }),
     "the record \"a/data.pkl\" is compressed or encrypted; *"},
    {with_item(0, [](ZipItem& item) { item.name = "a/other.pkl"; }),
     "expected one folder with a record data.pkl in the archive, found 0 (was it "
     "written by torch.save or torch.jit.save?)"},
    {with_item(0, [](ZipItem& item) { item.name = "data.pkl"; }),
     "expected one folder with a record data.pkl in the archive, found 0 *"},
    {with_item(2, [](ZipItem& item) { item.name = "b/data.pkl"; }),
     "expected one folder with a record data.pkl in the archive, found 2 *"},
    {with_item(1, [](ZipItem& item) { item.name = "a/data/1"; }),
     "expected a record \"a/data/0\" in the archive, found none"},
    {with_item(1, [](ZipItem& item) { item.name = "b/data/0"; }),
     "expected a record \"a/data/0\" in the archive, found none"},
    {with_item(
         2,
         [](ZipItem& item) {
           item = {"a/byteorder", "middle"};
         }),
     "byteorder: expected little or big, got \"middle\""},
    // Storages
    {with_item(1, [](ZipItem& item) { item.data.pop_back(); }),
     "storage \"0\": expected 6 numbers of 4 bytes, got a record of 23 bytes"},
    {with_item(1, [](ZipItem& item) { item.data += zeros(4); }),
     "storage \"0\": expected 6 numbers of 4 bytes, got a record of 28 bytes"},
    {with_item(1, [](ZipItem& item) { item.data.clear(); }),
     "storage \"0\": expected 6 numbers of 4 bytes, got a record of 0 bytes"},
    {value_of(pickle::storage("FloatStorage", "0", 1LL << 62)),
     "storage \"0\": expected 4611686018427387904 numbers of 4 bytes, got a record of "
     "24 bytes"},
    {value_of(pickle::storage("FloatStorage", "0", -6)),
     "*expected a storage of 0 elements or more, got -6"},
    {value_of(pickle::storage("FloatStorage", "../../etc/passwd", 6)),
     "expected a record \"a/data/../../etc/passwd\" in the archive, found none"},
    {value_of(pickle::tuple({kStorage, pickle::storage("FloatStorage", "0", 5)})),
     "*the storage \"0\" is 5 numbers of type Float here, but was 6 of type Float "
     "before"},
    {value_of(pickle::tuple({kStorage, pickle::storage("IntStorage", "0", 6)})),
     "*the storage \"0\" is 6 numbers of type Int here, but was 6 of type Float "
     "before"},
    {archive_of(
         pickle::of(pickle::storage("BoolStorage", "0", 3)),
         {std::string("\0\1\2", 3)}),
     "storage \"0\": expected bytes 0 and 1 for truth values, got 2 at 2"},
    // Tensors
    {tensor_of(0, {7}, {1}),
     "tensor \"x\": expected a view within its storage of 6 elements, got sizes [7], "
     "strides [1], offset 0"},
    {tensor_of(1, {2, 3}, {3, 1}),
     "tensor \"x\": expected a view within its storage of 6 elements, got sizes [2, "
     "3], strides [3, 1], offset 1"},
    {tensor_of(6, {}, {}),
     "tensor \"x\": expected a view within its storage of 6 elements, got sizes [], "
     "strides [], offset 6"},
    {tensor_of(7, {0}, {1}),
     "tensor \"x\": expected a view within its storage of 6 elements, got sizes [0], "
     "strides [1], offset 7"},
    {tensor_of(0, {2, 2}, {5, 1}),
     "tensor \"x\": expected a view within its storage of 6 elements, *"},
    {tensor_of(0, {1LL << 40, 1LL << 40}, {0, 0}),
     "tensor \"x\": expected sizes that 63 bits can count, got sizes [1099511627776, "
     "1099511627776], strides [0, 0], offset 0"},
    {tensor_of(0, {2}, {INT64_MAX}),
     "tensor \"x\": expected a view within its storage of 6 elements, *"},
    {tensor_of(INT64_MAX, {2}, {1}),
     "tensor \"x\": expected sizes that 63 bits can count, *"},
    {tensor_of(0, {0, 1LL << 62, 4}, {1, 1, 1}),
     "tensor \"x\": expected sizes that 63 bits can count, *"},
    {tensor_of(0, {1 << 30}, {0}),
     "tensor \"x\": expected at most as many elements as its storage of 6 has, got "
     "sizes [1073741824], strides [0], offset 0 (an expanded tensor: save its "
     "clone())"},
    {tensor_of(0, {-1}, {1}),
     "*expected the sizes of a tensor to be 0 or more, got -1"},
    {tensor_of(0, {2}, {-1}),
     "*expected the strides of a tensor to be 0 or more, got -1"},
    {tensor_of(-1, {2}, {1}),
     "*expected the offset of a tensor to be 0 or more, got -1"},
    {tensor_of(0, {2, 3}, {1}), "*expected as many strides as sizes, got 1 and 2"},
    {tensor_of(0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1)),
     "*expected at most 64 dimensions, got more"},
    {value_of(pickle::tensor(pickle::text("0"), 0, {1}, {1})),
     "*expected the storage of a tensor, got \"0\""},
    {value_of(pickle::call(
         pickle::global("torch._utils", "_rebuild_tensor_v2"),
         pickle::tuple({kStorage, pickle::number(0)}))),
     "*expected the 6 or 7 arguments of a tensor, got 2 arguments"},
    {value_of(pickle::call(
         pickle::global("torch._utils", "_rebuild_tensor"),
         pickle::tuple({kStorage, pickle::number(0), pickle::text("6"), ")"}))),
     "*expected the sizes of a tensor as a tuple, got \"6\""},
    {value_of(pickle::call(
         pickle::global("torch._utils", "_rebuild_parameter"),
         pickle::tuple({kStorage, "\x88", "}"}))),
     "*expected a tensor as parameter, got a storage"},
    // Globals
    {value_of(pickle::call(
         pickle::global("posix", "system"),
         pickle::tuple({pickle::text("id")}))),
     "data.pkl: byte 2: the global \"posix.system\" is not allowed" + kSafe},
    {value_of(pickle::global("builtins", "eval")),
     "data.pkl: byte 2: the global \"builtins.eval\" is not allowed" + kSafe},
    {value_of(pickle::global("os.path", "join")),
     "data.pkl: byte 2: the global \"os.path.join\" is not allowed" + kModuleHint},
    {value_of(pickle::text("posix") + pickle::text("system") + std::string("\x93")),
     "*the global \"posix.system\" is not allowed" + kSafe},
    {value_of(pickle::global("torch._utils", "_rebuild_sparse_tensor")),
     "*the global \"torch._utils._rebuild_sparse_tensor\" is not allowed (only dense "
     "tensors are read)"},
    {value_of(pickle::global("torch", "ComplexFloatStorage")),
     "*the global \"torch.ComplexFloatStorage\" is not allowed (no type of number that "
     "this library has)"},
    {value_of(pickle::global("__torch__.Model", "forward")),
     "*the global \"__torch__.Model.forward\" is not allowed (classes of TorchScript "
     "are for files of torch.jit.save)"},
    {value_of(pickle::global("__torch__evil", "x"), true),
     "*the global \"__torch__evil.x\" is not allowed *"},
    {value_of(pickle::global("\x1b[2J", "x")),
     "*the global \"\\u001b[2J.x\" is not allowed *"},
    // The machine
    {archive_of("", {}),
     "data.pkl: byte 0: the pickle ends in the middle (was the file cut off?)"},
    {archive_of("\x80", {}), "data.pkl: byte 0: the pickle ends in the middle *"},
    {archive_of("\x80\x02}", {}), "data.pkl: byte 3: the pickle ends in the middle *"},
    {archive_of("\x80\x02}.}", {}),
     "data.pkl: byte 3: the pickle ends before its record"},
    {archive_of("\x80\x01}.", {}),
     "data.pkl: byte 0: expected pickle protocol 2 to 5, got 1"},
    {archive_of("\x80\x06}.", {}),
     "data.pkl: byte 0: expected pickle protocol 2 to 5, got 6"},
    {value_of("I1\n"), "data.pkl: byte 2: the instruction 0x49 is not allowed" + kSafe},
    {value_of("(i__builtin__\neval\n"), "*the instruction 0x69 is not allowed" + kSafe},
    {value_of("\x82\x01"), "*the instruction 0x82 is not allowed" + kSafe},
    {value_of(""), "data.pkl: byte 2: expected a value on the stack, found none"},
    {value_of("(t(t(("), "*expected a value on the stack, found none"},
    {value_of("t"), "*expected a mark on the stack, found none"},
    {value_of("NNa"), "*expected a list to append to, got None"},
    {value_of("](NNu"), "*expected a dict to fill, got a list"},
    {value_of("}(NNNu"), "*expected a value for every key of a dict"},
    {value_of("NN\x81"), "*expected a tuple of arguments, got None"},
    {value_of("N)R"), "*expected a function to call, got None"},
    {value_of(pickle::global("torch", "FloatStorage") + ")R"),
     "*expected a function to call, got a class"},
    {value_of(pickle::global("collections", "OrderedDict") + ")\x81"),
     "*expected a class of TorchScript and no arguments"},
    {value_of("]}b"),
     "*expected the attributes of a module as a dict, got a dict for a list"},
    {value_of("h\x05"), "*nothing was put at place 5 of the memo"},
    {value_of("Nr" + little(1 << 30, 4)),
     "*expected a place near 0 in the memo, got 1073741824"},
    {value_of("X" + little(1 << 30, 4)), "*the pickle ends in the middle *"},
    {value_of("\x8a\x09" + zeros(9)), "*expected a number of at most 8 bytes, got 9"},
    {value_of("NQ"), "*expected a tuple for a storage, got None"},
    {value_of(pickle::tuple({pickle::text("module"), "N", "N", "N", "N"}) + "Q"),
     "*expected (\"storage\", class, key, device, elements) for a storage"},
    {value_of("ctorch"), "*the pickle ends in the middle *"},
    // Names
    {value_of("}(" + pickle::text("x") + "N" + pickle::text("x") + "Nu"),
     "*the key \"x\" stands there twice"},
    {value_of("}()Nu"), "*expected text or a whole number as a key, got a tuple"},
    {value_of(pickle::dict(
         {{std::string(600, 'n'), pickle::tensor(kStorage, 0, {6}, {1})}})),
     "*expected names of at most 512 characters, got one that begins with *"},
    {value_of(pickle::dict(
         {{"a.b", pickle::tensor(kStorage, 0, {6}, {1})},
          {"a", pickle::dict({{"b", pickle::tensor(kStorage, 0, {6}, {1})}})}})),
     "the name \"a.b\" stands there twice"},
    {value_of("]q" + zeros(1) + "h" + zeros(1) + "a"),
     "*expected values nested at most 64 deep and at most 4000000 of them, got more"},
};

}  // namespace

TEST_CASE("bad archives are refused, each with its own message") {
  CHECK(kBadFiles.size() >= 40);
  for (size_t i = 0; i < kBadFiles.size(); ++i) {
    std::string expected = kBadFiles[i].message;
    std::string message = error_of_file(kBadFiles[i].bytes);
    INFO("bad file " << i << ": " << message);
    const bool has_end = expected.back() != '*';
    if (!has_end) {
      expected.pop_back();
    }
    if (!expected.empty() && expected.front() == '*') {
      expected.erase(0, 1);
      const size_t place = message.find(expected);
      message = place == std::string::npos ? message : message.substr(place);
    }
    CHECK((has_end ? message : message.substr(0, expected.size())) == expected);
  }
}

TEST_CASE("what is no file is refused as an archive") {
  const TemporaryFolder folder;
  const std::string missing = (folder / "missing").string();
  CHECK(error_of<trmml::CheckpointError>([&] {
          read_torch_archive(missing);
        }) == missing + ": cannot open the file: No such file or directory");
  CHECK(error_of<trmml::CheckpointError>([&] {
          read_torch_archive(folder.path());
        }) == folder.path().string() + ": expected a regular file, got something else");
}

TEST_CASE("pickles that would cost much cost little") {
  // Nested lists, one value shared a million million times, and a memo of many places.
  CHECK(
      error_of_file(value_of(repeated("]", 1'000'000) + repeated("a", 999'999))) ==
      "data.pkl: byte 2000001: expected values nested at most 64 deep and at most "
      "4000000 of them, got more");
  std::string doubling = "]";
  for (int i = 0; i < 40; ++i) {
    doubling += std::string("q") + static_cast<char>(i) + "](h" + static_cast<char>(i) +
                "h" + static_cast<char>(i) + "e";
  }
  CHECK(ends_with(
      error_of_file(value_of(doubling)), "at most 4000000 of them, got more"));
  CHECK(
      error_of_file(value_of(repeated("N", 5'000'000))) ==
      "data.pkl: byte 4000002: expected at most 4000000 values, got more");
  CHECK(
      error_of_file(archive_of(repeated("N", 17 << 20), {})) ==
      "data.pkl: expected at most 16777216 bytes, got 17825792");
}

TEST_CASE("any change of a byte is either harmless or an error") {
  std::mt19937 random(5);
  const TemporaryFolder folder;
  int refused = 0;
  for (const char* name : {"state_2.13.pt", "script_1.13.pt", "protocol_5.pt"}) {
    const std::string good = support::read_bytes(kArchives / name);
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = good;
      const int changes = 1 + static_cast<int>(random() % 4);
      for (int k = 0; k < changes; ++k) {
        // The directory at the end and the pickle at the start matter most.
        const size_t place = random() % bytes.size();
        bytes[place] = static_cast<char>(random() % 3 ? random() : bytes[place] ^ 1);
      }
      if (random() % 10 == 0) {
        bytes.resize(random() % bytes.size());
      }
      write_bytes(folder / "file", bytes);
      try {
        double sum = 0;
        for (const auto& item : read_torch_archive(folder / "file").tensors) {
          sum += item.second.to(at::kDouble).sum().item<double>();  // touches all of it
        }
        CHECK((sum <= 0 || sum > 0 || sum != sum));
      } catch (const trmml::CheckpointError& error) {
        CHECK(std::string(error.what()).size() > 20);
        ++refused;
      }
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("tensors are views of shared storages") {
  const std::string base = "q" + zeros(1);
  const TorchArchive file = read_bytes_of(archive_of(
      pickle::of(pickle::dict(
          {{"whole", pickle::tensor(kStorage, 0, {2, 3}, {3, 1})},
           {"transposed", pickle::tensor(kStorage, 0, {3, 2}, {1, 3})},
           {"last", pickle::tensor(kStorage, 5, {}, {})},
           {"none", pickle::tensor(kStorage, 6, {0, 4}, {4, 1})}})),
      {kSix}));
  CHECK_FALSE(file.is_script);
  const at::Tensor whole = file.tensors.at("whole");
  CHECK(same(whole, at::arange(6, at::kFloat).view({2, 3})));
  CHECK(same(file.tensors.at("transposed"), whole.t()));
  CHECK(same(file.tensors.at("last"), at::scalar_tensor(5.f)));
  CHECK(same(file.tensors.at("none"), at::empty({0, 4})));
  CHECK(whole.is_alias_of(file.tensors.at("transposed")));
  at::Tensor changed = whole;
  changed.add_(1);  // a private page, not the file
  CHECK(file.tensors.at("last").item<float>() == 6);
}

TEST_CASE("zip64, padding, comments and sizes behind the data are understood") {
  const at::Tensor expected = at::arange(6, at::kFloat).view({2, 3});
  for (const std::string& bytes :
       {with_end({.has_zip64 = true}),
        with_end(
            {.has_zip64 = true,
   .entries = 0xFFFF,
   .directory_size = 0xFFFFFFFF,
   .directory_begin = 0xFFFFFFFF}),
        with_end({.comment = "made by hand"}),
        with_item(1, [](ZipItem& item) { item.in_zip64_field = true; }),
        with_item(1, [](ZipItem& item) { item.flags = 8; }),
        with_item(1, [](ZipItem& item) { item.local_extra = zeros(3); }),
        with_item(2, [](ZipItem& item) {
          item = {"a/byteorder", "little"};
        })}) {
    CHECK(same(read_bytes_of(bytes).tensors.at("x"), expected));
  }
}

TEST_CASE("numbers of the other byte order are turned") {
  std::string big = kSix;
  for (size_t i = 0; i < big.size(); i += 4) {
    std::reverse(
        big.begin() + static_cast<ptrdiff_t>(i),
        big.begin() + static_cast<ptrdiff_t>(i + 4));
  }
  std::vector<ZipItem> all = items();
  all[1].data = big;
  all[2] = {"a/byteorder", "big"};
  CHECK(same(
      read_bytes_of(zip_of(all)).tensors.at("x"),
      at::arange(6, at::kFloat).view({2, 3})));
}

TEST_CASE("files of PyTorch 1.13 and 2.13 are read") {
  for (const char* name : {"state_1.13.pt", "state_2.13.pt", "protocol_5.pt"}) {
    INFO(name);
    const TensorMap tensors = read_torch_archive(kArchives / name).tensors;
    const at::Tensor numbers = at::tensor({0, 1, 2}, at::kLong);
    for (const auto& [dtype, type] :
         std::vector<std::pair<std::string, at::ScalarType>>{
             {"f64", at::kDouble},
             {"f32", at::kFloat},
             {"f16", at::kHalf},
             {"bf16", at::kBFloat16},
             {"i64", at::kLong},
             {"i32", at::kInt},
             {"i16", at::kShort},
             {"i8", at::kChar},
             {"u8", at::kByte},
             {"bool", at::kBool}}) {
      CHECK(same(tensors.at("values." + dtype), numbers.to(type)));
    }
    const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
    CHECK(same(tensors.at("values.transposed"), base.t()));
    CHECK(same(tensors.at("values.part"), base.slice(0, 1).slice(1, 1, 4, 2)));
    CHECK(same(tensors.at("values.column"), base.select(1, 2)));
    CHECK(tensors.at("values.column").is_alias_of(tensors.at("values.part")));
    CHECK(same(tensors.at("values.scalar"), at::scalar_tensor(2.5f)));
    CHECK(same(tensors.at("values.empty"), at::empty({0, 7})));
    CHECK(same(tensors.at("values.parameter"), at::ones({2})));
    CHECK(same(tensors.at("state_dict.module.a"), at::full({1}, 7, at::kLong)));
    CHECK(same(tensors.at("state_dict.b.c"), at::full({1}, 8.f)));
    CHECK(same(tensors.at("list.0"), at::full({1}, 1, at::kLong)));
    CHECK(same(tensors.at("list.1.0"), at::full({1}, 2, at::kLong)));
    CHECK(same(tensors.at("optimizer.state.0.step"), at::scalar_tensor(4.f)));
    CHECK(same(tensors.at("module.weight"), at::arange(6, at::kFloat).view({2, 3})));
    CHECK(tensors.count("module.norm.running_var") == 1);
    CHECK(tensors.size() == 27);
  }
  CHECK(same(
      read_torch_archive(kArchives / "tensor.pt").tensors.at(""),
      at::tensor({3, 4}, at::kLong)));
}

TEST_CASE("modules of TorchScript are bags of tensors") {
  for (const char* name : {"script_1.13.pt", "script_2.13.pt"}) {
    INFO(name);
    const TorchArchive file = read_torch_archive(kArchives / name);
    CHECK(file.is_script);
    CHECK(same(
        file.tensors.at("blocks.0.weight"), at::arange(6, at::kFloat).view({2, 3})));
    CHECK(same(file.tensors.at("input_resolution"), at::scalar_tensor(224, at::kLong)));
    CHECK(
        file.tensors.at("blocks.0.norm.running_mean").sizes() == at::IntArrayRef({3}));
    CHECK(file.tensors.at("blocks.1.bias").sizes() == at::IntArrayRef({2}));
    CHECK(file.tensors.count("mask") == 1);
    CHECK(file.tensors.size() == 10);
  }
}

TEST_CASE("what PyTorch writes but this library does not read is said plainly") {
  const auto error = [](const char* name) {
    const std::string path = (kArchives / name).string();
    return error_of<trmml::CheckpointError>([&] { read_torch_archive(path); })
        .substr(path.size() + 2);
  };
  CHECK(
      error("old.pt") ==
      "expected the zip format of PyTorch 1.6 and later, got an older one (convert it "
      "where it comes from: python -c \"import torch; torch.save(torch.load('old.pt', "
      "map_location='cpu', weights_only=True), 'new.pt')\")");
  CHECK(
      error("module.pt") ==
      "data.pkl: byte 2: the global \"__main__.Inner\" is not allowed" + kSafe);
  CHECK(ends_with(
      error("sparse.pt"),
      "\"torch._utils._rebuild_sparse_tensor\" is not "
      "allowed (only dense tensors are read)"));
  CHECK(ends_with(
      error("complex.pt"),
      "is not allowed (no type of number that this library "
      "has)"));
  CHECK(
      error("expanded.pt") ==
      "tensor \"a\": expected at most as many elements as its storage of 1 has, got "
      "sizes [3], strides [0], offset 0 (an expanded tensor: save its clone())");
}

TEST_CASE("pages of a mapped file are given back and read again") {
  const TorchArchive file = read_bytes_of(archive_of(
      pickle::of(pickle::tensor(
          pickle::storage("FloatStorage", "0", 1 << 16), 0, {1 << 16}, {1})),
      {floats(std::vector<float>(1 << 16, 2.5f))}));
  const at::Tensor tensor = file.tensors.at("");
  CHECK(tensor.sum().item<float>() == 2.5f * (1 << 16));
  CHECK(trmml::io::release_pages(tensor));
  CHECK(tensor.sum().item<float>() == 2.5f * (1 << 16));
  CHECK_FALSE(trmml::io::release_pages(tensor.slice(0, 0, 100, 2)));
  CHECK_FALSE(trmml::io::release_pages(at::ones({1 << 16})));
  CHECK_FALSE(trmml::io::release_pages(at::Tensor()));
}
