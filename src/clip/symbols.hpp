#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "byte_table.hpp"

// The tokens of byte-pair encoding as numbers; private to src/clip.

namespace trmml::clip {

/// The symbols of a word before any merge.
inline void append_symbols(std::vector<int32_t>& symbols, std::string_view word) {
  const ByteTable& table = byte_table();
  for (const char byte : word) {
    symbols.push_back(table.id_of[static_cast<unsigned char>(byte)]);
  }
  symbols.back() += kBytes;
}

/// A pair of neighbours as one number.
inline uint64_t pair_key(int32_t first, int32_t second) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(first)) << 32) |
         static_cast<uint32_t>(second);
}

/// Tokens by name while merges are added one by one.
class Symbols {
 public:
  Symbols() {
    for (const std::string_view suffix : {std::string_view(), kEndOfWord}) {
      for (const std::string& printable : byte_table().printable) {
        add(printable + std::string(suffix));
      }
    }
  }

  std::optional<int32_t> find(const std::string& name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  const std::string& name(int32_t id) const { return names_[static_cast<size_t>(id)]; }
  size_t size() const { return names_.size(); }

  void add(std::string name) {
    ids_.emplace(name, static_cast<int32_t>(names_.size()));
    names_.push_back(std::move(name));
  }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace trmml::clip
