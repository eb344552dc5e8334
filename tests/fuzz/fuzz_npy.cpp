// libFuzzer target: io::read_npy and io::read_npy_names. Input: the bytes of a file;
// one that begins with '{' is a header and a line break, before which magic, version
// and length are put, and after which the array follows.

#include "trmml/core/error.hpp"
#include "trmml/io/npy.hpp"

#include <map>
#include <string>

#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] == '{') {
    const size_t length = bytes.find('\n') + 1;
    std::string front("\x93NUMPY\1\0", 8);
    front += static_cast<char>(length & 255);
    front += static_cast<char>(length >> 8 & 255);
    bytes.insert(0, front);
  }
  const fuzz::MemoryFile file(bytes);
  try {
    fuzz::touch(std::map<int, at::Tensor>{{0, trmml::io::read_npy(file.path())}});
  } catch (const trmml::DataError& /*error*/) {
  }
  try {
    trmml::io::read_npy_names(file.path());
  } catch (const trmml::DataError& /*error*/) {
  }
  return 0;
}
