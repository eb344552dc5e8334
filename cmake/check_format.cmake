# cmake -DROOT=<source dir> -P check_format.cmake
#
# Fails when a C++ file of the project is not formatted as .clang-format says. Other
# versions of clang-format lay out some lines differently, so it must be version 14;
# without it nothing is checked, and the text below is what ctest takes for "skipped".
cmake_minimum_required(VERSION 3.24)
if(NOT DEFINED ROOT)
  message(FATAL_ERROR "usage: cmake -DROOT=<source dir> -P check_format.cmake")
endif()
set(version 14)

find_program(clang_format NAMES clang-format-${version} clang-format)
set(found "")
if(clang_format)
  execute_process(COMMAND ${clang_format} --version OUTPUT_VARIABLE text)
  if(text MATCHES "version ([0-9]+)")
    set(found ${CMAKE_MATCH_1})
  endif()
endif()
if(NOT found EQUAL version)
  if(found)
    set(found "found version ${found} only")
  else()
    set(found "clang-format is not installed")
  endif()
  message(STATUS "SKIPPED: the format was not checked: clang-format ${version} is needed, ${found}")
  return()
endif()

# What git knows and what is new; without git (an unpacked archive), all there is.
set(folders include src tests examples benchmarks)
find_program(git NAMES git)
set(listing "")
if(git)
  execute_process(
    COMMAND ${git} ls-files --cached --others --exclude-standard -- "*.hpp" "*.cpp"
    WORKING_DIRECTORY ${ROOT} OUTPUT_VARIABLE listing ERROR_QUIET)
endif()
set(files "")
if(listing)
  string(REGEX REPLACE "\n" ";" listing "${listing}")
  foreach(file IN LISTS listing)
    if(file AND EXISTS "${ROOT}/${file}")  # not one that is deleted but still tracked
      list(APPEND files "${file}")
    endif()
  endforeach()
else()
  foreach(folder IN LISTS folders)
    file(GLOB_RECURSE more RELATIVE ${ROOT} ${ROOT}/${folder}/*.hpp ${ROOT}/${folder}/*.cpp)
    list(APPEND files ${more})
  endforeach()
endif()
list(FILTER files EXCLUDE REGEX "^tests/reference/")  # written by programs
if(NOT files)
  message(FATAL_ERROR "${ROOT}: no C++ files found")
endif()

execute_process(
  COMMAND ${clang_format} --dry-run -Werror --style=file ${files}
  WORKING_DIRECTORY ${ROOT} RESULT_VARIABLE status ERROR_VARIABLE text)
list(LENGTH files count)
if(NOT status EQUAL 0)
  string(REGEX MATCHALL "[^\n]+: error:[^\n]*" places "${text}")
  list(LENGTH places n_places)
  if(n_places GREATER 20)
    list(SUBLIST places 0 20 places)
    list(APPEND places "...")
  endif()
  list(JOIN places "\n" places)
  message(NOTICE "${places}")
  message(FATAL_ERROR "${n_places} place(s) in ${count} files: clang-format -i FILE")
endif()
message(STATUS "format: ${count} files")
