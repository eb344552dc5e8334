#include "trmml/functional/text_matching.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "reference/method.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace ref = reference::method;
using support::error_of;
using support::fill;
using support::is_close;
using support::numbers;
using trmml::functional::text_image_logits;
using trmml::functional::text_pixel_logits;

namespace {

constexpr int64_t kB = 5;
constexpr int64_t kC = 4;
constexpr int64_t kD = 6;
constexpr int64_t kR = 3;

at::Tensor scale() {
  return at::full({}, 7.0, at::kDouble);
}

at::Tensor text() {
  return fill({2, kC, kD}, 3);
}

at::Tensor regions() {
  return fill({kB, kR, kD}, 2);
}

}  // namespace

TEST_CASE("text matching: against the reference") {
  CHECK(is_close(
      text_image_logits(fill({kB, kD}, 1), text(), scale()),
      numbers(ref::kTextImage, {kB, kC}),
      1e-12));
  CHECK(is_close(
      text_pixel_logits(regions(), text(), scale(), 0.8),
      numbers(ref::kTextPixel, {kB, kC}),
      1e-12));
}

TEST_CASE("text matching: worked by hand") {
  // Present points along x, absent along y; a picture at (3, 4) has cosines 0.6, 0.8.
  const at::Tensor words = numbers({5, 0, 0, 2}, {2, 1, 2});
  const at::Tensor z = text_image_logits(
      numbers({3, 4}, {1, 2}), words, at::full({}, 10.0, at::kDouble));
  CHECK(z.item<double>() == Catch::Approx(-2));
  // Cells along x (score 1) and along y (score -1) with weights 1 : exp(-kappa s).
  const at::Tensor cells = numbers({2, 0, 0, 7}, {1, 2, 2});
  const double weight = 1 / (1 + std::exp(-0.5 * 4.0));
  CHECK(
      text_pixel_logits(cells, words, at::full({}, 4.0, at::kDouble)).item<double>() ==
      Catch::Approx(4 * (weight - (1 - weight))));
}

TEST_CASE("text matching: gradients in double") {
  CHECK(
      support::gradient_error(
          [](const std::vector<at::Tensor>& in) {
            return text_image_logits(in[0], in[1], in[2]);
          },
          {fill({kB, kD}, 1), text(), scale()}) < 1e-6);
  CHECK(
      support::gradient_error(
          [](const std::vector<at::Tensor>& in) {
            return text_pixel_logits(in[0], in[1], in[2], 0.8);
          },
          {regions(), text(), scale()}) < 1e-6);
}

TEST_CASE("text matching: lengths of the features do not matter") {
  const at::Tensor g = fill({kB, kD}, 1);
  CHECK(is_close(
      text_image_logits(g * 3, text() * 0.2, scale()),
      text_image_logits(g, text(), scale()),
      1e-12));
  CHECK(is_close(
      text_pixel_logits(regions() * 3, text() * 0.2, scale()),
      text_pixel_logits(regions(), text(), scale()),
      1e-12));
}

TEST_CASE("text matching: order of categories, cells and pictures") {
  const at::Tensor order = at::tensor({2, 0, 3, 1}, at::kLong);
  const at::Tensor g = fill({kB, kD}, 1);
  const at::Tensor z = text_pixel_logits(regions(), text(), scale());
  CHECK(is_close(
      text_pixel_logits(regions(), text().index_select(1, order), scale()),
      z.index_select(1, order),
      1e-12));
  CHECK(is_close(
      text_image_logits(g, text().index_select(1, order), scale()),
      text_image_logits(g, text(), scale()).index_select(1, order),
      1e-12));
  CHECK(is_close(text_pixel_logits(regions().flip({1}), text(), scale()), z, 1e-12));
  for (int64_t b = 0; b < kB; ++b) {
    CHECK(is_close(
        text_pixel_logits(regions().narrow(0, b, 1), text(), scale()),
        z.narrow(0, b, 1),
        1e-12));
  }
  CHECK(text_pixel_logits(regions().narrow(0, 0, 0), text(), scale()).size(0) == 0);
}

TEST_CASE("text_pixel_logits: one cell is the whole picture") {
  const at::Tensor g = fill({kB, kD}, 1);
  CHECK(is_close(
      text_pixel_logits(g.unsqueeze(1), text(), scale(), 3.0),
      text_image_logits(g, text(), scale()),
      1e-12));
}

TEST_CASE("text_pixel_logits: sharpness between the mean and the best cell") {
  const at::Tensor one = at::ones({}, at::kDouble);
  const at::Tensor t = trmml::functional::l2_normalise(text());
  const at::Tensor cells = trmml::functional::l2_normalise(regions());
  const at::Tensor each = cells.matmul((t[0] - t[1]).t());  // [B, R, C]
  CHECK(is_close(text_pixel_logits(regions(), text(), one, 1e-9), each.mean(1), 1e-8));
  const at::Tensor best =
      cells.matmul(t[0].t()).argmax(1, /*keepdim=*/true);  // [B, 1, C]
  CHECK(is_close(
      text_pixel_logits(regions(), text(), one, 1e6),
      each.gather(1, best).squeeze(1),
      1e-9));
}

TEST_CASE("text matching: exchanging present and absent turns the image score round") {
  const at::Tensor g = fill({kB, kD}, 1);
  CHECK(is_close(
      text_image_logits(g, text().flip({0}), scale()),
      -text_image_logits(g, text(), scale()),
      1e-12));
}

TEST_CASE("text matching: features of two types meet in the wider one") {
  const at::Tensor reduced = text().to(at::kBFloat16);
  const at::Tensor image = text_image_logits(fill({kB, kD}, 1), reduced, scale());
  CHECK(image.equal(
      text_image_logits(fill({kB, kD}, 1), reduced.to(at::kDouble), scale())));
  const at::Tensor pixel = text_pixel_logits(regions(), reduced, scale());
  CHECK(pixel.equal(text_pixel_logits(regions(), reduced.to(at::kDouble), scale())));
}

TEST_CASE("text matching: messages") {
  const auto image = [](const at::Tensor& g, const at::Tensor& t) {
    return error_of<c10::ValueError>([&] { text_image_logits(g, t, scale()); });
  };
  CHECK(
      image(at::zeros({kB, kR, kD}), text()) ==
      "functional::text_image_logits: expected global_features of shape [*, *], got "
      "[5, 3, 6]");
  CHECK(
      image(at::zeros({kB, kD}), at::zeros({kC, kD})) ==
      "functional::text_image_logits: expected text_features of shape [2, *, 6], got "
      "[4, 6] (two prompts per category: present, absent)");
  const auto pixel = [](const at::Tensor& v, const at::Tensor& t, double sharpness) {
    return error_of<c10::ValueError>(
        [&] { text_pixel_logits(v, t, scale(), sharpness); });
  };
  CHECK(
      pixel(at::zeros({kB, kD}), text(), 0.5) ==
      "functional::text_pixel_logits: expected region_features of shape [*, *, *], got "
      "[5, 6]");
  CHECK(
      pixel(regions(), at::zeros({1, kC, kD}), 0.5).find("of shape [2, *, 6], got") !=
      std::string::npos);
  CHECK(
      pixel(regions(), at::zeros({2, kC, kD + 1}), 0.5).find("got [2, 4, 7]") !=
      std::string::npos);
  CHECK(
      pixel(regions(), text(), 0.0) ==
      "functional::text_pixel_logits: expected sharpness > 0, got 0");
}
