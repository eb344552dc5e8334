#include "trmml/io/npy.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/Storage.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

#include "mapped_file.hpp"
#include "npy_header.hpp"
#include "text.hpp"

namespace trmml::io {

namespace {

static_assert(
    std::endian::native == std::endian::little,
    "numbers of a file are mapped as they are, and most files are little-endian");

struct NpyDtype {
  std::string_view descr;  // as written here
  at::ScalarType type;
};

constexpr std::array<NpyDtype, 9> kNpyDtypes = {{
    {"|i1", at::kChar},
    {"<i2", at::kShort},
    {"<i4", at::kInt},
    {"<i8", at::kLong},
    {"|u1", at::kByte},
    {"|b1", at::kBool},
    {"<f2", at::kHalf},
    {"<f4", at::kFloat},
    {"<f8", at::kDouble},
}};

/// A file and its header, of which all sizes have been checked.
struct NpyFile {
  std::string where;
  std::shared_ptr<MappedFile> mapping;
  NpyHeader header;

  [[noreturn]] void fail(std::string_view rule) const {
    throw DataError(fmt::format("{}: {}", where, rule));
  }
  char* begin() const { return mapping->data() + header.begin; }
  uint64_t bytes() const { return mapping->size() - header.begin; }
};

NpyFile open(const std::filesystem::path& path) {
  NpyFile file;
  file.where = path.string();
  try {
    file.mapping = std::make_shared<MappedFile>(path);
  } catch (const CheckpointError& error) {
    throw DataError(error.what());
  }
  file.header = read_npy_header(file.mapping->bytes(), file.where);
  const NpyHeader& header = file.header;
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  uint64_t bytes = header.kind == 'U' ? 4 * header.size : header.size;
  uint64_t without_zeros = bytes;  // strides are products too
  for (const uint64_t size : header.shape) {
    if (__builtin_mul_overflow(
            without_zeros, std::max<uint64_t>(size, 1), &without_zeros) ||
        without_zeros > kMax) {
      file.fail(fmt::format(
          "expected a shape whose bytes can be counted in 63 bits, got ({})",
          fmt::join(header.shape, ", ")));
    }
    bytes *= size;
  }
  if (bytes != file.bytes()) {
    file.fail(fmt::format(
        "expected {} bytes for {} of shape ({}), got {}{}",
        bytes,
        header.descr(),
        fmt::join(header.shape, ", "),
        file.bytes(),
        bytes > file.bytes() ? " (the file was cut off?)" : ""));
  }
  return file;
}

/// The elements of the file in its own order, [numel].
at::Tensor elements(const NpyFile& file, at::ScalarType type) {
  const NpyHeader& header = file.header;
  const auto count = static_cast<int64_t>(file.bytes() / header.size);
  const auto options = at::TensorOptions().dtype(type);
  if (count == 0) {
    return at::empty({0}, options);
  }
  const bool is_swapped = header.order == '>' && header.size > 1;
  if (!is_swapped && reinterpret_cast<uintptr_t>(file.begin()) % header.size == 0) {
    return at::empty({0}, options)
        .set_(
            mapped_storage(file.mapping, file.begin(), file.bytes()), 0, {count}, {1});
  }
  const at::Tensor copy = at::empty({count}, options);
  char* const to = static_cast<char*>(copy.data_ptr());
  std::memcpy(to, file.begin(), file.bytes());
  for (uint64_t i = 0; is_swapped && i < file.bytes(); i += header.size) {
    std::reverse(to + i, to + i + header.size);
  }
  return copy;
}

}  // namespace

at::Tensor read_npy(const std::filesystem::path& path) {
  const NpyFile file = open(path);
  const NpyHeader& header = file.header;
  if (header.kind == 'U') {
    file.fail(fmt::format("expected numbers, got text ({})", header.descr()));
  }
  const std::string tail = header.descr().substr(1);
  const auto dtype = std::find_if(
      kNpyDtypes.begin(), kNpyDtypes.end(), [&tail](const NpyDtype& known) {
        return known.descr.substr(1) == tail;
      });
  if (dtype->type == at::kBool) {
    const std::string_view bytes(file.begin(), file.bytes());
    const auto wrong = std::find_if(
        bytes.begin(), bytes.end(), [](char byte) { return byte != 0 && byte != 1; });
    if (wrong != bytes.end()) {
      file.fail(fmt::format(
          "expected bytes 0 and 1 for truth values, got {} at element {}",
          static_cast<unsigned>(static_cast<unsigned char>(*wrong)),
          wrong - bytes.begin()));
    }
  }
  std::vector<int64_t> shape(header.shape.begin(), header.shape.end());
  if (!header.is_fortran) {
    return elements(file, dtype->type).view(shape);
  }
  std::vector<int64_t> backwards(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) {
    backwards[i] = static_cast<int64_t>(shape.size() - 1 - i);
  }
  std::reverse(shape.begin(), shape.end());
  return elements(file, dtype->type).view(shape).permute(backwards);
}

std::vector<std::string> read_npy_names(const std::filesystem::path& path) {
  const NpyFile file = open(path);
  const NpyHeader& header = file.header;
  if (header.kind != 'U' || header.shape.size() != 1) {
    file.fail(fmt::format(
        "expected a list of names (one dimension, dtype U), got {} of shape ({})",
        header.descr(),
        fmt::join(header.shape, ", ")));
  }
  std::vector<std::string> names(header.shape.front());
  const auto* bytes = reinterpret_cast<const unsigned char*>(file.begin());
  for (std::string& name : names) {
    uint64_t zeros = 0;  // padding, unless a character follows
    for (uint64_t i = 0; i < header.size; ++i, bytes += 4) {
      uint32_t character = 0;
      for (int k = 0; k < 4; ++k) {
        character |= static_cast<uint32_t>(bytes[k])
                     << 8 * (header.order == '<' ? k : 3 - k);
      }
      if (character == 0) {
        ++zeros;
        continue;
      }
      if (zeros > 0 || character > 0x10FFFF ||
          (character >= 0xD800 && character < 0xE000)) {
        file.fail(fmt::format(
            "name {}: expected characters of Unicode and zeros after them only, got "
            "{:#x} at {}",
            &name - names.data(),
            character,
            i));
      }
      append_utf8(name, character);
    }
  }
  return names;
}

void write_npy(const std::filesystem::path& path, const at::Tensor& array) {
  TORCH_CHECK_VALUE(
      array.defined() && array.layout() == at::kStrided,
      "write_npy: expected a dense tensor, got ",
      array.defined() ? "a sparse one" : "an undefined one");
  const auto dtype = std::find_if(
      kNpyDtypes.begin(), kNpyDtypes.end(), [&array](const NpyDtype& known) {
        return known.type == array.scalar_type();
      });
  TORCH_CHECK_VALUE(
      dtype != kNpyDtypes.end(),
      "write_npy: expected a dtype among int8 .. int64, uint8, bool, float16, float32, "
      "float64, got ",
      toString(array.scalar_type()));
  const at::Tensor dense = array.to(at::kCPU).contiguous();
  AtomicFile file(path);
  file.write(npy_header_of(
      std::string(dtype->descr),
      std::vector<uint64_t>(dense.sizes().begin(), dense.sizes().end())));
  if (dense.numel() > 0) {
    file.write({static_cast<const char*>(dense.data_ptr()), dense.nbytes()});
  }
  file.commit();
}

}  // namespace trmml::io
