#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Files of torch.save made by hand: a ZIP archive and a pickle, piece by piece, so that
// each piece can be wrong.

namespace support {

/// `value` in `size` bytes, the lowest first.
inline std::string little(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(value >> (8 * i) & 255);
  }
  return bytes;
}

// ------------------------------------------------------------------ zip

/// One record and what its two headers say of it.
struct ZipItem {
  std::string name;
  std::string data;
  uint16_t method = 0;
  uint16_t flags = 0;
  std::string local_name = "";   // when it differs
  int64_t local_method = -1;     // when it differs
  int64_t unpacked_size = -1;    // when it differs
  std::string local_extra = "";  // padding
  bool in_zip64_field = false;   // sizes and place stand in the extra field
};

/// What the end of the archive says, when it differs from the truth.
struct ZipEnd {
  bool has_zip64 = false;
  int64_t entries = -1;
  int64_t directory_size = -1;
  int64_t directory_begin = -1;
  uint16_t disk = 0;
  std::string comment = "";
  int64_t zip64_entries = -1;
};

inline std::string zip_of(const std::vector<ZipItem>& items, const ZipEnd& end = {}) {
  std::string file, directory;
  for (const ZipItem& item : items) {
    const uint64_t begin = file.size();
    const std::string local_name =
        item.local_name.empty() ? item.name : item.local_name;
    const auto method = item.local_method < 0 ? item.method : item.local_method;
    const uint64_t size = item.data.size();
    const uint64_t unpacked =
        item.unpacked_size < 0 ? size : static_cast<uint64_t>(item.unpacked_size);
    const uint32_t kMany = 0xFFFFFFFF;
    file += std::string("PK\3\4") + little(20, 2) + little(item.flags, 2) +
            little(static_cast<uint64_t>(method), 2) + little(0, 8) +
            little(item.in_zip64_field ? kMany : size, 4) +
            little(item.in_zip64_field ? kMany : unpacked, 4) +
            little(local_name.size(), 2) + little(item.local_extra.size(), 2) +
            local_name + item.local_extra + item.data;
    const std::string extra =
        item.in_zip64_field
            ? little(0x5455, 2) + little(1, 2) + "x" + little(1, 2) + little(24, 2) +
                  little(unpacked, 8) + little(size, 8) + little(begin, 8)
            : "";
    directory += std::string("PK\1\2") + little(20, 2) + little(20, 2) +
                 little(item.flags, 2) + little(item.method, 2) + little(0, 8) +
                 little(item.in_zip64_field ? kMany : size, 4) +
                 little(item.in_zip64_field ? kMany : unpacked, 4) +
                 little(item.name.size(), 2) + little(extra.size(), 2) + little(0, 8) +
                 little(0, 2) + little(item.in_zip64_field ? kMany : begin, 4) +
                 item.name + extra;
  }
  const auto or_truth = [](int64_t said, uint64_t truth) {
    return said < 0 ? truth : static_cast<uint64_t>(said);
  };
  const uint64_t begin = file.size();
  file += directory;
  if (end.has_zip64) {
    const uint64_t place = file.size();
    const uint64_t entries = or_truth(end.zip64_entries, items.size());
    file += std::string("PK\6\6") + little(44, 8) + little(45, 2) + little(45, 2) +
            little(0, 8) + little(entries, 8) + little(entries, 8) +
            little(directory.size(), 8) + little(begin, 8);
    file += std::string("PK\6\7") + little(0, 4) + little(place, 8) + little(1, 4);
  }
  file += std::string("PK\5\6") + little(end.disk, 2) + little(end.disk, 2) +
          little(or_truth(end.entries, items.size()), 2) +
          little(or_truth(end.entries, items.size()), 2) +
          little(or_truth(end.directory_size, directory.size()), 4) +
          little(or_truth(end.directory_begin, begin), 4) +
          little(end.comment.size(), 2) + end.comment;
  return file;
}

// ------------------------------------------------------------------ pickle

namespace pickle {

inline std::string text(std::string_view value) {
  return "X" + little(value.size(), 4) + std::string(value);
}
inline std::string number(int64_t value) {
  return "\x8a\x08" + little(static_cast<uint64_t>(value), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const std::string& item : items) {
    all += item;
  }
  return all + "t";
}
inline std::string numbers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) {
    items.push_back(number(value));
  }
  return tuple(items);
}
inline std::string dict(
    const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string all = "}(";
  for (const auto& [key, value] : entries) {
    all += text(key) + value;
  }
  return all + "u";
}
inline std::string call(const std::string& function, const std::string& arguments) {
  return function + arguments + "R";
}

inline std::string
storage(const std::string& type, const std::string& key, int64_t elements) {
  return tuple(
             {text("storage"),
              global("torch", type),
              text(key),
              text("cpu"),
              number(elements)}) +
         "Q";
}

inline std::string tensor(
    const std::string& from,
    int64_t offset,
    const std::vector<int64_t>& sizes,
    const std::vector<int64_t>& strides) {
  return call(
      global("torch._utils", "_rebuild_tensor_v2"),
      tuple(
          {from,
           number(offset),
           numbers(sizes),
           numbers(strides),
           "\x89",
           call(global("collections", "OrderedDict"), ")")}));
}

/// A whole pickle that leaves `value`.
inline std::string of(const std::string& value) {
  return "\x80\x02" + value + ".";
}

}  // namespace pickle

/// An archive "a" with this pickle and these storages "0", "1", ..
inline std::string archive_of(
    const std::string& pickle_bytes,
    const std::vector<std::string>& storages,
    bool is_script = false) {
  std::vector<ZipItem> items = {{"a/data.pkl", pickle_bytes}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string name = "a/data/" + std::to_string(i);
    uint64_t begin = 0;  // storages begin at multiples of 64 bytes
    for (const ZipItem& item : items) {
      begin += 30 + item.name.size() + item.local_extra.size() + item.data.size();
    }
    const uint64_t padding = (64 - (begin + 30 + name.size()) % 64) % 64;
    ZipItem item{name, storages[i]};
    item.local_extra = std::string(padding, 'Z');
    items.push_back(item);
  }
  if (is_script) {
    items.push_back({"a/constants.pkl", "\x80\x02)."});
  }
  items.push_back({"a/version", "3\n"});
  return zip_of(items);
}

}  // namespace support
