#include "mapped_file.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/mapped_pages.hpp"

#include <c10/core/Storage.h>

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trmml::io {

namespace {

[[noreturn]] void
fail_to_read(const std::filesystem::path& path, std::string_view operation, int error) {
  throw CheckpointError(fmt::format(
      "{}: cannot {} the file: {}",
      path.string(),
      operation,
      std::generic_category().message(error)));
}

/// Deletes what a storage holds: its share of the mapping.
void let_go(void* context) {
  delete static_cast<std::shared_ptr<MappedFile>*>(context);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must not make us wait.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    fail_to_read(path, "open", errno);
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw CheckpointError(
        fmt::format("{}: expected a regular file, got something else", path.string()));
  }
  size_ = static_cast<uint64_t>(status.st_size);
  if (size_ > 0) {
    void* address = ::mmap(
        nullptr,
        size_,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_NORESERVE,
        descriptor,
        0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(descriptor);
      fail_to_read(path, "map", error);
    }
    data_ = static_cast<char*>(address);
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(data_, size_);
  }
}

at::Storage
mapped_storage(const std::shared_ptr<MappedFile>& file, char* begin, uint64_t bytes) {
  auto share = std::make_unique<std::shared_ptr<MappedFile>>(file);
  at::DataPtr data(begin, share.get(), &let_go, at::kCPU);
  share.release();
  return at::Storage(
      at::Storage::use_byte_size_t(), bytes, std::move(data), nullptr, false);
}

bool release_pages(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage() || !tensor.is_contiguous() ||
      tensor.storage().data_ptr().get_deleter() != &let_go) {
    return false;
  }
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.data_ptr());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + tensor.nbytes()) / page * page;
  return first >= last ||
         ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0;
}

}  // namespace trmml::io
