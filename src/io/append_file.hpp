#pragma once

#include <filesystem>
#include <string_view>

// Files that grow record by record. Private to src.

namespace trmml::io {

/// A file that grows by whole records. Each goes to the system in one piece, so a
/// process that is killed loses at most the one it was writing, and a record that does
/// not fit on the disk is taken back. Not for several threads at once.
///
/// Throws `trmml::WriteError` (path, operation, the system's reason).
class AppendFile {
 public:
  enum class Start {
    kAppend,  ///< what is there stays; made if it is missing
    kNew,     ///< it must not be there: else `is_open()` is false
  };

  AppendFile(const std::filesystem::path& path, Start start);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  bool is_open() const { return descriptor_ >= 0; }

  void append(std::string_view record);

  /// Waits until everything is on the disk: a power cut then loses nothing of it.
  void sync();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace trmml::io
