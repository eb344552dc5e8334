# cmake -DCHECKER=<check_layers.cmake> -DSCRATCH=<folder> -P check_layers_test.cmake
#
# The floor checker must accept a good tree and refuse each kind of bad one, by name.
cmake_minimum_required(VERSION 3.24)

# Writes a small tree with `text` in one more file, and runs the checker on it.
macro(check_tree file text)
  file(REMOVE_RECURSE ${SCRATCH})
  file(WRITE ${SCRATCH}/include/trmml/core/error.hpp "#include <string>\n")
  file(WRITE ${SCRATCH}/include/trmml/core/check.hpp "#include <ATen/core/Tensor.h>\n")
  file(WRITE ${SCRATCH}/include/trmml/data/image.hpp "#include \"trmml/core/error.hpp\"\n")
  file(WRITE ${SCRATCH}/include/trmml/trmml.hpp "#include \"trmml/training/trainer.hpp\"\n")
  file(WRITE ${SCRATCH}/src/data/private.hpp "#include <vector>\n")
  file(WRITE ${SCRATCH}/${file} "${text}\n")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DROOT=${SCRATCH} -P ${CHECKER}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
endmacro()

function(expect_good file text)
  check_tree(${file} "${text}")
  if(NOT status EQUAL 0)
    message(SEND_ERROR "refused ${file} with ${text}:\n${output}")
  endif()
endfunction()

function(expect_bad file text message)
  check_tree(${file} "${text}")
  string(FIND "${output}" "${file}: ${message}" place)
  if(status EQUAL 0 OR place EQUAL -1)
    message(SEND_ERROR "expected \"${file}: ${message}\" for ${text}, got:\n${output}")
  endif()
endfunction()

expect_good(include/trmml/modules/a.hpp "#include \"trmml/functional/b.hpp\"")
expect_good(include/trmml/modules/a.hpp "#include \"trmml/modules/b.hpp\"")
expect_good(include/trmml/evaluation/a.hpp "#include <Eigen/Core>\n#include \"trmml/core/error.hpp\"")
expect_good(include/trmml/clip/a.hpp "#include \"trmml/data/image.hpp\"")
expect_good(src/data/a.cpp "#include \"private.hpp\"\n#include <zlib.h>")
expect_good(include/trmml/core/torch_version.hpp "#if TORCH_VERSION_MAJOR > 1\n#endif")
expect_good(include/trmml/core/a.hpp "// #include \"trmml/data/image.hpp\"")

expect_bad(src/data/a.cpp "at::parallel_for(0, n, 1, f)"
  "may not call at::parallel_for(..)")

# Includes that climb, in every spelling.
expect_bad(include/trmml/modules/a.hpp "#include \"trmml/clip/b.hpp\""
  "floor 'modules' may not include trmml/clip/b.hpp")
expect_bad(include/trmml/functional/a.hpp "#include <trmml/modules/b.hpp>"
  "floor 'functional' may not include trmml/modules/b.hpp")
expect_bad(include/trmml/core/a.hpp "  #  include  \"trmml/io/b.hpp\"  // why"
  "floor 'core' may not include trmml/io/b.hpp")
expect_bad(include/trmml/io/a.hpp "#include \"../data/image.hpp\""
  "floor 'io' may not include ../data/image.hpp")
expect_bad(src/io/a.cpp "#include \"data/private.hpp\""
  "floor 'io' may not include data/private.hpp")
expect_bad(src/data/a.cpp "#include \"trmml/method/b.hpp\""
  "floor 'data' may not include trmml/method/b.hpp")
expect_bad(include/trmml/report/a.hpp "#include \"trmml/training/b.hpp\""
  "floor 'report' may not include trmml/training/b.hpp")
expect_bad(include/trmml/training/a.hpp "#include \"trmml/report/b.hpp\""
  "floor 'training' may not include trmml/report/b.hpp")
expect_bad(include/trmml/clip/a.hpp "#include \"trmml/data/dataset.hpp\""
  "floor 'clip' may not include trmml/data/dataset.hpp")
expect_bad(include/trmml/data/a.hpp "#include \"trmml/trmml.hpp\""
  "floor 'data' may not include trmml/trmml.hpp, which stands above the house")
expect_bad(include/trmml/attic/a.hpp "#include <vector>" "folder 'attic' has no floor")

# What needs little must go on needing little.
expect_bad(include/trmml/core/error.hpp "#include <fmt/format.h>"
  "may include the standard library only, not fmt/format.h")
expect_bad(include/trmml/core/version.hpp "#include \"trmml/core/check.hpp\""
  "may include the standard library only, not trmml/core/check.hpp")
expect_bad(include/trmml/evaluation/a.hpp "#include \"trmml/core/check.hpp\""
  "floor 'evaluation' may not include trmml/core/check.hpp")
expect_bad(include/trmml/evaluation/a.hpp "#include <ATen/core/Tensor.h>"
  "floor 'evaluation' may include Eigen and the standard library only, not ATen/core/Tensor.h")
expect_bad(include/trmml/report/a.hpp "#include <nlohmann/json.hpp>"
  "a public header may not include nlohmann/json.hpp")
expect_bad(include/trmml/modules/a.hpp "#include <torch/torch.h>"
  "a public header may not include torch/torch.h")
expect_bad(include/trmml/modules/a.hpp "#if TORCH_VERSION_MAJOR > 1"
  "switches between versions of LibTorch belong into core/torch_version.hpp")
expect_bad(src/io/a.cpp "#include \"zlib.h\"" "zlib.h is not a header of ours")

file(REMOVE_RECURSE ${SCRATCH})
