# cmake -DSOURCE=<consumer> -DBINARY=<scratch> -DSETTINGS=<file> -DGENERATOR=<name>
#       [-DOPTIONS=<-D...;-D...>] [-DNOT_LINKED=<text>] [-DLINKED=<texts>] -P run_consumer.cmake
#
# Configures, builds and runs a foreign project from nothing.
#   SETTINGS    initial cache: compiler, build type, where LibTorch is ...
#   NOT_LINKED  text that may stand neither in the commands of the build nor among the
#               libraries that the program loads
#   LINKED      texts that must stand among the libraries that the program loads
cmake_minimum_required(VERSION 3.24)

# Strangers' builds in other folders may share our compiled objects.
set(ENV{CCACHE_NOHASHDIR} 1)

function(run what)
  execute_process(
    COMMAND ${ARGN} WORKING_DIRECTORY ${BINARY}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  message(STATUS "${what}:\n${output}")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}): ${ARGN}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${BINARY})
file(MAKE_DIRECTORY ${BINARY})
run("configure" ${CMAKE_COMMAND} -G ${GENERATOR} -C ${SETTINGS} ${OPTIONS} -S ${SOURCE} -B ${BINARY})
run("build" ${CMAKE_COMMAND} --build ${BINARY} --target consumer)
run("run" ${BINARY}/consumer)
if(NOT output MATCHES "as expected")
  message(FATAL_ERROR "the program did not say 'as expected'")
endif()

if(NOT_LINKED OR LINKED)
  find_program(ldd ldd REQUIRED)
  run("libraries" ${ldd} ${BINARY}/consumer)
  foreach(text IN LISTS LINKED)
    if(NOT output MATCHES "${text}")
      message(FATAL_ERROR "the program does not load ${text}")
    endif()
  endforeach()
endif()
if(NOT_LINKED)
  set(commands "${output}")
  file(GLOB_RECURSE files ${BINARY}/build.ninja ${BINARY}/link.txt)
  if(NOT files)
    message(FATAL_ERROR "no commands of the build found (Ninja and Make are known)")
  endif()
  foreach(file IN LISTS files)
    file(READ ${file} text)
    string(APPEND commands "${text}")
  endforeach()
  if(commands MATCHES "${NOT_LINKED}")
    message(FATAL_ERROR "the program links ${NOT_LINKED}")
  endif()
endif()
file(REMOVE_RECURSE ${BINARY})
