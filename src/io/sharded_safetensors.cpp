#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "json_events.hpp"
#include "mapped_file.hpp"
#include "quoted.hpp"

namespace trmml::io {

namespace {

constexpr uint64_t kMaxIndex = 100'000'000;
constexpr size_t kMaxShards = 4096;
constexpr std::string_view kEnding = ".safetensors";

/// Names of tensors by file.
using Shards = std::map<std::string, std::set<std::string>>;

class IndexReader : public JsonEvents {
 public:
  explicit IndexReader(std::string path) : path_(std::move(path)) {}

  Shards shards;

  bool string(string_t& text) override {
    if (place_ != Place::kFile) {
      return other("text");
    }
    check_file_name(text);
    shards[text].insert(tensor_);
    if (shards.size() > kMaxShards) {
      fail(fmt::format("expected at most {} files, got more", kMaxShards));
    }
    place_ = Place::kTensors;
    return true;
  }

  bool start_object(size_t /*elements*/) override {
    if (place_ == Place::kTop) {
      place_ = Place::kFields;
    } else if (place_ == Place::kWeightMap) {
      place_ = Place::kTensors;
    } else if (place_ == Place::kMetadata) {
      place_ = Place::kMetadataKeys;
    } else {
      return other("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kTensors) {
      if (!tensors_.insert(key).second) {
        fail(fmt::format("weight_map: the name {} stands there twice", in_quotes(key)));
      }
      tensor_ = key;
      place_ = Place::kFile;
    } else if (place_ == Place::kMetadataKeys) {
      place_ = Place::kMetadataValue;
    } else {
      open_field(key);
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kFields) {
      if (!has_weight_map_) {
        fail("expected the field weight_map, found none");
      }
      place_ = Place::kDone;
    } else {
      place_ = Place::kFields;
    }
    return true;
  }

  bool parse_error(
      size_t position,
      const std::string& /*last_token*/,
      const nlohmann::detail::exception& /*error*/) override {
    fail(fmt::format("expected JSON, got an error at byte {}", position));
  }

 private:
  enum class Place {
    kTop,
    kFields,
    kMetadata,
    kMetadataKeys,
    kMetadataValue,
    kWeightMap,
    kTensors,
    kFile,
    kDone,
  };

  [[noreturn]] void fail(std::string_view rule) const {
    throw CheckpointError(fmt::format("{}: index: {}", path_, rule));
  }

  /// A value came that is not a file's name.
  bool other(std::string_view got) override {
    switch (place_) {
      case Place::kMetadataValue:
        if (got == "an object" || got == "a list") {
          fail(fmt::format("metadata: expected numbers and text, got {}", got));
        }
        place_ = Place::kMetadataKeys;
        return true;
      case Place::kMetadata:
        fail(fmt::format("metadata: expected an object, got {}", got));
      case Place::kWeightMap:
        fail(fmt::format("weight_map: expected an object, got {}", got));
      case Place::kFile:
        fail(fmt::format(
            "weight_map: expected the name of a file for {}, got {}",
            in_quotes(tensor_),
            got));
      default:
        fail(fmt::format("expected an object, got {}", got));
    }
  }

  void open_field(const std::string& field) {
    const bool is_map = field == "weight_map";
    if (!is_map && field != "metadata") {
      fail(fmt::format(
          "expected the fields weight_map and metadata, got {}", in_quotes(field)));
    }
    bool& has = is_map ? has_weight_map_ : has_metadata_;
    if (has) {
      fail(fmt::format("the field {} stands there twice", field));
    }
    has = true;
    place_ = is_map ? Place::kWeightMap : Place::kMetadata;
  }

  /// A file's name must not lead out of the folder.
  void check_file_name(const std::string& name) const {
    const std::string_view text = name;
    if (text.size() <= kEnding.size() || !text.ends_with(kEnding) ||
        text.find_first_of(std::string_view("/\\\0", 3)) != std::string_view::npos) {
      fail(fmt::format(
          "weight_map: expected a file beside the index that ends with {} for {}, got "
          "{}",
          kEnding,
          in_quotes(tensor_),
          in_quotes(name)));
    }
  }

  std::string path_;
  Place place_ = Place::kTop;
  std::string tensor_;
  std::set<std::string> tensors_;
  bool has_weight_map_ = false;
  bool has_metadata_ = false;
};

Shards read_index(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.size() > kMaxIndex) {
    throw CheckpointError(fmt::format(
        "{}: index: expected at most {} bytes, got {}",
        path.string(),
        kMaxIndex,
        file.size()));
  }
  if (file.size() == 0 || file.data()[0] != '{') {
    throw CheckpointError(
        fmt::format("{}: index: expected '{{' as its first byte", path.string()));
  }
  IndexReader reader(path.string());
  nlohmann::json::sax_parse(file.bytes().begin(), file.bytes().end(), &reader);
  return std::move(reader.shards);
}

}  // namespace

SafetensorsFile read_sharded_safetensors(const std::filesystem::path& index) {
  SafetensorsFile result;
  for (const auto& [file, names] : read_index(index)) {
    const std::filesystem::path path = index.parent_path() / file;
    const auto fail = [&path](const std::string& name, std::string_view rule) {
      throw CheckpointError(
          fmt::format("{}: tensor {} {}", path.string(), in_quotes(name), rule));
    };
    SafetensorsFile shard = read_safetensors(path);
    for (const std::string& name : names) {
      if (shard.tensors.count(name) == 0) {
        fail(name, "is not in this file, but the index says so");
      }
    }
    for (const auto& [name, unused] : shard.tensors) {
      if (names.count(name) == 0) {
        fail(name, "is in this file, but the index does not say so");
      }
    }
    result.tensors.merge(shard.tensors);
    result.metadata.merge(shard.metadata);
  }
  return result;
}

}  // namespace trmml::io
