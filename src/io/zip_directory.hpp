#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace trmml::io {

/// One file inside a ZIP archive.
struct ZipRecord {
  uint64_t begin = 0;   ///< first byte of its data in the archive
  uint64_t size = 0;    ///< bytes in the archive
  bool stored = false;  ///< neither compressed nor encrypted
};

/// What a ZIP archive holds, by name.
using ZipDirectory = std::map<std::string, ZipRecord, std::less<>>;

/// Reads the directory of a ZIP archive without trusting it.
///
/// Beyond what unpackers ask for: the archive begins with its first record and ends
/// with its directory, no name stands twice, records do not overlap, and the directory
/// and the records agree on names. ZIP64 is understood; archives in several parts are
/// not. Memory is taken for names that are there, never for numbers that are claimed.
///
/// Throws `CheckpointError`, beginning with `where`.
ZipDirectory read_zip_directory(std::string_view archive, const std::string& where);

}  // namespace trmml::io
