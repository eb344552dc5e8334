#include "checkpoint_parameters.hpp"

#include <fmt/format.h>

#include <utility>
#include <variant>

namespace trmml::clip::checkpoint {

namespace {

class Expectations {
 public:
  explicit Expectations(const ClipModelOptions& options) {
    if (const auto* resnet = std::get_if<ModifiedResNetOptions>(&options.image())) {
      add_resnet(*resnet);
    } else {
      const auto& image = std::get<VisionTransformerOptions>(options.image());
      const int64_t w = image.width();
      const int64_t grid = image.input_resolution() / image.patch_size();
      add("visual.class_embedding", {w});
      add("visual.positional_embedding", {grid * grid + 1, w});
      add("visual.proj", {w, image.embed_dim()});
      add("visual.conv1.weight", {w, 3, image.patch_size(), image.patch_size()});
      add_pair("visual.ln_pre", {w}, w);
      add_pair("visual.ln_post", {w}, w);
      add_blocks("visual.", w, image.layers());
    }
    const TextTransformerOptions& text = options.text();
    const int64_t w = text.width();
    add("text.positional_embedding", {text.context_length(), w});
    add("text.text_projection", {w, text.embed_dim()});
    add("text.token_embedding.weight", {text.vocab_size(), w});
    add_pair("text.ln_final", {w}, w);
    add_blocks("text.", w, text.layers());
    add("logit_scale", {});
  }

  std::vector<Expected> all;

 private:
  void add(std::string name, std::vector<int64_t> shape) {
    all.push_back({std::move(name), std::move(shape)});
  }

  void add_pair(const std::string& name, std::vector<int64_t> weight, int64_t bias) {
    add(name + ".weight", std::move(weight));
    add(name + ".bias", {bias});
  }

  void add_blocks(const std::string& tower, int64_t w, int64_t layers) {
    for (int64_t i = 0; i < layers; ++i) {
      const std::string block = fmt::format("{}transformer.resblocks.{}.", tower, i);
      add(block + "attn.in_proj_weight", {3 * w, w});
      add(block + "attn.in_proj_bias", {3 * w});
      add_pair(block + "attn.out_proj", {w, w}, w);
      add_pair(block + "ln_1", {w}, w);
      add_pair(block + "ln_2", {w}, w);
      add_pair(block + "mlp.c_fc", {4 * w, w}, 4 * w);
      add_pair(block + "mlp.c_proj", {w, 4 * w}, w);
    }
  }

  void add_conv(
      const std::string& place,
      const std::string& conv,
      const std::string& norm,
      int64_t in,
      int64_t out,
      int64_t kernel) {
    add(place + conv + ".weight", {out, in, kernel, kernel});
    add_pair(place + norm, {out}, out);
    add(place + norm + ".running_mean", {out});
    add(place + norm + ".running_var", {out});
    add(place + norm + ".num_batches_tracked", {});
  }

  void add_resnet(const ModifiedResNetOptions& options) {
    const int64_t w = options.width();
    add_conv("visual.", "conv1", "bn1", 3, w / 2, 3);
    add_conv("visual.", "conv2", "bn2", w / 2, w / 2, 3);
    add_conv("visual.", "conv3", "bn3", w / 2, w, 3);
    int64_t in = w;
    for (size_t stage = 0; stage < options.layers().size(); ++stage) {
      const int64_t width = w << stage;
      for (int64_t i = 0; i < options.layers()[stage]; ++i) {
        const std::string block = fmt::format("visual.layer{}.{}.", stage + 1, i);
        add_conv(block, "conv1", "bn1", in, width, 1);
        add_conv(block, "conv2", "bn2", width, width, 3);
        add_conv(block, "conv3", "bn3", width, 4 * width, 1);
        if (i == 0) {  // the stage's stride, or another number of channels
          add_conv(block, "downsample.0", "downsample.1", in, 4 * width, 1);
        }
        in = 4 * width;
      }
    }
    const int64_t grid = options.input_resolution() / 32;
    add("visual.attnpool.positional_embedding", {grid * grid + 1, in});
    for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
      add_pair(std::string("visual.attnpool.") + part, {in, in}, in);
    }
    add_pair("visual.attnpool.c_proj", {options.embed_dim(), in}, options.embed_dim());
  }
};

}  // namespace

std::vector<Expected> expected_parameters(const ClipModelOptions& options) {
  return Expectations(options).all;
}

}  // namespace trmml::clip::checkpoint
