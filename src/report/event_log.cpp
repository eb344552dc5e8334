#include "trmml/report/event_log.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "../io/append_file.hpp"
#include <unistd.h>
#include <utf8proc.h>

namespace trmml::report {

namespace {

// --------------------------------------------------------- protocol buffers
// An encoded message is a row of fields, each with its number in the schema
// (event.proto, summary.proto, tensor.proto, histogram.proto of TensorFlow). Zeros are
// left out.

class Message {
 public:
  Message& integer(std::uint32_t field, std::uint64_t value) {
    return value == 0 ? *this : key(field, 0).varint(value);
  }
  Message& number(std::uint32_t field, double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    return bits == 0 ? *this : key(field, 1).little_endian(bits, 8);
  }
  // One of several that a message may hold: a zero is not left out.
  Message& chosen_float(std::uint32_t field, float value) {
    return key(field, 5).little_endian(std::bit_cast<std::uint32_t>(value), 4);
  }
  // Text, bytes or a message.
  Message& part(std::uint32_t field, std::string_view content) {
    key(field, 2).varint(content.size());
    bytes_ += content;
    return *this;
  }
  Message& numbers(std::uint32_t field, const std::vector<double>& values) {
    if (values.empty()) {
      return *this;
    }
    key(field, 2).varint(8 * values.size());
    for (const double value : values) {
      little_endian(std::bit_cast<std::uint64_t>(value), 8);
    }
    return *this;
  }
  Message& little_endian(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) {
      bytes_ += static_cast<char>(value >> (8 * i) & 0xFF);
    }
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Message& key(std::uint32_t field, std::uint32_t type) {
    return varint(std::uint64_t{field} << 3 | type);
  }
  Message& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>((value & 0x7F) | 0x80);
    }
    bytes_ += static_cast<char>(value);
    return *this;
  }

  std::string bytes_;
};

// Protocol buffers refuse other text, and with it the whole record.
std::string as_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    utf8proc_int32_t code = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    const utf8proc_ssize_t size =
        utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code);
    const auto used = static_cast<std::size_t>(std::max<utf8proc_ssize_t>(size, 1));
    valid += size > 0 ? text.substr(0, used) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(used);
  }
  return valid;
}

// ----------------------------------------------------------------- records
// length (8 bytes), checksum of the length, data, checksum of the data.

constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t rest = i;
    for (int bit = 0; bit < 8; ++bit) {
      rest = rest >> 1 ^ ((rest & 1) != 0 ? 0x82F63B78U : 0U);  // Castagnoli, reflected
    }
    table[i] = rest;
  }
  return table;
}

// CRC-32C, rotated by 15 bits and shifted by a constant, so that a checksum of data
// that holds checksums stays a good one.
std::uint32_t masked_crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc32c_table();
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return std::rotr(~crc, 15) + 0xA282EAD8U;
}

std::string record_of(const std::string& data) {
  const std::string length = Message().little_endian(data.size(), 8).bytes();
  return length + Message().little_endian(masked_crc32c(length), 4).bytes() + data +
         Message().little_endian(masked_crc32c(data), 4).bytes();
}

// --------------------------------------------------------------- histogram

constexpr std::size_t kBuckets = 30;

std::string histogram_bytes(std::span<const float> all) {
  std::vector<double> values;
  std::copy_if(all.begin(), all.end(), std::back_inserter(values), [](float value) {
    return std::isfinite(value);
  });
  if (values.empty()) {
    return "";
  }
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const double low = *lowest;
  const double high = *highest;
  const std::size_t count = low < high ? kBuckets : 1;
  const double width = (high - low) / static_cast<double>(count);
  std::vector<double> limits(count, high);
  for (std::size_t i = 0; i + 1 < count; ++i) {
    limits[i] = low + width * static_cast<double>(i + 1);
  }
  std::vector<double> counts(count, 0.0);
  double sum = 0.0;
  double squares = 0.0;
  for (const double value : values) {
    // A bucket holds its left edge and not its right one, but for the last.
    const auto bucket = std::upper_bound(limits.begin(), limits.end() - 1, value);
    counts[static_cast<std::size_t>(bucket - limits.begin())] += 1.0;
    sum += value;
    squares += value * value;
  }
  return Message()
      .number(1, low)
      .number(2, high)
      .number(3, static_cast<double>(values.size()))
      .number(4, sum)
      .number(5, squares)
      .numbers(6, limits)
      .numbers(7, counts)
      .bytes();
}

// -------------------------------------------------------------------- files

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Fields of Event.
constexpr std::uint32_t kFileVersion = 3;
constexpr std::uint32_t kSummary = 5;
constexpr std::uint32_t kSessionLog = 7;

double system_clock_seconds() {
  const std::chrono::duration<double> since =
      std::chrono::system_clock::now().time_since_epoch();
  return since.count();
}

// The latest time in the names of the folder's event files, if there are any.
std::optional<std::int64_t> latest_time(const std::filesystem::path& folder) {
  std::optional<std::int64_t> latest;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end;
       !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::int64_t time = 0;
    if (name.compare(0, kPrefix.size(), kPrefix) == 0 &&
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), time)
                .ec == std::errc()) {
      latest = std::max(latest.value_or(time), time);
    }
  }
  if (error) {
    throw WriteError(fmt::format(
        "cannot write events into '{}': {}", folder.string(), error.message()));
  }
  return latest;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0'
             ? name.data()
             : "localhost";
}

std::unique_ptr<io::AppendFile> make_file(
    const std::filesystem::path& folder,
    std::int64_t time) {
  for (int n = 0;; ++n) {
    auto file = std::make_unique<io::AppendFile>(
        folder /
            fmt::format("{}{:010}.{}.{}.{}", kPrefix, time, host_name(), ::getpid(), n),
        io::AppendFile::Start::kNew);
    if (file->is_open()) {
      return file;
    }
  }
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& folder, const EventLogOptions& options)
    : clock_(options.clock ? options.clock : system_clock_seconds) {
  const std::int64_t purge_step = options.purge_step.value_or(0);
  if (purge_step < 0) {
    throw std::invalid_argument(
        fmt::format("EventLog: expected purge_step >= 0, got {}", purge_step));
  }
  const std::optional<std::int64_t> latest = latest_time(folder);
  const auto now = static_cast<std::int64_t>(clock_());
  file_ = make_file(folder, latest ? std::max(now, *latest + 1) : now);
  try {
    write_event(0, kFileVersion, "brain.Event:2");
    // The first start of a folder opens the session. Only a later one is a restart, at
    // which TensorBoard drops steps: without the first, it would take that for the
    // first.
    if (options.purge_step || !latest) {
      constexpr std::uint64_t kStart = 1;
      write_event(purge_step, kSessionLog, Message().integer(1, kStart).bytes());
    }
  } catch (const WriteError&) {
    std::error_code ignored;
    std::filesystem::remove(file_->path(), ignored);  // there is nothing in it
    throw;
  }
}

EventLog::~EventLog() = default;

void EventLog::scalar(std::string_view tag, double value, std::int64_t step) {
  write_value(
      tag, step, Message().chosen_float(2, static_cast<float>(value)).bytes(), "");
}

void EventLog::histogram(
    std::string_view tag,
    std::span<const float> values,
    std::int64_t step) {
  write_value(tag, step, Message().part(5, histogram_bytes(values)).bytes(), "");
}

void EventLog::text(
    std::string_view tag,
    std::string_view markdown,
    std::int64_t step) {
  constexpr std::uint64_t kString = 7;  // its type in tensor.proto; no shape: a scalar
  const std::string tensor =
      Message().integer(1, kString).part(2, "").part(8, as_utf8(markdown)).bytes();
  const std::string plugin = Message().part(1, "text").bytes();
  write_value(
      tag, step, Message().part(8, tensor).bytes(), Message().part(1, plugin).bytes());
}

void EventLog::flush() {
  file_->sync();
}

const std::filesystem::path& EventLog::path() const {
  return file_->path();
}

// `value` is an encoded field of Summary.Value, `metadata` a SummaryMetadata or empty.
void EventLog::write_value(
    std::string_view tag,
    std::int64_t step,
    std::string_view value,
    std::string_view metadata) {
  if (tag.empty() || step < 0) {
    throw std::invalid_argument(fmt::format(
        "EventLog: expected a tag and a step >= 0, got \"{}\" and {}", tag, step));
  }
  std::string content = Message().part(1, as_utf8(tag)).bytes();
  content += value;
  if (!metadata.empty()) {
    content += Message().part(9, metadata).bytes();
  }
  write_event(step, kSummary, Message().part(1, content).bytes());
}

void EventLog::write_event(
    std::int64_t step,
    std::uint32_t field,
    std::string_view content) {
  file_->append(record_of(Message()
                              .number(1, clock_())
                              .integer(2, static_cast<std::uint64_t>(step))
                              .part(field, content)
                              .bytes()));
}

}  // namespace trmml::report
