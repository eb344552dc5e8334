#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace trmml::report {

/// Options for `Progress`.
struct ProgressOptions {
  /// What is counted, in the plural.
  std::string unit = "steps";

  /// Where counting starts (a resumed run): not part of the rate.
  std::int64_t initial = 0;

  /// Seconds between two redraws of the bar on a terminal.
  double refresh_seconds = 0.1;

  /// Elsewhere, a line is written after this many seconds ...
  double line_seconds = 10.0;

  /// ... or after this share of the whole, whichever comes first.
  double line_share = 0.1;

  /// Whether a bar may be drawn; not set: asked of the stream (an `std::ostream` is
  /// never taken for a terminal), and no if the variable TERM is "dumb".
  std::optional<bool> is_terminal = {};

  /// Width of the terminal in characters; 0: asked of it, 80 if it does not say.
  int columns = 0;

  /// The time in seconds; not set: a steady clock.
  std::function<double()> clock = {};
};

/// Shows how far a long piece of work has come: on a terminal a bar with rate and time
/// left, elsewhere (a file, a pipe) a plain line from time to time. No colours, no
/// control characters but the terminal's own line redrawing. For one thread.
///
/// Example:
/// ```
/// Progress progress("epoch 1", n_batches, stderr, {.unit = "batches"});
/// for (...) { ...; progress.advance(1, fmt::format("loss {:.3f}", loss)); }
/// progress.finish();
/// ```
/// draws
/// ```
/// epoch 1  42% [======>         ] 420/1000  12.3 batches/s  0:47 left  loss 0.123
/// ```
class Progress {
 public:
  /// `total` is the number of steps, or 0 if nobody knows it. The stream must outlive
  /// this object. Throws `std::invalid_argument` on a negative number or no stream.
  Progress(
      std::string label,
      std::int64_t total,
      std::FILE* stream,
      ProgressOptions options = {});
  Progress(
      std::string label,
      std::int64_t total,
      std::ostream& stream,
      ProgressOptions options = {});

  /// Ends the line, without claiming that the work was finished.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` steps are done; `note` stands at the end of the line.
  void update(std::int64_t done, std::string_view note = {});

  /// `steps` more are done.
  void advance(std::int64_t steps = 1, std::string_view note = {});

  /// A line of its own, above the bar.
  void message(std::string_view line);

  /// The last line, with the time that all of it took. Later calls do nothing.
  void finish(std::string_view note = {});

 private:
  void start();
  void draw(std::string_view note, bool is_last);
  std::string bar_line(std::string_view note, bool is_last) const;
  std::string bar_text(int width) const;
  std::string plain_line(std::string_view note, bool is_last) const;
  std::string rate_text(double seconds) const;
  std::string time_text(double seconds, bool is_last) const;

  std::string label_;
  std::int64_t total_;
  ProgressOptions options_;
  std::function<void(std::string_view)> write_;
  bool is_terminal_ = false;
  int columns_ = 80;
  double started_ = 0.0;
  std::int64_t done_ = 0;
  double last_time_ = 0.0;      // of the last line or redraw
  std::int64_t last_done_ = 0;  // at the last line
  std::string note_;
  bool is_line_open_ = false;  // a bar stands on the terminal's current line
  bool is_finished_ = false;
};

/// Seconds as "0:47", "12:03" or "1:02:33".
std::string format_duration(double seconds);

}  // namespace trmml::report
