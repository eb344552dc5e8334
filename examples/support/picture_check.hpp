#pragma once

#include "trmml/data/split.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// Finds pictures of a data set that cannot be read, before anything depends on them.

namespace picture_check {

struct Unreadable {
  int64_t row = 0;      ///< of the split
  std::string message;  ///< begins with the path
};

/// Opens and decodes the pictures `rows` of `split` in `workers` threads, with progress
/// on stderr; those that are missing or damaged, in the order of `rows`. Throws
/// `trmml::Interrupted` after a signal.
std::vector<Unreadable> find_unreadable(
    const trmml::data::Split& split,
    const std::vector<int64_t>& rows,
    int workers);

/// Sorts by row and keeps each once.
void sort_unique(std::vector<Unreadable>& unreadable);

/// One line each, 20 at most, and the count of the others.
std::vector<std::string> lines_of(const std::vector<Unreadable>& unreadable);

/// `rows` without those whose picture cannot be read, which are told to
/// `log`. Throws `trmml::DataError` when none is left.
std::vector<int64_t> readable_rows(
    const trmml::data::Split& split,
    const std::vector<int64_t>& rows,
    int workers,
    const std::function<void(const std::string&)>& log);

}  // namespace picture_check
