#include "trmml/core/error.hpp"

#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/catch.hpp"

TEST_CASE("errors: what programs tell apart") {
  CHECK(std::is_base_of_v<std::runtime_error, trmml::Error>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::DataError>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::CheckpointError>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::Interrupted>);
  CHECK_FALSE(std::is_base_of_v<trmml::DataError, trmml::CheckpointError>);
  CHECK(
      trmml::CheckpointError("a.safetensors: truncated").what() ==
      std::string("a.safetensors: truncated"));
}
