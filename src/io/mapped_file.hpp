#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace trmml::io {

/// A file in memory: read-only on disk, copy-on-write for who writes to its pages.
///
/// Pages are read when first used. Throws `CheckpointError` (path, operation, reason)
/// when the file cannot be opened or is none.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  char* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  uint64_t size_ = 0;
};

/// The `bytes` bytes at `begin` of `file` as a storage that keeps the mapping alive.
at::Storage
mapped_storage(const std::shared_ptr<MappedFile>& file, char* begin, uint64_t bytes);

}  // namespace trmml::io
