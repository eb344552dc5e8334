// The one copy of stb_image, with a bound on each of its allocations.

#include <fmt/format.h>

#include <cstddef>
#include <cstdlib>
#include <limits>

#include "image_decoders.hpp"
#include "stb_pixels.hpp"

namespace {

/// The largest block that stb_image may ask for in this thread.
thread_local std::size_t g_largest_block = 0;

void* limited_malloc(std::size_t size) {
  return size <= g_largest_block ? std::malloc(size) : nullptr;
}

void* limited_realloc(void* block, std::size_t size) {
  return size <= g_largest_block ? std::realloc(block, size) : nullptr;
}

}  // namespace

#define STBI_MALLOC(size) limited_malloc(size)
#define STBI_REALLOC(block, size) limited_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#ifndef TRMML_HAVE_LIBJPEG
#  define STBI_ONLY_JPEG
#endif
// STATIC: a consumer may have its own copy of stb.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#if defined(__GNUC__)
#  pragma GCC diagnostic push
#  pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#  pragma GCC diagnostic pop
#endif

namespace trmml::data::detail {

Pixels decode_with_stb(
    std::string_view file,
    int width,
    int height,
    int channels,
    bool wide,
    std::size_t largest_block) {
  constexpr std::size_t kTables = 1 << 18;  // its own bookkeeping
  if (file.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw BadImage("expected less than 2^31 bytes (convert it)");
  }
  g_largest_block = largest_block + kTables;
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());
  int w = 0;
  int h = 0;
  int n = 0;
  Pixels pixels(
      wide ? reinterpret_cast<stbi_uc*>(
                 stbi_load_16_from_memory(bytes, size, &w, &h, &n, channels))
           : stbi_load_from_memory(bytes, size, &w, &h, &n, channels),
      stbi_image_free);
  if (pixels == nullptr || w != width || h != height) {
    const char* reason = pixels == nullptr ? stbi_failure_reason() : "another size";
    throw BadImage(fmt::format(
        "the pixels cannot be decoded: {} ({})",
        reason == nullptr || *reason == '\0' ? "no reason given" : reason,
        kFetchAgain));
  }
  return pixels;
}

Image make_image(std::int64_t width, std::int64_t height) {
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  return image;
}

void copy_rgb(const Pixels& pixels, Image& image) {
  const std::size_t size = static_cast<std::size_t>(image.width) *
                           static_cast<std::size_t>(image.height) * 3;
  image.rgb.assign(pixels.get(), pixels.get() + size);
}

}  // namespace trmml::data::detail
