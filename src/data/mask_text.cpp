#include "trmml/data/mask_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "../io/quoted.hpp"
#include "label_text.hpp"
#include "mask_check.hpp"
#include "md5.hpp"
#include "named_rows.hpp"
#include "text_file.hpp"

// Mask files that are lists of lines: rows of states, and lists of positives.

namespace trmml::data {

namespace fs = std::filesystem;

namespace {

/// The next word of `text`, which loses it; empty at the end.
std::string_view next_word(std::string_view& text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

}  // namespace

at::Tensor read_state_rows(const fs::path& file, const LabelTable& complete) {
  at::Tensor mask = empty_mask(complete);
  const std::string text = read_text(file);
  Faults faults("labels of " + file.filename().string());
  NamedRows rows(complete.images, file, faults);
  const int64_t n_cls = mask.size(1);
  for_each_line(text, [&](std::string_view line, int64_t number) {
    const std::string_view name = next_word(line);
    if (name.empty()) {
      return;
    }
    const int64_t row = rows.take(name, line_place(number));
    int64_t column = 0;
    for (std::string_view word = next_word(line); !word.empty();
         word = next_word(line), ++column) {
      const std::optional<int8_t> state = state_of(word, LabelCode::kHcp);
      if (!state) {
        faults.add(
            file,
            fmt::format("line {}, column {}", number, column),
            fmt::format(
                "expected {}, got {}",
                values_of(LabelCode::kHcp),
                io::in_quotes(word)));
      } else if (row >= 0 && column < n_cls) {
        mask.data_ptr<int8_t>()[row * n_cls + column] = *state;
      }
    }
    if (column != n_cls) {
      faults.add(
          file,
          line_place(number),
          fmt::format("expected {} states after the picture, got {}", n_cls, column));
    }
  });
  rows.expect_all();
  add_contradictions(file, mask, complete, faults);
  faults.throw_if_any();
  return mask;
}

PositiveList read_positive_list(const fs::path& file, const LabelTable& complete) {
  PositiveList list;
  list.labels = empty_mask(complete);
  const std::string text = read_text(file);
  list.md5 = md5(text);
  Faults faults("labels of " + file.filename().string());
  NamedRows rows(complete.images, file, faults);
  const int64_t n_cls = list.labels.size(1);
  for_each_line(text, [&](std::string_view line, int64_t number) {
    if (trim(line).empty()) {
      return;
    }
    const size_t comma = line.rfind(',');
    if (comma == std::string_view::npos || trim(line.substr(comma + 1)).empty()) {
      faults.add(
          file,
          line_place(number),
          fmt::format(
              "expected a picture, a comma and indices of categories, got {}",
              io::in_quotes(line)));
      return;
    }
    const int64_t row = rows.take(trim(line.substr(0, comma)), line_place(number));
    line.remove_prefix(comma + 1);
    for (std::string_view word = next_word(line); !word.empty();
         word = next_word(line)) {
      const std::optional<int64_t> index = whole_number(word);
      if (!index || *index < 0 || *index >= n_cls) {
        faults.add(
            file,
            line_place(number),
            fmt::format(
                "expected an index of a category from 0 to {}, got {}",
                n_cls - 1,
                io::in_quotes(word)));
      } else if (row >= 0) {
        list.labels.data_ptr<int8_t>()[row * n_cls + *index] = 1;
      }
    }
  });
  const at::Tensor positives = complete.labels.contiguous();
  rows.expect_all([&](int64_t row) {
    const auto* states = positives.data_ptr<int8_t>() + row * n_cls;
    return std::find(states, states + n_cls, 1) == states + n_cls;
  });
  add_contradictions(file, list.labels, complete, faults);
  faults.throw_if_any();
  return list;
}

}  // namespace trmml::data
