#include "zip_directory.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "quoted.hpp"

namespace trmml::io {

namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocatorSignature = 0x07064b50;
constexpr uint64_t kLocalSize = 30;
constexpr uint64_t kDirectorySize = 46;
constexpr uint64_t kEndSize = 22;
constexpr uint64_t kEnd64Size = 56;
constexpr uint64_t kLocatorSize = 20;
constexpr uint64_t kLongestComment = 0xFFFF;
constexpr uint16_t kUnknown16 = 0xFFFF;  // the number stands in the ZIP64 part
constexpr uint32_t kUnknown32 = 0xFFFFFFFF;
constexpr uint16_t kZip64Extra = 1;
constexpr uint16_t kEncrypted = 1;        // flags
constexpr uint16_t kSizesBehindData = 8;  // flags
constexpr uint16_t kStored = 0;           // method

/// Where directory and records are.
struct End {
  uint64_t begin = 0;  // of the first of the end records
  uint64_t entries = 0;
  uint64_t directory_size = 0;
  uint64_t directory_begin = 0;
};

struct Entry {
  std::string name;
  uint64_t local_begin = 0;
  uint64_t size = 0;
  uint64_t unpacked_size = 0;
  uint16_t flags = 0;
  uint16_t method = 0;
};

class Reader {
 public:
  Reader(std::string_view archive, const std::string& where)
      : archive_(archive), where_(where) {}

  ZipDirectory read() {
    if (archive_.substr(0, 4) != std::string_view("PK\3\4", 4)) {
      fail("zip: expected the first record at the first byte (no zip file?)");
    }
    const End end = read_end();
    std::vector<Entry> entries = read_directory(end);
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return a.local_begin < b.local_begin;
    });
    ZipDirectory result;
    uint64_t cursor = 0;
    for (Entry& entry : entries) {
      const ZipRecord record = read_record(entry, cursor, end.directory_begin);
      cursor = record.begin + record.size;
      if (!result.emplace(entry.name, record).second) {
        fail_at(entry, "the name stands there twice");
      }
    }
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view rule) const {
    throw CheckpointError(fmt::format("{}: {}", where_, rule));
  }
  [[noreturn]] void fail_at(const Entry& entry, std::string_view rule) const {
    throw CheckpointError(
        fmt::format("{}: zip: record {}: {}", where_, in_quotes(entry.name), rule));
  }

  /// A little-endian number of `size` bytes; the caller has checked that it is there.
  uint64_t number(uint64_t place, int size) const {
    uint64_t value = 0;
    for (int i = size; i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(archive_[place + i]);
    }
    return value;
  }
  uint16_t u16(uint64_t place) const { return static_cast<uint16_t>(number(place, 2)); }
  uint32_t u32(uint64_t place) const { return static_cast<uint32_t>(number(place, 4)); }
  uint64_t u64(uint64_t place) const { return number(place, 8); }

  /// The end record stands last, but for a comment whose length it tells.
  uint64_t find_end() const {
    const uint64_t size = archive_.size();
    for (uint64_t comment = 0; comment <= kLongestComment; ++comment) {
      if (size < kEndSize + comment) {
        break;
      }
      const uint64_t place = size - kEndSize - comment;
      if (u32(place) == kEndSignature && u16(place + 20) == comment) {
        return place;
      }
    }
    fail("zip: expected a directory at the end of the file (was the file cut off?)");
  }

  End read_end() const {
    End end;
    end.begin = find_end();
    const uint64_t place = end.begin;
    end.entries = u16(place + 10);
    end.directory_size = u32(place + 12);
    end.directory_begin = u32(place + 16);
    const bool in_parts = u16(place + 4) != 0 && u16(place + 4) != kUnknown16;
    const bool is_64 =
        place >= kLocatorSize && u32(place - kLocatorSize) == kLocatorSignature;
    if (is_64) {
      read_end_64(end);
    } else if (in_parts || u16(place + 8) != end.entries) {
      fail("zip: expected an archive in one part");
    } else if (
        end.entries == kUnknown16 || end.directory_size == kUnknown32 ||
        end.directory_begin == kUnknown32) {
      fail("zip: expected the ZIP64 end record, found none");
    }
    if (end.directory_begin > end.begin ||
        end.directory_size != end.begin - end.directory_begin) {
      fail(fmt::format(
          "zip: expected a directory that ends at byte {}, got {} bytes at byte {} "
          "(was "
          "the file cut off, or something put before or behind it?)",
          end.begin,
          end.directory_size,
          end.directory_begin));
    }
    return end;
  }

  void read_end_64(End& end) const {
    const uint64_t locator = end.begin - kLocatorSize;
    const uint64_t place = u64(locator + 8);
    if (locator < kEnd64Size || place != locator - kEnd64Size ||
        u32(place) != kEnd64Signature || u64(place + 4) != kEnd64Size - 12) {
      fail(fmt::format(
          "zip: expected the ZIP64 end record right before its locator, got byte {}",
          place));
    }
    if (u32(place + 16) != 0 || u32(place + 20) != 0 ||
        u64(place + 24) != u64(place + 32)) {
      fail("zip: expected an archive in one part");
    }
    const uint64_t entries = u64(place + 32);
    const uint64_t size = u64(place + 40);
    const uint64_t begin = u64(place + 48);
    const auto differs = [](uint64_t narrow, uint64_t unknown, uint64_t wide) {
      return narrow != unknown && narrow != wide;
    };
    if (differs(end.entries, kUnknown16, entries) ||
        differs(end.directory_size, kUnknown32, size) ||
        differs(end.directory_begin, kUnknown32, begin)) {
      fail("zip: the end record and the ZIP64 end record contradict each other");
    }
    end = {place, entries, size, begin};
  }

  std::vector<Entry> read_directory(const End& end) const {
    std::vector<Entry> entries;
    uint64_t place = end.directory_begin;
    while (place < end.begin) {
      const uint64_t left = end.begin - place;
      if (left < kDirectorySize || u32(place) != kDirectorySignature) {
        fail(fmt::format("zip: expected an entry of the directory at byte {}", place));
      }
      const uint64_t name_size = u16(place + 28);
      const uint64_t extra_size = u16(place + 30);
      const uint64_t size = kDirectorySize + name_size + extra_size + u16(place + 32);
      if (size > left) {
        fail(fmt::format(
            "zip: the entry at byte {} goes beyond the end of the directory", place));
      }
      Entry entry;
      entry.name = archive_.substr(place + kDirectorySize, name_size);
      entry.flags = u16(place + 8);
      entry.method = u16(place + 10);
      entry.size = u32(place + 20);
      entry.unpacked_size = u32(place + 24);
      entry.local_begin = u32(place + 42);
      read_zip64_extra(entry, place + kDirectorySize + name_size, extra_size);
      entries.push_back(std::move(entry));
      place += size;
    }
    if (entries.size() != end.entries) {
      fail(fmt::format(
          "zip: expected {} entries in the directory, got {}",
          end.entries,
          entries.size()));
    }
    return entries;
  }

  /// Numbers that do not fit 32 bits stand in an extra field, in this order.
  void read_zip64_extra(Entry& entry, uint64_t place, uint64_t size) const {
    std::vector<uint64_t*> wanted;
    for (uint64_t* number : {&entry.unpacked_size, &entry.size, &entry.local_begin}) {
      if (*number == kUnknown32) {
        wanted.push_back(number);
      }
    }
    const uint64_t end = place + size;
    while (!wanted.empty() && end - place >= 4) {
      const uint64_t field_size = u16(place + 2);
      if (field_size > end - place - 4) {
        fail_at(entry, "an extra field goes beyond its entry");
      }
      if (u16(place) == kZip64Extra) {
        if (field_size < 8 * wanted.size()) {
          fail_at(entry, "expected a ZIP64 field with its sizes, got a shorter one");
        }
        for (uint64_t* number : wanted) {
          *number = u64(place + 4);
          place += 8;
        }
        return;
      }
      place += 4 + field_size;
    }
    if (!wanted.empty()) {
      fail_at(entry, "expected a ZIP64 field with its sizes, found none");
    }
  }

  ZipRecord read_record(const Entry& entry, uint64_t cursor, uint64_t end) const {
    const uint64_t place = entry.local_begin;
    if (place < cursor) {
      fail_at(
          entry,
          fmt::format(
              "byte {} lies in the record before it, which ends at {}", place, cursor));
    }
    if (place > end || end - place < kLocalSize || u32(place) != kLocalSignature) {
      fail_at(entry, fmt::format("expected its header at byte {}, found none", place));
    }
    const uint64_t name_size = u16(place + 26);
    const uint64_t begin = place + kLocalSize + name_size + u16(place + 28);
    if (begin > end || entry.size > end - begin) {
      fail_at(
          entry,
          fmt::format(
              "expected {} bytes at byte {}, but the directory begins at {} (was the "
              "file cut off?)",
              entry.size,
              begin,
              end));
    }
    if (archive_.substr(place + kLocalSize, name_size) != entry.name) {
      fail_at(
          entry,
          fmt::format(
              "its header has another name, {}",
              in_quotes(archive_.substr(place + kLocalSize, name_size))));
    }
    const uint16_t flags = u16(place + 6);
    if (u16(place + 8) != entry.method || (flags ^ entry.flags) & kEncrypted) {
      fail_at(entry, "its header and the directory disagree on how it is stored");
    }
    const uint32_t size = u32(place + 18);
    if (!(flags & kSizesBehindData) && size != kUnknown32 && size != entry.size) {
      fail_at(entry, "its header and the directory disagree on its size");
    }
    const bool stored = entry.method == kStored && !(entry.flags & kEncrypted);
    if (stored && entry.size != entry.unpacked_size) {
      fail_at(
          entry,
          fmt::format(
              "stored as it is, but {} bytes are said to be {}",
              entry.size,
              entry.unpacked_size));
    }
    return {begin, entry.size, stored};
  }

  std::string_view archive_;
  const std::string& where_;
};

}  // namespace

ZipDirectory read_zip_directory(std::string_view archive, const std::string& where) {
  return Reader(archive, where).read();
}

}  // namespace trmml::io
