#pragma once

#include <c10/util/Logging.h>  // must come first: it defines glog's CHECK
#undef CHECK
#if __has_include(<catch2/catch_all.hpp>)
#  include <catch2/catch_all.hpp>
#else
#  include <catch2/catch.hpp>
namespace Catch {
using Detail::Approx;  // where version 3 has it
}  // namespace Catch
#endif
