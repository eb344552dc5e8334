// JPEG through libjpeg-turbo (or another library of libjpeg's interface). In a build
// without one this file is empty and stb_jpeg.cpp reads JPEG.
#ifdef TRMML_HAVE_LIBJPEG

#  include <fmt/format.h>

#  include <csetjmp>
#  include <cstddef>
#  include <cstdio>
#  include <cstring>
#  include <vector>

#  include "image_decoders.hpp"
// jpeglib.h needs size_t and FILE declared before it.
#  include <jpeglib.h>
// After jpeglib.h: the numbers of its messages.
#  include <jerror.h>

namespace trmml::data::detail {

namespace {

/// A file of more scans than any encoder writes keeps a decoder busy for hours.
constexpr int kMaxScans = 500;

/// libjpeg leaves through `jump` instead of ending the program.
struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->text);
  std::longjmp(errors->jump, 1);
}

/// True for what libjpeg warns of though every pixel is what it should be.
bool is_harmless(const jpeg_error_mgr& errors) {
  switch (errors.msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
      return true;
    case JWRN_EXTRANEOUS_DATA: {
      // Before a restart marker they are pixels that were lost; elsewhere cameras and
      // editors leave bytes that belong to nothing.
      const int marker = errors.msg_parm.i[1];
      return marker < 0xD0 || marker > 0xD7;
    }
    default:
      return false;
  }
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(*info->err)) {
    leave(info);
  }
}

void on_progress(j_common_ptr info) {
  if (info->is_decompressor != 0 &&
      reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
    auto* errors = reinterpret_cast<ErrorManager*>(info->err);
    std::snprintf(errors->text, sizeof errors->text, "More than %d scans", kMaxScans);
    std::longjmp(errors->jump, 1);
  }
}

/// One decompression, from header to last row.
class Decompression {
 public:
  Decompression(std::string_view bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = on_message;
    progress_.progress_monitor = on_progress;
    guarded([this] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(
          &info_,
          reinterpret_cast<const unsigned char*>(bytes_.data()),
          static_cast<unsigned long>(bytes_.size()));
    });
  }
  ~Decompression() { jpeg_destroy_decompress(&info_); }
  Decompression(const Decompression&) = delete;
  Decompression& operator=(const Decompression&) = delete;

  void read_header(bool with_exif) {
    guarded([this, with_exif] {
      if (with_exif) {
        jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
      }
      jpeg_read_header(&info_, TRUE);
    });
    if (info_.data_precision != 8) {
      throw BadImage(fmt::format(
          "expected 8 bits a channel, got {} (convert it)", info_.data_precision));
    }
    switch (info_.num_components) {
      case 1:
        info_.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        info_.out_color_space = JCS_RGB;
        break;
      case 4:
        info_.out_color_space = JCS_CMYK;
        break;
      default:
        throw BadImage(fmt::format(
            "expected 1, 3 or 4 channels, got {} (convert it)", info_.num_components));
    }
  }

  /// Throws `BadImage` when the file is too short to hold its own header's picture:
  /// Huffman's codes take at least one bit for every 8 x 8 pixels.
  void check_length() const {
    const std::int64_t pixels = width() * height();
    if (info_.arith_code == 0 &&
        pixels / 512 > static_cast<std::int64_t>(bytes_.size())) {
      throw BadImage(fmt::format(
          "expected at least {} bytes for {} x {} pixels, got {} ({})",
          pixels / 512,
          width(),
          height(),
          bytes_.size(),
          kFetchAgain));
    }
  }

  std::int64_t width() const { return info_.image_width; }
  std::int64_t height() const { return info_.image_height; }

  /// The EXIF segments that stand in the file, joined as Pillow joins them.
  std::string exif() const {
    constexpr std::string_view kBegin("Exif\0\0", 6);
    std::string joined;
    for (auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const std::string_view data(
          reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (marker->marker == JPEG_APP0 + 1 && data.substr(0, 6) == kBegin) {
        joined += data.substr(6);
      }
    }
    return joined;
  }

  /// Writes 3 * width * height bytes.
  void read_pixels(std::uint8_t* rgb) {
    const std::size_t channels = static_cast<std::size_t>(info_.num_components);
    const auto row = static_cast<std::size_t>(info_.image_width);
    std::vector<std::uint8_t> buffer(channels == 3 ? 0 : row * channels);
    guarded([this] { jpeg_start_decompress(&info_); });
    std::uint8_t* line = buffer.data();
    guarded([this, rgb, row, channels, line] {
      while (info_.output_scanline < info_.output_height) {
        std::uint8_t* out = rgb + 3 * row * info_.output_scanline;
        JSAMPROW target = channels == 3 ? out : line;
        if (jpeg_read_scanlines(&info_, &target, 1) != 1) {
          ERREXIT(&info_, JERR_CANT_SUSPEND);
        }
        if (channels == 1) {
          from_grey(line, row, out);
        } else if (channels == 4) {
          from_cmyk(line, row, out);
        }
      }
    });
    guarded([this] { jpeg_finish_decompress(&info_); });
  }

 private:
  /// Runs `step`; what libjpeg objects to becomes `BadImage`. A jump passes over the
  /// frames of `step`, so nothing in it may need a destructor.
  template <typename Step>
  void guarded(Step step) {
    if (setjmp(errors_.jump) == 0) {
      step();
      return;
    }
    const std::size_t read =
        info_.src == nullptr ? 0 : bytes_.size() - info_.src->bytes_in_buffer;
    // The end that libjpeg makes up has two bytes of its own.
    throw BadImage(fmt::format(
        "at row {} of {}, byte {} of {}: {} ({})",
        info_.output_scanline,
        info_.image_height,
        read > bytes_.size() ? bytes_.size() : read,
        bytes_.size(),
        errors_.text,
        kFetchAgain));
  }

  static void from_grey(const std::uint8_t* in, std::size_t n, std::uint8_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
      out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = in[i];
    }
  }

  /// CMYK as Adobe writes it: 255 is no ink. Pillow's rounding.
  static void from_cmyk(const std::uint8_t* in, std::size_t n, std::uint8_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
      const int light = in[4 * i + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const int ink = 255 - in[4 * i + c];
        const int product = ink * light + 128;
        const int value = light - (((product >> 8) + product) >> 8);
        out[3 * i + c] = static_cast<std::uint8_t>(value < 0 ? 0 : value);
      }
    }
  }

  std::string_view bytes_;
  ErrorManager errors_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
};

}  // namespace

Decoded decode_jpeg(std::string_view bytes, const ImageOptions& options) {
  Decompression jpeg(bytes);
  jpeg.read_header(options.exif_orientation);
  check_size(jpeg.width(), jpeg.height(), options);
  jpeg.check_length();
  Decoded decoded;
  decoded.exif = jpeg.exif();
  decoded.image.width = static_cast<int>(jpeg.width());
  decoded.image.height = static_cast<int>(jpeg.height());
  decoded.image.rgb.resize(static_cast<std::size_t>(jpeg.width() * jpeg.height()) * 3);
  jpeg.read_pixels(decoded.image.rgb.data());
  return decoded;
}

}  // namespace trmml::data::detail

namespace trmml::data {

std::string jpeg_decoder() {
#  ifdef LIBJPEG_TURBO_VERSION
#    define TRMML_TEXT_OF(x) #    x
#    define TRMML_TEXT(x) TRMML_TEXT_OF(x)
  return "libjpeg-turbo " TRMML_TEXT(LIBJPEG_TURBO_VERSION);
#  else
  return fmt::format("libjpeg {}", JPEG_LIB_VERSION);
#  endif
}

}  // namespace trmml::data

#endif
