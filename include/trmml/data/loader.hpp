#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/dataset.hpp"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <torch/arg.h>
#include <torch/data/dataloader/stateless.h>
#include <torch/data/samplers/sequential.h>

#include <cstddef>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::data {

/// Options for `Loader`. All ours.
struct LoaderOptions {
  /* implicit */ LoaderOptions(int64_t batch_size) : batch_size_(batch_size) {}

  /// Pictures a batch, > 0; the last, smaller batch of an epoch is kept.
  TORCH_ARG(int64_t, batch_size);

  /// Threads that make batches ahead, >= 0; 0: the thread that loops.
  TORCH_ARG(int64_t, workers) = 0;

  /// Another order in each epoch; false: 0, 1, 2, ... in all of them.
  TORCH_ARG(bool, shuffle) = true;

  /// Of the orders and of all augmentations.
  TORCH_ARG(uint64_t, seed) = 0;

  /// Leave out the last batch where it is smaller.
  TORCH_ARG(bool, drop_last) = false;

  /// Leave out pictures for which `Dataset::get` throws `UnreadablePicture`, instead of
  /// handing the exception on; `Loader::unreadable` lists them. Their batches are
  /// smaller, and one that would be empty is left out.
  TORCH_ARG(bool, skip_unreadable) = false;

  /// Put batches into page-locked memory, from which copies to a CUDA device need not
  /// wait. Without such a device it has no effect.
  TORCH_ARG(bool, pin_memory) = false;
};

/// The generator that `Loader` hands to `Dataset::get` for one picture in one epoch.
inline at::Generator
augmentation_generator(uint64_t seed, uint64_t epoch, int64_t index) {
  return make_generator(
      derive_seed(seed, epoch, "augmentation"),
      static_cast<uint64_t>(index),
      "picture");
}

/// Puts B >= 1 samples into one batch. Throws `c10::ValueError` that names the picture
/// when an image is not [3, H, W], or when images or labels differ in shape or type.
inline Batch collate(const std::vector<Sample>& samples) {
  constexpr auto kWhere = "data::collate";
  TORCH_CHECK_VALUE(
      !samples.empty(), kWhere, ": expected at least one sample, got none");
  const Sample& first = samples.front();
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> labels;
  std::vector<int64_t> indices;
  for (const Sample& sample : samples) {
    check_shape(sample.image, {3, kAnySize, kAnySize}, kWhere, "image");
    check_shape(sample.labels, {kAnySize}, kWhere, "labels");
    const auto check_same = [&](const at::Tensor& tensor,
                                const at::Tensor& expected,
                                std::string_view name) {
      TORCH_CHECK_VALUE(
          tensor.sizes() == expected.sizes() &&
              tensor.scalar_type() == expected.scalar_type(),
          kWhere,
          ": expected ",
          name,
          " of shape ",
          format_shape(expected.sizes()),
          " and type ",
          toString(expected.scalar_type()),
          " as of picture ",
          first.index,
          ", got ",
          format_shape(tensor.sizes()),
          " and ",
          toString(tensor.scalar_type()),
          " of picture ",
          sample.index,
          " (a batch holds one size: resize in Dataset::get)");
    };
    check_same(sample.image, first.image, "image");
    check_same(sample.labels, first.labels, "labels");
    images.push_back(sample.image);
    labels.push_back(sample.labels);
    indices.push_back(sample.index);
  }
  return {
      at::stack(images),  // [B, 3, H, W]
      at::stack(labels),  // [B, C]
      at::tensor(at::ArrayRef<int64_t>(indices), at::kLong)};
}

/// What `Loader` left out.
struct Unreadable {
  int64_t index = 0;    ///< of the picture
  std::string message;  ///< with its path
};

namespace detail {

/// Pictures that were left out, in any number of epochs and by any worker.
class UnreadableList {
 public:
  void add(const UnreadablePicture& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    messages_.emplace(error.index(), error.what());
  }

  std::vector<Unreadable> sorted() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<Unreadable> list;
    for (const auto& [index, message] : messages_) {
      list.push_back({index, message});
    }
    return list;
  }

 private:
  mutable std::mutex mutex_;
  std::map<int64_t, std::string> messages_;
};

/// A batch (undefined when all of it was left out), or what was thrown instead of it.
struct LoadedBatch {
  Batch batch;
  std::exception_ptr error;
};

/// One epoch of a data set, as torch::data reads it: place k of the epoch is picture
/// `order[k]`. Exceptions travel inside the result. torch::data would carry them too,
/// but as a `WorkerException`, and it lets go of them in the worker after the reader
/// has them: with a libstdc++ that is built without it, the thread sanitizer cannot see
/// that this is safe.
class EpochSource {
 public:
  using BatchType = LoadedBatch;

  EpochSource(
      std::shared_ptr<const Dataset> dataset,
      std::shared_ptr<UnreadableList> unreadable,
      const LoaderOptions& options,
      uint64_t epoch)
      : dataset_(std::move(dataset)),
        unreadable_(options.skip_unreadable() ? std::move(unreadable) : nullptr),
        seed_(options.seed()),
        epoch_(epoch),
        pin_memory_(options.pin_memory() && at::globalContext().hasCUDA()) {
    if (options.shuffle()) {
      order_ = std::make_shared<const std::vector<int64_t>>(
          epoch_order(dataset_->size(), seed_, epoch_));
    }
  }

  LoadedBatch get_batch(const std::vector<size_t>& places) const {
    // Gradient mode belongs to a thread, and a new one has it on.
    const at::NoGradGuard no_grad;
    try {
      return {load(places), nullptr};
    } catch (...) {
      return {{}, std::current_exception()};
    }
  }

 private:
  Batch load(const std::vector<size_t>& places) const {
    std::vector<Sample> samples;
    samples.reserve(places.size());
    for (const size_t place : places) {
      const int64_t index = order_ ? (*order_)[place] : static_cast<int64_t>(place);
      at::Generator augmentation = augmentation_generator(seed_, epoch_, index);
      try {
        samples.push_back(dataset_->get(index, augmentation));
      } catch (const UnreadablePicture& error) {
        if (unreadable_ == nullptr) {
          throw;
        }
        unreadable_->add(error);
      }
    }
    if (samples.empty()) {
      return {};
    }
    Batch batch = collate(samples);
    if (pin_memory_) {
      batch.images = batch.images.pin_memory();
      batch.labels = batch.labels.pin_memory();
      batch.indices = batch.indices.pin_memory();
    }
    return batch;
  }

  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<UnreadableList> unreadable_;         // null: exceptions are handed on
  std::shared_ptr<const std::vector<int64_t>> order_;  // null: 0, 1, 2, ...
  uint64_t seed_;
  uint64_t epoch_;
  bool pin_memory_;
};

}  // namespace detail

/// Batches of a data set in an order that depends on (seed, epoch) alone, with
/// augmentations that depend on (seed, epoch, picture) alone: bit for bit the same for
/// any number of workers, in any epoch that is started with, and whatever the global
/// generator does. Ours, on top of torch::data's `StatelessDataLoader`.
///
/// Each loop starts its workers and ends them; they prepare at most 2 x `workers`
/// batches ahead. A loop may be left at any time: what is under way is finished and
/// thrown away. An exception of `Dataset::get` or `collate` arrives, as itself, where
/// its batch was due. An empty data set has no batches.
///
/// LibTorch's operators in a worker use as many threads as the caller's: with large
/// pictures and several workers, `at::set_num_threads(1)` serves the workers better.
///
/// Throws `c10::ValueError` for wrong options.
/// ```
/// Loader loader(dataset, LoaderOptions(64).workers(4));
/// for (const Batch& batch : loader.epoch(e)) { ... }  // batch.images [B, 3, H, W]
/// ```
class Loader {
 public:
  class Epoch;
  class Iterator;

  Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
      : options_(options), dataset_(std::move(dataset)) {
    TORCH_CHECK_VALUE(dataset_ != nullptr, "Loader: expected a data set, got null");
    TORCH_CHECK_VALUE(
        options_.batch_size() > 0,
        "Loader: expected batch_size > 0, got ",
        options_.batch_size());
    TORCH_CHECK_VALUE(
        options_.workers() >= 0,
        "Loader: expected workers >= 0, got ",
        options_.workers(),
        " (0: no threads)");
  }

  /// Batches of one epoch, if no picture is left out.
  int64_t size() const {
    const int64_t n = dataset_->size();
    const int64_t b = options_.batch_size();
    return options_.drop_last() ? n / b : (n + b - 1) / b;
  }

  /// Pictures.
  const Dataset& dataset() const { return *dataset_; }

  const LoaderOptions& options() const { return options_; }

  /// Pictures that were left out so far, each once, by their index: after a whole epoch
  /// the same for any number of workers. Empty without `skip_unreadable`. May be called
  /// while a loop runs.
  std::vector<Unreadable> unreadable() const { return unreadable_->sorted(); }

  /// What to loop over; `epoch` >= 0.
  Epoch epoch(int64_t epoch) const;

 private:
  LoaderOptions options_;
  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<detail::UnreadableList> unreadable_ =
      std::make_shared<detail::UnreadableList>();
};

/// A running loop: owns its workers.
class Loader::Iterator {
 public:
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  Iterator(detail::EpochSource source, int64_t n, const LoaderOptions& options)
      : loader_(std::make_unique<TorchLoader>(
            std::move(source),
            torch::data::samplers::SequentialSampler(static_cast<size_t>(n)),
            torch::data::DataLoaderOptions(static_cast<size_t>(options.batch_size()))
                .workers(static_cast<size_t>(options.workers()))
                .drop_last(options.drop_last()))),
        place_(loader_->begin()) {
    settle();
  }

  const Batch& operator*() const { return (*place_).batch; }
  const Batch* operator->() const { return &**this; }

  Iterator& operator++() {
    ++place_;
    settle();
    return *this;
  }
  void operator++(int) { ++*this; }

  bool operator==(std::default_sentinel_t /*end*/) const {
    return place_ == loader_->end();
  }

 private:
  using TorchLoader = torch::data::StatelessDataLoader<
      detail::EpochSource,
      torch::data::samplers::SequentialSampler>;

  /// To the next batch that is one, from here on; throws what was thrown instead.
  void settle() {
    for (; *this != std::default_sentinel; ++place_) {
      if ((*place_).error) {
        std::rethrow_exception(std::exchange((*place_).error, nullptr));
      }
      if ((*place_).batch.indices.defined()) {
        return;
      }
    }
  }

  std::unique_ptr<TorchLoader> loader_;
  mutable torch::data::Iterator<detail::LoadedBatch> place_;
};

/// One epoch; each `begin` starts it anew.
class Loader::Epoch {
 public:
  Epoch(
      std::shared_ptr<const Dataset> dataset,
      std::shared_ptr<detail::UnreadableList> unreadable,
      const LoaderOptions& options,
      uint64_t epoch)
      : n_(dataset->size()),
        options_(options),
        source_(std::move(dataset), std::move(unreadable), options, epoch) {}

  Iterator begin() const { return {source_, n_, options_}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  int64_t n_;
  LoaderOptions options_;
  detail::EpochSource source_;
};

inline Loader::Epoch Loader::epoch(int64_t epoch) const {
  TORCH_CHECK_VALUE(epoch >= 0, "Loader::epoch: expected epoch >= 0, got ", epoch);
  return {dataset_, unreadable_, options_, static_cast<uint64_t>(epoch)};
}

}  // namespace trmml::data
