// The second file that includes the same headers: a function that is not inline would
// be defined twice.
#include "other.hpp"

#include <trmml/evaluation/average_precision.hpp>
#include <trmml/functional/asymmetric_loss.hpp>
#include <trmml/io/safetensors.hpp>
#include <trmml/modules/region_matcher.hpp>
#include <trmml/version.hpp>

at::Tensor loss_of(const trmml::RegionMatch& match, const at::Tensor& labels) {
  return trmml::functional::partial_asymmetric_loss(match.query_logits, labels);
}
