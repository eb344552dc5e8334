# cmake -DPROGRAM=<file> -DEXPECTED=<file> -P compare_output.cmake
#
# Runs a program and fails unless it prints exactly what the file holds.
cmake_minimum_required(VERSION 3.24)

execute_process(
  COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} failed (${status}):\n${errors}")
endif()
file(READ "${EXPECTED}" expected)
if(NOT printed STREQUAL expected)
  message(NOTICE "--- expected (${EXPECTED})\n${expected}--- printed\n${printed}---")
  message(FATAL_ERROR "the program prints something else than its page says")
endif()
