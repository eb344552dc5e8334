#pragma once

// Written by own_data.py: Python 3.11.7.

#include <string>
#include <vector>

// clang-format off
namespace reference::own_data {

inline const std::string kCsv =
    "image,labels\015\012"
    "a.jpg,cat;dog\015\012"
    "\042b, c.jpg\042,\042dog; \042\042big\042\042 dog\042\015\012"
    "sub/d.jpg,\015\012"
    " e.jpg ,\011Zebra ; cat\015\012"
    "\015\012"
    "\042f \042\0421\042\042.jpg\042,\042two\012"
    "lines;caf\303\251\042\015\012"
    "\303\274.jpg,\347\214\253;\360\237\220\225;cat\015\012"
    "g.jpg,\042\042\015\012"
    "\042h.jpg\042,semi";

inline const std::vector<std::string> kNames = {
    "\042big\042 dog",
    "Zebra",
    "caf\303\251",
    "cat",
    "dog",
    "semi",
    "two\012lines",
    "\347\214\253",
    "\360\237\220\225",
};
inline const std::vector<std::string> kImages = {
    "a.jpg",
    "b, c.jpg",
    "sub/d.jpg",
    "e.jpg",
    "f \0421\042.jpg",
    "\303\274.jpg",
    "g.jpg",
    "h.jpg",
};
inline const std::vector<std::string> kRows = {
    "---++----",
    "+---+----",
    "---------",
    "-+-+-----",
    "--+---+--",
    "---+---++",
    "---------",
    "-----+---",
};

}  // namespace reference::own_data
// clang-format on
