#include "trmml/io/torch_archive.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/Storage.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mapped_file.hpp"
#include "quoted.hpp"
#include "tensor_pickle.hpp"
#include "zip_directory.hpp"

namespace trmml::io {

namespace {

static_assert(
    std::endian::native == std::endian::little,
    "numbers of a file are mapped as they are, and most files are little-endian");

class ArchiveReader {
 public:
  explicit ArchiveReader(const std::filesystem::path& path)
      : where_(path.string()), file_(std::make_shared<MappedFile>(path)) {}

  TorchArchive read() {
    refuse_other_formats();
    directory_ = read_zip_directory(file_->bytes(), where_);
    root_ = find_root();
    read_byte_order();
    TorchArchive result;
    result.is_script = directory_.count(root_ + "constants.pkl") > 0;
    const TensorPickle pickle = read_tensor_pickle(
        record("data.pkl"), result.is_script, fmt::format("{}: data.pkl", where_));
    for (const PickledStorage& storage : pickle.storages) {
      storages_.push_back(make_storage(storage));
    }
    for (const auto& [name, index] : pickle.names) {
      const PickledTensor& tensor = pickle.tensors[index];
      if (!result.tensors
               .emplace(name, view(name, tensor, pickle.storages[tensor.storage]))
               .second) {
        fail(fmt::format("the name {} stands there twice", in_quotes(name)));
      }
    }
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view rule) const {
    throw CheckpointError(fmt::format("{}: {}", where_, rule));
  }

  void refuse_other_formats() const {
    const std::string_view bytes = file_->bytes();
    // Before 1.6, torch.save wrote several pickles in a row, and before 0.1.10 a tar.
    const bool is_pickle = bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] <= 5;
    const bool is_tar = bytes.size() > 262 && bytes.substr(257, 5) == "ustar";
    if (is_pickle || is_tar) {
      fail(
          "expected the zip format of PyTorch 1.6 and later, got an older one (convert "
          "it where it comes from: python -c \"import torch; torch.save(torch.load("
          "'old.pt', map_location='cpu', weights_only=True), 'new.pt')\")");
    }
    if (bytes.substr(0, 2) != "PK") {
      fail("expected a zip archive of torch.save or torch.jit.save");
    }
  }

  /// Records stand in a folder named after the file as it was called when written.
  std::string find_root() const {
    constexpr std::string_view kPickle = "data.pkl";
    std::vector<std::string> roots;
    for (const auto& [name, unused] : directory_) {
      const size_t slash = name.find('/');
      if (slash != std::string::npos && name.substr(slash + 1) == kPickle) {
        roots.push_back(name.substr(0, slash + 1));
      }
    }
    if (roots.size() != 1) {
      fail(fmt::format(
          "expected one folder with a record data.pkl in the archive, found {} (was it "
          "written by torch.save or torch.jit.save?)",
          roots.size()));
    }
    return roots.front();
  }

  std::string_view record(const std::string& name) const {
    const auto found = directory_.find(root_ + name);
    if (found == directory_.end()) {
      fail(fmt::format(
          "expected a record {} in the archive, found none", in_quotes(root_ + name)));
    }
    if (!found->second.stored) {
      fail(fmt::format(
          "the record {} is compressed or encrypted; expected it stored, as PyTorch "
          "does (unpack the archive and pack it again with zip -0)",
          in_quotes(root_ + name)));
    }
    return file_->bytes().substr(found->second.begin, found->second.size);
  }

  void read_byte_order() {
    if (directory_.count(root_ + "byteorder") == 0) {
      return;  // before PyTorch 2.1
    }
    const std::string_view order = record("byteorder");
    if (order != "little" && order != "big") {
      fail(fmt::format("byteorder: expected little or big, got {}", in_quotes(order)));
    }
    is_swapped_ = order == "big";
  }

  at::Storage make_storage(const PickledStorage& storage) const {
    const StorageDtype& dtype = *storage.dtype;
    const std::string_view bytes = record("data/" + storage.key);
    const auto fail_here = [&](std::string_view rule) {
      fail(fmt::format("storage {}: {}", in_quotes(storage.key), rule));
    };
    if (storage.elements != bytes.size() / dtype.size ||
        bytes.size() % dtype.size != 0) {
      fail_here(fmt::format(
          "expected {} numbers of {} bytes, got a record of {} bytes",
          storage.elements,
          dtype.size,
          bytes.size()));
    }
    if (dtype.type == at::kBool) {
      const auto wrong = std::find_if(
          bytes.begin(), bytes.end(), [](char byte) { return byte != 0 && byte != 1; });
      if (wrong != bytes.end()) {
        fail_here(fmt::format(
            "expected bytes 0 and 1 for truth values, got {} at {}",
            static_cast<unsigned>(static_cast<unsigned char>(*wrong)),
            wrong - bytes.begin()));
      }
    }
    char* const begin = file_->data() + (bytes.data() - file_->bytes().data());
    const bool is_aligned = reinterpret_cast<uintptr_t>(begin) % dtype.size == 0;
    if (is_aligned && (!is_swapped_ || dtype.size == 1)) {
      return mapped_storage(file_, begin, bytes.size());
    }
    return copied_storage(bytes, dtype);
  }

  at::Storage copied_storage(std::string_view bytes, const StorageDtype& dtype) const {
    const at::Tensor copy = at::empty(
        {static_cast<int64_t>(bytes.size() / dtype.size)},
        at::TensorOptions().dtype(dtype.type));
    if (bytes.empty()) {
      return copy.storage();
    }
    char* const to = static_cast<char*>(copy.data_ptr());
    std::memcpy(to, bytes.data(), bytes.size());
    for (uint64_t i = 0; is_swapped_ && i < bytes.size(); i += dtype.size) {
      std::reverse(to + i, to + i + dtype.size);
    }
    return copy.storage();
  }

  at::Tensor view(
      const std::string& name,
      const PickledTensor& tensor,
      const PickledStorage& storage) const {
    const auto fail_here = [&](std::string_view rule) {
      fail(fmt::format("tensor {}: {}", in_quotes(name), rule));
    };
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    uint64_t elements = 1;  // as if no size were 0: strides are products too
    uint64_t last = tensor.offset;
    bool is_empty = false;
    bool is_countable = true;
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      const uint64_t size = std::max<uint64_t>(tensor.sizes[i], 1);
      uint64_t reach = 0;
      is_empty = is_empty || tensor.sizes[i] == 0;
      is_countable = is_countable &&
                     !__builtin_mul_overflow(elements, size, &elements) &&
                     !__builtin_mul_overflow(size - 1, tensor.strides[i], &reach) &&
                     !__builtin_add_overflow(last, reach, &last) && elements <= kMax &&
                     last <= kMax;
    }
    const std::string shape = fmt::format(
        "sizes [{}], strides [{}], offset {}",
        fmt::join(tensor.sizes, ", "),
        fmt::join(tensor.strides, ", "),
        tensor.offset);
    if (!is_countable) {
      fail_here(fmt::format("expected sizes that 63 bits can count, got {}", shape));
    }
    if (is_empty ? tensor.offset > storage.elements : last >= storage.elements) {
      fail_here(fmt::format(
          "expected a view within its storage of {} elements, got {}",
          storage.elements,
          shape));
    }
    if (!is_empty && elements > storage.elements) {
      fail_here(fmt::format(
          "expected at most as many elements as its storage of {} has, got {} (an "
          "expanded tensor: save its clone())",
          storage.elements,
          shape));
    }
    const std::vector<int64_t> sizes(tensor.sizes.begin(), tensor.sizes.end());
    const std::vector<int64_t> strides(tensor.strides.begin(), tensor.strides.end());
    const auto options = at::TensorOptions().dtype(storage.dtype->type);
    if (is_empty) {
      return at::empty(sizes, options);
    }
    return at::empty({0}, options)
        .set_(
            storages_[tensor.storage],
            static_cast<int64_t>(tensor.offset),
            sizes,
            strides);
  }

  std::string where_;
  std::shared_ptr<MappedFile> file_;
  ZipDirectory directory_;
  std::string root_;
  bool is_swapped_ = false;
  std::vector<at::Storage> storages_;
};

}  // namespace

TorchArchive read_torch_archive(const std::filesystem::path& path) {
  return ArchiveReader(path).read();
}

}  // namespace trmml::io
