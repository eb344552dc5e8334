#include <trmml/functional/asymmetric_loss.hpp>
#include <trmml/modules/region_matcher.hpp>

at::Tensor loss_of(const at::Tensor& logits, const at::Tensor& labels) {
  return trmml::functional::partial_asymmetric_loss(logits, labels);
}
