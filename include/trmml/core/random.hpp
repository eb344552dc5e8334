#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml {

/// A well-mixed 64-bit seed for one purpose of one epoch of one run (ours: FNV-1a over
/// the purpose, then the finaliser of SplitMix64). The same three arguments give the
/// same seed on every machine.
inline uint64_t derive_seed(uint64_t seed, uint64_t epoch, std::string_view purpose) {
  uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](uint64_t byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (const char c : purpose) {
    mix(static_cast<unsigned char>(c));
  }
  for (int shift = 0; shift < 64; shift += 8) {
    mix((seed >> shift) & 255U);
    mix((epoch >> shift) & 255U);
  }
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

/// A CPU generator of its own, seeded by `derive_seed`: the global generator, which is
/// shared with everybody's code, is neither read nor shifted.
inline at::Generator
make_generator(uint64_t seed, uint64_t epoch, std::string_view purpose) {
  return at::make_generator<at::CPUGeneratorImpl>(derive_seed(seed, epoch, purpose));
}

/// An engine seeded with the next output of a CPU generator, which is thereby shifted:
/// for code that draws without LibTorch, the same numbers on every machine.
inline std::mt19937 make_engine(at::Generator& generator) {
  TORCH_CHECK_VALUE(
      generator.defined() && generator.device().is_cpu(),
      "make_engine: expected a generator of the CPU");
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return std::mt19937(generator.get<at::CPUGeneratorImpl>()->random());
}

/// The permutation of 0 .. n-1 that belongs to an epoch: sorted by the outputs of
/// `std::mt19937_64`, the same on every machine and every version of LibTorch.
inline std::vector<int64_t> epoch_order(int64_t n, uint64_t seed, uint64_t epoch) {
  std::mt19937_64 engine(derive_seed(seed, epoch, "order"));
  std::vector<std::pair<uint64_t, int64_t>> keys;
  keys.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    keys.emplace_back(engine(), i);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<int64_t> order;
  order.reserve(keys.size());
  for (const auto& [key, index] : keys) {
    order.push_back(index);
  }
  return order;
}

// What follows reproduces NumPy's legacy generator (`numpy.random.RandomState`), bit
// for bit, from the raw outputs of `std::mt19937`: the published protocols of missing
// labels are defined by it.

/// `RandomState.random_sample`: a double in [0, 1) with 53 random bits; two outputs.
inline double legacy_uniform(std::mt19937& engine) {
  const uint32_t a = static_cast<uint32_t>(engine()) >> 5;
  const uint32_t b = static_cast<uint32_t>(engine()) >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

/// An integer in [0, max] by masked rejection, as `RandomState.shuffle` and
/// `RandomState.randint` draw it (`max` below 2^32; no output is used when it is 0).
inline uint32_t legacy_interval(std::mt19937& engine, uint32_t max) {
  if (max == 0) {
    return 0;
  }
  uint32_t mask = max;
  for (int shift = 1; shift < 32; shift *= 2) {
    mask |= mask >> shift;
  }
  uint32_t value = 0;
  do {
    value = static_cast<uint32_t>(engine()) & mask;
  } while (value > max);
  return value;
}

/// `RandomState.shuffle`: Fisher-Yates from the last element down.
template <typename Vector>
void legacy_shuffle(std::mt19937& engine, Vector& values) {
  for (size_t i = values.size(); i-- > 1;) {
    const size_t j = legacy_interval(engine, static_cast<uint32_t>(i));
    std::swap(values[i], values[j]);
  }
}

}  // namespace trmml
