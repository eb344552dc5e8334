#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::io {

/// What stands before the bytes of an array in a `.npy` file.
struct NpyHeader {
  char order = '|';   ///< '<' lowest byte first, '>' highest first, '|' single bytes
  char kind = 0;      ///< 'i', 'u', 'b', 'f', 'U'
  uint64_t size = 0;  ///< bytes of an element; characters of four bytes for 'U'
  bool is_fortran = false;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;  ///< place of the first byte of the array

  /// As the file says it: "<f4".
  std::string descr() const;
};

/// Reads the header of the file with these bytes. Throws `DataError`, beginning with
/// `where`, that names the byte of the header. Nothing is allocated for numbers that
/// are claimed.
NpyHeader read_npy_header(std::string_view file, const std::string& where);

/// The header of a file in C's order, as `numpy.save` writes it.
std::string npy_header_of(const std::string& descr, const std::vector<uint64_t>& shape);

}  // namespace trmml::io
