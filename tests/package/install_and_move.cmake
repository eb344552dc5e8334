# cmake -DBUILD=<build tree> -DSCRATCH=<folder> -DMOVED=<folder> -DCONFIG=<build type>
#       -P install_and_move.cmake
#
# Installs the build tree and moves the result: an installed tree must hold no path of
# where it was made.
cmake_minimum_required(VERSION 3.24)
file(REMOVE_RECURSE ${SCRATCH} ${MOVED})
execute_process(
  COMMAND ${CMAKE_COMMAND} --install ${BUILD} --config ${CONFIG} --prefix ${SCRATCH}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "install failed (${status}):\n${output}")
endif()
file(RENAME ${SCRATCH} ${MOVED})

file(GLOB_RECURSE files ${MOVED}/*.cmake)
if(NOT files)
  message(FATAL_ERROR "no package files were installed:\n${output}")
endif()
foreach(file IN LISTS files)
  file(READ ${file} text)
  foreach(place IN ITEMS ${SCRATCH} ${BUILD} ${SOURCE})
    string(FIND "${text}" "${place}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${file} holds the path ${place}")
    endif()
  endforeach()
endforeach()
