// libFuzzer target: clip::Tokenizer::load. Input: merges, a tokenizer.json, or behind a
// NUL byte the merges.txt that lies beside a vocab.json in front of it. What is read
// encodes a text, and the ids give it back.

#include "trmml/clip/tokenizer.hpp"
#include "trmml/core/error.hpp"

#include <cstdlib>
#include <string_view>

#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = bytes.find('\0');
  const auto file = folder / "vocabulary";
  fuzz::write(file, bytes.substr(0, end));
  fuzz::write(
      folder / "merges.txt",
      end == bytes.npos ? std::string_view() : bytes.substr(end + 1));
  try {
    const auto tokenizer = trmml::clip::Tokenizer::load(file);
    constexpr std::string_view kText = "a red bag, 2 na\xC3\xAFve";
    if (tokenizer.decode(tokenizer.encode(kText)) != "a red bag , 2 na\xC3\xAFve ") {
      std::abort();
    }
  } catch (const trmml::DataError& /*error*/) {
  }
  return 0;
}
