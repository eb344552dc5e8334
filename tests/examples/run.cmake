# run(<status> <arguments>...): runs PROGRAM in SCRATCH and fails unless it ends with this
# exit status; leaves what it printed in `output` and `errors`.
function(run status)
  execute_process(
    COMMAND ${PROGRAM} ${ARGN} WORKING_DIRECTORY ${SCRATCH}
    RESULT_VARIABLE got OUTPUT_VARIABLE printed ERROR_VARIABLE complained)
  if(NOT got EQUAL status)
    message(FATAL_ERROR "${PROGRAM} ${ARGN}: expected exit status ${status}, got ${got}:\n${complained}")
  endif()
  set(output "${printed}" PARENT_SCOPE)
  set(errors "${complained}" PARENT_SCOPE)
endfunction()

# expect(<variable> <regular expression>)
function(expect variable pattern)
  if(NOT "${${variable}}" MATCHES "${pattern}")
    message(FATAL_ERROR "${variable}: expected '${pattern}', got:\n${${variable}}")
  endif()
endfunction()

function(expect_same one other)
  file(SHA256 ${SCRATCH}/${one} a)
  file(SHA256 ${SCRATCH}/${other} b)
  if(NOT a STREQUAL b)
    message(FATAL_ERROR "${one} and ${other}: expected the same bytes")
  endif()
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
