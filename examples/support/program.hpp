#pragma once

#include "trmml/core/error.hpp"

#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>
#if defined(__GLIBC__)
#  include <malloc.h>
#endif

// What every program of this folder shares: exit statuses, signals, what it says.

namespace program {

enum ExitStatus {
  kDone = 0,
  kFault = 1,        // a fault of ours
  kUsage = 2,        // options that are wrong or contradict each other
  kData = 3,         // data unreadable or wrong
  kCheckpoint = 4,   // weights or state unreadable or wrong
  kInterrupted = 5,  // stopped by a signal, state saved
  kOutput = 6,       // a file cannot be written, e.g. the disk is full
};

/// What `--help` says of them, at the end.
inline constexpr const char* kExitStatuses =
    "Exit status: 0 done, 1 a fault of the program, 2 wrong options, 3 data and 4\n"
    "weights or a state that cannot be read or do not fit, 5 stopped by a signal, 6 a\n"
    "file that cannot be written.\n";

/// Options that contradict each other; ends with `kUsage`.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option that is given and would change nothing; ends with `kUsage`.
class NoEffect : public UsageError {
 public:
  NoEffect(std::string flag, const std::string& message)
      : UsageError(message), flag_(std::move(flag)) {}
  const std::string& flag() const { return flag_; }  ///< "--heads"

 private:
  std::string flag_;
};

/// A line on the standard output, there at once.
inline void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

/// What `body` returns. To the message of an `Error` that it throws, which comes from
/// the library, it adds the option that is meant there.
template <typename Error, typename Body>
auto with_flag(const std::string& flag, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(fmt::format("{}; see {}", error.what(), flag));
  }
}

inline std::atomic<bool>& stop_flag() {
  static std::atomic<bool> flag{false};
  return flag;
}

/// SIGINT and SIGTERM ask for an orderly stop; a second one ends at once.
inline void catch_signals() {
  const auto handler = [](int signal) {
    if (stop_flag().exchange(true)) {
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
  };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

/// Keeps freed memory for the next tensor instead of giving every large block back to
/// the kernel: a step of training allocates and frees the same blocks again and again,
/// and on FashionScenes fresh pages took 40 % of the time.
inline void keep_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

/// Makes the folder `--out`, unless it is there. Throws `UsageError` when a file is in
/// its place, and `trmml::WriteError` when it cannot be made.
void make_folder(const std::filesystem::path& folder);

/// A state is neither overwritten nor made up.
inline void check_resume(const std::filesystem::path& state, bool resume) {
  std::error_code error;
  const bool exists = std::filesystem::exists(state, error);
  if (exists && !resume) {
    throw UsageError(fmt::format(
        "--out: {} holds the state of a run (continue it with --resume, or name "
        "another folder)",
        state.parent_path().string()));
  }
  if (!exists && resume) {
    throw UsageError(fmt::format(
        "--resume: expected {}, got no such file (start without --resume)",
        state.string()));
  }
}

/// Runs `body` and turns what it throws into one sentence and an exit status.
template <typename Body>
int run(const char* name, Body&& body) {
  const auto fail = [name](const char* message, int status) {
    std::fprintf(stderr, "%s: %s\n", name, message);
    return status;
  };
  const auto fail_output = [&fail] {
    return fail("cannot write to the standard output (is its disk full?)", kOutput);
  };
  keep_memory();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error, not an end
  try {
    body();
    const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    return is_written ? kDone : fail_output();
  } catch (const UsageError& error) {
    return fail(error.what(), kUsage);
  } catch (const trmml::Interrupted& error) {
    return fail(error.what(), kInterrupted);
  } catch (const trmml::CheckpointError& error) {
    return fail(error.what(), kCheckpoint);
  } catch (const trmml::DataError& error) {
    return fail(error.what(), kData);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(error.what(), kData);
  } catch (const trmml::WriteError& error) {
    return fail(error.what(), kOutput);
  } catch (const c10::ValueError& error) {
    return fail(error.what_without_backtrace(), kUsage);
  } catch (const c10::Error& error) {
    return fail(error.what_without_backtrace(), kFault);
  } catch (const std::exception& error) {
    return std::ferror(stdout) != 0 ? fail_output() : fail(error.what(), kFault);
  }
}

/// Refuses numbers for which `holds` is false, NaN among them: "expected WHAT, got
/// ...".
inline CLI::Validator expects(
    const std::string& what,
    const std::function<bool(double)>& holds) {
  return CLI::Validator(
      [what, holds](std::string& text) -> std::string {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        const bool is_number = !text.empty() && *end == '\0';  // else CLI11 complains
        return !is_number || holds(value)
                   ? ""
                   : fmt::format("expected {}, got {}", what, text);
      },
      what);
}

inline CLI::Validator at_least(double least) {
  return expects(fmt::format("{:g} or more", least), [least](double value) {
    return value >= least;
  });
}

/// Whether two texts are the same value of an option: "0.10" is 0.1, "true" is 1.
bool same_value(const std::string& one, const std::string& other);

/// Whether an option is given, and not just what it is anyway (as all options are in a
/// written config.toml).
inline bool is_given(const CLI::App& app, const std::string& flag) {
  const CLI::Option* option = app.get_option_no_throw(flag);
  if (option == nullptr || option->count() == 0) {
    return false;
  }
  const bool is_flag = option->get_expected_min() == 0;
  const std::string& value = option->results().front();
  return !same_value(value, option->get_default_str()) &&
         !(is_flag && same_value(value, "false"));
}

/// Refuses options that are given and change nothing; `what` would let them.
inline void expect_effect(
    const CLI::App& app,
    bool has_effect,
    const std::vector<std::string>& flags,
    const std::string& what) {
  for (const std::string& flag : flags) {
    if (!has_effect && is_given(app, flag)) {
      throw NoEffect(
          flag, fmt::format("{}: expected {} (it would have no effect)", flag, what));
    }
  }
}

/// Refuses a file to be written whose name ends with none of `endings` (".csv");
/// nothing is no file.
void check_ending(
    const std::string& flag,
    const std::filesystem::path& path,
    const std::vector<std::string>& endings);

/// The same, and also where no file can be made, as a `trmml::WriteError`: for files
/// that are written after a long time.
void check_output(
    const std::string& flag,
    const std::filesystem::path& path,
    const std::vector<std::string>& endings);

/// No option of ours takes NaN or infinity.
void check_finite(const CLI::App& app);

/// Parses the command line; `--help`, `--version` and mistakes end the program with 0
/// and 2.
void parse(CLI::App& app, int argc, char** argv);

}  // namespace program
