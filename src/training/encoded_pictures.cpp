#include "trmml/training/encoded_pictures.hpp"

#include "trmml/core/check.hpp"
#include "trmml/data/loader.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

namespace trmml::training {

EncodedPictures::EncodedPictures(
    std::shared_ptr<const data::Dataset> training,
    std::shared_ptr<const data::Dataset> test,
    ImageEncoder encoder,
    const EncodedPicturesOptions& options)
    : training_(std::move(training)),
      test_(std::move(test)),
      encoder_(std::move(encoder)),
      options_(options) {
  constexpr auto kWhere = "EncodedPictures";
  TORCH_CHECK_VALUE(
      training_ != nullptr && test_ != nullptr && encoder_ != nullptr,
      kWhere,
      ": expected two data sets and an encoder, got null");
  TORCH_CHECK_VALUE(
      training_->size() == test_->size(),
      kWhere,
      ": expected the same pictures for training and test, got ",
      training_->size(),
      " and ",
      test_->size());
  TORCH_CHECK_VALUE(
      options_.workers() > 0 && options_.batch_size() > 0,
      kWhere,
      ": expected workers and batch_size > 0, got ",
      options_.workers(),
      " and ",
      options_.batch_size());
}

// A future of std::async waits for its thread when it goes.
EncodedPictures::~EncodedPictures() = default;

int64_t EncodedPictures::size() const {
  return test_->size();
}

clip::ImageFeatures EncodedPictures::training_views(
    const at::Tensor& index,
    int64_t epoch) {
  check_shape(index, {kAnySize}, "EncodedPictures::training_views", "index");
  const at::Tensor rows = index.contiguous();
  const auto* first = rows.data_ptr<int64_t>();
  return encode({{first, first + rows.numel()}, epoch});
}

clip::ImageFeatures EncodedPictures::test_views(int64_t start, int64_t length) {
  Request request;
  for (int64_t i = start; i < start + length; ++i) {
    request.index.push_back(i);
  }
  return encode(request);
}

void EncodedPictures::prefetch(const at::Tensor& index, int64_t epoch) {
  if (index.numel() == 0) {
    return;
  }
  const at::Tensor rows = index.contiguous();
  const auto* first = rows.data_ptr<int64_t>();
  announced_ = Request{{first, first + rows.numel()}, epoch};
  ahead_ = start(*announced_, 0);
}

EncodedPictures::Pictures EncodedPictures::start(const Request& request, int64_t first)
    const {
  const auto n = static_cast<int64_t>(request.index.size());
  const int64_t last = std::min(n, first + options_.batch_size());
  const int64_t each = std::max<int64_t>(
      1, (last - first + options_.workers() - 1) / options_.workers());
  const auto& dataset = request.epoch < 0 ? test_ : training_;
  const auto epoch = static_cast<uint64_t>(std::max<int64_t>(0, request.epoch));
  Pictures pieces;
  for (; first < last; first += each) {
    std::vector<int64_t> index(
        request.index.begin() + first,
        request.index.begin() + std::min(last, first + each));
    pieces.push_back(std::async(
        std::launch::async,
        [index = std::move(index), dataset, epoch, seed = options_.seed()] {
          const c10::NoGradGuard no_grad;  // gradient mode belongs to a thread
          Piece piece;
          try {
            for (const int64_t i : index) {
              at::Generator augmentation = data::augmentation_generator(seed, epoch, i);
              piece.images.push_back(dataset->get(i, augmentation).image);
            }
          } catch (...) {
            piece.error = std::current_exception();
          }
          return piece;
        }));
  }
  return pieces;
}

clip::ImageFeatures EncodedPictures::encode(const Request& request) {
  const auto n = static_cast<int64_t>(request.index.size());
  TORCH_CHECK_VALUE(n > 0, "EncodedPictures: expected at least one picture, got none");
  const c10::NoGradGuard no_grad;
  Pictures pieces;
  if (announced_ == request) {
    pieces = std::move(ahead_);
    announced_.reset();
  } else {
    pieces = start(request, 0);
  }
  std::vector<at::Tensor> global;
  std::vector<at::Tensor> regions;
  for (int64_t first = 0; first < n; first += options_.batch_size()) {
    std::vector<at::Tensor> images;
    for (auto& reading : pieces) {
      Piece piece = reading.get();
      if (piece.error) {
        std::rethrow_exception(std::exchange(piece.error, nullptr));
      }
      for (at::Tensor& image : piece.images) {
        images.push_back(std::move(image));
      }
    }
    pieces = start(request, first + options_.batch_size());  // while these are encoded
    const clip::ImageFeatures part = encoder_(at::stack(images));
    global.push_back(part.global.to(at::kFloat));
    regions.push_back(part.regions.to(at::kFloat));
  }
  return {at::cat(global), at::cat(regions)};
}

}  // namespace trmml::training
