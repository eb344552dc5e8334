#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

// Words whose ids are known; private to src/clip.

namespace trmml::clip {

/// The ids of short words, so that a frequent word is merged once. Of fixed size: a
/// word takes the place of another. Threads may share it.
class WordCache {
 public:
  WordCache() : slots_(std::make_unique<Slot[]>(kSlots)) {}

  /// Appends the ids of `word`; false when it is not there.
  bool find(std::string_view word, std::vector<int64_t>& ids) {
    if (word.size() > kMaxBytes) {
      return false;
    }
    const size_t place = place_of(word);
    const std::lock_guard<std::mutex> lock(mutexes_[place % kMutexes]);
    const Slot& slot = slots_[place];
    if (std::string_view(slot.bytes.data(), slot.size) != word) {
      return false;
    }
    ids.insert(ids.end(), slot.ids.begin(), slot.ids.begin() + slot.n_ids);
    return true;
  }

  void put(std::string_view word, const int64_t* ids, size_t n_ids) {
    if (word.size() > kMaxBytes || n_ids > kMaxIds) {
      return;
    }
    const size_t place = place_of(word);
    const std::lock_guard<std::mutex> lock(mutexes_[place % kMutexes]);
    Slot& slot = slots_[place];
    slot.size = static_cast<uint8_t>(word.size());
    slot.n_ids = static_cast<uint8_t>(n_ids);
    std::copy(word.begin(), word.end(), slot.bytes.begin());
    std::transform(ids, ids + n_ids, slot.ids.begin(), [](int64_t id) {
      return static_cast<int32_t>(id);
    });
  }

 private:
  static constexpr size_t kSlots = 8192;  // of 64 bytes
  static constexpr size_t kMutexes = 64;
  static constexpr size_t kMaxBytes = 30;
  static constexpr size_t kMaxIds = 8;

  struct Slot {
    uint8_t size = 0;  // no word is empty
    uint8_t n_ids = 0;
    std::array<char, kMaxBytes> bytes{};
    std::array<int32_t, kMaxIds> ids{};
  };

  static size_t place_of(std::string_view word) {
    return std::hash<std::string_view>()(word) % kSlots;
  }

  std::unique_ptr<Slot[]> slots_;
  std::array<std::mutex, kMutexes> mutexes_;
};

}  // namespace trmml::clip
