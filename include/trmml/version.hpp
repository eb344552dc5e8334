#pragma once

#include "trmml/core/version.hpp"
