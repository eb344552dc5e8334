# read_lines(<file> <variable>): the lines of a text file as a list. Characters that mean
# something in a list of CMake are replaced: [ by <, ] by >, \ by /, ; by a comma. Empty
# lines hold a blank.
function(read_lines file variable)
  file(READ "${file}" text)
  string(REPLACE "[" "<" text "${text}")
  string(REPLACE "]" ">" text "${text}")
  string(REPLACE "\\" "/" text "${text}")
  string(REPLACE ";" "," text "${text}")
  string(REPLACE "\n" " ;" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
