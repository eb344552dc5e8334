#include "trmml/report/progress.hpp"

#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

using trmml::report::format_duration;
using trmml::report::Progress;
using trmml::report::ProgressOptions;

namespace {

// Options with a clock that the test moves.
ProgressOptions options_with(double& now, bool is_terminal) {
  ProgressOptions options;
  options.clock = [&now] { return now; };
  options.is_terminal = is_terminal;
  return options;
}

}  // namespace

TEST_CASE("durations") {
  CHECK(format_duration(0.0) == "0:00");
  CHECK(format_duration(59.4) == "0:59");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(723.0) == "12:03");
  CHECK(format_duration(3753.0) == "1:02:33");
  CHECK(format_duration(-5.0) == "0:00");
}

TEST_CASE("elsewhere than on a terminal: a line every tenth") {
  double now = 100.0;
  std::ostringstream out;
  Progress progress("epoch 1", 40, out, options_with(now, false));
  for (int step = 1; step <= 40; ++step) {
    now += 0.1;
    progress.advance(1, "loss 0.5");
  }
  progress.finish();
  progress.finish();  // once is enough
  progress.update(3);
  const std::string expected =
      "epoch 1: 4/40 steps (10%), 10.0 steps/s, 0:04 left, loss 0.5\n"
      "epoch 1: 8/40 steps (20%), 10.0 steps/s, 0:03 left, loss 0.5\n"
      "epoch 1: 12/40 steps (30%), 10.0 steps/s, 0:03 left, loss 0.5\n"
      "epoch 1: 16/40 steps (40%), 10.0 steps/s, 0:02 left, loss 0.5\n"
      "epoch 1: 20/40 steps (50%), 10.0 steps/s, 0:02 left, loss 0.5\n"
      "epoch 1: 24/40 steps (60%), 10.0 steps/s, 0:02 left, loss 0.5\n"
      "epoch 1: 28/40 steps (70%), 10.0 steps/s, 0:01 left, loss 0.5\n"
      "epoch 1: 32/40 steps (80%), 10.0 steps/s, 0:01 left, loss 0.5\n"
      "epoch 1: 36/40 steps (90%), 10.0 steps/s, 0:00 left, loss 0.5\n"
      "epoch 1: 40/40 steps (100%), 10.0 steps/s, 0:04 in all, loss 0.5\n";
  CHECK(out.str() == expected);
}

TEST_CASE("elsewhere than on a terminal: slow work shows a line every ten seconds") {
  double now = 0.0;
  std::ostringstream out;
  ProgressOptions options = options_with(now, false);
  options.unit = "images";
  options.initial = 100;  // a resumed run: these took no time
  Progress progress("features", 1000, out, options);
  for (int i = 0; i < 6; ++i) {
    now += 4.0;
    progress.advance();
  }
  CHECK(
      out.str() ==
      "features: 103/1000 images (10%), 4.0 s each, 59:48 left\n"
      "features: 106/1000 images (10%), 4.0 s each, 59:36 left\n");
  progress.message("picture 7 is unreadable");
  CHECK(out.str().find("\npicture 7 is unreadable\n") != std::string::npos);
}

TEST_CASE("on a terminal: one line drawn over and over") {
  double now = 0.0;
  std::ostringstream out;
  {
    Progress progress("train", 1000, out, options_with(now, true));
    now = 10.0;
    progress.update(420, "loss 0.1");
    CHECK(
        out.str() ==
        "\rtrain  42% [========>             ] 420/1000  42.0 steps/s  0:14 left"
        "  loss 0.1\x1b[K");  // as much bar as there is room for
    const std::size_t drawn = out.str().size();
    now += 0.05;
    progress.update(421);
    CHECK(out.str().size() == drawn);  // too soon
    progress.message("saved");
    CHECK(out.str().substr(drawn, 9) == "\rsaved\x1b[K");
    now = 20.0;
    progress.update(1000);
    progress.finish();
  }
  const std::string last =
      "\rtrain 100% [============================] 1000/1000  50.0 steps/s  0:20 in all"
      "\x1b[K\n";
  const std::string text = out.str();
  REQUIRE(text.size() > last.size());
  CHECK(text.substr(text.size() - last.size()) == last);
}

TEST_CASE("narrow terminals have no room for a bar") {
  double now = 0.0;
  std::ostringstream out;
  ProgressOptions options = options_with(now, true);
  options.columns = 40;
  Progress progress("train", 10, out, options);
  now = 10.0;
  progress.update(5);
  CHECK(out.str() == "\rtrain  50% 5/10  2.0 s each  0:10 left\x1b[K");
  now = 11.0;
  progress.update(5, "loss 0.5");  // no line ever wraps
  CHECK(
      out.str().substr(out.str().rfind('\r')) ==
      "\rtrain  50% 5/10  2.2 s each  0:11 left \x1b[K");
}

TEST_CASE("a long note is cut off, and leaves the bar a little room") {
  double now = 0.0;
  std::ostringstream out;
  ProgressOptions options = options_with(now, true);
  options.columns = 60;
  Progress progress("train", 10, out, options);
  now = 10.0;
  progress.update(5, "loss 0.512 (classification 0.40)");
  CHECK(
      out.str() ==
      "\rtrain  50% [===>    ] 5/10  2.0 s each  0:10 left  loss 0.5\x1b[K");
}

TEST_CASE("work of unknown length") {
  double now = 0.0;
  std::ostringstream out;
  Progress progress("reading", 0, out, options_with(now, false));
  now = 12.0;
  progress.update(6000);
  now = 65.0;
  progress.finish();
  CHECK(
      out.str() ==
      "reading: 6000 steps, 500 steps/s, 0:12\n"
      "reading: 6000 steps, 92.3 steps/s, 1:05 in all\n");
}

TEST_CASE("a bar that is not finished ends its line") {
  double now = 0.0;
  std::ostringstream out;
  {
    Progress progress("train", 10, out, options_with(now, true));
    progress.update(1);
  }
  REQUIRE(!out.str().empty());
  CHECK(out.str().back() == '\n');
  CHECK(out.str().find("in all") == std::string::npos);
}

TEST_CASE("a file is no terminal: no control characters") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    Progress progress("train", 2, file);
    progress.advance();
    progress.finish();
  }
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    text += static_cast<char>(c);
  }
  std::fclose(file);
  CHECK(text.rfind("train: 1/2 steps (50%)", 0) == 0);
  CHECK(text.find('\r') == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("options are set by name") {
  // (without a warning about the others)
  std::ostringstream out;
  Progress progress("a", 1, out, {.unit = "images"});
  progress.finish();
  CHECK(out.str().rfind("a: 0/1 images (0%), ", 0) == 0);
}

TEST_CASE("wrong totals and streams") {
  std::ostringstream out;
  CHECK_THROWS_AS(Progress("a", -1, out), std::invalid_argument);
  CHECK_THROWS_AS(
      Progress("a", 1, static_cast<std::FILE*>(nullptr)), std::invalid_argument);
}
