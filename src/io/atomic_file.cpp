#include "trmml/io/atomic_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <system_error>

#include "write_failure.hpp"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trmml::io {

namespace {

constexpr size_t kBufferSize = size_t{1} << 18;
// A temporary's name must stay below the 255 bytes that file systems allow.
constexpr size_t kNameInTemporary = 200;
// Between the name and the process in a temporary's name.
constexpr std::string_view kMark = ".tmp-";

[[noreturn]] void
fail(const std::filesystem::path& path, std::string_view operation, int error) {
  const std::string_view hint = hint_for_room(error);
  throw WriteError(fmt::format(
      "cannot write '{}': {}: {} (what was there before is unchanged{}{})",
      path.string(),
      operation,
      std::generic_category().message(error),
      hint.empty() ? "" : "; ",
      hint));
}

/// The folder in which `path` lies, in a form that open() takes.
std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

/// What `path` is already, if a file must not take its place; else nothing.
std::string_view irreplaceable(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status link = fs::symlink_status(path, error);
  if (!path.has_filename() || fs::is_directory(link)) {
    return "a folder";
  }
  if (fs::is_symlink(link) &&
      fs::read_symlink(path, error).string().rfind("/proc/", 0) == 0) {
    return "an open stream";  // /dev/stdout
  }
  const fs::file_status target = fs::status(path, error);
  const bool is_plain =
      !fs::exists(target) || fs::is_regular_file(target) || fs::is_directory(target);
  return is_plain ? "" : "a device, a FIFO or a socket";
}

/// The process in the name of a temporary, ".NAME.tmp-PID-COUNTER"; 0 in other names.
pid_t process_of(std::string_view name) {
  const size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string_view::npos || mark < 2) {
    return 0;
  }
  const char* const end = name.data() + name.size();
  pid_t process = 0;
  const auto [dash, fault] =
      std::from_chars(name.data() + mark + kMark.size(), end, process);
  if (fault != std::errc() || process <= 0 || dash == end || *dash != '-') {
    return 0;
  }
  unsigned counter = 0;
  const auto [rest, counter_fault] = std::from_chars(dash + 1, end, counter);
  return counter_fault == std::errc() && rest == end ? process : 0;
}

/// Whether `path` is a temporary that nobody writes any more.
bool is_stale(const std::filesystem::path& path) {
  const pid_t process = process_of(path.filename().string());
  if (process == 0 || ::kill(process, 0) == 0 || errno != ESRCH) {
    return false;
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path, error))) {
    return false;
  }
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  const bool is_free = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  ::close(descriptor);
  return is_free;
}

}  // namespace

class AtomicFile::Impl : private std::streambuf {
 public:
  explicit Impl(const std::filesystem::path& path) : path_(path), stream_(this) {
    stream_.exceptions(std::ios::badbit);  // rethrows what the stream buffer throws
    if (const std::string_view what = irreplaceable(path_); !what.empty()) {
      throw WriteError(fmt::format(
          "cannot write '{}': expected the name of a file, got {}",
          path_.string(),
          what));
    }
    open_temporary();
    buffer_.reserve(kBufferSize);
  }

  ~Impl() override {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
    if (!committed_ && !temporary_.empty()) {
      ::unlink(temporary_.c_str());
    }
  }

  void write(std::string_view bytes) {
    expect_open("write");
    if (buffer_.size() + bytes.size() > kBufferSize) {
      flush();
    }
    if (bytes.size() >= kBufferSize) {
      write_through(bytes);
    } else {
      buffer_.append(bytes);
    }
  }

  void sync_file() {  // sync() is the stream buffer's
    expect_open("sync");
    flush();
    if (::fsync(descriptor_) != 0) {
      fail_here("fsync", errno);
    }
  }

  void commit() {
    expect_open("commit");
    sync_file();
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) {
      fail_here("close", errno);
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail_here("rename", errno);
    }
    committed_ = true;
    sync_folder();
  }

  std::ostream& stream() { return stream_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void open_temporary() {
    static std::atomic<unsigned> counter{0};
    const std::string name = path_.filename().string().substr(0, kNameInTemporary);
    for (;;) {
      const std::filesystem::path candidate =
          folder_of(path_) /
          fmt::format(".{}{}{}-{}", name, kMark, ::getpid(), counter.fetch_add(1));
      descriptor_ =
          ::open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) {
        ::flock(descriptor_, LOCK_EX | LOCK_NB);  // for `is_stale`, as far as it goes
        temporary_ = candidate;
        return;
      }
      if (errno != EEXIST && errno != EINTR) {  // EEXIST: left by a killed process
        fail(path_, "open a temporary file in its folder", errno);
      }
    }
  }

  void expect_open(std::string_view operation) const {
    if (committed_ || failed_) {
      throw std::logic_error(fmt::format(
          "AtomicFile::{}: '{}' {}",
          operation,
          path_.string(),
          committed_ ? "is already committed" : "failed before"));
    }
  }

  void flush() {
    write_through(buffer_);
    buffer_.clear();
  }

  void write_through(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written > 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
      } else if (written == 0 || errno != EINTR) {
        fail_here("write", written == 0 ? ENOSPC : errno);
      }
    }
  }

  void sync_folder() {
    const int folder =
        ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
      return;  // a folder that may be written but not read: nothing more can be done
    }
    ::fsync(folder);  // some file systems do not offer it for folders
    ::close(folder);
  }

  [[noreturn]] void fail_here(std::string_view operation, int error) {
    failed_ = true;
    fail(path_, operation, error);
  }

  int_type overflow(int_type character) override {
    if (!traits_type::eq_int_type(character, traits_type::eof())) {
      const char byte = traits_type::to_char_type(character);
      write(std::string_view(&byte, 1));
    }
    return traits_type::not_eof(character);
  }

  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    write(std::string_view(bytes, static_cast<size_t>(count)));
    return count;
  }

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::string buffer_;
  std::ostream stream_;
  int descriptor_ = -1;
  bool committed_ = false;
  bool failed_ = false;
};

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>(path)) {}

AtomicFile::~AtomicFile() = default;

void AtomicFile::write(std::string_view bytes) {
  impl_->write(bytes);
}

std::ostream& AtomicFile::stream() {
  return impl_->stream();
}

void AtomicFile::sync() {
  impl_->sync_file();
}

void AtomicFile::commit() {
  impl_->commit();
}

const std::filesystem::path& AtomicFile::path() const {
  return impl_->path();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

int64_t remove_stale_temporaries(const std::filesystem::path& folder) {
  int64_t removed = 0;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    if (is_stale(entry->path()) && ::unlink(entry->path().c_str()) == 0) {
      ++removed;
    }
  }
  return removed;
}

}  // namespace trmml::io
