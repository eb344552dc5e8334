#include "trmml/method/method.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>

#include "method/small_model.hpp"
#include "method/small_trm_ml.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

using support::is_close;
using support::make_model;
using trmml::Score;
using trmml::TrmMlOutput;

TEST_CASE("score_of: the mean of the logits, or one of them") {
  const TrmMlOutput output = make_model()->forward(small::images());
  CHECK(is_close(
      score_of(output), (output.region_logits + output.query_logits) / 2, 1e-7));
  CHECK(score_of(output, Score::kRegion).equal(output.region_logits));
  CHECK(score_of(output, Score::kQuery).equal(output.query_logits));
}

TEST_CASE("EvaluationMode: every part comes back in the mode it was in") {
  torch::nn::Sequential model(torch::nn::Dropout(0.5), torch::nn::Linear(2, 2));
  model->train();
  model->ptr(0)->eval();  // a part that somebody froze
  {
    const trmml::EvaluationMode evaluation(*model);
    CHECK_FALSE(model->is_training());
    CHECK_FALSE(model->ptr(1)->is_training());
  }
  CHECK(model->is_training());
  CHECK_FALSE(model->ptr(0)->is_training());
  CHECK(model->ptr(1)->is_training());
}
