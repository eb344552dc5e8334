#include "support/feature_file.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <system_error>

#include "support/program.hpp"

namespace program {

namespace fs = std::filesystem;
using trmml::DataError;

int64_t FeatureFile::Column::row_bytes() const {
  int64_t bytes = sizeof(float);
  for (const int64_t size : shape) {
    bytes *= size;
  }
  return bytes;
}

FeatureFile::FeatureFile(
    const fs::path& out,
    const std::string& identity,
    bool restart,
    double save_every)
    : out_(out),
      folder_(out.string() + ".partial"),
      identity_(identity),
      save_every_(save_every) {
  if (out_.has_parent_path()) {
    program::make_folder(out_.parent_path());
  }
  {
    const trmml::io::AtomicFile probe(out_);  // told now, not when all rows are there
  }
  program::make_folder(folder_);
  lock_.emplace(folder_);
  if (!restart && fs::exists(folder_ / "state.json")) {
    load_state();
  } else {
    remove_rows();  // of the run before, or of one killed while it removed its folder
    write_state();
  }
}

fs::path FeatureFile::file_of(const std::string& name) const {
  return folder_ / (name + ".f32");
}

void FeatureFile::load_state() {
  const fs::path path = folder_ / "state.json";
  try {
    const nlohmann::json state = nlohmann::json::parse(std::ifstream(path));
    if (state.at("identity") != identity_) {
      throw DataError(fmt::format(
          "{}: belongs to another run (other pictures, texts, weights or options): "
          "repeat its command, or begin anew with --restart",
          folder_.string()));
    }
    done_ = state.at("done");
    items_ = state.at("items").get<std::vector<int64_t>>();
    for (const auto& [name, shape] : state.at("columns").items()) {
      columns_[name].shape = shape.get<std::vector<int64_t>>();
    }
  } catch (const nlohmann::json::exception&) {
    throw DataError(fmt::format(
        "{}: expected the state of a run, got something else (begin anew with "
        "--restart)",
        path.string()));
  }
  if (columns_.empty()) {  // killed before the first rows were saved
    remove_rows();
  }
  for (const auto& [name, column] : columns_) {
    const auto bytes = static_cast<std::uintmax_t>(column.row_bytes()) * items_.size();
    std::error_code error;
    if (fs::file_size(file_of(name), error) < bytes || error) {
      throw DataError(fmt::format(
          "{}: expected at least {} bytes (begin anew with --restart)",
          file_of(name).string(),
          bytes));
    }
    fs::resize_file(file_of(name), bytes);  // rows after the last state
  }
}

void FeatureFile::remove_rows() {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".f32") {
      fs::remove(entry.path());
    }
  }
}

void FeatureFile::write_state() const {
  nlohmann::json columns = nlohmann::json::object();
  for (const auto& [name, column] : columns_) {
    columns[name] = column.shape;
  }
  const nlohmann::json state = {
      {"identity", identity_},
      {"done", done_},
      {"items", items_},
      {"columns", columns}};
  trmml::io::write_file_atomically(folder_ / "state.json", state.dump());
}

void FeatureFile::append(
    const std::vector<int64_t>& items,
    const std::map<std::string, at::Tensor>& rows,
    int64_t end) {
  for (const auto& [name, tensor] : rows) {
    const at::Tensor values = tensor.to(at::kCPU, at::kFloat).contiguous();
    columns_[name].shape.assign(values.sizes().begin() + 1, values.sizes().end());
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
        std::fopen(file_of(name).c_str(), "ab"), std::fclose);
    const bool is_written =
        file != nullptr &&
        std::fwrite(values.data_ptr<float>(), 1, values.nbytes(), file.get()) ==
            values.nbytes() &&
        std::fflush(file.get()) == 0;
    if (!is_written) {
      throw trmml::WriteError(fmt::format(
          "{}: cannot write: {}",
          file_of(name).string(),
          std::generic_category().message(errno)));
    }
  }
  items_.insert(items_.end(), items.begin(), items.end());
  done_ = end;
  if (std::chrono::steady_clock::now() - saved_ >= save_every_) {
    save();
  }
}

void FeatureFile::save() {
  write_state();
  saved_ = std::chrono::steady_clock::now();
}

void FeatureFile::finish(const trmml::io::Metadata& metadata) {
  if (items_.empty()) {
    throw DataError(out_.string() + ": there is nothing to write, no item was good");
  }
  save();
  trmml::io::TensorMap tensors;
  for (const auto& [name, column] : columns_) {
    std::vector<int64_t> shape = column.shape;
    shape.insert(shape.begin(), static_cast<int64_t>(items_.size()));
    int64_t size = 1;
    for (const int64_t n : shape) {
      size *= n;
    }
    // Mapped, so that it need not fit memory.
    tensors[name] =
        at::from_file(file_of(name).string(), /*shared=*/false, size, at::kFloat)
            .view(shape);
  }
  trmml::io::write_safetensors(out_, tensors, metadata);
  tensors.clear();
  fs::remove_all(folder_);
}

}  // namespace program
