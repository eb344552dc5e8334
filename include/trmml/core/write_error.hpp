#pragma once

#include "trmml/core/error.hpp"

namespace trmml {

/// A file that cannot be written: the disk is full, the folder is missing or not
/// writable. What was there before is unchanged, unless the message says otherwise.
/// Programs end with exit status 6.
class WriteError : public Error {
 public:
  using Error::Error;
};

}  // namespace trmml
