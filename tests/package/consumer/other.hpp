#pragma once

#include <trmml/fwd.hpp>

#include <ATen/core/Tensor.h>

// The known-label loss of random pictures, computed in the other file.
at::Tensor loss_of(const trmml::RegionMatch& match, const at::Tensor& labels);
