#include "trmml/data/lines.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/splits.hpp"
#include "support/temporary_folder.hpp"

using trmml::data::read_lines;

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view bytes) {
  const support::TemporaryFolder folder;
  support::write_bytes(folder / "lines.txt", bytes);
  return read_lines(folder / "lines.txt");
}

std::string fault_of(std::string_view bytes) {
  const support::TemporaryFolder folder;
  support::write_bytes(folder / "lines.txt", bytes);
  return support::complaint(folder.path(), [&] { read_lines(folder / "lines.txt"); });
}

}  // namespace

TEST_CASE("lines: of Unix and Windows, with and without an end") {
  CHECK(lines_of("a cat\na dog\n") == Lines{"a cat", "a dog"});
  CHECK(lines_of("a cat\r\na dog") == Lines{"a cat", "a dog"});
  CHECK(lines_of(" a\n\n\tb \n\n") == Lines{" a", "", "\tb ", ""});
  CHECK(lines_of("\n") == Lines{""});
}

TEST_CASE("lines: a byte order mark is none of the text") {
  CHECK(lines_of("\xef\xbb\xbfKatze\nB\xc3\xa4r\n") == Lines{"Katze", "B\xc3\xa4r"});
}

TEST_CASE("lines: messages") {
  CHECK(fault_of("") == "FOLDER/lines.txt: expected a line or more, got an empty file");
  CHECK(
      fault_of("Katze\nB\xe4r\n") ==
      "FOLDER/lines.txt, line 2: expected UTF-8, got \"B\\ufffdr\"");
  CHECK(
      fault_of("\xff\xfe"
               "a") ==
      "FOLDER/lines.txt: expected UTF-8, got UTF-16 (convert it: iconv -f UTF-16 -t "
      "UTF-8)");
  const support::TemporaryFolder folder;
  CHECK(support::complaint(folder.path(), [&] {
          read_lines(folder / "none");
        }) == "FOLDER/none: cannot be read: No such file or directory");
  CHECK(support::complaint(folder.path(), [&] {
          read_lines(folder.path());
        }) == "FOLDER: expected a file, got a folder");
}
