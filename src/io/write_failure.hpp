#pragma once

#include <cerrno>
#include <string_view>

// What the messages about files that cannot be written share. Private to src.

namespace trmml::io {

/// What helps where a write failed for want of room: disk, quota, size of a file.
inline std::string_view hint_for_room(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "make room and start again";
    case EFBIG:
      return "allow larger files, see ulimit -f, and start again";
    default:
      return "";
  }
}

}  // namespace trmml::io
