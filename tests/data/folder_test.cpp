#include "trmml/data/folder.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/splits.hpp"
#include "support/temporary_folder.hpp"

using namespace trmml::data;
using support::contains;
using support::error_of;
using support::rows_of;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("folder: a text file a picture") {
  const support::TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  const auto write = [&](const char* name, const std::string& text) {
    support::write_bytes(folder / name, text);
  };
  write("b.jpg", "not opened");
  write("b.txt", "zebra\r\n cat \r\n\r\n");
  write("sub/a.PNG", "");
  write("sub/a.txt", "");
  write("sub/v1.2.jpeg", "");
  write("sub/v1.2.txt", "fire_truck");
  write("notes.txt", "no picture of this name");
  const Split found = read_folder(folder.path());
  CHECK(found.table.images == Names{"b.jpg", "sub/a.PNG", "sub/v1.2.jpeg"});
  CHECK(found.table.classnames == Names{"cat", "fire_truck", "zebra"});
  CHECK(found.names_for_clip == Names{"cat", "fire truck", "zebra"});
  CHECK(rows_of(found) == Names{"+-+", "---", "-+-"});
  CHECK(found.root == folder.path());

  write("classes.txt", "zebra\nfire_truck\ncat\nunicorn\n");
  const Split named = read_folder(folder.path());
  CHECK(named.table.classnames == Names{"zebra", "fire_truck", "cat", "unicorn"});
  CHECK(rows_of(named) == Names{"+-+-", "----", "-+--"});
}

TEST_CASE("folder: all faults in one message") {
  const support::TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& text) {
    support::write_bytes(folder / name, text);
  };
  const auto error = [&] { return error_of([&] { read_folder(folder.path()); }); };
  CHECK(contains(error(), "expected pictures, got none"));
  write("a.jpg", "");
  write("a.txt", "");
  CHECK(contains(error(), "(classes.txt can name them)"));
  write("classes.txt", "cat\ncat\n");
  CHECK(contains(error(), "line 2: \"cat\" stands in line 1 already"));

  write("classes.txt", "cat\ndog\n");
  write("a.txt", "cat\n\nCAT\ncat\n");
  write("a.png", "");
  write("b.jpg", "");
  write("classes.jpg", "");
  write("d.jpg", "");
  write("d.txt", "caf\xe9");
  const std::string message = error();
  for (const std::string& part :
       {std::string("6 faults"),
        std::string("a.png: picture \"a.jpg\" has the same text file"),
        std::string(
            "a.txt, line 3: expected one of 2 categories, got \"CAT\" (did you mean "
            "\"cat\"?)"),
        std::string("a.txt, line 4: category \"cat\" is there twice"),
        std::string("b.txt: expected the categories of \"b.jpg\", got no file"),
        std::string("classes.jpg: classes.txt holds the categories"),
        std::string("d.txt, line 1: expected UTF-8")}) {
    CAPTURE(part, message);
    CHECK(contains(message, part));
  }
  CHECK(contains(
      error_of([&] { read_folder(folder / "none"); }),
      "expected a folder of pictures"));
}
