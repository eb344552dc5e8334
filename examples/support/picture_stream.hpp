#pragma once

#include "trmml/core/error.hpp"
#include "trmml/data/ordered_stream.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/program.hpp"

// Pictures that are read by some threads and used in batches, in order.

namespace program {

/// How `stream_pictures` goes through them.
struct StreamOptions {
  int workers = 2;
  int64_t batch = 32;
  bool skip_unreadable = false;
  int64_t stop_after_batches = 0;  ///< as a signal would; 0: never
  std::string skip_flag;  ///< the option for `skip_unreadable`, where there is one
};

/// Some pictures that were read.
template <typename Item>
struct PictureBatch {
  std::vector<int64_t> indices;  ///< those of bad pictures are missing
  std::vector<Item> items;       ///< one for each index; may be empty
  int64_t end = 0;               ///< pictures before this one have been dealt with
};

/// Calls `read` for the pictures `first` .. `end` - 1, in threads, and `use` with what
/// it returns, batch by batch, in order, in the caller's thread; some batches at most
/// are in memory. The `DataError` of a bad picture ends it, or with
/// `options.skip_unreadable` goes to `left_out`; when all pictures are bad, that is
/// one, too. Throws `trmml::Interrupted` after a signal, with `interrupted` as its
/// message.
template <typename Item>
void stream_pictures(
    int64_t first,
    int64_t end,
    const StreamOptions& options,
    std::function<Item(int64_t)> read,
    const std::function<void(const PictureBatch<Item>&)>& use,
    const std::function<void(int64_t, const trmml::DataError&)>& left_out,
    const std::string& interrupted) {
  trmml::data::OrderedStream<Item> pictures(
      first,
      end,
      options.workers,
      options.batch + 2 * options.workers,
      std::move(read));
  PictureBatch<Item> batch;
  int64_t batches = 0;
  int64_t bad = 0;
  for (int64_t i = first; i < end; ++i) {
    try {
      batch.items.push_back(pictures.next());
      batch.indices.push_back(i);
    } catch (const trmml::DataError& error) {
      if (!options.skip_unreadable && options.skip_flag.empty()) {
        throw;
      }
      if (!options.skip_unreadable) {
        throw trmml::DataError(fmt::format(
            "{} ({} leaves such pictures out)", error.what(), options.skip_flag));
      }
      ++bad;
      left_out(i, error);
    }
    if (static_cast<int64_t>(batch.items.size()) == options.batch || i + 1 == end) {
      batch.end = i + 1;
      use(batch);
      batch = {};
      ++batches;
    }
    const bool is_enough =
        options.stop_after_batches > 0 && batches == options.stop_after_batches;
    if ((is_enough || stop_flag()) && i + 1 < end) {
      throw trmml::Interrupted(interrupted);
    }
  }
  if (bad > 0 && bad == end) {
    throw trmml::DataError(fmt::format("none of the {} pictures can be read", end));
  }
}

}  // namespace program
