# cmake -DGIT=git -DROOT=<source dir> -DFILE=<file to write> -P git_revision.cmake
#
# Writes the function `program::git_revision`, if it would say something else than before.
cmake_minimum_required(VERSION 3.24)
function(ask result)
  execute_process(
    COMMAND ${GIT} --no-optional-locks -C ${ROOT} ${ARGN}
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${result} "${answer}" PARENT_SCOPE)
endfunction()
ask(folder rev-parse --show-prefix)
ask(revision describe --always --dirty --abbrev=12)
if(folder)  # a copy inside of another repository
  set(revision "")
endif()
file(CONFIGURE OUTPUT ${FILE} @ONLY CONTENT [[
#include <string_view>

namespace program {

std::string_view git_revision();

std::string_view git_revision() {
  return "@revision@";
}

}  // namespace program
]])
