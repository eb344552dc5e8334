#include "trmml/data/label_table.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "../io/quoted.hpp"
#include "close_match.hpp"

namespace trmml::data {

int64_t LabelTable::index_of(const std::string& classname) const {
  const auto found = std::find(classnames.begin(), classnames.end(), classname);
  if (found != classnames.end()) {
    return found - classnames.begin();
  }
  throw DataError(fmt::format(
      "LabelTable: expected one of {} categories, got {}{}",
      classnames.size(),
      io::in_quotes(classname),
      close_match(classname, classnames)));
}

void LabelTable::validate(std::string_view where) const {
  const auto rows = static_cast<int64_t>(images.size());
  const auto columns = static_cast<int64_t>(classnames.size());
  std::set<std::string_view> names;
  for (const std::string& name : classnames) {
    if (!names.insert(name).second) {
      throw DataError(fmt::format(
          "{}: expected unique category names, got {} twice",
          where,
          io::in_quotes(name)));
    }
  }
  if (!labels.defined() || labels.dim() != 2 || labels.size(0) != rows ||
      labels.size(1) != columns || labels.scalar_type() != at::kChar) {
    throw DataError(fmt::format(
        "{}: expected int8 labels of shape [{}, {}] for {} images and {} categories, "
        "got "
        "{}",
        where,
        rows,
        columns,
        rows,
        columns,
        labels.defined() ? format_shape(labels.sizes()) : "an undefined tensor"));
  }
  check_labels(labels, {rows, columns}, where);
}

LabelCounts count_labels(const at::Tensor& labels) {
  LabelCounts counts;
  counts.present = labels.gt(0).sum().item<int64_t>();
  counts.absent = labels.lt(0).sum().item<int64_t>();
  counts.known = counts.present + counts.absent;
  return counts;
}

std::string label_digest(const at::Tensor& labels) {
  check_labels(labels, {kAnySize, kAnySize}, "label_digest");
  const at::Tensor bytes = labels.to(at::kCPU, at::kChar).contiguous();
  uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](uint64_t byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (const int64_t size : bytes.sizes()) {
    for (int shift = 0; shift < 64; shift += 8) {
      mix((static_cast<uint64_t>(size) >> shift) & 255U);
    }
  }
  const auto* data = bytes.data_ptr<int8_t>();
  for (int64_t i = 0; i < bytes.numel(); ++i) {
    mix(static_cast<uint8_t>(data[i]));
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace trmml::data
