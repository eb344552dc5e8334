#include "support/thumbnails.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/image.hpp"
#include "trmml/data/ordered_stream.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "support/program.hpp"
#include "support/shown_picture.hpp"

namespace thumbnails {

namespace data = trmml::data;
using trmml::report::CaptionedPicture;
using trmml::report::Picture;

namespace {

constexpr int kSide = 160;
constexpr size_t kNames = 8;  // of categories in a caption

// [C] rows of the split where each category is present, `count` at most.
std::vector<std::vector<size_t>> choose(const data::Split& split, int64_t count) {
  const at::Tensor labels = split.table.labels.contiguous();
  const auto* entry = labels.data_ptr<int8_t>();  // [N, C]
  std::vector<std::vector<size_t>> rows(split.table.classnames.size());
  for (size_t row = 0; row < split.table.images.size(); ++row) {
    for (auto& of_category : rows) {
      if (*entry++ > 0) {
        of_category.push_back(row);
      }
    }
  }
  for (auto& positives : rows) {
    const size_t n = std::min(positives.size(), static_cast<size_t>(count));
    std::vector<size_t> chosen;
    for (size_t i = 0; i < n; ++i) {
      chosen.push_back(positives[i * positives.size() / n]);
    }
    positives = std::move(chosen);
  }
  return rows;
}

std::string caption_of(const data::Split& split, size_t row) {
  const at::Tensor labels = split.table.labels[static_cast<int64_t>(row)].contiguous();
  std::vector<std::string> names;
  size_t left_out = 0;
  for (size_t c = 0; c < split.table.classnames.size(); ++c) {
    if (labels.data_ptr<int8_t>()[c] > 0) {
      names.size() < kNames ? names.push_back(split.table.classnames[c])
                            : void(++left_out);
    }
  }
  return fmt::format(
      "{}: {}{}",
      split.table.images[row],
      fmt::join(names, ", "),
      left_out > 0 ? fmt::format(" and {} more", left_out) : "");
}

}  // namespace

Galleries make(const data::Split& split, int64_t per_category, int workers) {
  const std::vector<std::vector<size_t>> chosen = choose(split, per_category);
  std::map<size_t, Picture> pictures;
  for (const auto& rows : chosen) {
    for (const size_t row : rows) {
      pictures[row];
    }
  }
  std::vector<size_t> rows;
  for (const auto& [row, picture] : pictures) {
    rows.push_back(row);
  }
  Galleries galleries;
  data::OrderedStream<Picture> stream(
      0, static_cast<int64_t>(rows.size()), workers, 4 * workers, [&](int64_t i) {
        const size_t row = rows[static_cast<size_t>(i)];
        return experiment::shrink(
            data::read_image(split.root / split.table.images[row]), kSide);
      });
  for (const size_t row : rows) {
    try {
      pictures[row] = stream.next();
    } catch (const trmml::DataError& error) {
      galleries.unreadable.push_back({static_cast<int64_t>(row), error.what()});
      pictures.erase(row);
    }
    if (program::stop_flag()) {
      throw trmml::Interrupted("stopped while thumbnails were made");
    }
  }
  for (size_t c = 0; c < chosen.size(); ++c) {
    std::vector<CaptionedPicture> gallery;
    for (const size_t row : chosen[c]) {
      if (const auto found = pictures.find(row); found != pictures.end()) {
        gallery.push_back({caption_of(split, row), found->second});
      }
    }
    galleries.categories.push_back(std::move(gallery));
  }
  return galleries;
}

}  // namespace thumbnails
