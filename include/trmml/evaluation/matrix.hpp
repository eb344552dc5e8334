#pragma once

#include <Eigen/Core>

#include <cmath>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace trmml::evaluation {

/// Scores or probabilities [N, C], row-major: one row a picture, one column a category.
template <typename T>
using ScoreMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Labels [N, C], row-major: +1 present, -1 absent, 0 unknown.
using LabelMatrix =
    Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Entries [N, C] that a metric leaves out although their label is known (VOC's
/// difficult objects). An empty matrix leaves out none.
using IgnoreMask = Eigen::Matrix<bool, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// What the functions take. A row-major matrix, a map of foreign memory or a block of
// columns is read in place; anything else (a column-major matrix) is copied by Eigen.
template <typename T>
using ScoresRef = Eigen::Ref<const ScoreMatrix<T>>;
using LabelsRef = Eigen::Ref<const LabelMatrix>;
using IgnoreRef = Eigen::Ref<const IgnoreMask>;

/// One column of scores; a column of a row-major matrix is read in place.
template <typename T>
using ScoreColumnRef = Eigen::Ref<
    const Eigen::Matrix<T, Eigen::Dynamic, 1>,
    Eigen::Unaligned,
    Eigen::InnerStride<>>;

/// One column of labels.
using LabelColumnRef = Eigen::Ref<
    const Eigen::Matrix<std::int8_t, Eigen::Dynamic, 1>,
    Eigen::Unaligned,
    Eigen::InnerStride<>>;

namespace detail {

// [where]: expected [expected], got [got] at row r, column c (hint)
[[noreturn]] inline void fail_at(
    std::string_view where,
    std::string_view expected,
    double got,
    Eigen::Index row,
    Eigen::Index column,
    std::string_view hint = "") {
  std::ostringstream text;
  const double shown = std::isnan(got) ? std::abs(got) : got;  // never "-nan"
  text << where << ": expected " << expected << ", got " << shown << " at row " << row
       << ", column " << column;
  if (!hint.empty()) {
    text << " (" << hint << ")";
  }
  throw std::invalid_argument(text.str());
}

template <typename Matrix>
void check_same_shape(
    Eigen::Index rows,
    Eigen::Index columns,
    const Matrix& matrix,
    std::string_view where,
    std::string_view name) {
  if (matrix.rows() == rows && matrix.cols() == columns) {
    return;
  }
  std::ostringstream text;
  text << where << ": expected " << name << " of shape [" << rows << ", " << columns
       << "], got [" << matrix.rows() << ", " << matrix.cols() << "]";
  throw std::invalid_argument(text.str());
}

// Calls `fail(value, row, column)` for the first entry that is not right. Rows are
// looked through as a whole first, which compilers turn into vector instructions.
template <typename Matrix, typename IsRight, typename Fail>
void check_entries(const Matrix& matrix, const IsRight& is_right, const Fail& fail) {
  for (Eigen::Index n = 0; n < matrix.rows(); ++n) {
    int wrong = 0;
    for (Eigen::Index c = 0; c < matrix.cols(); ++c) {
      wrong |= !is_right(matrix(n, c));
    }
    for (Eigen::Index c = 0; wrong != 0 && c < matrix.cols(); ++c) {
      if (!is_right(matrix(n, c))) {
        fail(matrix(n, c), n, c);
      }
    }
  }
}

// Every label is -1, 0 or +1.
template <typename Matrix>
void check_label_values(
    const Matrix& labels,
    std::string_view where,
    std::string_view name = "labels") {
  const auto is_right = [](std::int8_t label) { return label >= -1 && label <= 1; };
  check_entries(
      labels, is_right, [&](std::int8_t label, Eigen::Index n, Eigen::Index c) {
        fail_at(
            where,
            std::string(name) + " in {-1 absent, 0 unknown, +1 present}",
            label,
            n,
            c,
            "other projects code their labels differently: convert them first");
      });
}

// No score is NaN. (Infinite scores rank like any other number.)
template <typename Matrix>
void check_no_nan(const Matrix& scores, std::string_view where) {
  const auto is_right = [](auto score) { return score == score; };
  check_entries(scores, is_right, [&](double score, Eigen::Index n, Eigen::Index c) {
    fail_at(where, "scores that are numbers", score, n, c);
  });
}

// Every value is in [0, 1].
template <typename Matrix>
void check_probabilities(const Matrix& values, std::string_view where) {
  const auto is_right = [](auto value) { return value >= 0 && value <= 1; };
  check_entries(values, is_right, [&](double value, Eigen::Index n, Eigen::Index c) {
    fail_at(
        where,
        "probabilities in [0, 1]",
        value,
        n,
        c,
        "a threshold means nothing on logits: apply the sigmoid first");
  });
}

// Labels and mask fit the scores [rows, columns], labels hold -1, 0, +1.
template <typename Labels, typename Mask>
void check_labels_and_mask(
    Eigen::Index rows,
    Eigen::Index columns,
    const Labels& labels,
    const Mask& ignore,
    std::string_view where) {
  check_same_shape(rows, columns, labels, where, "labels");
  check_label_values(labels, where);
  if (ignore.size() != 0) {
    check_same_shape(rows, columns, ignore, where, "ignore");
  }
}

// The mean of the numbers among `values`; NaN when there are none.
template <typename Range>
double mean_of_numbers(const Range& values) {
  double sum = 0.0;
  std::int64_t count = 0;
  for (const double value : values) {
    if (!std::isnan(value)) {
      sum += value;
      ++count;
    }
  }
  return sum / static_cast<double>(count);  // 0 / 0 is NaN
}

}  // namespace detail

}  // namespace trmml::evaluation
