#include "trmml/report/event_log.hpp"

#include "trmml/core/error.hpp"

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "reference/event_log.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include <sys/resource.h>
#include <unistd.h>

using support::contains;
using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::report::EventLog;
using trmml::report::EventLogOptions;

namespace {

// One call later each time: the first is for the name of the file.
EventLogOptions options_at(double now, std::optional<std::int64_t> purge_step = {}) {
  EventLogOptions options;
  options.purge_step = purge_step;
  options.clock = [now, calls = -1]() mutable {
    ++calls;
    return now + (calls > 0 ? 0.5 * (calls - 1) : 0.0);
  };
  return options;
}

// Bit by bit, as the polynomial says.
std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
    }
  }
  return ~crc;
}

std::uint64_t number_at(const std::string& bytes, std::size_t place, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes.at(place + i))} << (8 * i);
  }
  return value;
}

std::uint32_t unmasked(std::uint64_t masked) {
  const auto rotated = static_cast<std::uint32_t>(masked - 0xA282EAD8);
  return rotated >> 17 | rotated << 15;
}

// The data of every record; fails where length or checksums are wrong.
std::vector<std::string> records(const std::string& bytes) {
  std::vector<std::string> all;
  std::size_t place = 0;
  while (place < bytes.size()) {
    const std::size_t length = number_at(bytes, place, 8);
    REQUIRE(place + length + 16 <= bytes.size());
    CHECK(unmasked(number_at(bytes, place + 8, 4)) == crc32c(bytes.substr(place, 8)));
    all.push_back(bytes.substr(place + 12, length));
    CHECK(unmasked(number_at(bytes, place + 12 + length, 4)) == crc32c(all.back()));
    place += length + 16;
  }
  return all;
}

}  // namespace

TEST_CASE("event files: every byte is what TensorBoard's own package writes") {
  const TemporaryFolder folder;
  EventLog log(folder.path(), options_at(1700000000.25, 7));
  log.scalar("loss/total", 0.1, 7);
  log.scalar("zero", 0.0, 0);
  log.histogram("weights", std::vector<float>{2.0F, 30.0F, 0.0F, 15.5F, 2.0F}, 300);
  log.text("options", "| a | gr\xc3\xbc\xc3\x9f |", std::int64_t{1} << 40);
  log.flush();
  const std::string expected(
      reinterpret_cast<const char*>(reference::kEvents), sizeof(reference::kEvents));
  CHECK(read_bytes(log.path()) == expected);
}

TEST_CASE("event files: checksums") {
  CHECK(crc32c("123456789") == 0xE3069283);            // the check value of CRC-32C
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);  // RFC 3720, B.4
  CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43);
  const TemporaryFolder folder;
  EventLog log(folder.path());
  for (int step = 0; step < 300; ++step) {
    log.scalar("a", step, step);
  }
  const auto all = records(read_bytes(log.path()));
  CHECK(all.size() == 302);  // with version and start
  CHECK(contains(all[0], "brain.Event:2"));
}

TEST_CASE("event files: every record is in the file at once") {
  const TemporaryFolder folder;
  EventLog log(folder.path());
  CHECK(records(read_bytes(log.path())).size() == 2);
  log.scalar("a", 1.0, 0);
  CHECK(records(read_bytes(log.path())).size() == 3);
}

TEST_CASE("event files: names") {
  const TemporaryFolder folder;
  const auto name_of = [](const EventLog& log) {
    return log.path().filename().string();
  };
  const EventLog first(folder.path(), options_at(1700000000.9));
  CHECK(name_of(first).rfind("events.out.tfevents.1700000000.", 0) == 0);
  const std::string end = "." + std::to_string(::getpid()) + ".0";
  CHECK(name_of(first).substr(name_of(first).size() - end.size()) == end);
  // Within the same second, and with a clock that was set back.
  const EventLog second(folder.path(), options_at(1700000000.9));
  CHECK(name_of(second).rfind("events.out.tfevents.1700000001.", 0) == 0);
  const EventLog third(folder.path(), options_at(5.0));
  CHECK(name_of(third).rfind("events.out.tfevents.1700000002.", 0) == 0);
  const EventLog later(folder.path(), options_at(1800000000.0));
  CHECK(name_of(later).rfind("events.out.tfevents.1800000000.", 0) == 0);
}

TEST_CASE("event files: the first log of a folder and a resumed one start a session") {
  const TemporaryFolder folder;
  write_bytes(folder / "metrics.jsonl", "");
  const auto count = [](const EventLog& log) {
    return records(read_bytes(log.path())).size();
  };
  CHECK(count(EventLog(folder.path())) == 2);
  CHECK(count(EventLog(folder.path())) == 1);
  EventLogOptions resumed;
  resumed.purge_step = 0;
  CHECK(count(EventLog(folder.path(), resumed)) == 2);
}

TEST_CASE("event files: text that is not UTF-8, odd values") {
  const TemporaryFolder folder;
  EventLog log(folder.path());
  log.text("a\xff", "\xc3(", 0);
  const std::string text = records(read_bytes(log.path())).back();
  CHECK(contains(text, "a\xef\xbf\xbd"));
  CHECK(contains(text, "\xef\xbf\xbd("));
  log.scalar("nan", std::numeric_limits<double>::quiet_NaN(), 0);
  const float infinity = std::numeric_limits<float>::infinity();
  log.histogram("odd", std::vector<float>{infinity, 3.0F, -infinity}, 0);
  const std::string odd = records(read_bytes(log.path())).back();
  log.histogram("odd", std::vector<float>{3.0F}, 0);
  CHECK(odd.substr(9) == records(read_bytes(log.path())).back().substr(9));  // the time
  log.histogram("none", {}, 0);
}

TEST_CASE("event files: errors") {
  const TemporaryFolder folder;
  EventLog log(folder.path());
  const std::string whole = read_bytes(log.path());
  CHECK_THROWS_AS(log.scalar("", 1.0, 0), std::invalid_argument);
  CHECK_THROWS_AS(log.scalar("a", 1.0, -1), std::invalid_argument);
  CHECK_THROWS_AS(EventLog(folder.path(), options_at(0, -1)), std::invalid_argument);
  CHECK(read_bytes(log.path()) == whole);
  try {
    const EventLog missing(folder / "none");
    FAIL("a missing folder was taken");
  } catch (const trmml::Error& error) {
    CHECK(
        error.what() == "cannot write events into '" + (folder / "none").string() +
                            "': No such file or directory");
  }
}

TEST_CASE("event files: a record that does not fit on the disk is taken back") {
  const TemporaryFolder folder;
  EventLog log(folder.path());
  log.scalar("a", 1.0, 0);
  const std::string whole = read_bytes(log.path());
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limit{whole.size() + 10, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::string message = "no error";
  try {
    log.text("b", std::string(1000, 'x'), 1);
  } catch (const trmml::Error& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(
      message ==
      "cannot write '" + log.path().string() +
          "': write: File too large (allow larger files, see ulimit -f, and start "
          "again)");
  CHECK(read_bytes(log.path()) == whole);
  log.scalar("a", 2.0, 1);  // goes on when there is room
  CHECK(records(read_bytes(log.path())).size() == 4);
}
