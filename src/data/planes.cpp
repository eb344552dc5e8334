#include "trmml/data/image.hpp"

#include <cstddef>

// From pixel after pixel to channel after channel.

#if defined(__x86_64__) && defined(__GNUC__)
#  define TRMML_DEAL_AVX2 1
#endif

namespace trmml::data {

namespace {

/// Triples of bytes to three rows of bytes.
[[gnu::always_inline]] inline void deal_body(
    const std::uint8_t* __restrict rgb,
    std::size_t n,
    std::uint8_t* __restrict out) {
  std::uint8_t* __restrict green = out + n;
  std::uint8_t* __restrict blue = green + n;
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = rgb[3 * i];
    green[i] = rgb[3 * i + 1];
    blue[i] = rgb[3 * i + 2];
  }
}

void deal(const std::uint8_t* rgb, std::size_t n, std::uint8_t* out) {
  deal_body(rgb, n, out);
}

#ifdef TRMML_DEAL_AVX2
[[gnu::target("avx2")]] void
deal_avx2(const std::uint8_t* rgb, std::size_t n, std::uint8_t* out) {
  deal_body(rgb, n, out);
}
#endif

}  // namespace

ByteTables normalize_tables(
    const std::array<float, 3>& mean,
    const std::array<float, 3>& std) {
  ByteTables tables;
  for (std::size_t c = 0; c < 3; ++c) {
    for (int x = 0; x < 256; ++x) {
      const float share = static_cast<float>(x) / 255.0F;
      tables[c][static_cast<std::size_t>(x)] = (share - mean[c]) / std[c];
    }
  }
  return tables;
}

void to_planes(const Image& image, std::uint8_t* planes) {
  check_image(image, "to_planes");
  const std::size_t n = image.rgb.size() / 3;
#ifdef TRMML_DEAL_AVX2
  if (__builtin_cpu_supports("avx2")) {
    deal_avx2(image.rgb.data(), n, planes);
    return;
  }
#endif
  deal(image.rgb.data(), n, planes);
}

void to_planes(const Image& image, const ByteTables& tables, float* planes) {
  check_image(image, "to_planes");
  const std::size_t n = image.rgb.size() / 3;
  for (std::size_t c = 0; c < 3; ++c) {
    const float* table = tables[c].data();
    const std::uint8_t* in = image.rgb.data() + c;
    float* out = planes + c * n;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = table[in[3 * i]];
    }
  }
}

}  // namespace trmml::data
