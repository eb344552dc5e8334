#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

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
