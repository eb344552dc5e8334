#include "trmml/training/encoded_pictures.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/loader.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <atomic>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using support::error_of;
using trmml::clip::ImageFeatures;
using trmml::training::EncodedPictures;
using trmml::training::EncodedPicturesOptions;

namespace {

/// Picture i is full of i, plus a random share when it is augmented.
class Plain : public trmml::data::Dataset {
 public:
  explicit Plain(bool augmented, int64_t n = 11) : augmented_(augmented), n_(n) {}
  int64_t size() const override { return n_; }
  trmml::data::Sample get(int64_t index, at::Generator& augmentation) const override {
    ++read;
    if (index == broken) {
      throw trmml::DataError("photos/4.jpg: is cut off");
    }
    has_gradients = has_gradients || c10::GradMode::is_enabled();
    const float share = augmented_ ? at::rand({1}, augmentation).item<float>() : 0.0F;
    return {
        at::full({3, 2, 2}, static_cast<float>(index) + share), at::zeros({1}), index};
  }
  mutable std::atomic<int64_t> read = 0;
  mutable std::atomic<bool> has_gradients = false;
  int64_t broken = -1;

 private:
  bool augmented_;
  int64_t n_;
};

struct Source {
  std::shared_ptr<Plain> augmented = std::make_shared<Plain>(true);
  std::shared_ptr<Plain> plain = std::make_shared<Plain>(false);
  std::vector<int64_t> batches;  // sizes that the encoder saw

  EncodedPictures make(int64_t workers, int64_t batch_size = 4, uint64_t seed = 9) {
    return EncodedPictures(
        augmented,
        plain,
        [this](const at::Tensor& images) {
          CHECK_FALSE(c10::GradMode::is_enabled());
          batches.push_back(images.size(0));
          const at::Tensor cells = images.flatten(2).transpose(1, 2);  // [B, 4, 3]
          return ImageFeatures{cells.mean(1), cells};
        },
        EncodedPicturesOptions().workers(workers).batch_size(batch_size).seed(seed));
  }
};

at::Tensor first_of(const ImageFeatures& features) {
  return features.global.select(1, 0);
}

}  // namespace

TEST_CASE("EncodedPictures: pictures by index, augmented by (seed, epoch, picture)") {
  Source s;
  EncodedPictures source = s.make(3);
  CHECK(source.size() == 11);
  const ImageFeatures test = source.test_views(2, 9);
  CHECK(first_of(test).equal(at::arange(2, 11).to(at::kFloat)));
  CHECK(test.regions.sizes() == at::IntArrayRef({9, 4, 3}));
  CHECK(s.batches == std::vector<int64_t>{4, 4, 1});

  const at::Tensor index = at::tensor({10, 3, 7, 0, 1}, at::kLong);
  const at::Tensor seen = first_of(source.training_views(index, 5));
  for (int64_t k = 0; k < 5; ++k) {
    const int64_t i = index[k].item<int64_t>();
    at::Generator expected = trmml::data::augmentation_generator(9, 5, i);
    CHECK(
        seen[k].item<float>() ==
        static_cast<float>(i) + at::rand({1}, expected).item<float>());
  }
  CHECK_FALSE(first_of(source.training_views(index, 6)).equal(seen));
  Source other;
  CHECK(first_of(other.make(1, 32).training_views(index, 5)).equal(seen));
  CHECK_FALSE(s.augmented->has_gradients);
}

TEST_CASE("EncodedPictures: what was announced is read ahead, once") {
  Source s;
  EncodedPictures source = s.make(2);
  const at::Tensor next = at::tensor({1, 2, 3}, at::kLong);
  const at::Tensor expected = first_of(source.training_views(next, 0));
  s.augmented->read = 0;
  source.prefetch(next, 0);
  CHECK(first_of(source.training_views(next, 0)).equal(expected));
  CHECK(s.augmented->read == 3);
  // Something else was announced than is asked for.
  source.prefetch(next, 1);
  CHECK(first_of(source.training_views(next, 0)).equal(expected));
  CHECK_FALSE(first_of(source.training_views(next, 1)).equal(expected));
  source.prefetch(at::empty({0}, at::kLong), 2);
  source.prefetch(next, 3);  // never asked for
}

TEST_CASE("EncodedPictures: an error of a picture arrives as itself") {
  Source s;
  s.augmented->broken = 4;
  EncodedPictures source = s.make(3);
  const at::Tensor index = at::arange(11);
  CHECK(error_of<trmml::DataError>([&] {
          source.training_views(index, 0);
        }) == "photos/4.jpg: is cut off");
  source.prefetch(index, 0);
  CHECK(error_of<trmml::DataError>([&] {
          source.training_views(index, 0);
        }) == "photos/4.jpg: is cut off");
  CHECK(source.test_views(0, 11).global.size(0) == 11);
}

TEST_CASE("EncodedPictures: arguments that do not fit") {
  Source s;
  CHECK(error_of<c10::ValueError>([&] {
          s.make(0);
        }) == "EncodedPictures: expected workers and batch_size > 0, got 0 and 4");
  s.plain = std::make_shared<Plain>(false, 10);
  CHECK(
      error_of<c10::ValueError>([&] { s.make(1); }) ==
      "EncodedPictures: expected the same pictures for training and test, got 11 and "
      "10");
  s.plain = nullptr;
  CHECK(error_of<c10::ValueError>([&] {
          s.make(1);
        }) == "EncodedPictures: expected two data sets and an encoder, got null");
}
