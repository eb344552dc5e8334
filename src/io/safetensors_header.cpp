#include "safetensors_header.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "json_events.hpp"
#include "quoted.hpp"

namespace trmml::io::safetensors {

namespace {

constexpr size_t kMaxDimensions = 64;

std::string format_list(const std::vector<uint64_t>& numbers) {
  return fmt::format("[{}]", fmt::join(numbers, ", "));
}

/// Product in 64 bits, or nothing when it does not fit int64.
std::optional<uint64_t> product(const std::vector<uint64_t>& factors, uint64_t last) {
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  uint64_t all = last;
  uint64_t without_zeros = last;  // strides are products too
  for (const uint64_t factor : factors) {
    if (__builtin_mul_overflow(
            without_zeros, std::max<uint64_t>(factor, 1), &without_zeros) ||
        without_zeros > kMax) {
      return std::nullopt;
    }
    all *= factor;
  }
  return all;
}

class HeaderReader : public JsonEvents {
 public:
  explicit HeaderReader(std::string path) : path_(std::move(path)) {}

  std::vector<Entry> entries;
  Metadata metadata;

  bool number_integer(number_integer_t /*value*/) override {
    return other("a negative number");
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return other("a number that is not a 64-bit integer");
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShapeItems) {
      if (entry_.shape->size() == kMaxDimensions) {
        fail(fmt::format("expected at most {} dimensions, got more", kMaxDimensions));
      }
      entry_.shape->push_back(value);
    } else if (place_ == Place::kOffsetItems) {
      if (entry_.offsets->size() == 2) {
        fail("expected data_offsets of two numbers, got more");
      }
      entry_.offsets->push_back(value);
    } else {
      return other("a number");
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kDtype) {
      read_dtype(value);
      place_ = Place::kFields;
    } else if (place_ == Place::kMetadataValue) {
      metadata[metadata_key_] = value;
      place_ = Place::kMetadataKeys;
    } else {
      return other("text");
    }
    return true;
  }

  bool start_object(size_t /*elements*/) override {
    if (place_ == Place::kTop) {
      place_ = Place::kNames;
    } else if (place_ == Place::kEntry) {
      place_ = Place::kFields;
    } else if (place_ == Place::kMetadata) {
      place_ = Place::kMetadataKeys;
    } else {
      return other("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kNames) {
      if (!names_.insert(key).second) {
        throw CheckpointError(fmt::format(
            "{}: header: the name {} stands there twice", path_, in_quotes(key)));
      }
      entry_ = Entry();
      entry_.name = key;
      place_ = key == kMetadataName ? Place::kMetadata : Place::kEntry;
    } else if (place_ == Place::kMetadataKeys) {
      if (metadata.count(key) > 0) {
        fail(fmt::format("the key {} stands there twice", in_quotes(key)));
      }
      metadata_key_ = key;
      place_ = Place::kMetadataValue;
    } else {
      open_field(key);
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kFields) {
      finish_entry();
      place_ = Place::kNames;
    } else if (place_ == Place::kMetadataKeys) {
      place_ = Place::kNames;
    } else {
      place_ = Place::kDone;
    }
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ == Place::kShape) {
      entry_.shape.emplace();
      place_ = Place::kShapeItems;
    } else if (place_ == Place::kOffsets) {
      entry_.offsets.emplace();
      place_ = Place::kOffsetItems;
    } else {
      return other("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsetItems && entry_.offsets->size() != 2) {
      fail(fmt::format(
          "expected data_offsets of two numbers, got {}",
          format_list(*entry_.offsets)));
    }
    place_ = Place::kFields;
    return true;
  }

  bool parse_error(
      size_t position,
      const std::string& /*last_token*/,
      const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    if (const size_t dash = reason.find(" - "); dash != std::string::npos) {
      reason = reason.substr(dash + 3);
    }
    reason = reason.substr(0, reason.find(';'));
    throw CheckpointError(fmt::format(
        "{}: header: expected JSON, got an error at byte {} of the header: {}",
        path_,
        position,
        reason));
  }

 private:
  enum class Place {
    kTop,
    kNames,
    kEntry,
    kFields,
    kDtype,
    kShape,
    kShapeItems,
    kOffsets,
    kOffsetItems,
    kMetadata,
    kMetadataKeys,
    kMetadataValue,
    kDone,
  };

  [[noreturn]] void fail(std::string_view rule) const {
    const std::string what = entry_.name == kMetadataName
                                 ? std::string(kMetadataName)
                                 : fmt::format("tensor {}", in_quotes(entry_.name));
    throw CheckpointError(fmt::format("{}: {}: {}", path_, what, rule));
  }

  /// A value came where it may not: says what may be there.
  bool other(std::string_view got) override {
    switch (place_) {
      case Place::kTop:
      case Place::kNames:
      case Place::kDone:
        throw CheckpointError(
            fmt::format("{}: header: expected an object, got {}", path_, got));
      case Place::kEntry:
        fail(fmt::format("expected an object, got {}", got));
      case Place::kFields:
      case Place::kDtype:
        fail(fmt::format("expected dtype as text, got {}", got));
      case Place::kShape:
      case Place::kShapeItems:
        fail(fmt::format("expected shape as a list of sizes, got {}", got));
      case Place::kOffsets:
      case Place::kOffsetItems:
        fail(fmt::format("expected data_offsets as a list of two sizes, got {}", got));
      case Place::kMetadata:
        fail(fmt::format("expected an object of text, got {}", got));
      case Place::kMetadataKeys:
      case Place::kMetadataValue:
        fail(
            fmt::format("expected text for {}, got {}", in_quotes(metadata_key_), got));
    }
    return false;
  }

  void open_field(const std::string& field) {
    bool seen = false;
    if (field == "dtype") {
      seen = entry_.dtype != nullptr;
      place_ = Place::kDtype;
    } else if (field == "shape") {
      seen = entry_.shape.has_value();
      place_ = Place::kShape;
    } else if (field == "data_offsets") {
      seen = entry_.offsets.has_value();
      place_ = Place::kOffsets;
    } else {
      fail(fmt::format(
          "expected the fields dtype, shape and data_offsets, got {}",
          in_quotes(field)));
    }
    if (seen) {
      fail(fmt::format("the field {} stands there twice", field));
    }
  }

  void read_dtype(const std::string& name) {
    const auto found =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&name](const Dtype& dtype) {
          return dtype.name == name;
        });
    if (found == kDtypes.end()) {
      fail(fmt::format(
          "expected a dtype among F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, got {}",
          in_quotes(name)));
    }
    entry_.dtype = &*found;
  }

  void finish_entry() {
    if (entry_.dtype == nullptr || !entry_.shape || !entry_.offsets) {
      fail(fmt::format(
          "expected the fields dtype, shape and data_offsets, got no {}",
          entry_.dtype == nullptr ? "dtype"
          : !entry_.shape         ? "shape"
                                  : "data_offsets"));
    }
    if (entry_.begin() > entry_.end()) {
      fail(fmt::format(
          "expected data_offsets in ascending order, got {}",
          format_list(*entry_.offsets)));
    }
    const std::optional<uint64_t> bytes = product(*entry_.shape, entry_.dtype->size);
    if (!bytes) {
      fail(fmt::format(
          "expected a shape whose bytes can be counted in 63 bits, got {}",
          format_list(*entry_.shape)));
    }
    if (*bytes != entry_.end() - entry_.begin()) {
      fail(fmt::format(
          "expected {} bytes for {} of shape {}, got {} (data_offsets {})",
          *bytes,
          entry_.dtype->name,
          format_list(*entry_.shape),
          entry_.end() - entry_.begin(),
          format_list(*entry_.offsets)));
    }
    entries.push_back(std::move(entry_));
    entry_ = Entry();
  }

  std::string path_;
  Place place_ = Place::kTop;
  std::set<std::string> names_;
  Entry entry_;
  std::string metadata_key_;
};

/// The text of the header, after the checks that need no JSON.
std::string_view header_text(std::string_view file, const std::string& path) {
  if (file.size() < kLengthSize) {
    throw CheckpointError(fmt::format(
        "{}: expected at least 8 bytes (the length of the header), got {}",
        path,
        file.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthSize);
  if (length > kMaxHeader) {
    throw CheckpointError(fmt::format(
        "{}: expected a header of at most {} bytes, got {} (not a safetensors file?)",
        path,
        kMaxHeader,
        length));
  }
  if (length > file.size() - kLengthSize) {
    throw CheckpointError(fmt::format(
        "{}: expected a header of {} bytes, got a file with {} bytes after its length "
        "(the file was cut off?)",
        path,
        length,
        file.size() - kLengthSize));
  }
  const std::string_view header(file.data() + kLengthSize, length);
  if (header.empty() || header.front() != '{') {
    throw CheckpointError(
        fmt::format("{}: header: expected '{{' as its first byte", path));
  }
  // JSON has none of these; the parser would take a zero byte for the end.
  const auto control = std::find_if(header.begin(), header.end(), [](char byte) {
    return static_cast<unsigned char>(byte) < 0x20 && byte != '\t' && byte != '\n' &&
           byte != '\r';
  });
  if (control != header.end()) {
    throw CheckpointError(fmt::format(
        "{}: header: expected text, got the control character {:#04x} at byte {}",
        path,
        static_cast<unsigned>(static_cast<unsigned char>(*control)),
        control - header.begin()));
  }
  return header;
}

/// The tensors must fill the data from its first byte to its last, one after the other.
void check_layout(
    const std::vector<Entry>& entries,
    uint64_t size,
    const std::string& path) {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries) {
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return std::tuple(a->begin(), a->end(), std::string_view(a->name)) <
           std::tuple(b->begin(), b->end(), std::string_view(b->name));
  });
  uint64_t cursor = 0;
  for (const Entry* const item : order) {
    const Entry& entry = *item;
    const auto fail = [&](std::string_view rule) {
      throw CheckpointError(
          fmt::format("{}: tensor {}: {}", path, in_quotes(entry.name), rule));
    };
    const std::string offsets = format_list(*entry.offsets);
    if (entry.end() > size) {
      fail(fmt::format(
          "expected data_offsets within the {} bytes of data, got {} (the file was cut "
          "off?)",
          size,
          offsets));
    }
    if (entry.begin() < cursor) {
      fail(fmt::format(
          "data_offsets {} overlap the tensor before, which ends at {}",
          offsets,
          cursor));
    }
    if (entry.begin() > cursor) {
      fail(fmt::format(
          "data_offsets {} leave a hole: the data before ends at {}", offsets, cursor));
    }
    cursor = entry.end();
  }
  if (cursor != size) {
    throw CheckpointError(fmt::format(
        "{}: expected the data to end with the last tensor at byte {}, got {} bytes",
        path,
        cursor,
        size));
  }
}

}  // namespace

Header read_header(std::string_view bytes, const std::string& path) {
  const std::string_view text = header_text(bytes, path);
  HeaderReader reader(path);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  const uint64_t begin = kLengthSize + text.size();
  check_layout(reader.entries, bytes.size() - begin, path);
  return {std::move(reader.entries), std::move(reader.metadata), begin};
}

}  // namespace trmml::io::safetensors
