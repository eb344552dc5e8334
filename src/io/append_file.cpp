#include "append_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "write_failure.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace trmml::io {

namespace {

[[noreturn]] void
cannot(const std::filesystem::path& path, std::string_view operation, int error) {
  const std::string_view hint = hint_for_room(error);
  throw WriteError(fmt::format(
      "cannot write '{}': {}: {}{}",
      path.string(),
      operation,
      std::generic_category().message(error),
      hint.empty() ? "" : fmt::format(" ({})", hint)));
}

}  // namespace

AppendFile::AppendFile(const std::filesystem::path& path, Start start) : path_(path) {
  const int mode = start == Start::kNew ? O_EXCL : 0;
  do {
    descriptor_ =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | mode, 0666);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0 && !(start == Start::kNew && errno == EEXIST)) {
    cannot(path_, "open", errno);
  }
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void AppendFile::append(std::string_view record) {
  const off_t before = ::lseek(descriptor_, 0, SEEK_END);
  while (!record.empty()) {
    const ssize_t written = ::write(descriptor_, record.data(), record.size());
    if (written > 0) {
      record.remove_prefix(static_cast<std::size_t>(written));
    } else if (written == 0 || errno != EINTR) {
      const int error = written == 0 ? ENOSPC : errno;
      const bool is_taken_back = before >= 0 && ::ftruncate(descriptor_, before) == 0;
      cannot(
          path_,
          is_taken_back ? "write" : "write (the last record in it is cut off)",
          error);
    }
  }
}

void AppendFile::sync() {
  if (::fsync(descriptor_) != 0) {
    cannot(path_, "fsync", errno);
  }
}

}  // namespace trmml::io
