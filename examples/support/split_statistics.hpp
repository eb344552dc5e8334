#pragma once

#include "trmml/data/split.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// What a split holds, in numbers: counts, categories, co-occurrences.

namespace split_statistics {

struct Category {
  std::string name;
  std::string name_for_clip;
  int64_t present = 0;  ///< pictures
  int64_t absent = 0;
  int64_t unknown = 0;
};

/// Two categories that are present in the same pictures.
struct Pair {
  size_t first = 0;  ///< index of a category; `first` < `second`
  size_t second = 0;
  int64_t pictures = 0;
};

struct Statistics {
  std::string name;
  std::string root;
  int64_t pictures = 0;
  int64_t present = 0;  ///< entries
  int64_t absent = 0;
  int64_t unknown = 0;
  int64_t ignored = 0;  ///< entries that a test leaves out
  int64_t salient = 0;  ///< pictures with a salient category
  double mean_positives = 0;
  int64_t min_positives = 0;
  int64_t max_positives = 0;
  int64_t without_positive = 0;  ///< pictures
  std::string label_digest;
  std::vector<Category> categories;
  std::vector<Pair> pairs;  ///< most frequent first, of equal ones in column order
};

/// Counts `split`, with its `n_pairs` most frequent pairs that occur.
Statistics describe(const trmml::data::Split& split, int64_t n_pairs);

/// Of the pictures with the first category, the share that has the second, too; and the
/// other way round. An unknown label counts as not present.
std::pair<double, double> conditional(const Statistics& statistics, const Pair& pair);

/// Names and values of everything but categories and pairs.
std::vector<std::pair<std::string, std::string>> facts(const Statistics& statistics);

/// Header and rows of a table.
using Rows = std::vector<std::vector<std::string>>;
Rows category_rows(const Statistics& statistics);
Rows pair_rows(const Statistics& statistics);

/// Prints all of it, as text.
void print(const Statistics& statistics);

nlohmann::json to_json(const Statistics& statistics);

}  // namespace split_statistics
