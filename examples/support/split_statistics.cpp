#include "support/split_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace split_statistics {

namespace data = trmml::data;

namespace {

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::string percent(double fraction) {
  return fmt::format("{:.2f} %", 100 * fraction);
}

void count_pictures(
    const data::Split& split,
    Statistics& s,
    std::vector<int64_t>& both) {
  const size_t c = s.categories.size();
  const at::Tensor labels = split.table.labels.contiguous();
  const auto* entry = labels.data_ptr<int8_t>();  // [N, C]
  std::vector<size_t> positives;
  for (int64_t row = 0; row < s.pictures; ++row) {
    positives.clear();
    for (size_t column = 0; column < c; ++column, ++entry) {
      Category& category = s.categories[column];
      ++(*entry > 0   ? category.present
         : *entry < 0 ? category.absent
                      : category.unknown);
      if (*entry > 0) {
        positives.push_back(column);
      }
    }
    for (size_t i = 0; i < positives.size(); ++i) {
      for (size_t k = i + 1; k < positives.size(); ++k) {
        ++both[positives[i] * c + positives[k]];
      }
    }
    const auto count = static_cast<int64_t>(positives.size());
    s.min_positives = row == 0 ? count : std::min(s.min_positives, count);
    s.max_positives = std::max(s.max_positives, count);
    s.without_positive += count == 0 ? 1 : 0;
  }
}

}  // namespace

Statistics describe(const data::Split& split, int64_t n_pairs) {
  Statistics s;
  s.name = split.name;
  s.root = split.root.string();
  s.pictures = static_cast<int64_t>(split.table.images.size());
  s.label_digest = data::label_digest(split.table.labels);
  s.ignored = split.ignore.defined() ? split.ignore.sum().item<int64_t>() : 0;
  s.salient = std::count_if(
      split.salient.begin(), split.salient.end(), [](int64_t c) { return c >= 0; });
  const size_t c = split.table.classnames.size();
  for (size_t i = 0; i < c; ++i) {
    s.categories.push_back({split.table.classnames[i], split.names_for_clip[i]});
  }
  std::vector<int64_t> both(c * c);  // pictures with a pair; above the diagonal
  count_pictures(split, s, both);
  for (const Category& category : s.categories) {
    s.present += category.present;
    s.absent += category.absent;
    s.unknown += category.unknown;
  }
  s.mean_positives = share(s.present, s.pictures);
  for (size_t i = 0; i < both.size(); ++i) {
    if (both[i] > 0) {
      s.pairs.push_back({i / c, i % c, both[i]});
    }
  }
  std::stable_sort(s.pairs.begin(), s.pairs.end(), [](const Pair& a, const Pair& b) {
    return a.pictures > b.pictures;
  });
  s.pairs.resize(std::min(s.pairs.size(), static_cast<size_t>(n_pairs)));
  return s;
}

std::pair<double, double> conditional(const Statistics& statistics, const Pair& pair) {
  return {
      share(pair.pictures, statistics.categories[pair.first].present),
      share(pair.pictures, statistics.categories[pair.second].present)};
}

std::vector<std::pair<std::string, std::string>> facts(const Statistics& s) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"pictures", fmt::format("{}", s.pictures)},
      {"categories", fmt::format("{}", s.categories.size())},
      {"labels",
       fmt::format(
           "{} present, {} absent, {} unknown", s.present, s.absent, s.unknown)},
      {"positives a picture",
       fmt::format(
           "mean {:.2f}, min {}, max {}",
           s.mean_positives,
           s.min_positives,
           s.max_positives)},
      {"pictures without a positive", fmt::format("{}", s.without_positive)}};
  if (s.ignored > 0) {
    all.emplace_back("labels that a test leaves out", fmt::format("{}", s.ignored));
  }
  if (s.salient > 0) {
    all.emplace_back("pictures with a salient category", fmt::format("{}", s.salient));
  }
  all.emplace_back("label digest", s.label_digest);
  return all;
}

Rows category_rows(const Statistics& s) {
  Rows rows = {{"category", "in prompts", "positives", "share", "unknown"}};
  for (const Category& category : s.categories) {
    rows.push_back(
        {category.name,
         category.name_for_clip,
         fmt::format("{}", category.present),
         percent(share(category.present, s.pictures)),
         fmt::format("{}", category.unknown)});
  }
  return rows;
}

Rows pair_rows(const Statistics& s) {
  Rows rows = {{"first", "second", "pictures", "P(second|first)", "P(first|second)"}};
  for (const Pair& pair : s.pairs) {
    const auto [second, first] = conditional(s, pair);
    rows.push_back(
        {s.categories[pair.first].name,
         s.categories[pair.second].name,
         fmt::format("{}", pair.pictures),
         percent(second),
         percent(first)});
  }
  return rows;
}

namespace {

// Two columns of text, then numbers.
void print_rows(const Rows& rows) {
  std::vector<size_t> width(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      width[i] = std::max(width[i], row[i].size());
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i < 2 ? fmt::format("  {:<{}}", row[i], width[i])
                    : fmt::format("  {:>{}}", row[i], width[i]);
    }
    fmt::print("{}\n", line);
  }
}

}  // namespace

void print(const Statistics& statistics) {
  fmt::print("{}\n", statistics.name);
  for (const auto& [name, value] : facts(statistics)) {
    fmt::print("  {}: {}\n", name, value);
  }
  fmt::print("\n");
  print_rows(category_rows(statistics));
  if (!statistics.pairs.empty()) {
    fmt::print("\n");
    print_rows(pair_rows(statistics));
  }
  fmt::print("\n");
  std::fflush(stdout);
}

nlohmann::json to_json(const Statistics& s) {
  nlohmann::json categories = nlohmann::json::array();
  for (const Category& category : s.categories) {
    categories.push_back(
        {{"name", category.name},
         {"name_for_clip", category.name_for_clip},
         {"present", category.present},
         {"absent", category.absent},
         {"unknown", category.unknown},
         {"share", share(category.present, s.pictures)}});
  }
  nlohmann::json pairs = nlohmann::json::array();
  for (const Pair& pair : s.pairs) {
    const auto [second, first] = conditional(s, pair);
    pairs.push_back(
        {{"first", s.categories[pair.first].name},
         {"second", s.categories[pair.second].name},
         {"pictures", pair.pictures},
         {"second_given_first", second},
         {"first_given_second", first}});
  }
  return {
      {"name", s.name},
      {"root", s.root},
      {"pictures", s.pictures},
      {"present", s.present},
      {"absent", s.absent},
      {"unknown", s.unknown},
      {"ignored", s.ignored},
      {"salient", s.salient},
      {"positives_a_picture",
       {{"mean", s.mean_positives},
        {"min", s.min_positives},
        {"max", s.max_positives}}},
      {"pictures_without_positive", s.without_positive},
      {"label_digest", s.label_digest},
      {"categories", categories},
      {"pairs", pairs}};
}

}  // namespace split_statistics
