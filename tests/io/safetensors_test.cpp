#include "trmml/io/safetensors.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "reference/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::read_bytes;
using support::same;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::io::read_safetensors;
using trmml::io::SafetensorsFile;
using trmml::io::TensorMap;
using trmml::io::write_safetensors;

namespace {

std::string length_of(uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

/// A file with this header and these bytes of data.
std::string file_of(const std::string& header, const std::string& data = "") {
  return length_of(header.size()) + header + data;
}

std::string zeros(size_t count) {
  return std::string(count, '\0');
}

/// The message for a file with these bytes, without the path in front.
std::string error_of_file(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "bad.safetensors";
  write_bytes(path, bytes);
  const std::string message =
      error_of<trmml::CheckpointError>([&] { read_safetensors(path); });
  const std::string prefix = path.string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

SafetensorsFile read_file_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", bytes);
  return read_safetensors(folder / "file");  // the mapping outlives the name
}

TensorMap one_of_each() {
  TensorMap tensors;
  const at::Tensor values = at::tensor({-1.0, 0.0, 2.0}, at::kDouble).view({1, 3});
  const at::Tensor fractions = at::tensor({-1.5, 0.0, 2.0}, at::kDouble).view({1, 3});
  tensors["f64"] = fractions;
  tensors["f32"] = fractions.to(at::kFloat);
  tensors["f16"] = fractions.to(at::kHalf);
  tensors["bf16"] = fractions.to(at::kBFloat16);
  tensors["i64"] = values.to(at::kLong);
  tensors["i32"] = values.to(at::kInt);
  tensors["i16"] = values.to(at::kShort);
  tensors["i8"] = values.to(at::kChar);
  tensors["u8"] = at::tensor({0, 2, 250}, at::kByte).view({1, 3});
  tensors["bool"] = at::tensor({0, 1, 1}, at::kByte).to(at::kBool).view({1, 3});
  tensors["empty"] = at::empty({0, 7});
  tensors["scalar"] = at::scalar_tensor(0.25, at::kDouble);
  return tensors;
}

const trmml::io::Metadata kMetadata = {{"format", "pt"}, {"quote\"d", "caf\303\251\n"}};

struct BadFile {
  std::string bytes;
  std::string message;  // a star at the end: and so on
};

const std::string kA = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

const std::vector<BadFile> kBadFiles = {
    // Length of the header
    {"", "expected at least 8 bytes (the length of the header), got 0"},
    {zeros(7), "expected at least 8 bytes (the length of the header), got 7"},
    {length_of(100'000'001) + "{}",
     "expected a header of at most 100000000 bytes, got 100000001 (not a safetensors "
     "file?)"},
    {length_of(UINT64_MAX) + "{}",
     "expected a header of at most 100000000 bytes, got 18446744073709551615 (not a "
     "safetensors file?)"},
    {std::string("PK\3\4\24\0\0\0 a zip file", 19), "expected a header of at most *"},
    {length_of(3) + "{}",
     "expected a header of 3 bytes, got a file with 2 bytes after its length (the file "
     "was cut off?)"},
    {length_of(100'000'000),
     "expected a header of 100000000 bytes, got a file with 0 bytes after its length "
     "(the file was cut off?)"},
    {length_of(0), "header: expected '{' as its first byte"},
    {file_of(" {}"), "header: expected '{' as its first byte"},
    {file_of("[]"), "header: expected '{' as its first byte"},
    {file_of("\xEF\xBB\xBF{}"), "header: expected '{' as its first byte"},
    // JSON
    {file_of("{"), "header: expected JSON, got an error at byte *"},
    {file_of("{}}"), "header: expected JSON, got an error at byte 3 of the header: *"},
    {file_of("{} x"), "header: expected JSON, got an error at byte *"},
    {file_of("{\"a\"}"), "header: expected JSON, got an error at byte *"},
    {file_of("{\"a\":}"), "header: expected JSON, got an error at byte *"},
    {file_of("{" + kA + ",}", zeros(4)),
     "header: expected JSON, got an error at byte *"},
    {file_of("{//\n}"), "header: expected JSON, got an error at byte *"},
    {file_of("{\"\xFF\":1}"),
     "header: expected JSON, got an error at byte 3 of the header: invalid string: "
     "ill-formed UTF-8 byte"},
    {file_of("{\"\\ud800\":1}"), "header: expected JSON, got an error at byte *"},
    {file_of("{}" + zeros(2)),
     "header: expected text, got the control character 0x00 at byte 2"},
    {file_of("{}\n\x1b"),
     "header: expected text, got the control character 0x1b at byte 3"},
    {file_of("{\"a\tb\":1}"), "header: expected JSON, got an error at byte *"},
    // Names
    {file_of("{" + kA + "," + kA + "}", zeros(4)),
     "header: the name \"a\" stands there twice"},
    {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{}})"),
     "header: the name \"a\" stands there twice"},
    {file_of(R"({"__metadata__":{},"__metadata__":{}})"),
     "header: the name \"__metadata__\" stands there twice"},
    // Metadata
    {file_of(R"({"__metadata__":null})"),
     "__metadata__: expected an object of text, got null"},
    {file_of(R"({"__metadata__":[]})"),
     "__metadata__: expected an object of text, got a list"},
    {file_of(R"({"__metadata__":{"k":1}})"),
     "__metadata__: expected text for \"k\", got a number"},
    {file_of(R"({"__metadata__":{"k":{"deep":"x"}}})"),
     "__metadata__: expected text for \"k\", got an object"},
    {file_of(R"({"__metadata__":{"k":"v","k":"w"}})"),
     "__metadata__: the key \"k\" stands there twice"},
    // Fields
    {file_of(R"({"a":3})"), "tensor \"a\": expected an object, got a number"},
    {file_of(R"({"a":"F32"})"), "tensor \"a\": expected an object, got text"},
    {file_of(R"({"a\u001b[2J":[]})"),
     "tensor \"a\\u001b[2J\": expected an object, got a list"},
    {file_of(R"({"a":{}})"),
     "tensor \"a\": expected the fields dtype, shape and data_offsets, got no dtype"},
    {file_of(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", zeros(4)),
     "tensor \"a\": expected the fields dtype, shape and data_offsets, got no shape"},
    {file_of(R"({"a":{"dtype":"F32","shape":[1]}})", zeros(4)),
     "tensor \"a\": expected the fields dtype, shape and data_offsets, got no "
     "data_offsets"},
    {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":2}})"),
     "tensor \"a\": expected the fields dtype, shape and data_offsets, got \"scale\""},
    {file_of(R"({"a":{"dtype":"F32","dtype":"I32"}})"),
     "tensor \"a\": the field dtype stands there twice"},
    {file_of(R"({"a":{"shape":[1],"shape":[1]}})"),
     "tensor \"a\": the field shape stands there twice"},
    {file_of(R"({"a":{"data_offsets":[0,4],"data_offsets":[0,4]}})"),
     "tensor \"a\": the field data_offsets stands there twice"},
    // Dtype
    {file_of(R"({"a":{"dtype":7}})"),
     "tensor \"a\": expected dtype as text, got a number"},
    {file_of(R"({"a":{"dtype":"f32"}})"),
     "tensor \"a\": expected a dtype among F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, "
     "got "
     "\"f32\""},
    {file_of(R"({"a":{"dtype":"F8_E4M3"}})"),
     "tensor \"a\": expected a dtype among F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, "
     "got "
     "\"F8_E4M3\""},
    // Shape
    {file_of(R"({"a":{"shape":1}})"),
     "tensor \"a\": expected shape as a list of sizes, got a number"},
    {file_of(R"({"a":{"shape":[-1]}})"),
     "tensor \"a\": expected shape as a list of sizes, got a negative number"},
    {file_of(R"({"a":{"shape":[1.0]}})"),
     "tensor \"a\": expected shape as a list of sizes, got a number that is not a "
     "64-bit "
     "integer"},
    {file_of(R"({"a":{"shape":[18446744073709551616]}})"),
     "tensor \"a\": expected shape as a list of sizes, got a number that is not a "
     "64-bit "
     "integer"},
    {file_of(R"({"a":{"shape":["1"]}})"),
     "tensor \"a\": expected shape as a list of sizes, got text"},
    {file_of(R"({"a":{"shape":[[1]]}})"),
     "tensor \"a\": expected shape as a list of sizes, got a list"},
    {file_of(R"({"a":{"shape":[true]}})"),
     "tensor \"a\": expected shape as a list of sizes, got a truth value"},
    {file_of(
         R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
     "tensor \"a\": expected a shape whose bytes can be counted in 63 bits, got "
     "[4294967296, 4294967296]"},
    {file_of(
         R"({"a":{"dtype":"F32","shape":[2305843009213693952],"data_offsets":[0,0]}})"),
     "tensor \"a\": expected a shape whose bytes can be counted in 63 bits, got "
     "[2305843009213693952]"},
    {file_of(
         R"({"a":{"dtype":"U8","shape":[0,9223372036854775808],"data_offsets":[0,0]}})"),
     "tensor \"a\": expected a shape whose bytes can be counted in 63 bits, got [0, "
     "9223372036854775808]"},
    // Offsets
    {file_of(R"({"a":{"data_offsets":"0,4"}})"),
     "tensor \"a\": expected data_offsets as a list of two sizes, got text"},
    {file_of(R"({"a":{"data_offsets":[]}})"),
     "tensor \"a\": expected data_offsets of two numbers, got []"},
    {file_of(R"({"a":{"data_offsets":[4]}})"),
     "tensor \"a\": expected data_offsets of two numbers, got [4]"},
    {file_of(R"({"a":{"data_offsets":[0,4,8]}})"),
     "tensor \"a\": expected data_offsets of two numbers, got more"},
    {file_of(R"({"a":{"data_offsets":[-4,0]}})"),
     "tensor \"a\": expected data_offsets as a list of two sizes, got a negative "
     "number"},
    {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", zeros(4)),
     "tensor \"a\": expected data_offsets in ascending order, got [4, 0]"},
    {file_of(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", zeros(20)),
     "tensor \"a\": expected 24 bytes for F32 of shape [2, 3], got 20 (data_offsets "
     "[0, "
     "20])"},
    {file_of(R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,0]}})"),
     "tensor \"a\": expected 8 bytes for I64 of shape [], got 0 (data_offsets [0, 0])"},
    {file_of("{" + kA + "}", zeros(3)),
     "tensor \"a\": expected data_offsets within the 3 bytes of data, got [0, 4] (the "
     "file "
     "was cut off?)"},
    {file_of(
         R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,9223372036854775808]}})",
         zeros(1)),
     "tensor \"a\": expected data_offsets within the 1 bytes of data, got "
     "[9223372036854775807, 9223372036854775808] (the file was cut off?)"},
    {file_of("{" + kA + "}", zeros(5)),
     "expected the data to end with the last tensor at byte 4, got 5 bytes"},
    {file_of("{}", zeros(1)),
     "expected the data to end with the last tensor at byte 0, got 1 bytes"},
    {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", zeros(8)),
     "tensor \"a\": data_offsets [4, 8] leave a hole: the data before ends at 0"},
    {file_of(
         "{" + kA + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[5,9]}})",
         zeros(9)),
     "tensor \"b\": data_offsets [5, 9] leave a hole: the data before ends at 4"},
    {file_of(
         "{" + kA + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})",
         zeros(7)),
     "tensor \"b\": data_offsets [3, 7] overlap the tensor before, which ends at 4"},
    {file_of(
         "{" + kA + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
         zeros(4)),
     "tensor \"b\": data_offsets [0, 4] overlap the tensor before, which ends at 4"},
    {file_of(
         "{" + kA + R"(,"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
         zeros(4)),
     "tensor \"b\": data_offsets [2, 2] overlap the tensor before, which ends at 4"},
    // Values that C++ has no bool for
    {file_of(
         R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})",
         std::string("\0\1\2", 3)),
     "tensor \"a\": expected bytes 0 and 1 for BOOL, got 2 at element 2"},
};

}  // namespace

TEST_CASE("bad files are refused, each with its own message") {
  CHECK(kBadFiles.size() >= 40);
  for (size_t i = 0; i < kBadFiles.size(); ++i) {
    std::string expected = kBadFiles[i].message;
    std::string message = error_of_file(kBadFiles[i].bytes);
    if (expected.back() == '*') {
      expected.pop_back();
      message = message.substr(0, expected.size());
    }
    INFO("bad file " << i);
    CHECK(message == expected);
  }
}

TEST_CASE("nesting and lists of any length cost nothing") {
  const std::string brackets(5'000'000, '[');
  CHECK(
      error_of_file(file_of("{\"a\":" + brackets)) ==
      "tensor \"a\": expected an object, got a list");
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) {
    objects += "\"a\":{";
  }
  CHECK(
      error_of_file(file_of(objects)) ==
      "tensor \"a\": expected the fields dtype, shape and data_offsets, got \"a\"");
  std::string shape = R"({"a":{"dtype":"U8","shape":[1)";
  for (int i = 0; i < 64; ++i) {
    shape += ",1";
  }
  CHECK(
      error_of_file(file_of(shape + R"(],"data_offsets":[0,1]}})", "x")) ==
      "tensor \"a\": expected at most 64 dimensions, got more");
  const std::string name(100'000, 'n');
  CHECK(
      error_of_file(file_of("{\"" + name + "\":1}")) ==
      "tensor \"" + name.substr(0, 120) + "\"...: expected an object, got a number");
}

TEST_CASE("what is no file is refused") {
  const TemporaryFolder folder;
  const std::string missing = (folder / "missing").string();
  CHECK(error_of([&] {
          read_safetensors(missing);
        }) == missing + ": cannot open the file: No such file or directory");
  CHECK(error_of([&] {
          read_safetensors(folder.path());
        }) == folder.path().string() + ": expected a regular file, got something else");
}

TEST_CASE("a file cut off or changed at any byte is read or refused, never more") {
  const TemporaryFolder folder;
  const std::string& good = reference::kSafetensors;
  write_bytes(folder / "short", good);
  for (size_t size = good.size(); size-- > 0;) {
    std::filesystem::resize_file(folder / "short", size);
    CHECK_THROWS_AS(read_safetensors(folder / "short"), trmml::CheckpointError);
  }
  int refused = 0;
  write_bytes(folder / "file", good);
  std::fstream file(folder / "file", std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&file](size_t place, char byte) {
    file.seekp(static_cast<std::streamoff>(place)).put(byte).flush();
  };
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char byte : {'\0', '"', '9', '\x7F', '\xFF'}) {
      put(i, byte);
      try {
        for (const auto& item : read_safetensors(folder / "file").tensors) {
          item.second.clone();
        }
      } catch (const trmml::CheckpointError&) {
        ++refused;
      }
    }
    put(i, good[i]);
  }
  CHECK(refused > 2000);
}

TEST_CASE("a file made with struct is read and written byte for byte") {
  const SafetensorsFile file = read_file_of(reference::kSafetensors);
  const TensorMap expected = one_of_each();
  CHECK(file.metadata == kMetadata);
  REQUIRE(file.tensors.size() == expected.size());
  for (const auto& [name, tensor] : expected) {
    INFO(name);
    REQUIRE(file.tensors.count(name) == 1);
    CHECK(same(file.tensors.at(name), tensor));
  }
  const TemporaryFolder folder;
  write_safetensors(folder / "written", expected, kMetadata);
  CHECK(read_bytes(folder / "written") == reference::kSafetensors);
}

TEST_CASE("headers may be padded, spread over lines, in any order, or empty") {
  CHECK(read_file_of(file_of("{}")).tensors.empty());
  CHECK(read_file_of(file_of("{}      ")).tensors.empty());
  CHECK(read_file_of(file_of("{\"__metadata__\":{}}")).metadata.empty());
  const SafetensorsFile file = read_file_of(file_of(
      "{ \"b\" :\r\n\t{\"data_offsets\":[4,8],\"shape\":[ ],\"dtype\":\"I32\"},\n"
      "\"\":{\"shape\":[2,1],\"dtype\":\"I16\",\"data_offsets\":[0,4]},"
      "\"z\":{\"shape\":[3,0],\"dtype\":\"F64\",\"data_offsets\":[4,4]}} ",
      std::string("\1\0\2\0\3\0\0\0", 8)));
  CHECK(same(file.tensors.at("b"), at::scalar_tensor(3, at::kInt)));
  CHECK(same(file.tensors.at(""), at::tensor({1, 2}, at::kShort).view({2, 1})));
  CHECK(same(file.tensors.at("z"), at::empty({3, 0}, at::kDouble)));
}

TEST_CASE("data that are not aligned are copied to where they are") {
  const SafetensorsFile file = read_file_of(file_of(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("b":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}})",
      std::string("\7\0\0\0\0\0\0\xF0\x3F", 9)));
  const at::Tensor b = file.tensors.at("b");
  CHECK(same(b, at::ones({1}, at::kDouble)));
  CHECK(reinterpret_cast<uintptr_t>(b.data_ptr()) % 8 == 0);
  CHECK(file.tensors.at("a").item<int>() == 7);
}

TEST_CASE("tensors outlive the file, and writing to them does not reach it") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "file";
  write_safetensors(path, {{"a", at::ones({3})}, {"b", at::zeros({2})}});
  const std::string before = read_bytes(path);
  at::Tensor a = read_safetensors(path).tensors.at("a");
  a.add_(1);
  CHECK(read_bytes(path) == before);
  write_safetensors(path, {{"other", at::zeros({50'000})}});
  CHECK(same(a, at::full({3}, 2.0)));
  a.requires_grad_(true);
  (a * a).sum().backward();
  CHECK(same(a.grad(), at::full({3}, 4.0)));
}

TEST_CASE("strides, views and gradients are written as plain values") {
  const TemporaryFolder folder;
  const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
  const at::Tensor complex = at::complex(base, base + 1);
  const TensorMap tensors = {
      {"transposed", base.t()},
      {"strided", base.slice(1, 1, 4, 2)},
      {"expanded", base.select(1, 0).unsqueeze(1).expand({3, 5})},
      {"leaf", base.clone().requires_grad_(true)},
      {"negated", at::imag(complex.conj())},
      {"negative view", at::_neg_view(base)},
  };
  write_safetensors(folder / "file", tensors);
  const TensorMap back = read_safetensors(folder / "file").tensors;
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    CHECK(same(back.at(name), tensor));
    CHECK(back.at(name).is_contiguous());
    CHECK_FALSE(back.at(name).requires_grad());
  }
}

TEST_CASE("tensors on an accelerator are written") {
  if (!at::hasCUDA()) {
    return;
  }
  const TemporaryFolder folder;
  const at::Tensor values = at::arange(6, at::kFloat).view({2, 3});
  write_safetensors(folder / "file", {{"a", values.to(at::kCUDA).t()}});
  CHECK(same(read_safetensors(folder / "file").tensors.at("a"), values.t()));
}

TEST_CASE("a written file is aligned, sorted, and the same each time") {
  const TemporaryFolder folder;
  for (int length = 0; length < 9; ++length) {
    TensorMap tensors = one_of_each();
    tensors[std::string(static_cast<size_t>(length), 'n')] = at::ones({1}, at::kChar);
    write_safetensors(folder / "one", tensors);
    write_safetensors(folder / "two", tensors);
    const std::string bytes = read_bytes(folder / "one");
    CHECK(bytes == read_bytes(folder / "two"));
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    CHECK(header % 8 == 0);
    for (const auto& [name, tensor] : read_safetensors(folder / "one").tensors) {
      INFO(name);
      CHECK(same(tensor, tensors.at(name)));
      CHECK(
          reinterpret_cast<uintptr_t>(tensor.data_ptr()) %
              static_cast<uintptr_t>(tensor.element_size()) ==
          0);
    }
  }
  write_safetensors(folder / "empty", {});
  CHECK(read_bytes(folder / "empty") == file_of("{}      "));
}

TEST_CASE("what the format does not have is refused before a file appears") {
  const TemporaryFolder folder;
  const auto error = [&](const TensorMap& tensors,
                         const trmml::io::Metadata& metadata) {
    return error_of([&] { write_safetensors(folder / "file", tensors, metadata); });
  };
  CHECK(
      error({{"a", at::Tensor()}}, {}) ==
      "write_safetensors: expected a tensor for \"a\", got none");
  CHECK(
      error({{"a", at::ones({2}, at::kComplexFloat)}}, {}) ==
      "write_safetensors: expected a dtype that the format has for \"a\", got "
      "ComplexFloat");
  CHECK(
      error({{"a", at::eye(2).to_sparse()}}, {}) ==
      "write_safetensors: expected a dense tensor for \"a\", got a sparse one "
      "(to_dense() makes one)");
  CHECK(
      error({{"__metadata__", at::ones({2})}}, {}) ==
      "write_safetensors: expected another name than __metadata__ for a tensor (the "
      "format keeps it)");
  CHECK(
      error({{"\xFF", at::ones({2})}}, {}) ==
      "write_safetensors: expected UTF-8 text, got \"\\ufffd\"");
  CHECK(
      error({}, {{"k", "\xC3"}}) ==
      "write_safetensors: expected UTF-8 text, got \"\\ufffd\"");
  CHECK(folder.names().empty());
  const std::string missing = (folder / "missing/file").string();
  CHECK(
      error_of([&] { write_safetensors(missing, {}); }) ==
      "cannot write '" + missing +
          "': open a temporary file in its folder: No such file or directory (what was "
          "there before is unchanged)");
}
