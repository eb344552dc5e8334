#pragma once

// The one place where the version is written: CMakeLists.txt reads it from here.
#define TRMML_VERSION_MAJOR 0
#define TRMML_VERSION_MINOR 1
#define TRMML_VERSION_PATCH 0
#define TRMML_VERSION "0.1.0"
