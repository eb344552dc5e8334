#pragma once

#include <string_view>

namespace trmml::data {

/// The parts that data sets are published in. Each reader takes those that its data set
/// has, and throws `c10::ValueError` for the others.
enum class Part { kTrain, kVal, kTrainVal, kTest };

/// "train", "val", "trainval" or "test", as the files of data sets are named.
constexpr std::string_view to_string(Part part) {
  switch (part) {
    case Part::kTrain:
      return "train";
    case Part::kVal:
      return "val";
    case Part::kTrainVal:
      return "trainval";
    case Part::kTest:
      return "test";
  }
  return "";
}

}  // namespace trmml::data
