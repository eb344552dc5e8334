#include "trmml/evaluation/pseudo_label_quality.hpp"

#include <cmath>
#include <string>

#include "support/arguments.hpp"
#include "support/catch.hpp"

using support::argument_error;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::pseudo_label_quality;

TEST_CASE("pseudo-label quality worked by hand") {
  LabelMatrix observed(2, 6);
  LabelMatrix truth(2, 6);
  LabelMatrix pseudo(2, 6);
  observed << 1, 0, 0, 0, 0, -1,  //
      0, 0, 0, 0, 0, 0;
  truth << 1, 1, 1, -1, -1, -1,  //
      1, -1, -1, -1, 1, 0;
  pseudo << 1, 1, 1, 1, -1, 0,  //
      -1, -1, -1, 0, 0, 1;
  const auto quality = pseudo_label_quality(pseudo, truth, observed);
  CHECK(quality.unknown == 10);
  CHECK(quality.pseudo_positives == 4);
  CHECK(quality.pseudo_negatives == 4);
  CHECK(quality.hidden_positives == 4);
  CHECK(quality.hidden_negatives == 5);
  CHECK(quality.right_positives == 2);
  CHECK(quality.false_positives == 1);  // the guess where nobody knows is not judged
  CHECK(quality.right_negatives == 3);
  CHECK(quality.false_negatives == 1);
  CHECK(quality.positive_precision == Catch::Approx(2.0 / 3.0));
  CHECK(quality.positive_recall == Catch::Approx(2.0 / 4.0));
  CHECK(quality.negative_precision == Catch::Approx(3.0 / 4.0));
  CHECK(quality.negative_recall == Catch::Approx(3.0 / 5.0));
  CHECK(quality.coverage == Catch::Approx(8.0 / 10.0));
}

TEST_CASE("nothing guessed, nothing hidden") {
  const LabelMatrix truth = LabelMatrix::Ones(2, 2);
  const LabelMatrix nothing = LabelMatrix::Zero(2, 2);
  const auto silent = pseudo_label_quality(nothing, truth, nothing);
  CHECK(std::isnan(silent.positive_precision));
  CHECK(silent.positive_recall == 0.0);
  CHECK(std::isnan(silent.negative_precision));
  CHECK(std::isnan(silent.negative_recall));
  CHECK(silent.coverage == 0.0);

  const auto all_known = pseudo_label_quality(truth, truth, truth);
  CHECK(all_known.unknown == 0);
  CHECK(std::isnan(all_known.coverage));
  CHECK(std::isnan(all_known.positive_recall));
}

TEST_CASE("observed labels are never contradicted") {
  LabelMatrix observed = LabelMatrix::Zero(2, 2);
  observed(1, 0) = -1;
  LabelMatrix pseudo = LabelMatrix::Zero(2, 2);
  LabelMatrix truth = LabelMatrix::Constant(2, 2, -1);
  const auto call = [&] { pseudo_label_quality(pseudo, truth, observed); };
  CHECK(argument_error(call) == "no error");
  pseudo(1, 0) = 1;
  CHECK(
      argument_error(call) ==
      "pseudo_label_quality: expected pseudo-labels that keep the observed labels, got "
      "1 "
      "at row 1, column 0 (are the rows in the same order?)");
  pseudo(1, 0) = 0;
  truth(1, 0) = 1;
  CHECK(
      argument_error(call) ==
      "pseudo_label_quality: expected true labels that agree with the observed ones, "
      "got "
      "1 at row 1, column 0 (are the rows in the same order?)");
  truth(1, 0) = 3;
  CHECK(
      argument_error(call) ==
      "pseudo_label_quality: expected truth in {-1 absent, 0 unknown, +1 present}, got "
      "3 "
      "at row 1, column 0 (other projects code their labels differently: convert them "
      "first)");
  CHECK(argument_error([&] {
          pseudo_label_quality(pseudo, LabelMatrix::Zero(2, 1), observed);
        }) == "pseudo_label_quality: expected truth of shape [2, 2], got [2, 1]");
}
