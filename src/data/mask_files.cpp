#include "trmml/data/mask_files.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/npy.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/io/torch_archive.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <utility>

#include "../io/quoted.hpp"
#include "mask_check.hpp"
#include "named_rows.hpp"

namespace trmml::data {

namespace fs = std::filesystem;

namespace {

const char* state_name(int8_t state) {
  return state > 0 ? "present" : state < 0 ? "absent" : "unknown";
}

std::string subject(const fs::path& file) {
  return "labels of " + file.filename().string();
}

/// The tensor of a file of labels; files of weights that cannot be read are data here.
at::Tensor read_array(const fs::path& file) {
  if (file.extension() == ".npy") {
    return io::read_npy(file);
  }
  try {
    const io::TensorMap tensors = file.extension() == ".safetensors"
                                      ? io::read_safetensors(file).tensors
                                      : io::read_torch_archive(file).tensors;
    if (tensors.size() == 1) {
      return tensors.begin()->second;
    }
    const auto labels = tensors.find("labels");
    if (labels != tensors.end()) {
      return labels->second;
    }
    throw DataError(fmt::format(
        "{}: expected one tensor, or one called \"labels\", got {}",
        file.string(),
        tensors.size()));
  } catch (const CheckpointError& error) {
    throw DataError(error.what());
  }
}

[[noreturn]] void
refuse_shape(const fs::path& file, const std::string& expected, const at::Tensor& got) {
  throw DataError(fmt::format(
      "{}: expected {}, got {} (is this file of the same set of pictures?)",
      file.string(),
      expected,
      format_shape(got.sizes())));
}

void number_if_empty(std::vector<std::string>& names, int64_t n) {
  for (int64_t i = names.empty() ? 0 : n; i < n; ++i) {
    names.push_back(std::to_string(i));
  }
}

/// One [N, C] of kept flags that may come in slices.
at::Tensor
one_slice(const fs::path& file, const at::Tensor& flags, at::IntArrayRef shape) {
  if (flags.sizes() == shape) {
    return flags;
  }
  const auto is_sliced = [&](int64_t axis) {
    return flags.dim() == 3 && flags.size(2) == shape[1] &&
           flags.size(1 - axis) == shape[0] &&
           (flags.size(axis) == 1 || flags.size(axis) == 3);
  };
  const int64_t axis = is_sliced(1) ? 1 : 0;
  if (!is_sliced(axis)) {
    refuse_shape(
        file,
        fmt::format(
            "kept flags of shape [{0}, {1}], [{0}, S, {1}] or [S, {0}, {1}] with S = 1 "
            "or 3",
            shape[0],
            shape[1]),
        flags);
  }
  const at::Tensor first = flags.select(axis, 0);
  for (int64_t i = 1; i < flags.size(axis); ++i) {
    const at::Tensor differs = first.ne(flags.select(axis, i));
    if (differs.any().item<bool>()) {
      const at::Tensor place = differs.nonzero()[0];
      throw DataError(fmt::format(
          "{}: expected equal slices, but 0 and {} differ at row {}, column {}, among "
          "others (a label hidden in one would show in the other)",
          file.string(),
          i,
          place[0].item<int64_t>(),
          place[1].item<int64_t>()));
    }
  }
  return first;
}

}  // namespace

at::Tensor empty_mask(const LabelTable& complete) {
  complete.validate();
  return at::zeros(complete.labels.sizes(), at::kChar);
}

void add_contradictions(
    const fs::path& file,
    const at::Tensor& mask,
    const LabelTable& complete,
    Faults& faults) {
  const at::Tensor labels = complete.labels.contiguous();
  const auto* said = mask.data_ptr<int8_t>();
  const auto* truth = labels.data_ptr<int8_t>();
  const int64_t n_cls = labels.size(1);
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (said[i] != 0 && said[i] != truth[i]) {
      const auto row = static_cast<size_t>(i / n_cls);
      const auto column = static_cast<size_t>(i % n_cls);
      faults.add(
          file,
          fmt::format("row {}, column {}", row, column),
          fmt::format(
              "calls {} {} in {}, where the complete labels say {}",
              io::in_quotes(complete.classnames[column]),
              state_name(said[i]),
              io::in_quotes(complete.images[row]),
              state_name(truth[i])));
    }
  }
}

at::Tensor read_kept_flags(const fs::path& file, const LabelTable& complete) {
  complete.validate();
  const at::Tensor flags =
      one_slice(file, read_array(file), complete.labels.sizes()).contiguous();
  const at::Tensor wrong = flags.ne(0).logical_and(flags.ne(1));
  if (wrong.any().item<bool>()) {
    Faults faults(subject(file));
    const at::Tensor places = wrong.nonzero();
    for (int64_t i = 0; i < places.size(0); ++i) {
      const int64_t row = places[i][0].item<int64_t>();
      const int64_t column = places[i][1].item<int64_t>();
      faults.add(
          file,
          fmt::format("row {}, column {}", row, column),
          fmt::format(
              "expected kept flags, 1 or 0, got {}",
              flags[row][column].item<double>()));
    }
    faults.throw_if_any();
  }
  return complete.labels * flags.to(at::kChar);
}

at::Tensor read_mask_array(
    const fs::path& file,
    LabelCode code,
    const LabelTable& complete,
    const std::vector<std::string>& images) {
  at::Tensor mask = empty_mask(complete);
  const at::Tensor values = read_array(file);
  const int64_t n_cls = mask.size(1);
  const int64_t n = images.empty() ? mask.size(0) : static_cast<int64_t>(images.size());
  if (values.dim() != 2 || values.size(0) != n || values.size(1) != n_cls) {
    refuse_shape(file, fmt::format("labels of shape [{}, {}]", n, n_cls), values);
  }
  const at::Tensor states = from_label_code(values, code, file);
  Faults faults(subject(file));
  if (images.empty()) {
    mask = states;
  } else {
    NamedRows rows(complete.images, file, faults);
    for (size_t i = 0; i < images.size(); ++i) {
      const int64_t row = rows.take(images[i], fmt::format("row {}", i));
      if (row >= 0) {
        mask[row].copy_(states[static_cast<int64_t>(i)]);
      }
    }
    rows.expect_all();
  }
  add_contradictions(file, mask, complete, faults);
  faults.throw_if_any();
  return mask;
}

LabelTable read_label_array(
    const fs::path& file,
    LabelCode code,
    std::vector<std::string> images,
    std::vector<std::string> classnames) {
  const at::Tensor values = read_array(file);
  if (values.dim() != 2) {
    refuse_shape(file, "labels of two dimensions", values);
  }
  number_if_empty(images, values.size(0));
  number_if_empty(classnames, values.size(1));
  const auto n = static_cast<int64_t>(images.size());
  const auto n_cls = static_cast<int64_t>(classnames.size());
  if (values.size(0) != n || values.size(1) != n_cls) {
    refuse_shape(
        file,
        fmt::format("labels of the {} pictures and {} categories named", n, n_cls),
        values);
  }
  LabelTable table;
  table.labels = from_label_code(values, code, file);
  table.images = std::move(images);
  table.classnames = std::move(classnames);
  table.validate(file.string());
  return table;
}

at::Tensor read_mask(
    const fs::path& file,
    LabelCode code,
    const LabelTable& complete,
    const std::vector<std::string>& images) {
  const std::string ending = file.extension().string();
  if (ending == ".npy" || ending == ".safetensors") {
    return read_mask_array(file, code, complete, images);
  }
  if (code == LabelCode::kDualCoOp && (ending == ".pt" || ending == ".pth")) {
    return read_kept_flags(file, complete);
  }
  if (code == LabelCode::kHcp && ending == ".txt") {
    return read_state_rows(file, complete);
  }
  if (code == LabelCode::kHcp && ending == ".csv") {
    return read_mask_csv(file, complete);
  }
  if (code == LabelCode::kSplc && ending == ".txt") {
    return read_positive_list(file, complete).labels;
  }
  throw DataError(fmt::format(
      "{}: there is no reader for {} of the family {} (.npy and .safetensors of all, "
      ".pt of dualcoop, .txt of hcp and splc, .csv of hcp)",
      file.string(),
      ending.empty() ? "a file without an ending" : ending,
      to_string(code)));
}

}  // namespace trmml::data
