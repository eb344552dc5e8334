#include "trmml/report/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace trmml::report {

namespace {

constexpr int kDefaultColumns = 80;
constexpr int kMaxBarWidth = 28;
constexpr int kMinBarWidth = 8;  // with less room the bar is left out
constexpr std::string_view kClearToEnd = "\x1b[K";

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

bool is_smart_terminal(std::FILE* stream) {
  const char* term = std::getenv("TERM");
  const bool is_dumb = term == nullptr || std::string_view(term) == "dumb";
  return !is_dumb && isatty(fileno(stream)) == 1;
}

int terminal_columns(std::FILE* stream) {
  winsize size{};
  const bool is_known =
      ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kDefaultColumns;
}

int whole_percent(std::int64_t done, std::int64_t total) {
  // Rounded down: 100 % means done.
  return static_cast<int>(
      100.0 * static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

Progress::Progress(
    std::string label,
    std::int64_t total,
    std::FILE* stream,
    ProgressOptions options)
    : label_(std::move(label)), total_(total), options_(std::move(options)) {
  if (stream == nullptr) {
    throw std::invalid_argument("Progress: expected a stream, got a null pointer");
  }
  is_terminal_ = options_.is_terminal.value_or(is_smart_terminal(stream));
  columns_ = options_.columns > 0 ? options_.columns : terminal_columns(stream);
  write_ = [stream](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
  };
  start();
}

Progress::Progress(
    std::string label,
    std::int64_t total,
    std::ostream& stream,
    ProgressOptions options)
    : label_(std::move(label)), total_(total), options_(std::move(options)) {
  is_terminal_ = options_.is_terminal.value_or(false);
  columns_ = options_.columns > 0 ? options_.columns : kDefaultColumns;
  write_ = [&stream](std::string_view text) {
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.flush();
  };
  start();
}

void Progress::start() {
  if (total_ < 0 || options_.initial < 0) {
    throw std::invalid_argument(fmt::format(
        "Progress: expected total and initial of 0 or more, got {} and {}",
        total_,
        options_.initial));
  }
  if (!options_.clock) {
    options_.clock = steady_seconds;
  }
  started_ = options_.clock();
  done_ = last_done_ = options_.initial;
  last_time_ = started_;
}

Progress::~Progress() {
  if (is_line_open_ && !is_finished_) {
    write_("\n");
  }
}

void Progress::update(std::int64_t done, std::string_view note) {
  if (is_finished_) {
    return;
  }
  done_ = done;
  note_ = note;
  const double since = options_.clock() - last_time_;
  bool is_due = false;
  if (is_terminal_) {
    is_due = !is_line_open_ || since >= options_.refresh_seconds;
  } else {
    const double share = total_ > 0 ? static_cast<double>(done_ - last_done_) /
                                          static_cast<double>(total_)
                                    : 0.0;
    // The tolerance lets ten steps of a tenth be ten lines in spite of rounding.
    is_due = since >= options_.line_seconds || share >= options_.line_share - 1e-9;
    is_due = is_due && (total_ == 0 || done_ < total_);  // the last line is finish's
  }
  if (is_due) {
    draw(note_, false);
  }
}

void Progress::advance(std::int64_t steps, std::string_view note) {
  update(done_ + steps, note);
}

void Progress::message(std::string_view line) {
  if (is_line_open_) {
    write_(fmt::format("\r{}{}\n", line, kClearToEnd));
    draw(note_, false);
  } else {
    write_(fmt::format("{}\n", line));
  }
}

void Progress::finish(std::string_view note) {
  if (is_finished_) {
    return;
  }
  draw(note.empty() ? std::string_view(note_) : note, true);
  if (is_line_open_) {
    write_("\n");
  }
  is_finished_ = true;
  is_line_open_ = false;
}

void Progress::draw(std::string_view note, bool is_last) {
  if (is_terminal_) {
    write_(fmt::format("\r{}{}", bar_line(note, is_last), kClearToEnd));
    is_line_open_ = true;
  } else {
    write_(plain_line(note, is_last) + "\n");
  }
  last_time_ = options_.clock();
  last_done_ = done_;
}

// "12.3 steps/s", "4.1 s each", or nothing before the first step.
std::string Progress::rate_text(double seconds) const {
  const auto steps = static_cast<double>(done_ - options_.initial);
  if (steps <= 0.0 || seconds <= 0.0) {
    return "";
  }
  const double rate = steps / seconds;
  if (rate >= 100.0) {
    return fmt::format("{:.0f} {}/s", rate, options_.unit);
  }
  return rate >= 1.0 ? fmt::format("{:.1f} {}/s", rate, options_.unit)
                     : fmt::format("{:.1f} s each", 1.0 / rate);
}

// "0:47 left", at the end "1:22 in all".
std::string Progress::time_text(double seconds, bool is_last) const {
  const auto steps = static_cast<double>(done_ - options_.initial);
  if (is_last) {
    return format_duration(seconds) + " in all";
  }
  if (total_ == 0) {
    return format_duration(seconds);
  }
  if (steps <= 0.0) {
    return "";
  }
  const auto left = static_cast<double>(std::max<std::int64_t>(0, total_ - done_));
  return format_duration(seconds / steps * left) + " left";
}

// The note gives way before the bar does.
std::string Progress::bar_line(std::string_view note, bool is_last) const {
  const double seconds = options_.clock() - started_;
  std::string head = label_;
  std::string tail = total_ > 0 ? fmt::format("{}/{}", done_, total_)
                                : fmt::format("{} {}", done_, options_.unit);
  for (const std::string& part : {rate_text(seconds), time_text(seconds, is_last)}) {
    if (!part.empty()) {
      tail += "  " + part;
    }
  }
  const std::string end = note.empty() ? "" : fmt::format("  {}", note);
  // A line that wraps could not be drawn over: it ends before the last column.
  const int width = std::max(1, columns_ - 1);
  if (total_ > 0) {
    head += fmt::format(" {:3}%", whole_percent(done_, total_));
    const int room = width - static_cast<int>(head.size() + tail.size()) - 4;
    if (room >= kMinBarWidth) {
      const int beside_note = room - static_cast<int>(end.size());
      head += " " + bar_text(std::clamp(beside_note, kMinBarWidth, kMaxBarWidth));
    }
  }
  return (head + " " + tail + end).substr(0, static_cast<std::size_t>(width));
}

// "[=====>     ]", `width` characters between the brackets.
std::string Progress::bar_text(int width) const {
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const int filled = std::clamp(static_cast<int>(share * width), 0, width);
  std::string bar(static_cast<std::size_t>(filled), '=');
  if (filled > 0 && filled < width) {
    bar.back() = '>';
  }
  return fmt::format("[{:<{}}]", bar, width);
}

std::string Progress::plain_line(std::string_view note, bool is_last) const {
  const double seconds = options_.clock() - started_;
  std::string line = total_ > 0
                         ? fmt::format(
                               "{}: {}/{} {} ({}%)",
                               label_,
                               done_,
                               total_,
                               options_.unit,
                               whole_percent(done_, total_))
                         : fmt::format("{}: {} {}", label_, done_, options_.unit);
  for (const std::string& part :
       {rate_text(seconds), time_text(seconds, is_last), std::string(note)}) {
    if (!part.empty()) {
      line += ", " + part;
    }
  }
  return line;
}

}  // namespace trmml::report
