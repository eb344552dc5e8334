#pragma once

#include <filesystem>
#include <utility>

namespace program {

/// A folder that one program at a time writes into. The lock ends with the object or
/// with the process, however that ends, and leaves no file.
class FolderLock {
 public:
  /// Throws `UsageError` when another program (or object) holds the lock. On a file
  /// system without locks, nothing is locked.
  explicit FolderLock(const std::filesystem::path& folder);

  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept : folder_(std::exchange(other.folder_, -1)) {}

 private:
  int folder_ = -1;  // descriptor
};

}  // namespace program
