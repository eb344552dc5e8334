# cmake -DROOT=<source dir> -P check_layers.cmake
#
# Fails on an include that climbs the floors of the house, and on one that brings into a
# public header what does not belong there. Reads include/trmml and src.
cmake_minimum_required(VERSION 3.24)
if(NOT DEFINED ROOT)
  message(FATAL_ERROR "usage: cmake -DROOT=<source dir> -P check_layers.cmake")
endif()

# What a folder may include: folders, or single headers without their ending. Its own is
# always allowed.
set(allow_core "")
set(allow_functional core)
set(allow_io core)
set(allow_evaluation core/error)
set(allow_data core io)
set(allow_clip core functional io data/image)
set(allow_modules core functional)
set(allow_method core functional modules clip)
set(allow_report core io data evaluation)
set(allow_training core functional io clip data modules method evaluation)

# Headers that need the standard library only; `evaluation` needs Eigen besides.
set(standard_only core/error core/version version)

# Never in a public header: heavy, private to src, or both.
set(never_public "torch/torch.h" "torch/all.h" "nlohmann/" "stb/" "zlib.h" "utf8proc.h" "simdjson.h" "pugixml.hpp" "catch2/" "CLI/")

# Is inline and depends on the flags of whoever includes it (docs/pitfalls.md).
set(never_called "at::parallel_for(")

set(faults 0)
macro(fault text)
  message(NOTICE "${name}: ${text}")
  math(EXPR faults "${faults} + 1")
endmacro()

# Sets `used` to the header that `line` includes, as "folder/name" without its ending if it
# is one of ours, and `is_ours`, `is_standard`, `path`.
macro(parse_include line)
  string(REGEX REPLACE "^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]*)[>\"].*$" "\\1" path "${line}")
  set(is_ours FALSE)
  set(is_standard FALSE)
  set(used "")
  if(path MATCHES "^trmml/(.*)\\.hpp$")
    set(is_ours TRUE)
    set(used "${CMAKE_MATCH_1}")
  elseif("${line}" MATCHES "include[ \t]*\"")
    # A header beside the file, or one under src: ours all the same.
    get_filename_component(here "${file}" DIRECTORY)
    foreach(base IN ITEMS "${here}" "${ROOT}/src")
      get_filename_component(target "${base}/${path}" ABSOLUTE)
      if(EXISTS "${target}")
        string(REGEX REPLACE "^.*/(include/trmml|src)/(.*)\\.[a-z]+$" "\\2" used "${target}")
        set(is_ours TRUE)
        break()
      endif()
    endforeach()
  elseif(path MATCHES "^[a-z0-9_]+$")
    set(is_standard TRUE)
  endif()
endmacro()

# "data/image" -> "data"; a header at the top of include/trmml has no folder.
function(folder_of unit result)
  if(unit MATCHES "^([a-z0-9_]+)/")
    set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
  else()
    set(${result} "" PARENT_SCOPE)
  endif()
endfunction()

file(GLOB_RECURSE files
  "${ROOT}/include/trmml/*.hpp" "${ROOT}/src/*.hpp" "${ROOT}/src/*.cpp")
if(NOT files)
  message(FATAL_ERROR "${ROOT}: no headers under include/trmml")
endif()
foreach(file IN LISTS files)
  file(RELATIVE_PATH name "${ROOT}" "${file}")
  string(REGEX REPLACE "^(include/trmml|src)/(.*)\\.[a-z]+$" "\\2" unit "${name}")
  folder_of("${unit}" folder)
  if(name MATCHES "^include/")
    set(is_public TRUE)
  else()
    set(is_public FALSE)
  endif()
  if(folder AND NOT DEFINED allow_${folder})
    fault("folder '${folder}' has no floor (cmake/check_layers.cmake lists them)")
    continue()
  endif()

  file(READ "${file}" text)
  string(FIND "${text}" "${never_called}" place)
  if(NOT place EQUAL -1)
    fault("may not call ${never_called}..)")
  endif()

  file(STRINGS "${file}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    parse_include("${line}")
    if(is_ours)
      folder_of("${used}" used_folder)
      if(unit IN_LIST standard_only AND NOT used IN_LIST standard_only)
        fault("may include the standard library only, not ${path}")
      elseif(NOT folder)
        # trmml.hpp and fwd.hpp stand above the house.
      elseif(NOT used_folder)
        fault("floor '${folder}' may not include ${path}, which stands above the house")
      elseif(
          NOT used_folder STREQUAL folder AND
          NOT used_folder IN_LIST allow_${folder} AND
          NOT used IN_LIST allow_${folder})
        fault("floor '${folder}' may not include ${path}")
      endif()
      continue()
    endif()

    if(unit IN_LIST standard_only AND NOT is_standard)
      fault("may include the standard library only, not ${path}")
    elseif(folder STREQUAL "evaluation" AND NOT is_standard AND NOT path MATCHES "^Eigen/")
      fault("floor 'evaluation' may include Eigen and the standard library only, not ${path}")
    elseif("${line}" MATCHES "include[ \t]*\"")
      fault("${path} is not a header of ours (write <...> for others')")
    endif()
    if(is_public)
      foreach(heavy IN LISTS never_public)
        string(FIND "${path}" "${heavy}" place)
        if(place EQUAL 0)
          fault("a public header may not include ${path}")
        endif()
      endforeach()
    endif()
  endforeach()

  if(NOT unit STREQUAL "core/torch_version")
    file(STRINGS "${file}" switches REGEX "^[ \t]*#.*TORCH_VERSION_(MAJOR|MINOR|PATCH)")
    if(switches)
      fault("switches between versions of LibTorch belong into core/torch_version.hpp")
    endif()
  endif()
endforeach()

list(LENGTH files count)
if(faults GREATER 0)
  message(FATAL_ERROR "${faults} fault(s) in ${count} files")
endif()
message(STATUS "floors: ${count} files, no include climbs")
