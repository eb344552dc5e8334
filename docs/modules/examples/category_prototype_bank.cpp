#include <trmml/modules/category_prototype_bank.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  const at::Tensor axis = at::eye(4);
  trmml::CategoryPrototypeBank bank(
      trmml::CategoryPrototypeBankOptions(2, 4).momentum(0.9));

  // Two pictures, [B, C, D]: category 0 is known present in both, category 1 known
  // absent in the first and unknown in the second.
  at::Tensor features =
      at::stack({at::stack({axis[0], axis[2]}), at::stack({axis[1], axis[3]})});
  at::Tensor labels = at::tensor({1, -1, 1, 0}).view({2, 2});
  bank->update(features, labels, /*text_features=*/axis.narrow(0, 0, 2));
  const auto print = [&](const char* when) {
    fmt::print("{}: prototype of category 0:", when);
    for (int64_t d = 0; d < 4; ++d) {
      fmt::print(" {:.2f}", bank->visual()[0][d].item<float>());
    }
    fmt::print("\n");
  };
  print("step 1");  // the mean of axes 0 and 1, normalised

  labels.fill_(0).select(0, 0).fill_(1);  // now both are present in picture 0
  bank->update(features, labels, axis.narrow(0, 0, 2));
  print("step 2");  // moved a little towards axis 0
  fmt::print("positive prototypes: {}\n", bank->visual_ready().sum().item<int64_t>());
  fmt::print("negative prototypes: {}\n", bank->negative_ready().sum().item<int64_t>());

  auto copy =
      std::dynamic_pointer_cast<trmml::CategoryPrototypeBankImpl>(bank->clone());
  bank->clear();
  fmt::print("cleared: {}, ", bank->visual_ready().sum().item<int64_t>());
  fmt::print("the copy keeps {}\n", copy->visual_ready().sum().item<int64_t>());
}
