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
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "mapped_file.hpp"
#include "quoted.hpp"
#include "safetensors_header.hpp"

namespace trmml::io {

using namespace safetensors;  // of the header

namespace {

static_assert(
    std::endian::native == std::endian::little,
    "safetensors files hold little-endian numbers; this reader maps them as they are");

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
  Header header = read_header({file->data(), file->size()}, name);
  char* const data = file->data() + header.data_begin;
  SafetensorsFile result;
  for (const Entry& entry : header.entries) {
    result.tensors[entry.name] = tensor_of(entry, data, file, name);
  }
  result.metadata = std::move(header.metadata);
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
