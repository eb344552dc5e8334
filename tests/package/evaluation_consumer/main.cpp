#include <trmml/core/error.hpp>
#include <trmml/evaluation/average_precision.hpp>
#include <trmml/evaluation/bootstrap.hpp>
#include <trmml/evaluation/calibration.hpp>
#include <trmml/evaluation/multilabel_metrics.hpp>
#include <trmml/evaluation/pseudo_label_quality.hpp>

#include <cstdio>

double coverage_of(const trmml::evaluation::LabelMatrix& labels);

int main() {
  trmml::evaluation::ScoreMatrix<double> scores(3, 2);
  scores << 0.9, 0.2, 0.1, 0.8, 0.7, 0.3;
  trmml::evaluation::LabelMatrix labels(3, 2);
  labels << 1, -1, -1, 1, 1, -1;
  const double map = trmml::evaluation::mean_average_precision(scores, labels).mAP;
  const double of1 = trmml::evaluation::metrics_at_threshold(scores, labels).OF1;
  const bool is_right = map > 0.999999 && of1 == 1.0 && coverage_of(labels) == 1.0;
  std::printf("evaluation: %s\n", is_right ? "as expected" : "wrong");
  return is_right ? 0 : 1;
}
