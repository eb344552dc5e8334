#include "trmml/io/npy.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "reference/npy.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using reference::kNpy;
using support::error_of;
using support::read_bytes;
using support::same;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::io::read_npy;
using trmml::io::read_npy_names;
using trmml::io::write_npy;

namespace {

/// The message for a file with these bytes, without the path in front.
std::string error_of_file(const std::string& bytes, bool as_names = false) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "bad.npy";
  write_bytes(path, bytes);
  const std::string message = error_of<trmml::DataError>([&] {
    as_names ? static_cast<void>(read_npy_names(path))
             : static_cast<void>(read_npy(path));
  });
  const std::string prefix = path.string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

at::Tensor read_file_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", bytes);
  return read_npy(folder / "file");  // the mapping outlives the name
}

std::vector<std::string> names_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", bytes);
  return read_npy_names(folder / "file");
}

at::Tensor matrix(at::ScalarType type) {
  return at::tensor({-1, 0, 2, 3, -4, 100}, at::kInt).view({2, 3}).to(type);
}

/// A file of version 1 with this header (and a line break) and these bytes of data.
std::string file_of(const std::string& header, const std::string& data = "") {
  const size_t length = header.size() + 1;
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(length & 255) +
         static_cast<char>(length >> 8) + header + "\n" + data;
}

std::string with(const std::string& descr, const std::string& shape) {
  return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }";
}

struct BadFile {
  std::string bytes;
  std::string message;  // a star at the end: and so on
};

const std::string kDtypes =
    "header: expected a dtype among i1 i2 i4 i8 u1 b1 f2 f4 f8 and U, after '<', '>' "
    "or '|', got ";

const std::vector<BadFile> kBadFiles = {
    // Before the header
    {"", "expected a .npy file, which begins with \\x93NUMPY"},
    {"\x93NUMP", "expected a .npy file, which begins with \\x93NUMPY"},
    {"PK\3\4 an .npz file", "expected a .npy file, which begins with \\x93NUMPY"},
    {"\x93numpy\1", "expected a .npy file, which begins with \\x93NUMPY"},
    {"\x93NUMPY\1",
     "expected a version after \\x93NUMPY, got the end (the file was cut off?)"},
    {std::string("\x93NUMPY\3\0\0\0\0\0", 12), "expected version 1.0 or 2.0, got 3.0"},
    {std::string("\x93NUMPY\1\1\0\0", 10), "expected version 1.0 or 2.0, got 1.1"},
    {std::string("\x93NUMPY\0\0\0\0", 10), "expected version 1.0 or 2.0, got 0.0"},
    {std::string("\x93NUMPY\1\0\0", 9),
     "expected the length of the header, got the end (the file was cut off?)"},
    {std::string("\x93NUMPY\2\0\0\0\0", 11),
     "expected the length of the header, got the end (the file was cut off?)"},
    {std::string("\x93NUMPY\1\0\4\0{}\n", 13),
     "expected a header of 4 bytes, got 3 (the file was cut off?)"},
    {std::string("\x93NUMPY\2\0\0\0\1\0{}\n", 15),
     "expected a header of at most 65535 bytes, got 65536"},
    {std::string("\x93NUMPY\2\0\xFF\xFF\xFF\xFF{}\n", 15),
     "expected a header of at most 65535 bytes, got 4294967295"},
    {std::string("\x93NUMPY\1\0\0\0", 10), "header: expected a line break at its end"},
    {std::string("\x93NUMPY\1\0\2\0{}", 12),
     "header: expected a line break at its end"},
    // The dict
    {file_of(""), "header: expected a dict, got \"\\n\" at byte 1"},
    {file_of("['descr']"), "header: expected a dict, got \"['descr']\\n\" at byte 1"},
    {file_of("{}"),
     "header: expected the keys descr, fortran_order and shape, got no descr"},
    {file_of("{'descr': '|i1'}"),
     "header: expected the keys descr, fortran_order and shape, got no fortran_order"},
    {file_of("{'descr': '|i1', 'fortran_order': True}"),
     "header: expected the keys descr, fortran_order and shape, got no shape"},
    {file_of("{'descr': '|i1' 'shape': ()}"),
     "header: expected ',' or '}', got \"'shape': ()}\\n\" at byte 17"},
    {file_of("{'descr': '|i1',, 'shape': ()}"),
     "header: expected a key as text, got \", 'shape': ()}\\n\" at byte 17"},
    {file_of("{descr: '|i1'}"),
     "header: expected a key as text, got \"descr: '|i1'}\\n\" at byte 2"},
    {file_of("{'descr' '|i1'}"), "header: expected ':', got \"'|i1'}\\n\" at byte 10"},
    {file_of("{'descr"), "header: expected a key as text, got \"descr\\n\" at byte 3"},
    {file_of("{'des\\x63r': '|i1'}"), "header: expected a key as text, got *"},
    {file_of(with("'|i1'", "()") + " + 1"),
     "header: expected the end after the dict, got \"+ 1\\n\" at byte 57"},
    {file_of("{'descr': '|i1', 'descr': '|i1'}"),
     "header: the key descr stands there twice"},
    {file_of("{'shape': (), 'shape': ()}"), "header: the key shape stands there twice"},
    {file_of("{'fortran_order': True, 'fortran_order': True}"),
     "header: the key fortran_order stands there twice"},
    {file_of("{'itemsize': 4}"),
     "header: expected the keys descr, fortran_order and shape, got \"itemsize\""},
    {file_of("{'fortran_order': 0}"),
     "header: expected fortran_order as True or False, got \"0}\\n\" at byte 19"},
    {file_of("{'descr': __import__('os').system('true')}"),
     "header: expected descr as text, got \"__import__('os').sys\" at byte 11"},
    // Dtypes
    {file_of(with("[('a', '<i4')]", "()")),
     "header: expected a plain dtype, got one with fields (save each field by itself)"},
    {file_of(with("'|O'", "(1,)"), "\x80\4."),
     kDtypes + "\"|O\" (Python objects, which only a program can read: save text with "
               "array.astype(str))"},
    {file_of(with("'<u2'", "()"), "xx"), kDtypes + "\"<u2\""},
    {file_of(with("'<c8'", "()")), kDtypes + "\"<c8\""},
    {file_of(with("'|S3'", "()"), "abc"), kDtypes + "\"|S3\""},
    {file_of(with("'=i4'", "()")), kDtypes + "\"=i4\""},
    {file_of(with("'i4'", "()")), kDtypes + "\"i4\""},
    {file_of(with("''", "()")), kDtypes + "\"\""},
    {file_of(with("'<i'", "()")), kDtypes + "\"<i\""},
    {file_of(with("'<i04'", "()")), kDtypes + "\"<i04\""},
    {file_of(with("'<i4x'", "()")), kDtypes + "\"<i4x\""},
    {file_of(with("'<U0'", "(1,)")), kDtypes + "\"<U0\""},
    {file_of(with("'<U99999999999999999999'", "(1,)")),
     kDtypes + "\"<U99999999999999999999\""},
    {file_of(with("'|i4'", "()"), "xxxx"),
     "header: expected a byte order ('<' or '>') before i4, got '|'"},
    // Shapes
    {file_of(with("'|i1'", "3")), "header: expected shape as a tuple of sizes, got *"},
    {file_of(with("'|i1'", "[3]")), "header: expected shape as a tuple of sizes, *"},
    {file_of(with("'|i1'", "(3)"), "xxx"),
     "header: expected shape as a tuple, got a number in brackets"},
    {file_of(with("'|i1'", "(,)")),
     "header: expected a size that 64 bits can hold, got \",), }\\n\" at byte 52"},
    {file_of(with("'|i1'", "(-1,)")),
     "header: expected a size that 64 bits can hold, got \"-1,), }\\n\" at byte 52"},
    {file_of(with("'|i1'", "(1.0,)")),
     "header: expected ',' or ')' in shape, got \".0,), }\\n\" at byte 53"},
    {file_of(with("'|i1'", "(2 3)")),
     "header: expected ',' or ')' in shape, got \"3), }\\n\" at byte 54"},
    {file_of(with("'|i1'", "(18446744073709551616,)")),
     "header: expected a size that 64 bits can hold, got *"},
    {file_of(with("'|i1'", "(3,")),
     "header: expected a size that 64 bits can hold, got \", }\\n\" at byte 54"},
    {file_of(with("'<f4'", "(4294967296, 4294967296)")),
     "expected a shape whose bytes can be counted in 63 bits, got (4294967296, "
     "4294967296)"},
    {file_of(with("'|i1'", "(0, 9223372036854775808)")),
     "expected a shape whose bytes can be counted in 63 bits, got (0, "
     "9223372036854775808)"},
    // Bytes
    {file_of(with("'<f4'", "(2, 3)"), std::string(20, 'x')),
     "expected 24 bytes for <f4 of shape (2, 3), got 20 (the file was cut off?)"},
    {file_of(with("'<f4'", "(2, 3)"), std::string(25, 'x')),
     "expected 24 bytes for <f4 of shape (2, 3), got 25"},
    {file_of(with("'<i8'", "()")),
     "expected 8 bytes for <i8 of shape (), got 0 (the file was cut off?)"},
    {file_of(with("'|i1'", "(4611686018427387904,)"), "x"),
     "expected 4611686018427387904 bytes for |i1 of shape (4611686018427387904), got 1 "
     "(the file was cut off?)"},
    {file_of(with("'|b1'", "(3,)"), std::string("\0\1\2", 3)),
     "expected bytes 0 and 1 for truth values, got 2 at element 2"},
    {file_of(with("'<U1'", "(1,)"), "abcd"), "expected numbers, got text (<U1)"},
};

}  // namespace

TEST_CASE("npy: bad files are refused, each with its own message") {
  CHECK(kBadFiles.size() >= 60);
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
  std::string shape = "(1";
  for (int i = 0; i < 64; ++i) {
    shape += ", 1";
  }
  CHECK(
      error_of_file(file_of(with("'|i1'", shape + ")"), "x")) ==
      "header: expected at most 64 dimensions, got more");
}

TEST_CASE("npy: lists of names that are none are refused") {
  const auto text = [](const std::string& characters) {
    return file_of(with("'<U1'", "(1,)"), characters);
  };
  CHECK(
      error_of_file(kNpy.at("i8"), true) ==
      "expected a list of names (one dimension, dtype U), got <i8 of shape (2, 3)");
  CHECK(
      error_of_file(file_of(with("'<U1'", "()"), "a\0\0\0"), true).substr(0, 31) ==
      "expected 4 bytes for <U1 of sha");
  for (const auto& [bytes, shown] : std::vector<std::pair<std::string, std::string>>{
           {std::string("\0\xD8\0\0", 4), "0xd800"},
           {std::string("\xFF\xDF\0\0", 4), "0xdfff"},
           {std::string("\0\0\x11\0", 4), "0x110000"},
           {std::string("\0\0\0\x80", 4), "0x80000000"}}) {
    CHECK(
        error_of_file(text(bytes), true) ==
        "name 0: expected characters of Unicode and zeros after them only, got " +
            shown + " at 0");
  }
  CHECK(
      error_of_file(
          file_of(with("'<U2'", "(1,)"), std::string("\0\0\0\0a\0\0\0", 8)), true) ==
      "name 0: expected characters of Unicode and zeros after them only, got 0x61 at "
      "1");
}

TEST_CASE("npy: NumPy's files are read, and written byte for byte") {
  const TemporaryFolder folder;
  const auto check = [&folder](const std::string& name, const at::Tensor& expected) {
    INFO(name);
    CHECK(same(read_file_of(kNpy.at(name)), expected));
    write_npy(folder / name, expected);
    CHECK(read_bytes(folder / name) == kNpy.at(name));
  };
  check("i1", matrix(at::kChar));
  check("i2", matrix(at::kShort));
  check("i4", matrix(at::kInt));
  check("i8", matrix(at::kLong));
  check("f2", matrix(at::kHalf));
  check("f4", matrix(at::kFloat));
  check("f8", matrix(at::kDouble));
  check("u1", at::tensor({0, 1, 2, 3, 4, 250}, at::kByte).view({2, 3}));
  check("b1", at::tensor({0, 1, 1, 1, 0, 0}, at::kByte).to(at::kBool).view({2, 3}));
  check("scalar", at::scalar_tensor(0.25, at::kDouble));
  check("vector", at::tensor({5, 6, 7}, at::kLong));
  check("empty", at::empty({0, 7}, at::kLong));
  check("wide", at::zeros(std::vector<int64_t>(30, 1), at::kChar));
}

TEST_CASE("npy: byte orders, Fortran's order, version 2") {
  CHECK(same(read_file_of(kNpy.at("big_i4")), matrix(at::kInt)));
  CHECK(same(read_file_of(kNpy.at("big_f2")), matrix(at::kHalf)));
  CHECK(same(read_file_of(kNpy.at("big_fortran_f8")), matrix(at::kDouble)));
  CHECK(same(read_file_of(kNpy.at("version_2")), matrix(at::kFloat)));
  const at::Tensor columns = read_file_of(kNpy.at("fortran_i2"));
  CHECK(same(columns, matrix(at::kShort)));
  CHECK(columns.strides() == at::IntArrayRef({1, 2}));
  CHECK(same(
      read_file_of(kNpy.at("fortran_cube")),
      at::arange(24, at::kChar).view({2, 3, 4})));
}

TEST_CASE("npy: headers in other words, and data that are not aligned") {
  CHECK(same(
      read_file_of(file_of(
          "{ \"shape\" :( 2L ,),'fortran_order':True,\"descr\":'<i2'}",  // unaligned
          std::string("\1\0\2\0", 4))),
      at::tensor({1, 2}, at::kShort)));
  for (size_t blanks = 0; blanks < 9; ++blanks) {
    const at::Tensor one = read_file_of(file_of(
        with("'<f8'", "(1,)") + std::string(blanks, ' '),
        std::string("\0\0\0\0\0\0\xF0\x3F", 8)));
    CHECK(same(one, at::ones({1}, at::kDouble)));
    CHECK(reinterpret_cast<uintptr_t>(one.data_ptr()) % 8 == 0);
  }
}

TEST_CASE("npy: names become UTF-8, padding goes") {
  const std::vector<std::string> expected = {
      "train2014/caf\303\251.jpg",
      "",
      "\345\233\276\347\211\207",
      "\360\235\204\236",
      "a b"};
  CHECK(names_of(kNpy.at("names")) == expected);
  CHECK(names_of(kNpy.at("big_names")) == expected);
  CHECK(names_of(kNpy.at("no_names")).empty());
}

TEST_CASE("npy: a file cut off or changed at any byte is read or refused, never more") {
  const TemporaryFolder folder;
  for (const char* const name : {"big_fortran_f8", "names", "b1"}) {
    const std::string& good = kNpy.at(name);
    for (size_t size = 0; size < good.size(); ++size) {
      write_bytes(folder / "short", good.substr(0, size));
      CHECK_THROWS_AS(read_npy(folder / "short"), trmml::DataError);
      CHECK_THROWS_AS(read_npy_names(folder / "short"), trmml::DataError);
    }
    int refused = 0;
    for (size_t i = 0; i < good.size(); ++i) {
      for (const char byte : {'\0', '\'', '9', '\x7F', '\xFF'}) {
        std::string bad = good;
        bad[i] = byte;
        write_bytes(folder / "file", bad);
        try {
          std::string(name) == "names"
              ? static_cast<void>(read_npy_names(folder / "file"))
              : static_cast<void>(read_npy(folder / "file").clone());
        } catch (const trmml::DataError&) {
          ++refused;
        }
      }
    }
    INFO(name);
    CHECK(refused > 200);
  }
}

TEST_CASE("npy: what is written is a copy, complete, of plain values") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "file.npy";
  write_npy(path, matrix(at::kInt).t());
  at::Tensor read = read_npy(path);
  CHECK(same(read, matrix(at::kInt).t().contiguous()));
  const std::string before = read_bytes(path);
  read.add_(1);
  CHECK(read_bytes(path) == before);
  CHECK(error_of([&] {
          write_npy(path, at::Tensor());
        }).substr(0, 60) == "write_npy: expected a dense tensor, got an undefined one");
  CHECK(
      error_of([&] { write_npy(path, at::zeros({1}, at::kBFloat16)); }) ==
      "write_npy: expected a dtype among int8 .. int64, uint8, bool, float16, float32, "
      "float64, got BFloat16");
  CHECK(folder.names() == std::vector<std::string>{"file.npy"});
  CHECK_THROWS_AS(write_npy(folder / "none" / "x.npy", at::ones({1})), trmml::Error);
  CHECK(error_of([&] {
          read_npy(folder / "missing");
        }).find("cannot open the file") != std::string::npos);
}
