#include "trmml/data/loader.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/scene_dataset.hpp"

#include <ATen/ATen.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "reference/loader.hpp"
#include "support/batches.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using support::all_batches;
using support::error_of;
using support::same_batches;
using trmml::data::Batch;
using trmml::data::Loader;
using trmml::data::LoaderOptions;
using trmml::data::Sample;

static_assert(std::input_iterator<Loader::Iterator>);

namespace {

// Picture i is 3 x 2 x 2 times i, plus noise if it is asked for; its labels are those
// of i in base 3. `on_get` runs first.
struct Numbers : trmml::data::Dataset {
  explicit Numbers(int64_t n, bool noise = false) : n_(n), noise_(noise) {}

  int64_t size() const override { return n_; }

  Sample get(int64_t index, at::Generator& augmentation) const override {
    calls.fetch_add(1);
    if (on_get) {
      on_get(index);
    }
    at::Tensor image = at::full({3, 2, 2}, static_cast<double>(index), at::kFloat);
    if (noise_) {
      image = image + at::rand({3, 2, 2}, augmentation);
    }
    const at::Tensor labels = at::empty({4}, at::kChar);
    int64_t rest = index;
    for (int64_t c = 0; c < 4; ++c, rest /= 3) {
      labels[c] = rest % 3 - 1;
    }
    return {image, labels, index};
  }

  std::function<void(int64_t)> on_get;
  mutable std::atomic<int64_t> calls{0};

 private:
  int64_t n_;
  bool noise_;
};

std::vector<int64_t> flat(const at::Tensor& tensor) {
  const at::Tensor t = tensor.to(at::kLong).contiguous();
  return {t.data_ptr<int64_t>(), t.data_ptr<int64_t>() + t.numel()};
}

std::vector<int64_t> order_of(const std::vector<Batch>& batches) {
  std::vector<int64_t> order;
  for (const Batch& batch : batches) {
    const auto part = flat(batch.indices);
    order.insert(order.end(), part.begin(), part.end());
  }
  return order;
}

Loader numbers(int64_t n, const LoaderOptions& options, bool noise = false) {
  return {std::make_shared<Numbers>(n, noise), options};
}

}  // namespace

TEST_CASE("loader: batches worked by hand") {
  const auto batches = all_batches(numbers(5, LoaderOptions(2).shuffle(false)), 0);
  REQUIRE(batches.size() == 3);
  CHECK(flat(batches[0].indices) == std::vector<int64_t>{0, 1});
  CHECK(flat(batches[1].indices) == std::vector<int64_t>{2, 3});
  CHECK(flat(batches[2].indices) == std::vector<int64_t>{4});
  CHECK(batches[1].size() == 2);
  CHECK(batches[1].images.sizes() == at::IntArrayRef({2, 3, 2, 2}));
  CHECK(at::equal(batches[1].images[1], at::full({3, 2, 2}, 3.0F)));
  CHECK(batches[1].labels.scalar_type() == at::kChar);
  // 2 and 3 in base 3: 2 and 01 (lowest digit first), less one.
  CHECK(flat(batches[1].labels) == std::vector<int64_t>{1, -1, -1, -1, -1, 0, -1, -1});
}

TEST_CASE("loader: the order of an epoch is that of an independent implementation") {
  const auto expected = [](const double* values) {
    return std::vector<int64_t>(values, values + 10);
  };
  using namespace reference::loader;
  CHECK(trmml::epoch_order(10, 0, 0) == expected(kOrder00));
  CHECK(trmml::epoch_order(10, 0, 1) == expected(kOrder01));
  CHECK(trmml::epoch_order(10, 7, 0) == expected(kOrder70));
  CHECK(trmml::epoch_order(0, 7, 0).empty());

  const Loader loader = numbers(10, LoaderOptions(3).workers(2));
  CHECK(order_of(all_batches(loader, 1)) == expected(kOrder01));
  CHECK(order_of(all_batches(loader, 0)) == expected(kOrder00));
  CHECK(
      order_of(all_batches(numbers(10, LoaderOptions(4).seed(7)), 0)) ==
      expected(kOrder70));
}

TEST_CASE("loader: the same batches, bit for bit, for any number of workers") {
  const auto batches_with = [](int64_t workers, int64_t epoch) {
    const auto options = LoaderOptions(4).workers(workers).seed(3);
    return all_batches(numbers(33, options, /*noise=*/true), epoch);
  };
  for (const int64_t epoch : {0, 3}) {
    const auto alone = batches_with(0, epoch);
    REQUIRE(alone.size() == 9);
    CHECK(alone.back().size() == 1);
    const auto order = order_of(alone);
    CHECK(order.size() == 33);
    CHECK(std::set<int64_t>(order.begin(), order.end()).size() == 33);
    for (const int64_t workers : {1, 2, 5}) {
      CHECK(same_batches(batches_with(workers, epoch), alone));
    }
  }
  CHECK_FALSE(same_batches(batches_with(0, 0), batches_with(0, 3)));
}

TEST_CASE("loader: slow pictures do not change the order") {
  auto dataset = std::make_shared<Numbers>(12);
  dataset->on_get = [](int64_t index) {
    if (index % 4 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  };
  const Loader loader(dataset, LoaderOptions(2).workers(3).shuffle(false));
  const auto order = order_of(all_batches(loader, 0));
  REQUIRE(order.size() == 12);
  for (int64_t i = 0; i < 12; ++i) {
    CHECK(order[static_cast<size_t>(i)] == i);
  }
}

TEST_CASE("loader: an augmentation depends on seed, epoch and picture alone") {
  const auto noise_of = [](const LoaderOptions& options, int64_t epoch, int64_t index) {
    for (const Batch& batch : all_batches(numbers(6, options, true), epoch)) {
      for (int64_t i = 0; i < batch.size(); ++i) {
        if (batch.indices[i].item<int64_t>() == index) {
          return at::Tensor(batch.images[i] - index);
        }
      }
    }
    return at::Tensor();
  };
  const auto options = LoaderOptions(4).seed(5);
  const at::Tensor noise = noise_of(options, 2, 0);
  at::Generator generator = trmml::data::augmentation_generator(5, 2, 0);
  CHECK(at::equal(noise, at::rand({3, 2, 2}, generator)));
  CHECK(at::equal(noise_of(LoaderOptions(1).seed(5).shuffle(false), 2, 0), noise));
  CHECK_FALSE(at::equal(noise_of(options, 3, 0), noise));
  CHECK_FALSE(at::equal(noise_of(options, 2, 1), noise));
  CHECK_FALSE(at::equal(noise_of(LoaderOptions(4).seed(6), 2, 0), noise));
}

TEST_CASE("loader: without shuffling, epochs differ in their augmentations only") {
  const Loader loader = numbers(6, LoaderOptions(6).shuffle(false), true);
  const auto first = all_batches(loader, 0);
  const auto second = all_batches(loader, 1);
  CHECK(order_of(first) == order_of(second));
  CHECK_FALSE(at::equal(first[0].images, second[0].images));
}

TEST_CASE("loader: the global generator is neither read nor shifted") {
  auto global = at::globalContext().defaultGenerator(at::kCPU);
  std::vector<std::vector<Batch>> runs;
  for (const uint64_t seed : {1, 2}) {
    at::manual_seed(seed);
    const at::Tensor before = global.get_state();
    for (const int64_t workers : {0, 2}) {
      runs.push_back(
          all_batches(numbers(7, LoaderOptions(3).workers(workers), true), 0));
    }
    CHECK(at::equal(global.get_state(), before));
  }
  for (const auto& run : runs) {
    CHECK(same_batches(run, runs[0]));
  }
}

TEST_CASE("loader: sizes, and the last smaller batch") {
  const auto sizes = [](int64_t n, const LoaderOptions& options) {
    const Loader loader = numbers(n, options);
    std::vector<int64_t> found;
    for (const Batch& batch : loader.epoch(0)) {
      found.push_back(batch.size());
    }
    CHECK(loader.size() == static_cast<int64_t>(found.size()));
    return found;
  };
  using Sizes = std::vector<int64_t>;
  for (const int64_t workers : {0, 2}) {
    CHECK(sizes(7, LoaderOptions(3).workers(workers)) == Sizes{3, 3, 1});
    CHECK(sizes(7, LoaderOptions(3).workers(workers).drop_last(true)) == Sizes{3, 3});
    CHECK(sizes(6, LoaderOptions(3).workers(workers).drop_last(true)) == Sizes{3, 3});
    CHECK(sizes(2, LoaderOptions(100).workers(workers)) == Sizes{2});
    CHECK(sizes(2, LoaderOptions(100).workers(workers).drop_last(true)).empty());
    CHECK(sizes(0, LoaderOptions(3).workers(workers)).empty());
  }
}

TEST_CASE("loader: an error arrives as itself, after the batches before it") {
  for (const int64_t workers : {0, 1, 3}) {
    auto dataset = std::make_shared<Numbers>(20);
    dataset->on_get = [](int64_t index) {
      if (index == 7) {
        throw trmml::DataError("pictures/000007.jpg: expected a JPEG, got 0 bytes");
      }
      if (index == 9) {
        throw std::out_of_range("a later one");
      }
    };
    const Loader loader(dataset, LoaderOptions(2).workers(workers).shuffle(false));
    int64_t seen = 0;
    std::string message;
    try {
      for (const Batch& batch : loader.epoch(0)) {
        seen += batch.size();
      }
    } catch (const trmml::DataError& error) {
      message = error.what();
    }
    CHECK(seen == 6);
    CHECK(message == "pictures/000007.jpg: expected a JPEG, got 0 bytes");
  }
}

TEST_CASE("loader: c10 errors and things that are no exceptions arrive as themselves") {
  for (const int64_t workers : {0, 2}) {
    auto dataset = std::make_shared<Numbers>(4);
    const Loader loader(dataset, LoaderOptions(2).workers(workers).shuffle(false));
    dataset->on_get = [](int64_t index) {
      TORCH_CHECK_VALUE(index < 3, "crop: expected a size > 0");
    };
    CHECK(error_of<c10::ValueError>([&] {
            all_batches(loader, 0);
          }) == "crop: expected a size > 0");
    dataset->on_get = [](int64_t /*index*/) { throw 42; };
    int thrown = 0;
    try {
      all_batches(loader, 0);
    } catch (int number) {
      thrown = number;
    }
    CHECK(thrown == 42);
    dataset->on_get = nullptr;  // an epoch with an error leaves the loader usable
    CHECK(all_batches(loader, 0).size() == 2);
  }
}

TEST_CASE("loader: unreadable pictures are left out when asked, and nothing else is") {
  const auto unreadable_if = [](auto is_unreadable) {
    auto dataset = std::make_shared<Numbers>(23, /*noise=*/true);
    dataset->on_get = [is_unreadable](int64_t index) {
      if (is_unreadable(index)) {
        const std::string path = std::to_string(index) + ".jpg";
        throw trmml::data::UnreadablePicture(index, path + ": no such file");
      }
    };
    return dataset;
  };
  const auto with = [](int64_t workers) {
    return LoaderOptions(3).workers(workers).seed(9).skip_unreadable(true);
  };
  const auto dataset = unreadable_if([](int64_t index) { return index % 3 != 0; });
  const auto complete = all_batches(numbers(23, LoaderOptions(3).seed(9), true), 1);
  std::vector<Batch> expected;
  for (const Batch& batch : complete) {
    const at::Tensor kept = batch.indices.remainder(3).eq(0).nonzero().view({-1});
    if (kept.numel() > 0) {
      const auto rows = [&](const at::Tensor& x) { return x.index_select(0, kept); };
      expected.push_back({rows(batch.images), rows(batch.labels), rows(batch.indices)});
    }
  }
  REQUIRE(expected.size() < complete.size());
  for (const int64_t workers : {0, 1, 4}) {
    const Loader loader(dataset, with(workers));
    CHECK(same_batches(all_batches(loader, 1), expected));
    REQUIRE(loader.unreadable().size() == 15);
    CHECK(loader.unreadable()[0].index == 1);
    CHECK(loader.unreadable()[14].index == 22);
    CHECK(loader.unreadable()[14].message == "22.jpg: no such file");
    all_batches(loader, 2);
    CHECK(loader.unreadable().size() == 15);

    const Loader none(unreadable_if([](int64_t) { return true; }), with(workers));
    CHECK(all_batches(none, 0).empty());
    CHECK(none.unreadable().size() == 23);

    auto wrong = std::make_shared<Numbers>(5);
    wrong->on_get = [](int64_t) { throw trmml::DataError("labels: no such file"); };
    const Loader other(wrong, with(workers));
    CHECK_THROWS_AS(all_batches(other, 0), trmml::DataError);
    CHECK(other.unreadable().empty());
  }
}

TEST_CASE("loader: a loop that is left ends its workers") {
  for (const int64_t workers : {0, 1, 4}) {
    auto dataset = std::make_shared<Numbers>(1000);
    {
      const Loader loader(dataset, LoaderOptions(2).workers(workers));
      int64_t seen = 0;
      for (const Batch& batch : loader.epoch(0)) {
        seen += batch.size();
        if (seen == 6) {
          break;
        }
      }
      CHECK(seen == 6);
      // At most 2 x workers ahead, and one more for each of the three that were read.
      const int64_t calls = dataset->calls;
      CHECK(calls <= 2 * (3 + 2 * workers));
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      CHECK(dataset->calls == calls);

      const auto epoch = loader.epoch(0);
      { const auto never_read = epoch.begin(); }
      CHECK_THROWS_AS(
          [&] {
            for ([[maybe_unused]] const Batch& batch : epoch) {
              throw std::runtime_error("the reader's own");
            }
          }(),
          std::runtime_error);
    }
    CHECK(dataset.use_count() == 1);
  }
}

TEST_CASE("loader: two loops at once, and one epoch twice") {
  const Loader loader = numbers(9, LoaderOptions(2).workers(2), true);
  const auto epoch = loader.epoch(4);
  auto a = epoch.begin();
  auto b = epoch.begin();
  int64_t count = 0;
  for (; a != epoch.end(); ++a, ++b, ++count) {
    CHECK(at::equal(a->images, b->images));
  }
  CHECK(count == 5);
  CHECK(b == epoch.end());
}

TEST_CASE("loader: workers are threads of their own, at work at the same time") {
  std::mutex mutex;
  std::condition_variable both;
  std::set<std::thread::id> ids;
  auto dataset = std::make_shared<Numbers>(8);
  dataset->on_get = [&](int64_t /*index*/) {
    std::unique_lock<std::mutex> lock(mutex);
    ids.insert(std::this_thread::get_id());
    both.notify_all();
    both.wait_for(lock, std::chrono::seconds(30), [&] { return ids.size() >= 2; });
  };
  CHECK(all_batches(Loader(dataset, LoaderOptions(1).workers(2)), 0).size() == 8);
  CHECK(ids.size() == 2);
  CHECK(ids.count(std::this_thread::get_id()) == 0);

  ids.clear();
  dataset->on_get = [&](int64_t /*index*/) { ids.insert(std::this_thread::get_id()); };
  all_batches(Loader(dataset, 3), 0);
  CHECK(ids == std::set<std::thread::id>{std::this_thread::get_id()});
}

TEST_CASE("loader: no graph, with and without workers") {
  struct Weighted : Numbers {
    using Numbers::Numbers;
    Sample get(int64_t index, at::Generator& augmentation) const override {
      Sample sample = Numbers::get(index, augmentation);
      sample.image = sample.image * weight;
      return sample;
    }
    at::Tensor weight = at::full({1}, 2.0F).requires_grad_();
  };
  for (const int64_t workers : {0, 2}) {
    const Loader loader(
        std::make_shared<Weighted>(3), LoaderOptions(3).workers(workers));
    const auto batches = all_batches(loader, 0);
    CHECK(batches[0].images.sum().item<float>() == 2 * 12 * (0 + 1 + 2));
    CHECK_FALSE(batches[0].images.requires_grad());
  }
  CHECK(at::GradMode::is_enabled());
}

TEST_CASE("loader: page-locked memory where there is CUDA, and no effect elsewhere") {
  const auto batches =
      all_batches(numbers(3, LoaderOptions(3).workers(1).pin_memory(true)), 0);
  const bool has_cuda = at::globalContext().hasCUDA();
  CHECK(batches[0].images.is_pinned() == has_cuda);
  CHECK(batches[0].labels.is_pinned() == has_cuda);
  CHECK(same_batches(batches, all_batches(numbers(3, 3), 0)));
}

TEST_CASE("loader: messages") {
  CHECK(error_of<c10::ValueError>([] {
          Loader(nullptr, 3);
        }) == "Loader: expected a data set, got null");
  CHECK(error_of<c10::ValueError>([] {
          numbers(3, 0);
        }) == "Loader: expected batch_size > 0, got 0");
  CHECK(error_of<c10::ValueError>([] {
          numbers(3, LoaderOptions(1).workers(-1));
        }) == "Loader: expected workers >= 0, got -1 (0: no threads)");
  CHECK(error_of<c10::ValueError>([] {
          numbers(3, 1).epoch(-1);
        }) == "Loader::epoch: expected epoch >= 0, got -1");

  const at::Tensor labels = at::zeros({4}, at::kChar);
  const auto collated = [&](const at::Tensor& image, const at::Tensor& other_labels) {
    return error_of<c10::ValueError>([&] {
      trmml::data::collate(
          {{at::zeros({3, 8, 6}), labels, 11}, {image, other_labels, 12}});
    });
  };
  CHECK(
      collated(at::zeros({3, 8, 7}), labels) ==
      "data::collate: expected image of shape [3, 8, 6] and type Float as of picture "
      "11, got [3, 8, 7] and Float of picture 12 (a batch holds one size: resize in "
      "Dataset::get)");
  CHECK(
      collated(at::zeros({3, 8, 6}, at::kByte), labels)
          .find("got [3, 8, 6] and Byte of picture 12") != std::string::npos);
  CHECK(
      collated(at::zeros({3, 8, 6}), at::zeros({5}, at::kChar))
          .find("expected labels of shape [4] and type Char") != std::string::npos);
  CHECK(
      collated(at::zeros({1, 8, 6}), labels) ==
      "data::collate: expected image of shape [3, *, *], got [1, 8, 6]");
  CHECK(
      collated({}, labels) ==
      "data::collate: expected image of shape [3, *, *], got an undefined tensor");
  CHECK(error_of<c10::ValueError>([] {
          trmml::data::collate({});
        }) == "data::collate: expected at least one sample, got none");
}

TEST_CASE(
    "scene data set: pictures, labels, and a mirror image in half of the epochs") {
  const at::Tensor images = at::arange(2 * 4 * 4 * 3).to(at::kByte).view({2, 4, 4, 3});
  const at::Tensor labels =
      at::tensor(at::ArrayRef<int64_t>{1, 0, -1, -1}).to(at::kChar).view({2, 2});
  const auto plain =
      std::make_shared<trmml::data::SceneDataset>(images, labels, /*flip=*/false);
  const auto batches = all_batches(Loader(plain, LoaderOptions(2).shuffle(false)), 0);
  REQUIRE(batches.size() == 1);
  CHECK(at::equal(batches[0].images, images.permute({0, 3, 1, 2})));
  CHECK(at::equal(batches[0].labels, labels));

  const Loader mirrored(
      std::make_shared<trmml::data::SceneDataset>(images, labels, /*flip=*/true),
      LoaderOptions(2).shuffle(false).workers(2));
  int64_t flipped = 0;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    const Batch batch = *mirrored.epoch(epoch).begin();
    for (int64_t i = 0; i < 2; ++i) {
      const at::Tensor image = images[i].permute({2, 0, 1});
      const bool is_flipped = at::equal(batch.images[i], image.flip(2));
      CHECK((is_flipped || at::equal(batch.images[i], image)));
      flipped += is_flipped ? 1 : 0;
    }
  }
  CHECK(flipped > 30);
  CHECK(flipped < 70);

  CHECK(error_of<c10::ValueError>([&] {
          trmml::data::SceneDataset(images, labels.narrow(0, 0, 1));
        }) == "SceneDataset: expected labels of shape [2, *], got [1, 2]");
}
