#pragma once

#include <stdexcept>
#include <string>

// Needs nothing but the standard library, so that `trmml::evaluation` stays light.

namespace trmml {

/// The world is wrong (a file, a picture, a checkpoint); the message says what, where,
/// what was expected, what was found, and a hint. Wrong arguments of a caller are
/// `c10::ValueError` and its kin instead (see `core/check.hpp`), or
/// `std::invalid_argument` where LibTorch is not used.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Data (annotations, pictures, labels) that cannot be read or contradicts itself.
/// Programs end with exit status 3.
class DataError : public Error {
 public:
  using Error::Error;
};

/// Weights or a training state that cannot be read, or that do not fit the model.
/// Programs end with exit status 4.
class CheckpointError : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be written: the disk is full, the folder is missing or not
/// writable. What was there before is unchanged, unless the message says otherwise.
/// Programs end with exit status 6.
class WriteError : public Error {
 public:
  using Error::Error;
};

/// Training was asked to stop (a signal) and its state has been saved.
/// Programs end with exit status 5.
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace trmml
