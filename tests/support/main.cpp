#define CATCH_CONFIG_RUNNER
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "support/catch.hpp"

// Sums of floats depend on the number of threads: expected values are made with one.
int main(int argc, char** argv) {
  at::set_num_threads(1);
  at::manual_seed(0);
  return Catch::Session().run(argc, argv);
}
