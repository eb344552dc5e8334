#pragma once

#include "trmml/data/image.hpp"

#include <array>
#include <cstdint>

// No LibTorch here. What changes colours and places of a picture's pixels, without a
// random draw; `data/transforms.hpp` draws. All of it works in place and is equal to
// Pillow (13) to the bit; tests/reference/transforms.py makes the comparison. Threads
// may call it at the same time, each with a picture of its own.
//
// Every function throws `std::invalid_argument` for a picture that is none, and for
// arguments out of their range.

namespace trmml::data {

/// Red, green, blue.
using Colour = std::array<std::uint8_t, 3>;

/// `ImageOps.mirror`: left becomes right.
void flip_horizontal(Image& image);

/// Gives every pixel of `box` one colour. The box must lie inside; it may be empty.
void fill_box(Image& image, const Box& box, const Colour& colour);

/// `ImageOps.autocontrast`: stretches each channel to 0 .. 255. A channel of one value
/// stays.
void autocontrast(Image& image);

/// `ImageOps.equalize`: each channel's histogram becomes flat.
void equalize(Image& image);

/// `ImageOps.invert`: 255 - x.
void invert(Image& image);

/// `ImageOps.posterize`: keeps the highest `bits` (1 to 8) of every value.
void posterize(Image& image, int bits);

/// `ImageOps.solarize`: inverts values that are not below `threshold`.
void solarize(Image& image, double threshold);

// The four of `ImageEnhance`: with `factor` 1 the picture stays, with 0 it becomes the
// one that is named, and beyond 1 it moves away from that. fp32, cut off at 0 and 255,
// rounded down. `factor` must be finite.

/// `ImageEnhance.Color`: from the grey picture.
void adjust_color(Image& image, double factor);

/// `ImageEnhance.Contrast`: from its mean grey.
void adjust_contrast(Image& image, double factor);

/// `ImageEnhance.Brightness`: from black.
void adjust_brightness(Image& image, double factor);

/// `ImageEnhance.Sharpness`: from the picture smoothed over 3 x 3 pixels. The outermost
/// pixels stay.
void adjust_sharpness(Image& image, double factor);

/// `Image.transform(size, AFFINE, matrix, NEAREST, fillcolor=fill)`: output pixel
/// (x, y) shows input pixel (a x + b y + c, d x + e y + f) of `matrix` = {a, .., f},
/// coordinates meant from corner to corner, and `fill` where there is none. The places
/// must stay within +-32768.
void affine(Image& image, const std::array<double, 6>& matrix, const Colour& fill);

/// `Image.rotate(degrees, NEAREST, fillcolor=fill)`: counter-clockwise around the
/// middle, same size.
void rotate(Image& image, double degrees, const Colour& fill);

}  // namespace trmml::data
