// compare_checkpoints FOLDER...
//
// For every folder that clip_checkpoints.py has filled: loads each checkpoint and
// compares features, dense maps and a prompt's gradient with the reference
// implementation's. Prints a row a checkpoint with the largest relative difference, the
// time to load and the largest resident memory while loading, as a multiple of the
// weights. Exit status 1 when a difference is above 2e-4, or the memory above 1.3.

#include "trmml/core/device.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "clip/compare_clip.hpp"
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr double kTolerance = 2e-4;
constexpr double kMemory = 1.3;  // of weights that dwarf what LibTorch itself takes:
constexpr double kLarge = 2e8;   // bytes

/// Bytes of a line of /proc/self/status.
double status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) {
      return std::stod(line.substr(key.size() + 1)) * 1024;
    }
  }
  return 0;
}

/// In a process of its own, so that the memory of one case is not seen in the next.
int run_case(const std::filesystem::path& folder, const support::ClipCase& item) {
  const double before = status_bytes("VmRSS:");
  const auto start = std::chrono::steady_clock::now();
  trmml::clip::LoadedClip clip =
      trmml::clip::load_clip(folder / item.file, item.options);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double weights = 0;
  for (const auto& parameter : clip.model->parameters()) {
    weights += static_cast<double>(parameter.nbytes());
  }
  const double peak = status_bytes("VmHWM:") - before;
  const auto reference = trmml::io::read_safetensors(folder / "reference.safetensors");
  const auto differences =
      support::compare_clip(*clip.model, reference, item.reference);
  const auto worst = std::max_element(
      differences.begin(), differences.end(), [](const auto& a, const auto& b) {
        return a.value < b.value;
      });
  fmt::print(
      "| {} | {} | {} | {} | {} | {:.1e} ({}) | {:.1f} s | {:.2f} |\n",
      clip.architecture,
      clip.format,
      clip.names,
      item.reference,
      differences.size(),
      worst->value,
      worst->output,
      seconds,
      peak / weights);
  fmt::print(stderr, "{}\n", clip.description);
  for (const auto& [output, value] : differences) {
    fmt::print(stderr, "    {:18} {:.1e}\n", output, value);
  }
  std::fflush(stdout);
  const bool is_close = !differences.empty() && worst->value <= kTolerance;
  const bool is_small = weights < kLarge || peak <= kMemory * weights;
  return is_close && is_small ? 0 : 1;
}

int run_in_child(const std::filesystem::path& folder, const support::ClipCase& item) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      trmml::set_threads(0);
      status = run_case(folder, item);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}: {}\n", item.file, error.what());
    }
    std::fflush(stdout);
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int failures = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path folder = argv[i];
    std::vector<support::ClipCase> cases;
    try {
      cases = support::clip_cases(
          trmml::io::read_safetensors(folder / "reference.safetensors"));
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
      return 2;
    }
    for (const support::ClipCase& item : cases) {
      failures += run_in_child(folder, item);
    }
  }
  return failures == 0 ? 0 : 1;
}
