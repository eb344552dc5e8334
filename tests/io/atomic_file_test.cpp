#include "trmml/io/atomic_file.hpp"

#include "trmml/core/error.hpp"

#include <csignal>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using support::error_of;
using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::io::AtomicFile;
using trmml::io::remove_stale_temporaries;
using trmml::io::write_file_atomically;

namespace {

/// While it lives, no file of this process may grow beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a file appears complete and leaves nothing beside it") {
  const TemporaryFolder folder;
  const std::string large(1'000'003, 'x');
  for (const std::string& bytes : {std::string(), std::string("a\0b\n", 4), large}) {
    write_file_atomically(folder / "file", bytes);
    CHECK((read_bytes(folder / "file") == bytes));  // a megabyte: not to be printed
    CHECK(folder.names() == std::vector<std::string>{"file"});
  }
}

TEST_CASE("many small pieces and large ones keep their order") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file");
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = std::to_string(i) + std::string(i % 40, ' ');
    file.write(piece);
    expected += piece;
  }
  const std::string large(700'000, 'y');
  file.write(large);
  file.write("end");
  CHECK_FALSE(std::filesystem::exists(folder / "file"));
  file.commit();
  CHECK((read_bytes(folder / "file") == expected + large + "end"));
  CHECK(file.path() == folder / "file");
}

TEST_CASE("the stream writes to the same file") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file");
  file.write("a");
  file.stream() << "b" << 12 << 'c' << std::endl;
  file.write("d");
  file.stream().put('e');
  file.commit();
  CHECK(read_bytes(folder / "file") == "ab12c\nde");
}

TEST_CASE("without commit the file that was there stays") {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "old");
  {
    AtomicFile file(folder / "file");
    file.write("new");
    CHECK(folder.names().size() == 2);
  }
  CHECK(read_bytes(folder / "file") == "old");
  CHECK(folder.names() == std::vector<std::string>{"file"});
}

TEST_CASE("the temporary has the documented name, also for names of full length") {
  const TemporaryFolder folder;
  const AtomicFile file(folder / "model.bin");
  const std::string prefix = ".model.bin.tmp-" + std::to_string(::getpid()) + "-";
  CHECK(folder.names().front().substr(0, prefix.size()) == prefix);

  const std::string longest(255, 'n');
  write_file_atomically(folder / longest, "x");
  CHECK(read_bytes(folder / longest) == "x");
}

TEST_CASE("two writers of one file do not meet") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "file");
  AtomicFile second(folder / "file");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  CHECK(read_bytes(folder / "file") == "first");
}

TEST_CASE("a path without a folder is relative to the working directory") {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file_atomically("plain", "x");
  std::filesystem::current_path(before);
  CHECK(read_bytes(folder / "plain") == "x");
}

TEST_CASE("permissions follow the umask") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "file", "x");
  ::umask(before);
  const auto permissions = std::filesystem::status(folder / "file").permissions();
  CHECK(static_cast<unsigned>(permissions) == 0640u);
}

TEST_CASE("an error names path, operation and reason") {
  const TemporaryFolder folder;
  const std::string missing = (folder / "missing/file").string();
  CHECK(
      error_of([&] { write_file_atomically(missing, "x"); }) ==
      "cannot write '" + missing +
          "': open a temporary file in its folder: No such file or directory (what was "
          "there before is unchanged)");
  CHECK(
      error_of([&] { write_file_atomically(folder.path().string() + "/", "x"); }) ==
      "cannot write '" + folder.path().string() +
          "/': expected the name of a file, got a folder");
  std::filesystem::create_directory(folder / "taken");
  write_bytes(folder / "taken/inside", "x");
  CHECK(
      error_of([&] { const AtomicFile file(folder / "taken"); }) ==
      "cannot write '" + (folder / "taken").string() +
          "': expected the name of a file, got a folder");
  CHECK(folder.names() == std::vector<std::string>{"taken"});
}

TEST_CASE("a link gives way to the file, a FIFO and a stream do not") {
  const TemporaryFolder folder;
  write_bytes(folder / "old", "old");
  std::filesystem::create_symlink("old", folder / "link");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  for (const char* name : {"link", "dangling"}) {
    write_file_atomically(folder / name, "new");
    CHECK(std::filesystem::is_regular_file(
        std::filesystem::symlink_status(folder / name)));
    CHECK(read_bytes(folder / name) == "new");
  }
  CHECK(read_bytes(folder / "old") == "old");

  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  std::filesystem::create_symlink("fifo", folder / "to_fifo");
  std::filesystem::create_symlink("/proc/self/fd/1", folder / "to_stdout");
  const auto refusal = [&](const char* name) {
    const std::string message =
        error_of([&] { write_file_atomically(folder / name, "x"); });
    return message.substr(message.find("': ") + 3);
  };
  const std::string expected =
      "expected the name of a file, got a device, a FIFO or a socket";
  CHECK(refusal("fifo") == expected);
  CHECK(refusal("to_fifo") == expected);
  CHECK(refusal("to_stdout") == "expected the name of a file, got an open stream");
  CHECK(std::filesystem::is_fifo(folder / "fifo"));
  CHECK(std::filesystem::is_symlink(
      std::filesystem::symlink_status(folder / "to_stdout")));
  CHECK(folder.names().size() == 6);
}

TEST_CASE("a folder that may not be written is an error") {
  if (::geteuid() == 0) {
    return;  // the superuser may write everywhere
  }
  const TemporaryFolder folder;
  std::filesystem::permissions(
      folder.path(),
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  CHECK(error_of([&] {
          write_file_atomically(folder / "file", "x");
        }).find("Permission denied") != std::string::npos);
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST_CASE("a disk that fills up leaves the old file and no temporary") {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "old");
  const std::string expected =
      "cannot write '" + (folder / "file").string() +
      "': write: File too large (what was there before is unchanged; allow larger "
      "files, see ulimit -f, and start again)";
  std::string whole, streamed, in_commit;
  bool refused = false;
  {
    const FileSizeLimit limit(4096);
    // One byte more than fits: the first write is short, the second fails.
    whole = error_of(
        [&] { write_file_atomically(folder / "file", std::string(1 << 20, 'x')); });
    streamed = error_of([&] {
      AtomicFile file(folder / "file");
      file.stream() << std::string(1 << 20, 'x');
    });
    AtomicFile file(folder / "file");
    file.write(std::string(4097, 'x'));
    in_commit = error_of([&] { file.commit(); });
    try {
      file.commit();
    } catch (const std::logic_error&) {
      refused = true;
    }
  }
  CHECK(whole == expected);
  CHECK(streamed == expected);
  CHECK(in_commit == expected);
  CHECK(refused);
  CHECK(read_bytes(folder / "file") == "old");
  CHECK(folder.names() == std::vector<std::string>{"file"});
}

TEST_CASE("after commit nothing more can be written") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file");
  file.commit();
  CHECK_THROWS_AS(file.write("x"), std::logic_error);
  CHECK_THROWS_AS(file.commit(), std::logic_error);
  CHECK(read_bytes(folder / "file").empty());
}

TEST_CASE("a process that is killed while it writes leaves a complete file") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "file";
  const size_t size = 600'000;
  write_file_atomically(path, std::string(size, 'a'));
  for (int run = 0; run < 30; ++run) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (char letter = 'a';; letter = letter == 'z' ? 'a' : letter + 1) {
        write_file_atomically(path, std::string(size, letter));
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 397 * run));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string bytes = read_bytes(path);
    REQUIRE(bytes.size() == size);
    REQUIRE(bytes.find_first_not_of(bytes[0]) == std::string::npos);
  }
}

TEST_CASE("remove_stale_temporaries: what a process left that is gone") {
  const TemporaryFolder folder;
  const pid_t gone = ::fork();
  if (gone == 0) {
    AtomicFile file(folder / "file");
    file.write(std::string(600'000, 'x'));
    ::_exit(0);  // like a kill: nothing is cleaned up
  }
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  REQUIRE(folder.names().size() == 1);
  const std::string left = folder.names().front();
  const std::string mark = ".tmp-" + std::to_string(gone);
  CHECK(left.find(".file" + mark + "-") == 0);

  // Other names, other kinds of files, processes that live.
  for (const std::string& name :
       {"file" + mark + "-0",
        mark + "-0",
        ".file" + mark,
        ".file" + mark + "-",
        ".file" + mark + "-0x",
        ".file" + mark + "-0.csv",
        ".file.tmp--" + std::to_string(gone) + "-0",
        std::string(".file.tmp-0-0"),
        std::string(".file.tmp-x-0"),
        std::string(".file.tmp"),
        ".file.tmp-" + std::to_string(::getpid()) + "-900000"}) {
    write_bytes(folder / name, "x");
  }
  std::filesystem::create_directory(folder / (".folder" + mark + "-0"));
  std::filesystem::create_symlink(left, folder / (".link" + mark + "-0"));
  AtomicFile own(folder / "own");
  // As of a program on another machine, where this number means another process.
  const std::string locked = ".locked" + mark + "-0";
  write_bytes(folder / locked, "x");
  const int descriptor = ::open((folder / locked).c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(::flock(descriptor, LOCK_EX | LOCK_NB) == 0);

  const size_t all = folder.names().size();
  CHECK(remove_stale_temporaries(folder.path()) == 1);
  CHECK(folder.names().size() == all - 1);
  CHECK_FALSE(std::filesystem::exists(folder / left));
  ::close(descriptor);
  CHECK(remove_stale_temporaries(folder.path()) == 1);
  CHECK_FALSE(std::filesystem::exists(folder / locked));
  own.commit();
  CHECK(std::filesystem::exists(folder / "own"));
  CHECK(remove_stale_temporaries(folder / "missing") == 0);
}

TEST_CASE("a file is locked while it is written") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "file");
  const std::string temporary = folder.names().front();
  const int descriptor = ::open((folder / temporary).c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  CHECK(::flock(descriptor, LOCK_EX | LOCK_NB) != 0);
  file.commit();
  CHECK(::flock(descriptor, LOCK_EX | LOCK_NB) == 0);
  ::close(descriptor);
}
