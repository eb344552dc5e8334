// libFuzzer target: io::read_torch_archive. Input: the bytes of a file; one that does
// not begin with 'P' is the pickle of an archive with a storage of 24 bytes ('S' in
// front: of TorchScript), so that the reader of pickles is reached without a valid
// archive.

#include "trmml/core/error.hpp"
#include "trmml/io/torch_archive.hpp"

#include <string>

#include "fuzz_file.hpp"
#include "support/torch_archives.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] != 'P') {
    const bool is_script = data[0] == 'S';
    bytes = support::archive_of(
        bytes.substr(is_script ? 1 : 0), {std::string(24, '\1')}, is_script);
  }
  try {
    fuzz::touch(trmml::io::read_torch_archive(fuzz::MemoryFile(bytes).path()).tensors);
  } catch (const trmml::CheckpointError& /*error*/) {
  }
  return 0;
}
