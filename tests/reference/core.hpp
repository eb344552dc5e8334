#pragma once

#include <limits>

// Written by core.py: inputs by formula (fill.py), Python 3.11.2, torch 1.13.0a0.

// clang-format off
namespace reference::core {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
// NumPy 1.24.2
inline constexpr double kUniform0[] = {
    0.5488135039273248, 0.7151893663724195, 0.6027633760716439, 0.5448831829968969,
    0.4236547993389047, 0.6458941130666561};
inline constexpr double kShuffled0[] = {
    11.0, 10.0, 3.0, 5.0, 0.0, 1.0, 2.0, 12.0, 9.0, 8.0, 6.0, 7.0, 4.0};
inline constexpr double kIntervals0[] = {  // below 1, 2, 3, 10, 16, 17, 1000, 2^31
    0.0, 1.0, 0.0, 9.0, 4.0, 16.0, 755.0, 1963466437.0};
inline constexpr double kUniform1200[] = {
    0.561953681388361, 0.9623679479169747, 0.673662347252125, 0.8555557325683085,
    0.07805583985784315, 0.3524998535597659};
inline constexpr double kShuffled1200[] = {
    7.0, 10.0, 0.0, 1.0, 11.0, 4.0, 8.0, 12.0, 9.0, 5.0, 2.0, 6.0, 3.0};
inline constexpr double kIntervals1200[] = {  // below 1, 2, 3, 10, 16, 17, 1000, 2^31
    0.0, 1.0, 1.0, 4.0, 3.0, 11.0, 325.0, 1882138267.0};
inline constexpr double kSeeds[] = {  // high, low half of each
    1752507216.0, 2921154623.0, 3916871727.0, 621906009.0, 2905626457.0, 420994618.0, 3656222064.0,
    1228345210.0, 1452603521.0, 23673251.0};

}  // namespace reference::core
// clang-format on
