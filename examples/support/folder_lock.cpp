#include "support/folder_lock.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "support/program.hpp"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace program {

FolderLock::FolderLock(const std::filesystem::path& folder)
    : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ >= 0 && ::flock(folder_, LOCK_EX | LOCK_NB) != 0 &&
      errno == EWOULDBLOCK) {
    ::close(folder_);
    throw UsageError(fmt::format(
        "--out: another program is at work in {} (wait for its end, or name another "
        "--out)",
        folder.string()));
  }
}

FolderLock::~FolderLock() {
  if (folder_ >= 0) {
    ::close(folder_);
  }
}

}  // namespace program
