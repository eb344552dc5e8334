#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <cstdint>

namespace trmml::clip {

/// While one lives, the towers that this thread builds have no initial values: whatever
/// the memory held stands in their weights (norms have theirs). For who sets all
/// weights anyway: drawing those of a ViT-B/16 takes longer than reading them. The
/// global generator still moves, by some numbers a layer.
///
/// Example:
/// ```
/// clip::ClipModel model = [&] {
///   const clip::SkipInitialValues skip;
///   return clip::ClipModel(options);
/// }();
/// io::load_module(*model, io::read_safetensors(path).tensors, path);
/// ```
class SkipInitialValues {
 public:
  SkipInitialValues() : before_(flag()) { flag() = true; }
  ~SkipInitialValues() { flag() = before_; }
  SkipInitialValues(const SkipInitialValues&) = delete;
  SkipInitialValues& operator=(const SkipInitialValues&) = delete;

  static bool active() { return flag(); }

 private:
  static bool& flag() {
    thread_local bool skip = false;
    return skip;
  }

  bool before_;
};

// LibTorch's layers draw their values when they are built. Those of one number cost
// nothing; they get their size afterwards.
namespace detail {

inline torch::nn::Linear make_linear(int64_t in, int64_t out) {
  if (!SkipInitialValues::active()) {
    return torch::nn::Linear(in, out);
  }
  torch::nn::Linear linear(1, 1);
  linear->options.in_features(in).out_features(out);
  linear->weight.set_data(torch::empty({out, in}));
  linear->bias.set_data(torch::empty({out}));
  return linear;
}

/// Without bias.
inline torch::nn::Conv2d
make_conv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  const auto with_channels = [&](int64_t from, int64_t to) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(from, to, kernel)
                                 .stride(stride)
                                 .padding(padding)
                                 .bias(false));
  };
  if (!SkipInitialValues::active()) {
    return with_channels(in, out);
  }
  torch::nn::Conv2d conv = with_channels(1, 1);
  conv->options.in_channels(in).out_channels(out);
  conv->weight.set_data(torch::empty({out, in, kernel, kernel}));
  return conv;
}

inline torch::nn::Embedding make_embedding(int64_t rows, int64_t width) {
  if (!SkipInitialValues::active()) {
    return torch::nn::Embedding(rows, width);
  }
  torch::nn::Embedding embedding(1, 1);
  embedding->options.num_embeddings(rows).embedding_dim(width);
  embedding->weight.set_data(torch::empty({rows, width}));
  return embedding;
}

}  // namespace detail
}  // namespace trmml::clip
