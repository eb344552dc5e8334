# cmake -DPROGRAM=tokenize -DMERGES=file -DSCRATCH=folder -P tokenize_test.cmake
#
# Lines in and out, the way back, what is too long, broken input, exit statuses.
cmake_minimum_required(VERSION 3.24)
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH}/empty)

set(faults 0)
# check(<name> <status> <text of the input> <what comes out> [option...])
# A status other than 0: the last line of what goes to the error stream must match instead.
function(check name status input expected)
  file(WRITE ${SCRATCH}/input "${input}")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env TRMML_CACHE=${SCRATCH}/empty ${PROGRAM} ${ARGN}
    INPUT_FILE ${SCRATCH}/input
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  set(got "${output}")
  if(NOT status EQUAL 0)
    set(got "${errors}")
  endif()
  if((status EQUAL 0 AND NOT got STREQUAL expected)
      OR (NOT status EQUAL 0 AND NOT got MATCHES "${expected}") OR NOT result STREQUAL status)
    message(NOTICE "${name}: expected status ${status} and\n${expected}\ngot status ${result} and\n${output}${errors}")
    math(EXPR faults "${faults} + 1")
    set(faults ${faults} PARENT_SCOPE)
  endif()
endfunction()

file(WRITE ${SCRATCH}/merges.txt "#version: 0.2\nr e\nre d</w>\n")
set(vocab --vocab ${SCRATCH}/merges.txt)
check("lines" 0 "red\n\nA red\n" "514 513 515\n514 515\n514 320 513 515\n" ${vocab})
check("no line break at the end" 0 "red" "514 513 515\n" ${vocab})
check("no input" 0 "" "" ${vocab})
check("line break of Windows" 0 "red\r\n" "514 513 515\n" ${vocab})
check("longest" 0 "a red\n" "514 320 513 515\n" ${vocab} --context-length 4)
check("cut" 0 "a red red\n" "514 320 513 515\n" ${vocab} --context-length 4 --truncate)
check("too long" 2 "red\na red red\n"
  "tokenize: text 2 has 5 tokens with start and end, the limit is 4" ${vocab} --context-length 4)
check("decode" 0 "514 320 513 515\n\n514 515 0 0\n513\n" "a red\n\n\nred\n" ${vocab} --decode)
check("decode nonsense" 3 "1\n2 x\n" "tokenize: line 2: expected ids from 0 to 515" ${vocab} --decode)
check("decode too large" 3 "516\n" "tokenize: line 1: expected ids from 0 to 515" ${vocab} --decode)
check("no vocabulary" 3 "red\n" "tokenize: no vocabulary of CLIP in .*scripts/setup --clip-vocab")
check("missing vocabulary" 3 "" "none: expected a vocabulary, got no such file" --vocab ${SCRATCH}/none)
check("unknown option" 2 "" "" --help-me)
check("truncate alone" 2 "" "" ${vocab} --truncate)
check("length without effect" 2 "" "tokenize: --context-length: expected no --decode"
  ${vocab} --decode --context-length 4)
execute_process(
  COMMAND ${PROGRAM} ${vocab} INPUT_FILE ${SCRATCH} RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result STREQUAL "3" OR NOT errors STREQUAL "tokenize: cannot read the standard input (is it a folder?)\n")
  message(NOTICE "a folder as input: expected status 3, got ${result} and\n${errors}")
  math(EXPR faults "${faults} + 1")
endif()
check("length" 2 "" "" ${vocab} --context-length 1)

# There and back through a vocabulary of its own, with every byte in it.
string(ASCII 99 97 102 195 169 32 228 184 128 229 143 170 foreign)  # an accent, Chinese
set(text "it 's a red ball , 4 2 umbrellas ! ${foreign} <|\n")
file(WRITE ${SCRATCH}/text "${text}")
execute_process(
  COMMAND ${PROGRAM} --vocab ${MERGES}
  COMMAND ${PROGRAM} --vocab ${MERGES} --decode
  INPUT_FILE ${SCRATCH}/text OUTPUT_VARIABLE back RESULTS_VARIABLE results)
if(NOT back STREQUAL text)
  message(NOTICE "there and back: expected\n${text}got\n${back}(${results})")
  math(EXPR faults "${faults} + 1")
endif()
if(faults GREATER 0)
  message(FATAL_ERROR "${faults} of the checks failed")
endif()
