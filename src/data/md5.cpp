#include "md5.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace trmml::data {

namespace {

constexpr size_t kBlock = 64;

/// floor(2^32 |sin(i + 1)|)
std::array<uint32_t, 64> sines() {
  std::array<uint32_t, 64> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<uint32_t>(
        std::floor(4294967296.0 * std::fabs(std::sin(static_cast<double>(i + 1)))));
  }
  return table;
}

void add_block(std::array<uint32_t, 4>& state, std::string_view block) {
  static const std::array<uint32_t, 64> kSines = sines();
  constexpr int kShifts[4][4] = {
      {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  std::array<uint32_t, 16> words{};
  for (size_t i = 0; i < kBlock; ++i) {
    words[i / 4] |= static_cast<uint32_t>(static_cast<unsigned char>(block[i]))
                    << 8 * (i % 4);
  }
  auto [a, b, c, d] = state;
  for (size_t i = 0; i < kBlock; ++i) {
    uint32_t mixed = 0;
    size_t word = 0;
    switch (i / 16) {
      case 0:
        mixed = (b & c) | (~b & d);
        word = i;
        break;
      case 1:
        mixed = (d & b) | (~d & c);
        word = (5 * i + 1) % 16;
        break;
      case 2:
        mixed = b ^ c ^ d;
        word = (3 * i + 5) % 16;
        break;
      default:
        mixed = c ^ (b | ~d);
        word = 7 * i % 16;
    }
    const uint32_t sum = a + mixed + kSines[i] + words[word];
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kShifts[i / 16][i % 4]);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

}  // namespace

std::string md5(std::string_view bytes) {
  std::array<uint32_t, 4> state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  while (bytes.size() >= kBlock) {
    add_block(state, bytes.substr(0, kBlock));
    bytes.remove_prefix(kBlock);
  }
  std::string last(bytes);
  last += '\x80';
  last.resize(last.size() <= kBlock - 8 ? kBlock - 8 : 2 * kBlock - 8);
  for (int shift = 0; shift < 64; shift += 8) {
    last += static_cast<char>(bits >> shift & 255);
  }
  for (size_t begin = 0; begin < last.size(); begin += kBlock) {
    add_block(state, std::string_view(last).substr(begin, kBlock));
  }
  std::string digits;
  for (const uint32_t word : state) {
    for (int shift = 0; shift < 32; shift += 8) {
      digits += fmt::format("{:02x}", word >> shift & 255);
    }
  }
  return digits;
}

}  // namespace trmml::data
