#pragma once

#include "trmml/data/image.hpp"

#include <cstddef>
#include <cstdint>

#include <zlib.h>

namespace support {

/// The checksum that reference scripts print.
inline uint32_t crc(const trmml::data::Image& image) {
  const auto n = static_cast<uInt>(image.rgb.size());
  return static_cast<uint32_t>(crc32(0, image.rgb.data(), n));
}

/// tests/reference/transforms.py: picture. Even seeds: noise; odd ones: soft, of low
/// contrast.
inline trmml::data::Image picture(int width, int height, uint32_t seed) {
  trmml::data::Image image{width, height, {}};
  if (seed % 2 == 0) {
    image.rgb.resize(static_cast<size_t>(3 * width * height));
    uint32_t state = seed;
    for (uint8_t& value : image.rgb) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<uint8_t>(state >> 24);
    }
    return image;
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int value = 40 + (3 + c) * x / 2 % 90 + (5 - c) * y / 2 % 70 +
                          static_cast<int>(seed % 16);
        image.rgb.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return image;
}

}  // namespace support
