#pragma once

#include "trmml/core/device.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "support/median.hpp"
#include <malloc.h>

// What the benchmarks share: two ways of doing the same thing run in turn, medians,
// memory, and what the machine can do at all. Each program prints lines for people and,
// with --out FILE, appends one line of JSON a benchmark for `run_all`.

namespace benchmark {

using Body = std::function<void()>;

/// --threads N (1), --runs N (5), --out FILE, --only NAME, --ours (no peer); other
/// words are an error.
struct Options {
  int threads = 1;
  int runs = 5;
  std::string out;
  std::string only;
  bool ours = false;
};

inline Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--ours") {
      options.ours = true;
      continue;
    }
    const char* value = i + 1 < argc ? argv[++i] : nullptr;
    if (value != nullptr && name == "--threads") {
      options.threads = std::atoi(value);
    } else if (value != nullptr && name == "--runs") {
      options.runs = std::max(1, std::atoi(value));
    } else if (value != nullptr && name == "--out") {
      options.out = value;
    } else if (value != nullptr && name == "--only") {
      options.only = value;
    } else {
      fmt::print(
          stderr,
          "usage: {} [--threads N] [--runs N] [--out FILE] [--only NAME] "
          "[--ours]\n",
          argv[0]);
      std::exit(2);
    }
  }
  trmml::set_threads(options.threads);
  fmt::print("{}\n", trmml::describe_backend());
  return options;
}

/// How long `body` takes: with one thread the core's time, for which other programs on
/// the machine do not count; with several the time on the wall.
inline double seconds(const Body& body) {
  if (at::get_num_threads() == 1) {
    const std::clock_t start = std::clock();
    body();
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Largest minus smallest, as a share of the median.
inline double spread(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return (*high - *low) / median(values);
}

/// Entry `key` of /proc/self/status, in MiB; 0 where there is none.
inline double status_mb(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) == 0) {
      return std::atof(line.c_str() + key.size() + 1) / 1024;
    }
  }
  return 0.0;
}

/// Memory that `body` needs at its peak beyond what was resident before, in MiB.
inline double peak_memory_mb(const Body& body) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // forget the peak so far
  const double before = status_mb("VmRSS");
  body();
  return status_mb("VmHWM") - before;
}

/// FLOP/s of a matrix product and of a convolution of friendly sizes, the better one:
/// what this machine reaches at all, in numbers of type `dtype`.
inline double measured_peak(at::ScalarType dtype) {
  const c10::NoGradGuard no_grad;
  constexpr int64_t kSide = 1024;
  constexpr int64_t kChannels = 256;
  constexpr int64_t kPixels = 56;
  const at::Tensor a = at::randn({kSide, kSide}).to(dtype);
  const at::Tensor x = at::randn({1, kChannels, kPixels, kPixels})
                           .to(dtype)
                           .contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor w = at::randn({kChannels, kChannels, 3, 3})
                           .to(dtype)
                           .contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<double> product, convolution;
  for (int i = 0; i < 8; ++i) {
    product.push_back(2.0 * kSide * kSide * kSide / seconds([&] { at::mm(a, a); }));
    convolution.push_back(
        2.0 * 9 * kChannels * kChannels * kPixels * kPixels /
        seconds([&] { at::conv2d(x, w, {}, 1, 1); }));
  }
  fmt::print(
      "{}: matrix product {:.0f} GFLOP/s, convolution {:.0f} GFLOP/s\n",
      toString(dtype),
      *std::max_element(product.begin(), product.end()) / 1e9,
      *std::max_element(convolution.begin(), convolution.end()) / 1e9);
  return std::max(
      *std::max_element(product.begin(), product.end()),
      *std::max_element(convolution.begin(), convolution.end()));
}

/// Two ways of doing the same thing.
struct Pair {
  std::string name;
  Body ours;
  Body peer;
  std::string peer_is;  ///< what the peer does, in words
  double flops = 0.0;   ///< floating-point operations of ours; 0: not counted
  double peak = 0.0;    ///< FLOP/s of the machine, see `measured_peak`
  std::map<std::string, double> more = {};  ///< further numbers for the record
};

/// Prints the numbers of one benchmark, and appends them to --out.
inline void record(
    const std::string& name,
    const std::string& peer_is,
    const std::map<std::string, double>& numbers,
    const Options& options) {
  fmt::print("{} (peer: {}):", name, peer_is);
  for (const auto& [key, value] : numbers) {
    fmt::print(" {} {:.4g}", key, value);
  }
  fmt::print("\n");
  std::fflush(stdout);
  if (options.out.empty()) {
    return;
  }
  std::string json = fmt::format(
      R"({{"name": "{}", "peer": "{}", "backend": "{}", "runs": {})",
      name,
      peer_is,
      trmml::describe_backend(),
      options.runs);
  for (const auto& [key, value] : numbers) {
    json += fmt::format(R"(, "{}": {:.6g})", key, value);
  }
  std::ofstream(options.out, std::ios::app) << json << "}\n";
}

/// Runs both in turn after one run to warm up, and records the medians; with --ours
/// the first alone.
inline void run(const Pair& pair, const Options& options) {
  if (!options.only.empty() && pair.name != options.only) {
    return;
  }
  std::map<std::string, double> numbers = pair.more;
  numbers["peak_memory_mb"] = peak_memory_mb(pair.ours);  // and warms up
  std::vector<double> ours, peer, ratio;
  if (!options.ours) {
    numbers["peer_peak_memory_mb"] = peak_memory_mb(pair.peer);
  }
  for (int i = 0; i < options.runs; ++i) {
    ours.push_back(seconds(pair.ours));
    if (!options.ours) {
      peer.push_back(seconds(pair.peer));
      ratio.push_back(peer.back() / ours.back());
    }
  }
  numbers["ours_seconds"] = median(ours);
  numbers["spread"] = spread(ours);
  if (!options.ours) {
    numbers["peer_seconds"] = median(peer);
    numbers["ratio"] = median(ratio);
    numbers["peer_spread"] = spread(peer);
  }
  if (pair.flops > 0.0) {
    numbers["flops"] = pair.flops / numbers["ours_seconds"];
    numbers["peak_fraction"] = numbers["flops"] / pair.peak;
  }
  record(pair.name, pair.peer_is, numbers, options);
}

}  // namespace benchmark
