// libFuzzer target: io::read_safetensors. Input: the bytes of a file; one that begins
// with
// '{' is a header, before which its length is put.

#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <cstring>
#include <string>

#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] == '{') {
    const uint64_t length = bytes.rfind('}') + 1;
    std::string front(8, '\0');
    std::memcpy(front.data(), &length, 8);
    bytes.insert(0, front);
  }
  try {
    fuzz::touch(trmml::io::read_safetensors(fuzz::MemoryFile(bytes).path()).tensors);
  } catch (const trmml::CheckpointError& /*error*/) {
  }
  return 0;
}
