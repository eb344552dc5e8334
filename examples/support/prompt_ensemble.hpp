#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "support/clip_program.hpp"

namespace clip_program {

/// The categories of a text file, one a line, without blanks at both ends; lines of
/// blanks are passed over. Throws `trmml::DataError` for a file that cannot be read or
/// has none, and for a category that is there twice.
std::vector<std::string> read_categories(const std::string& file);

/// `text` with `name` for every "{}".
std::string fill_template(std::string text, const std::string& name);

/// One vector of length 1 a category [C, D], fp32 on the CPU: the normalised mean, over
/// the templates, of the normalised features of its name in the template. Takes
/// `options.batch` prompts at a time. Throws what `load_tokenizer` and `encode_texts`
/// throw.
at::Tensor ensemble_features(
    Clip& clip,
    const Options& options,
    const std::vector<std::string>& names,
    const std::vector<std::string>& templates);

}  // namespace clip_program
