// libFuzzer target: the content of a file in COCO's form. Input: the bytes of the file.

#include "trmml/core/error.hpp"

#include "../../src/data/coco_file.hpp"
#include "../../src/data/faults.hpp"
#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  trmml::data::Faults faults("fuzz");
  try {
    trmml::data::read_coco_file(fuzz::MemoryFile(bytes).path(), faults);
    faults.throw_if_any();
  } catch (const trmml::DataError& /*error*/) {
  }
  return 0;
}
