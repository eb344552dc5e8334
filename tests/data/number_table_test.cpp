#include "trmml/data/number_table.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using support::TemporaryFolder;
using support::write_bytes;
using trmml::DataError;
using trmml::data::NumberTable;
using trmml::data::read_number_table;

namespace {

using Names = std::vector<std::string>;

NumberTable read(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "t.csv", text);
  return read_number_table(folder.path() / "t.csv");
}

/// The message, without the folder.
std::string fault_of(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "t.csv", text);
  try {
    read_number_table(folder.path() / "t.csv");
  } catch (const DataError& error) {
    std::string message = error.what();
    const std::string path = folder.path().string() + "/";
    for (size_t at = 0; (at = message.find(path)) != std::string::npos;) {
      message.erase(at, path.size());
    }
    return message;
  }
  return "nothing was thrown";
}

void check_values(const NumberTable& table, const std::vector<double>& expected) {
  REQUIRE(table.values.numel() == static_cast<int64_t>(expected.size()));
  REQUIRE(table.values.scalar_type() == at::kDouble);
  REQUIRE(table.values.is_contiguous());
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(table.values.data_ptr<double>()[i] == expected[i]);
  }
}

}  // namespace

TEST_CASE("numbers alone") {
  const NumberTable table = read("1,-2.5\n+3, .25\t\r\n1e-3,-inf");
  CHECK(table.columns.empty());
  CHECK(table.rows.empty());
  CHECK(table.values.sizes() == at::IntArrayRef({3, 2}));
  check_values(
      table, {1, -2.5, 3, 0.25, 1e-3, -std::numeric_limits<double>::infinity()});
  check_values(
      read("\xef\xbb\xbf"
           "5\n\n \r\n"),
      {5});
  // To the last bit.
  check_values(read("0.1,0.30000000000000004\n"), {0.1, 0.1 + 0.2});
}

TEST_CASE("a header names the columns, and image the rows") {
  const NumberTable named = read("bag,\"red, \"\"big\"\"\", coat\n1,2,3\n");
  CHECK(named.columns == Names{"bag", "red, \"big\"", "coat"});
  CHECK(named.rows.empty());
  check_values(named, {1, 2, 3});

  const NumberTable rows =
      read("image,bag,coat\na/b.jpg,1,2\n\"c, d.jpg\",3,4\r\n7,5,6\n");
  CHECK(rows.columns == Names{"bag", "coat"});
  CHECK(rows.rows == Names{"a/b.jpg", "c, d.jpg", "7"});
  check_values(rows, {1, 2, 3, 4, 5, 6});
}

TEST_CASE("faults name line and column, all of them at once") {
  CHECK(
      fault_of("1,2\n3,x\n") ==
      "table of numbers: t.csv, line 2, column 2: expected a number, got \"x\"");
  CHECK(
      fault_of("1,2\n3\n4,5,6\nnan,1\n1e999,\n") ==
      "table of numbers: 5 faults\n"
      "  t.csv, line 2: expected 2 numbers, got 1\n"
      "  t.csv, line 3: expected 2 numbers, got 3\n"
      "  t.csv, line 4, column 1: expected a number, got \"nan\"\n"
      "  t.csv, line 5, column 1: expected a number, got \"1e999\"\n"
      "  t.csv, line 5, column 2: expected a number, got \"\"");
  CHECK(
      fault_of("image,a\nx,1\ny,2;3\n") ==
      "table of numbers: t.csv, line 3, column 2: expected a number, got \"2;3\" "
      "(commas separate the numbers)");
  CHECK(
      fault_of("1\n\n2\n") ==
      "table of numbers: t.csv, line 2: expected a row, got an empty line");
  CHECK(
      fault_of("1 2\n") ==
      "table of numbers: t.csv: expected a row of numbers at least, got none");
  CHECK(fault_of("+-1,2\n3,4\n") == "nothing was thrown");  // a name, if an odd one
}

TEST_CASE("faults of headers and of names") {
  CHECK(
      fault_of(",0,1\n0,1,2\n") ==
      "table of numbers: t.csv, line 1, column 1: expected a name, got an empty field "
      "(with pandas: to_csv(index=False))");
  CHECK(
      fault_of("a,b,a\n1,2,3\n") ==
      "table of numbers: t.csv, line 1, column 3: expected names that differ, got "
      "\"a\" again");
  CHECK(
      fault_of("a,\"b\n1,2\n") ==
      "table of numbers: t.csv, line 1: expected a closing quote, got none");
  CHECK(
      fault_of("a,b,\n1,2\n").find("line 1, column 3: expected a name") !=
      std::string::npos);
  CHECK(
      fault_of("a,\xff\n1,2\n") ==
      "table of numbers: t.csv, line 1, column 2: expected a name in UTF-8");
  CHECK(
      fault_of("image,a\n\"x,1\ny\n") ==
      "table of numbers: 2 faults\n"
      "  t.csv, line 2: expected a closing quote, got none\n"
      "  t.csv, line 3: expected 1 numbers, got 0");
}

TEST_CASE("files without a row, and none at all") {
  CHECK(
      fault_of("") ==
      "table of numbers: t.csv: expected a row of numbers at least, got none");
  CHECK(
      fault_of("a,b\n") ==
      "table of numbers: t.csv: expected a row of numbers at least, got none");
  CHECK(fault_of("image\n").find("expected a row of numbers") != std::string::npos);
  CHECK_THROWS_AS(read_number_table("/no/such/file.csv"), DataError);
}

TEST_CASE("a long first line and many short ones take no memory for the product") {
  std::string text(200'000, ',');
  text.insert(0, "1");
  text += '\n' + std::string(1, '1');
  for (int n = 0; n < 10'000; ++n) {
    text += "\n1";
  }
  CHECK(fault_of(text).find("and 209981 more") != std::string::npos);
}
