#pragma once

#include <limits>

// Written by loader.py: inputs by formula (fill.py), Python 3.11.2, torch 1.13.0a0.

// clang-format off
namespace reference::loader {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kOrder00[] = {  // 10 pictures, seed 0, epoch 0
    7.0, 2.0, 1.0, 3.0, 5.0, 9.0, 8.0, 6.0, 4.0, 0.0};
inline constexpr double kOrder01[] = {  // 10 pictures, seed 0, epoch 1
    4.0, 5.0, 0.0, 2.0, 6.0, 1.0, 3.0, 8.0, 7.0, 9.0};
inline constexpr double kOrder70[] = {  // 10 pictures, seed 7, epoch 0
    0.0, 4.0, 1.0, 5.0, 2.0, 3.0, 7.0, 6.0, 9.0, 8.0};

}  // namespace reference::loader
// clang-format on
