#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string_view>

namespace trmml::io {

/// A file that appears under its name complete or not at all.
///
/// Bytes go to `.NAME.tmp-PID-COUNTER` in the same folder; `commit()` flushes them to
/// the disk (fsync of the file), renames the temporary to the final name and flushes
/// the folder. Until then, and when anything fails, a file that was there before stays
/// as it is. The destructor removes a temporary that was not committed; only a process
/// that is killed leaves one behind (see `remove_stale_temporaries`). Permissions
/// follow the umask; a symbolic link under the final name is replaced by the file.
/// Folders, devices, FIFOs and sockets are not, nor are links to the last three.
///
/// Not for several threads at once. Throws `trmml::WriteError` (path, operation, the
/// system's reason) when the disk is full, the folder is missing or not writable, and
/// so on, and `std::logic_error` when used after a failure or after `commit()`.
///
/// Example:
/// ```
/// AtomicFile file("runs/result.csv");
/// file.write("epoch,mAP\n");
/// file.commit();
/// ```
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends `bytes`; small pieces are gathered in memory first.
  void write(std::string_view bytes);

  /// The same file as a stream; an error of the disk is thrown out of `<<` as
  /// `trmml::WriteError`. May be mixed with `write`.
  std::ostream& stream();

  /// Waits until what was written is on the disk, still under the temporary name:
  /// `commit()` then needs no more room. It does this itself.
  void sync();

  /// Makes the file appear under its final name.
  void commit();

  /// The final name.
  const std::filesystem::path& path() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes `bytes` to `path` through an `AtomicFile`. Throws what that throws.
///
/// Example:
/// ```
/// io::write_file_atomically("runs/metrics.json", text);
/// ```
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Removes from `folder` the temporaries of `AtomicFile`s whose process is gone, and
/// returns how many. One that is still being written stays: its process lives or, where
/// its number means nothing here (another machine or container that shares the folder),
/// holds a lock on it. What cannot be locked or removed stays, too; a folder that is
/// not there has none.
///
/// Example:
/// ```
/// io::remove_stale_temporaries("runs/7");
/// ```
int64_t remove_stale_temporaries(const std::filesystem::path& folder);

}  // namespace trmml::io
