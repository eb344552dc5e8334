#pragma once

#include "trmml/io/safetensors.hpp"

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The header of a safetensors file; private to src/io.

namespace trmml::io::safetensors {

inline constexpr uint64_t kLengthSize = 8;
inline constexpr uint64_t kMaxHeader = 100'000'000;
inline constexpr std::string_view kMetadataName = "__metadata__";

struct Dtype {
  std::string_view name;
  at::ScalarType type;
  uint64_t size;  // bytes, and also the alignment
};

inline constexpr std::array<Dtype, 10> kDtypes = {{
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

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  const Dtype* dtype = nullptr;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;

  uint64_t begin() const { return (*offsets)[0]; }
  uint64_t end() const { return (*offsets)[1]; }
};

struct Header {
  std::vector<Entry> entries;
  Metadata metadata;
  uint64_t data_begin = 0;  ///< where in the file the data begin
};

/// Reads the header of a file whose bytes are `bytes`, and checks all that the format
/// asks: the tensors fill the data from their first byte to their last, one after the
/// other. Throws `CheckpointError`, which names `path`.
Header read_header(std::string_view bytes, const std::string& path);

}  // namespace trmml::io::safetensors
