#pragma once

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "method/small_model.hpp"

// Category names, a tokenizer of letters and a text tower that reads them.

namespace support {

inline constexpr int64_t kStart = 38;
inline constexpr int64_t kEnd = 39;

/// A tokenizer of letters: 'a' is 1; the start is 38, the end 39, anything else 27.
struct Letters {
  std::vector<int64_t> encode(const std::string& text) const {
    std::vector<int64_t> ids;
    for (const char c : text) {
      if (c != ' ') {
        ids.push_back(c >= 'a' && c <= 'z' ? c - 'a' + 1 : 27);
      }
    }
    return ids;
  }
  at::Tensor tokenize(const std::vector<std::string>& texts, int64_t length) const {
    at::Tensor all = at::zeros({static_cast<int64_t>(texts.size()), length}, at::kLong);
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<int64_t> ids = encode(texts[i]);
      ids.insert(ids.begin(), kStart);
      ids.push_back(kEnd);
      all[static_cast<int64_t>(i)]
          .narrow(0, 0, static_cast<int64_t>(ids.size()))
          .copy_(at::tensor(ids, at::kLong));
    }
    return all;
  }
  int64_t start_id() const { return kStart; }
  int64_t end_id() const { return kEnd; }
};

inline trmml::clip::TextTransformer make_tower() {
  at::manual_seed(11);
  trmml::clip::TextTransformer tower(trmml::clip::TextTransformerOptions(small::kD)
                                         .vocab_size(40)
                                         .context_length(14)
                                         .width(16)
                                         .heads(2)
                                         .layers(2));
  trmml::clip::freeze(*tower);
  return tower;
}

inline const std::vector<std::string>& classnames() {
  static const std::vector<std::string> names = {"cat", "o", "ta xi"};
  return names;
}

}  // namespace support
