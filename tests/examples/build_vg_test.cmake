# cmake -DPROGRAM=build_vg -DSCRATCH=folder -P build_vg_test.cmake
#
# Lists made, what is said, what is refused.
cmake_minimum_required(VERSION 3.24)
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
file(WRITE ${SCRATCH}/objects.json [=[[
{"image_id": 3, "objects": [{"names": ["Tree"]}, {"names": ["man"]}]},
{"image_id": 1, "objects": [{"names": ["trees"]}]},
{"image_id": 2, "objects": [{"names": ["bus"]}, {"names": ["man"]}, {"names": ["man"]}]},
{"image_id": 4, "objects": []}]
]=])
file(WRITE ${SCRATCH}/aliases.txt "tree,trees\n")

set(faults 0)
# check(<status> <what comes out> [option...]): both streams together.
function(check status expected)
  set(objects --objects objects.json)
  if("--objects" IN_LIST ARGN)
    set(objects "")
  endif()
  execute_process(
    COMMAND ${PROGRAM} --aliases aliases.txt ${objects} ${ARGN}
    WORKING_DIRECTORY ${SCRATCH}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(FIND "${output}" "${expected}" place)
  if(place EQUAL -1 OR NOT result STREQUAL status)
    message(NOTICE "${ARGN}: expected status ${status} and\n${expected}\ngot status ${result} and\n${output}")
    math(EXPR faults "${faults} + 1")
    set(faults ${faults} PARENT_SCOPE)
  endif()
endfunction()
function(check_file name expected)
  file(READ ${SCRATCH}/lists/${name} got)
  if(NOT got STREQUAL expected)
    message(NOTICE "${name}: expected\n${expected}got\n${got}")
    math(EXPR faults "${faults} + 1")
    set(faults ${faults} PARENT_SCOPE)
  endif()
endfunction()

check(0 [=[3 different names, 1 pictures without one of the 2 kept
    0  man                         2 pictures
    1  tree                        2 pictures
wrote 2 training and 2 test pictures to lists
]=] --out lists --n-cls 2 --test-share 0.5)
check_file(vg_category_2.txt "man\ntree\n")
check_file(vg_category_2_labels_index.json
  "{\n\"1.jpg\": [1],\n\"2.jpg\": [0],\n\"3.jpg\": [0, 1],\n\"4.jpg\": []\n}\n")
check(3 "build_vg: lists/train_list_500.txt: is there already" --out lists --n-cls 2 --test-share 0.5)
check(0 "wrote 2 training and 1 test pictures to lists"
  --out lists --n-cls 2 --test-size 1 --labelled-only --overwrite)
check(3 "build_vg: objects.json: expected 200 different names or more, got 3" --out other)
check(3 "build_vg: Visual Genome: no.json: cannot be read" --objects no.json --out other)
check(2 "--test-share: expected a number in (0, 1), got 1" --out other --test-share 1)
check(2 "--test-size excludes --test-share" --out other --test-size 1 --test-share 0.5)
check(2 "--out is required")

if(faults GREATER 0)
  message(FATAL_ERROR "${faults} of the checks failed")
endif()
