#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

/// A file in memory with these bytes, for readers that map files.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzz", 0)) {
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) !=
                               static_cast<ssize_t>(bytes.size())) {
      std::abort();
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// A folder in memory, for readers that look beside a file. It stays when the process
/// is aborted.
class Folder {
 public:
  Folder() {
    std::string name = "/dev/shm/trmml-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      std::abort();
    }
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  Folder(Folder&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }

  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Reads every byte of every tensor, where the sanitizers can see it.
template <typename Tensors>
void touch(const Tensors& tensors) {
  volatile uint64_t sum = 0;
  for (const auto& item : tensors) {
    const auto dense = item.second.contiguous();
    const auto* bytes = static_cast<const unsigned char*>(dense.data_ptr());
    for (size_t i = 0; i < dense.nbytes(); ++i) {
      sum = sum + bytes[i];
    }
  }
}

}  // namespace fuzz
