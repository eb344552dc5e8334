#include <trmml/evaluation/average_precision.hpp>
#include <trmml/evaluation/bootstrap.hpp>
#include <trmml/evaluation/calibration.hpp>
#include <trmml/evaluation/multilabel_metrics.hpp>
#include <trmml/evaluation/pseudo_label_quality.hpp>

double coverage_of(const trmml::evaluation::LabelMatrix& labels) {
  const auto hidden =
      trmml::evaluation::LabelMatrix::Zero(labels.rows(), labels.cols());
  return trmml::evaluation::pseudo_label_quality(labels, labels, hidden).coverage;
}
