#include "trmml/io/safetensors.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "mapped_file.hpp"
#include "quoted.hpp"

namespace trmml::io {

namespace {

static_assert(
    std::endian::native == std::endian::little,
    "safetensors files hold little-endian numbers; this reader maps them as they are");

constexpr uint64_t kLengthSize = 8;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxDimensions = 64;
constexpr std::string_view kMetadataName = "__metadata__";

struct Dtype {
  std::string_view name;
  at::ScalarType type;
  uint64_t size;  // bytes, and also the alignment
};

constexpr std::array<Dtype, 10> kDtypes = {{
    {"F64", at::kDouble, 8},
    {"F32", at::kFloat, 4},
    {"F16", at::kHalf, 2},
    {"BF16", at::kBFloat16, 2},
    {"I64", at::kLong, 8},
    {"I32", at::kInt, 4},
    {"I16", at::kShort, 2},
    {"I8", at::kChar, 1},
    {"U8", at::kByte, 1},
    {"BOOL", at::kBool, 1},
}};

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

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  const Dtype* dtype = nullptr;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;

  uint64_t begin() const { return (*offsets)[0]; }
  uint64_t end() const { return (*offsets)[1]; }
};

/// Receives the header piece by piece; nesting deeper than the format's is refused as
/// it opens, so that neither depth nor length of the input costs memory.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string path) : path_(std::move(path)) {}

  std::vector<Entry> entries;
  Metadata metadata;

  bool null() override { return scalar("null"); }
  bool boolean(bool /*value*/) override { return scalar("a truth value"); }
  bool number_integer(number_integer_t /*value*/) override {
    return scalar("a negative number");
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return scalar("a number that is not a 64-bit integer");
  }
  bool binary(binary_t& /*value*/) override { return scalar("bytes"); }

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
      return scalar("a number");
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
      return scalar("text");
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
      return scalar("an object");
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
      return scalar("a list");
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
  bool scalar(std::string_view got) const {
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
std::string_view header_of(const MappedFile& file, const std::string& path) {
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

at::Tensor tensor_of(
    const Entry& entry,
    char* data,
    const std::shared_ptr<MappedFile>& file,
    const std::string& path) {
  const std::vector<int64_t> shape(entry.shape->begin(), entry.shape->end());
  const at::TensorOptions options = at::TensorOptions().dtype(entry.dtype->type);
  const uint64_t bytes = entry.end() - entry.begin();
  if (bytes == 0) {
    return at::empty(shape, options);
  }
  char* const begin = data + entry.begin();
  if (entry.dtype->type == at::kBool) {
    const char* wrong = std::find_if(
        begin, begin + bytes, [](char byte) { return byte != 0 && byte != 1; });
    if (wrong != begin + bytes) {
      throw CheckpointError(fmt::format(
          "{}: tensor {}: expected bytes 0 and 1 for BOOL, got {} at element {}",
          path,
          in_quotes(entry.name),
          static_cast<unsigned>(static_cast<unsigned char>(*wrong)),
          wrong - begin));
    }
  }
  if (reinterpret_cast<uintptr_t>(begin) % entry.dtype->size != 0) {
    at::Tensor copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), begin, bytes);
    return copy;
  }
  return at::empty({0}, options).set_(mapped_storage(file, begin, bytes)).view(shape);
}

const Dtype& dtype_to_write(const std::string& name, const at::Tensor& tensor) {
  constexpr std::string_view kWhere = "write_safetensors";
  TORCH_CHECK_VALUE(
      name != kMetadataName,
      kWhere,
      ": expected another name than __metadata__ for a tensor (the format keeps it)");
  TORCH_CHECK_VALUE(
      tensor.defined(),
      kWhere,
      ": expected a tensor for ",
      in_quotes(name),
      ", got none");
  TORCH_CHECK_VALUE(
      tensor.layout() == at::kStrided,
      kWhere,
      ": expected a dense tensor for ",
      in_quotes(name),
      ", got a sparse one (to_dense() makes one)");
  const auto found =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&tensor](const Dtype& dtype) {
        return dtype.type == tensor.scalar_type();
      });
  TORCH_CHECK_VALUE(
      found != kDtypes.end(),
      kWhere,
      ": expected a dtype that the format has for ",
      in_quotes(name),
      ", got ",
      toString(tensor.scalar_type()));
  return *found;
}

/// `text` as JSON, which must be UTF-8.
std::string json_text(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    TORCH_CHECK_VALUE(
        false, "write_safetensors: expected UTF-8 text, got ", in_quotes(text));
  }
}

struct Item {
  const std::string* name;
  const at::Tensor* tensor;
  const Dtype* dtype;
};

std::string make_header(const std::vector<Item>& items, const Metadata& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      header += header.back() == '{' ? "" : ",";
      header += json_text(key) + ":" + json_text(value);
    }
    header += "}";
  }
  uint64_t offset = 0;
  for (const Item& item : items) {
    const uint64_t end =
        offset + static_cast<uint64_t>(item.tensor->numel()) * item.dtype->size;
    header += fmt::format(
        "{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
        header.size() == 1 ? "" : ",",
        json_text(*item.name),
        item.dtype->name,
        fmt::join(item.tensor->sizes(), ","),
        offset,
        end);
    offset = end;
  }
  header += "}";
  header.append((kLengthSize - header.size() % kLengthSize) % kLengthSize, ' ');
  TORCH_CHECK_VALUE(
      header.size() <= kMaxHeader,
      "write_safetensors: expected a header of at most ",
      kMaxHeader,
      " bytes, got ",
      header.size());
  return header;
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const std::string name = path.string();
  const auto file = std::make_shared<MappedFile>(path);
  const std::string_view header = header_of(*file, name);
  HeaderReader reader(name);
  nlohmann::json::sax_parse(header.begin(), header.end(), &reader);

  char* const data = file->data() + kLengthSize + header.size();
  check_layout(reader.entries, file->size() - kLengthSize - header.size(), name);
  SafetensorsFile result;
  for (const Entry& entry : reader.entries) {
    result.tensors[entry.name] = tensor_of(entry, data, file, name);
  }
  result.metadata = std::move(reader.metadata);
  return result;
}

void write_safetensors(
    AtomicFile& file,
    const TensorMap& tensors,
    const Metadata& metadata) {
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors) {
    items.push_back({&name, &tensor, &dtype_to_write(name, tensor)});
  }
  // The header's length is a multiple of 8 and the widest come first: all are aligned.
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.dtype->size > b.dtype->size;
  });
  const std::string header = make_header(items, metadata);
  const uint64_t length = header.size();
  file.write({reinterpret_cast<const char*>(&length), kLengthSize});
  file.write(header);
  for (const Item& item : items) {
    const at::Tensor dense =
        item.tensor->detach().to(at::kCPU).resolve_neg().contiguous();
    if (dense.numel() > 0) {
      file.write({static_cast<const char*>(dense.data_ptr()), dense.nbytes()});
    }
  }
}

void write_safetensors(
    const std::filesystem::path& path,
    const TensorMap& tensors,
    const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors(file, tensors, metadata);
  file.commit();
}

}  // namespace trmml::io
