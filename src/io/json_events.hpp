#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string_view>

namespace trmml::io {

/// JSON that is received piece by piece, so that what is nested deeper than a format
/// may be is refused as it opens, and neither depth nor length of the input costs
/// memory. A format takes the events that it knows; all others go to `other`.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return other("null"); }
  bool boolean(bool /*value*/) override { return other("a truth value"); }
  bool number_integer(number_integer_t /*value*/) override { return other("a number"); }
  bool number_unsigned(number_unsigned_t /*value*/) override {
    return other("a number");
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return other("a number");
  }
  bool string(string_t& /*value*/) override { return other("text"); }
  bool binary(binary_t& /*value*/) override { return other("bytes"); }
  bool start_object(size_t /*elements*/) override { return other("an object"); }
  bool start_array(size_t /*elements*/) override { return other("a list"); }
  bool end_array() override { return true; }

 protected:
  /// A value of this kind came; throws where it may not. True: go on.
  virtual bool other(std::string_view kind) = 0;
};

}  // namespace trmml::io
