#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/resume_run.hpp"
#include "training/toy_problem.hpp"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// A run that is killed, or that has no room for its state, and goes on: bit for bit, on
// one thread.

using namespace resumed;
using support::TemporaryFolder;

namespace {

/// Names of the temporary files of a save in `folder`.
std::vector<std::string> temporaries(const TemporaryFolder& folder) {
  std::vector<std::string> found;
  for (const std::string& name : folder.names()) {
    if (name.find(".last.safetensors.tmp-") == 0) {
      found.push_back(name);
    }
  }
  return found;
}

/// Trains in a child process; ends it with status 0 when the run is complete.
pid_t train_in_child(
    const Setting& setting,
    const fs::path& folder,
    uint64_t seed,
    const TrainerCallbacks& callbacks = {}) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      train(setting, folder, seed, callbacks);
    } catch (...) {
      status = 9;
    }
    ::_exit(status);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// The number of the file behind a name; 0 when there is none. A save changes it.
ino_t inode(const fs::path& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

bool has_ended(pid_t child) {
  siginfo_t info = {};
  return ::waitid(
             P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) ==
             0 &&
         info.si_pid == child;
}

/// Polls until `done` or the child has ended by itself.
template <typename Done>
void wait_until(pid_t child, Done&& done) {
  while (!done() && !has_ended(child)) {
    ::usleep(50);
  }
}

/// The state under its final name, if there is one: whole, whatever happened.
void check_readable(const fs::path& path) {
  if (fs::exists(path)) {
    CHECK_NOTHROW(trmml::io::read_safetensors(path));
  }
}

Setting save_every_step() {
  Setting setting;
  setting.trainer.checkpoint_every(1);
  return setting;
}

}  // namespace

TEST_CASE("killed: between steps and inside saves, the end is the same") {
  const Setting setting = save_every_step();
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  const fs::path state = parts / kState;

  std::mt19937 random(7);
  int kills = 0;
  int in_a_save = 0;
  uint64_t seed = 3;
  constexpr int kAttempts = 9;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const ino_t before = inode(state);
    const pid_t child = train_in_child(setting, parts.path(), seed++);
    REQUIRE(child > 0);
    // It made progress: what the one before it left is gone.
    wait_until(child, [&] { return inode(state) != before; });
    if (attempt % 2 == 0) {
      ::usleep(random() % 6000);
    } else {
      wait_until(child, [&] { return !temporaries(parts).empty(); });
    }
    ::kill(child, SIGKILL);
    const int status = wait_for(child);
    kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    in_a_save += temporaries(parts).empty() ? 0 : 1;
    check_readable(state);
  }
  CHECK(kills >= 4);
  INFO("killed " << kills << " times, " << in_a_save << " of them inside a save");
  check_same(train(setting, parts.path(), seed), expected);
  CHECK(temporaries(parts).empty());
}

TEST_CASE("killed: half a state is written, the one before stays") {
  const Setting setting = save_every_step();
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  const rlim_t half = expected.state.size() / 2;
  constexpr int64_t kLastGood = 5;

  // From step 6 on the system ends the process when its file grows beyond a half.
  int64_t last = 0;
  TrainerCallbacks callbacks;
  callbacks.step_end = [&last](const StepReport& report) { last = report.step; };
  callbacks.should_stop = [&last, half] {
    if (last == kLastGood) {
      const rlimit no_core = {0, 0};
      const rlimit short_files = {half, half};
      ::signal(SIGXFSZ, SIG_DFL);
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::setrlimit(RLIMIT_FSIZE, &short_files);
    }
    return false;
  };
  const int status = wait_for(train_in_child(setting, parts.path(), 3, callbacks));
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGXFSZ);

  const auto stale = temporaries(parts);
  REQUIRE(stale.size() == 1);
  CHECK(fs::file_size(parts / stale[0]) == half);
  const auto state = trmml::io::read_safetensors(parts / kState);
  CHECK(state.metadata.at("epoch") == "1");
  CHECK(state.metadata.at("step") == "1");
  check_same(train(setting, parts.path(), 55), expected);
  CHECK(temporaries(parts).empty());  // its process is gone
}

TEST_CASE("killed: what others left under the temporary's name does not matter") {
  const Setting setting = save_every_step();
  const TemporaryFolder a;
  const TemporaryFolder b;
  const End expected = train(setting, a.path());
  for (int i = 0; i < 2000; i += 7) {  // in the way of some of the coming saves
    support::write_bytes(
        b / fmt::format(".last.safetensors.tmp-{}-{}", ::getpid(), i), "half a sta");
  }
  const size_t before = temporaries(b).size();
  check_same(train(setting, b.path()), expected);
  CHECK(temporaries(b).size() == before);
}

// ---------------------------------------------------------------- no room

TEST_CASE("no room: an error, and both states stay as they were") {
  const Setting setting = save_every_step();
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  const auto bytes = [&parts](const char* name) {
    return support::read_bytes(parts / name);
  };
  rlimit before = {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  std::string last;
  std::string previous;
  TrainerCallbacks callbacks;
  callbacks.step_end = [&](const StepReport& report) {
    if (report.step == 5) {
      last = bytes(kState);
      previous = bytes("previous.safetensors");
      const rlimit half = {last.size() / 2, before.rlim_max};
      ::setrlimit(RLIMIT_FSIZE, &half);
    }
  };
  const std::string message = support::error_of<trmml::WriteError>(
      [&] { train(setting, parts.path(), 3, callbacks); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  CHECK(
      message ==
      "cannot write '" + (parts / kState).string() +
          "': write: File too large (what was there before is unchanged; allow larger "
          "files, see ulimit -f, and start again)");
  const bool is_same =
      bytes(kState) == last && bytes("previous.safetensors") == previous;
  CHECK(is_same);
  CHECK(last != previous);
  CHECK(parts.names() == std::vector<std::string>{kState, "previous.safetensors"});
  check_same(train(setting, parts.path(), 55), expected);
}
