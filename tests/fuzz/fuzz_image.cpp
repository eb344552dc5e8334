// Bytes as a picture file: a picture of the size that it says, or a DataError; and what
// is a picture can be resized.
//
//   fuzz_image NEW tests/data/pictures -max_len=4096

#include "trmml/core/error.hpp"
#include "trmml/data/image.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trmml::data;
  ImageOptions options;
  options.max_pixels = 1 << 18;
  options.exif_orientation = size % 2 == 1;
  options.grey16 = size % 3 == 1 ? Grey16::kHighByte : Grey16::kPillow;
  try {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const Image image = decode_image(bytes, options);
    check_image(image, "fuzz_image");
    check_image(resize(image, 17, 9), "fuzz_image");
  } catch (const trmml::DataError&) {
    // As it should be.
  }
  return 0;
}
