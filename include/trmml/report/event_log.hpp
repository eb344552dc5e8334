#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace trmml::io {
class AppendFile;
}

namespace trmml::report {

/// Options for `EventLog`.
struct EventLogOptions {
  /// A resumed run: the first step that it does again, >= 0. TensorBoard then drops
  /// what earlier files of the folder hold for this step and later ones.
  std::optional<std::int64_t> purge_step = {};

  /// Seconds since 1970; empty: the system's clock. For tests.
  std::function<double()> clock = {};
};

/// Writes an event file that TensorBoard opens:
/// `events.out.tfevents.TIME.HOST.PID.N` in a folder, whose name is the run's.
///
/// Every call appends one whole record at once, so a process that is killed loses at
/// most the record it was writing, and TensorBoard, which may be watching, passes over
/// a record that is cut off. Each log is a file of its own; its name sorts behind those
/// that are there, which is the order in which TensorBoard reads them.
///
/// Not for several threads at once. Throws `trmml::WriteError` (path, reason) when the
/// folder is missing or the disk is full, and `std::invalid_argument` for an empty tag
/// or a negative step. Bytes that are not UTF-8 are replaced.
///
/// Example:
/// ```
/// EventLog log("runs/a");
/// log.scalar("loss/total", 0.25, epoch);
/// log.text("options", "`--seed 3`", 0);
/// ```
class EventLog {
 public:
  explicit EventLog(
      const std::filesystem::path& folder,
      const EventLogOptions& options = {});
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// A point of a curve, kept as float. A "/" in the tag makes groups.
  void scalar(std::string_view tag, double value, std::int64_t step);

  /// Where `values` lie: 30 buckets of equal width from the smallest to the largest.
  /// Values that are not finite are left out.
  void
  histogram(std::string_view tag, std::span<const float> values, std::int64_t step);

  /// Markdown, with tables.
  void text(std::string_view tag, std::string_view markdown, std::int64_t step);

  /// Waits until everything is on the disk, so that a power cut loses nothing.
  void flush();

  const std::filesystem::path& path() const;

 private:
  void write_event(std::int64_t step, std::uint32_t field, std::string_view content);
  void write_value(
      std::string_view tag,
      std::int64_t step,
      std::string_view value,
      std::string_view metadata);

  std::function<double()> clock_;
  std::unique_ptr<io::AppendFile> file_;
};

}  // namespace trmml::report
