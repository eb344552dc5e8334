// libFuzzer target: io::read_sharded_safetensors. Input: an index; beside it lie
// "1.safetensors" (a, b) and "2.safetensors" (c).

#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trmml::io;
  static const fuzz::Folder folder = [] {
    fuzz::Folder made;
    write_safetensors(
        made / "1.safetensors", {{"a", at::ones({2})}, {"b", at::zeros({1})}}, {});
    write_safetensors(made / "2.safetensors", {{"c", at::full({3}, 7.0)}}, {});
    return made;
  }();
  const auto index = folder / "index.json";
  fuzz::write(index, {reinterpret_cast<const char*>(data), size});
  try {
    fuzz::touch(read_sharded_safetensors(index).tensors);
  } catch (const trmml::CheckpointError& /*error*/) {
  }
  return 0;
}
