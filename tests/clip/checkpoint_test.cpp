#include "trmml/clip/checkpoint.hpp"

#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/clip/initial_values.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/io/torch_archive.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "clip/compare_clip.hpp"
#include "clip/towers_support.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "support/torch_archives.hpp"

using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::clip::CheckpointOptions;
using trmml::clip::ClipModel;
using trmml::clip::ClipModelOptions;
using trmml::clip::load_clip;
using trmml::clip::LoadedClip;
using trmml::clip::ModifiedResNetOptions;
using trmml::clip::TextTransformerOptions;
using trmml::clip::VisionTransformerOptions;
using trmml::io::Metadata;
using trmml::io::TensorMap;
using trmml::io::write_safetensors;

namespace {

const std::filesystem::path kCheckpoints = TRMML_CHECKPOINTS;
const std::filesystem::path kVit = kCheckpoints / "small-vit";

CheckpointOptions two_heads() {
  return CheckpointOptions().image_heads(2).text_heads(2);
}

/// The weights of the small ViT under OpenCLIP's names.
TensorMap open_clip_tensors() {
  return trmml::io::read_safetensors(kVit / "open_clip/open_clip_model.safetensors")
      .tensors;
}

TensorMap hugging_face_tensors() {
  return trmml::io::read_safetensors(kVit / "transformers/model.safetensors").tensors;
}

/// Loads `tensors` from a file in a folder with the other files.
LoadedClip load_tensors(
    const TensorMap& tensors,
    const CheckpointOptions& options = two_heads(),
    const Metadata& metadata = {},
    const std::vector<std::pair<std::string, std::string>>& others = {}) {
  const TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", tensors, metadata);
  for (const auto& [name, content] : others) {
    write_bytes(folder / name, content);
  }
  return load_clip(folder / "model.safetensors", options);
}

/// The message of what `action` throws, without the folder of temporary files.
std::string error_of(const std::function<void()>& action) {
  std::string message;
  try {
    message = support::error_of<trmml::CheckpointError>(action);
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  }
  const size_t begin = message.find("/trmml-test-");
  if (begin != std::string::npos) {
    message = message.substr(message.find('/', begin + 1) + 1);
  }
  return message;
}

std::string error_of_tensors(
    const TensorMap& tensors,
    const CheckpointOptions& options = two_heads(),
    const Metadata& metadata = {},
    const std::vector<std::pair<std::string, std::string>>& others = {}) {
  return error_of([&] { load_tensors(tensors, options, metadata, others); });
}

bool gives_equal_features(LoadedClip& a, LoadedClip& b) {
  const at::Tensor images = support::clip_images(1, 32);
  const at::Tensor ids = support::clip_text_ids(523, 12);
  return a.model->encode_image(images).equal(b.model->encode_image(images)) &&
         a.model->encode_text(ids).equal(b.model->encode_text(ids));
}

bool uses_quick_gelu(const LoadedClip& clip) {
  const auto& image = std::get<VisionTransformerOptions>(clip.model->options.image());
  return image.quick_gelu() && clip.model->options.text().quick_gelu();
}

}  // namespace

TEST_CASE("features equal the reference implementations' in every format") {
  int cases = 0;
  for (const char* name : {"small-rn", "small-vit"}) {
    const auto reference =
        trmml::io::read_safetensors(kCheckpoints / name / "reference.safetensors");
    for (const support::ClipCase& item : support::clip_cases(reference)) {
      LoadedClip clip = load_clip(kCheckpoints / name / item.file, item.options);
      const auto differences =
          support::compare_clip(*clip.model, reference, item.reference);
      CHECK(differences.size() == (item.reference == "transformers" ? 3 : 9));
      for (const auto& [output, value] : differences) {
        INFO(name << "/" << item.file << ": " << output);
        CHECK(value < 1e-5);
      }
      ++cases;
    }
  }
  CHECK(cases == 9);
}

TEST_CASE("the reference tells one activation from the other") {
  const auto reference = trmml::io::read_safetensors(kVit / "reference.safetensors");
  LoadedClip clip = load_clip(kVit / "openai.pt", two_heads().quick_gelu(false));
  for (const auto& [output, value] :
       support::compare_clip(*clip.model, reference, "quick")) {
    INFO(output);
    CHECK(value > 1e-3);
  }
}

TEST_CASE("a loaded checkpoint says what it is") {
  const LoadedClip openai =
      load_clip(kCheckpoints / "small-rn/openai.pt", CheckpointOptions().text_heads(2));
  CHECK(openai.format == "TorchScript archive");
  CHECK(openai.names == "OpenAI");
  CHECK(openai.assumptions.empty());
  CHECK(
      openai.description ==
      "ResNet of 1-1-1-1 blocks, width 2, 64 pixels: TorchScript archive, names of "
      "OpenAI, numbers in Float and Half; QuickGELU; 1 buffers are no weights");

  const LoadedClip training = load_clip(kVit / "training.pt", two_heads());
  CHECK(training.names == "OpenCLIP");
  CHECK(
      training.description ==
      "ViT of 2 blocks, width 8, patches of 8, 32 pixels: state dict, names of "
      "OpenCLIP, numbers in Float; GELU; read from \"state_dict.module.\", 2 other "
      "tensors left out; assumed: GELU in both towers, as OpenCLIP has it where "
      "nothing "
      "is said (option quick_gelu)");

  const LoadedClip sharded = load_clip(kVit / "sharded");
  CHECK(sharded.file == kVit / "sharded/model.safetensors.index.json");
  CHECK(
      sharded.description ==
      "ViT of 2 blocks, width 8, patches of 8, 32 pixels: sharded safetensors, names "
      "of "
      "Hugging Face, numbers in Float; QuickGELU (config.json)");
  CHECK(
      load_clip(kVit / "open_clip").file ==
      kVit / "open_clip/open_clip_model.safetensors");
}

TEST_CASE("sizes are inferred from shapes") {
  const LoadedClip clip = load_clip(kVit / "transformers");
  const auto& image = std::get<VisionTransformerOptions>(clip.model->options.image());
  CHECK(image.embed_dim() == 8);
  CHECK(image.patch_size() == 8);
  CHECK(image.width() == 8);
  CHECK(image.layers() == 2);
  CHECK(image.heads() == 2);
  CHECK(image.input_resolution() == 32);
  const TextTransformerOptions& text = clip.model->options.text();
  CHECK(text.vocab_size() == 523);
  CHECK(text.context_length() == 12);
  CHECK(text.width() == 8);
  CHECK(text.layers() == 1);
  CHECK(text.heads() == 2);

  const LoadedClip resnet =
      load_clip(kCheckpoints / "small-rn/openai.pt", CheckpointOptions().text_heads(2));
  const auto& tower = std::get<ModifiedResNetOptions>(resnet.model->options.image());
  CHECK(tower.layers() == std::vector<int64_t>{1, 1, 1, 1});
  CHECK(tower.width() == 2);
  CHECK(tower.heads() == 1);
  CHECK(tower.input_resolution() == 64);
}

TEST_CASE("the model is frozen, and the global generator is left alone") {
  at::manual_seed(3);
  const at::Tensor expected = at::randn({4});
  at::manual_seed(3);
  LoadedClip clip = load_clip(kVit / "transformers");
  CHECK(at::randn({4}).equal(expected));
  CHECK_FALSE(clip.model->is_training());
  for (const auto& parameter : clip.model->parameters()) {
    CHECK_FALSE(parameter.requires_grad());
    CHECK(parameter.is_contiguous());
  }
}

TEST_CASE("weights that stay in the file give the same tower") {
  using trmml::clip::DenseForm;
  using trmml::clip::FrozenImageTower;
  const at::NoGradGuard no_grad;
  at::manual_seed(3);
  const at::Tensor expected_random = at::randn({4});
  for (const char* name : {"small-rn", "small-vit"}) {
    const auto reference =
        trmml::io::read_safetensors(kCheckpoints / name / "reference.safetensors");
    for (support::ClipCase item : support::clip_cases(reference)) {
      INFO(name << "/" << item.file);
      const LoadedClip copied =
          load_clip(kCheckpoints / name / item.file, item.options);
      at::manual_seed(3);
      const LoadedClip mapped =
          load_clip(kCheckpoints / name / item.file, item.options.mapped(true));
      CHECK(at::randn({4}).equal(expected_random));
      CHECK(mapped.description == copied.description);
      const auto values = trmml::io::module_tensors(*copied.model);
      for (const auto& [key, tensor] : trmml::io::module_tensors(*mapped.model)) {
        CHECK(tensor.to(at::kFloat).equal(values.at(key).to(at::kFloat)));
        CHECK_FALSE(tensor.requires_grad());
      }
      const int64_t side = copied.model->options.input_resolution();
      const at::Tensor images = support::clip_images(1, side);
      ClipModel a = copied.model;
      ClipModel b = mapped.model;
      const auto expected =
          FrozenImageTower(*a).image_features(images, DenseForm::kDualCoOp);
      const auto features =
          FrozenImageTower(*b, at::kFloat).image_features(images, DenseForm::kDualCoOp);
      // The weights are the same bit for bit; products of the same numbers at other
      // places in memory are the same to rounding.
      CHECK(support::relative_difference(features.global, expected.global) < 1e-6);
      CHECK(support::relative_difference(features.regions, expected.regions) < 1e-6);
    }
  }
  CHECK(
      error_of_tensors(
          open_clip_tensors(), two_heads().mapped(true).dtype(at::kDouble)) ==
      "load_clip: expected neither device nor dtype for mapped weights, got Double on "
      "cpu");
}

TEST_CASE("without initial values a model has the same names, sizes and options") {
  for (const ClipModelOptions& options :
       {ClipModelOptions(
            ModifiedResNetOptions(8).width(8).layers({1, 2, 1, 1}).heads(4),
            TextTransformerOptions(8).width(8).heads(2).layers(1).vocab_size(8)),
        ClipModelOptions(
            VisionTransformerOptions(8).width(8).layers(2).heads(2),
            TextTransformerOptions(8).width(8).heads(2).layers(1).vocab_size(8))}) {
    ClipModel usual(options);
    CHECK_FALSE(trmml::clip::SkipInitialValues::active());
    ClipModel empty = [&] {
      const trmml::clip::SkipInitialValues skip;
      return ClipModel(options);
    }();
    CHECK_FALSE(trmml::clip::SkipInitialValues::active());
    auto there = trmml::io::module_tensors(*empty);
    const auto expected = trmml::io::module_tensors(*usual);
    REQUIRE(there.size() == expected.size());
    for (const auto& [name, tensor] : expected) {
      INFO(name);
      CHECK(there.at(name).sizes() == tensor.sizes());
    }
    std::ostringstream a, b;
    a << *usual;
    b << *empty;
    CHECK(a.str() == b.str());  // the layers' own options
    trmml::io::load_module(*empty, expected, "weights");
    CHECK(empty->clone() != nullptr);
  }
}

TEST_CASE("what this library writes, it reads") {
  const ClipModel model(ClipModelOptions(
      VisionTransformerOptions(8)
          .patch_size(8)
          .width(24)
          .layers(2)
          .heads(3)
          .input_resolution(32)
          .quick_gelu(false),
      TextTransformerOptions(8)
          .vocab_size(20)
          .context_length(9)
          .width(12)
          .heads(4)
          .layers(2)
          .quick_gelu(true)));
  const TensorMap tensors = trmml::io::module_tensors(*model);
  Metadata metadata = model->options.to_metadata();
  metadata["epoch"] = "3";
  const LoadedClip clip = load_tensors(tensors, {}, metadata);
  CHECK(clip.names == "trmml");
  CHECK(clip.assumptions.empty());
  CHECK(clip.model->options.to_metadata() == model->options.to_metadata());
  for (const auto& [name, tensor] : trmml::io::module_tensors(*clip.model)) {
    CHECK(tensor.equal(tensors.at(name)));
  }
  CHECK(
      clip.description.find("GELU (image) and QuickGELU (text)") != std::string::npos);

  metadata["clip.text.layers"] = "3";
  CHECK(
      error_of_tensors(tensors, {}, metadata) ==
      "model.safetensors: the metadata say clip.text.layers 3, but the shapes of the "
      "weights say 2");
  metadata["clip.text.layers"] = "99999999999";
  CHECK(
      error_of_tensors(tensors, {}, metadata) ==
      "model.safetensors: ClipModelOptions::from_metadata: expected 'clip.text.layers' "
      "to be a whole number, got '99999999999'");
  metadata.erase("clip.text.layers");
  CHECK(
      error_of_tensors(tensors, {}, metadata) ==
      "model.safetensors: ClipModelOptions::from_metadata: expected the key "
      "'clip.text.layers', found only other keys (were the weights written with their "
      "options?)");
}

TEST_CASE("all names that do not fit are reported at once") {
  TensorMap tensors = open_clip_tensors();
  tensors.erase("visual.ln_pre.weight");
  tensors.erase("transformer.resblocks.0.attn.in_proj_bias");
  tensors["visual.ln_post.bias"] = at::zeros({9});
  tensors["ln_final.weight"] = at::ones({8}, at::kLong);
  tensors["logit_bias"] = at::zeros({});
  tensors["visual.transformer.resblocks.1.ls_1.gamma"] = at::ones({8});
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: 2 missing: visual.ln_pre.weight, "
      "transformer.resblocks.0.attn.in_proj_bias; 2 unexpected: \"logit_bias\", "
      "\"visual.transformer.resblocks.1.ls_1.gamma\"; 1 of another shape: "
      "visual.ln_post.bias expected [8], got [9]; 1 of another type: ln_final.weight "
      "expected floating-point numbers, got Long");
  tensors = hugging_face_tensors();
  tensors.erase("text_model.encoder.layers.0.self_attn.k_proj.weight");
  tensors["vision_model.encoder.layers.1.mlp.fc1.bias"] = at::zeros({3});
  tensors["visual_projection.weight"] = at::zeros({9, 8});
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: ClipModelOptions: expected towers of one embed_dim, got 9 "
      "(image) and 8 (text)");
  tensors["visual_projection.weight"] = at::zeros({8, 8});
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: 1 missing: "
      "text_model.encoder.layers.0.self_attn.k_proj.weight; 1 of another shape: "
      "vision_model.encoder.layers.1.mlp.fc1.bias expected [32], got [3]");
}

TEST_CASE("sizes that cannot be inferred are reported at once") {
  TensorMap tensors = open_clip_tensors();
  tensors.erase("visual.proj");
  tensors.erase("positional_embedding");
  tensors["visual.positional_embedding"] = at::zeros({16, 8});
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: cannot infer the sizes of the model: positional_embedding is "
      "missing; visual.positional_embedding expected 1 + G * G rows, got 16; "
      "visual.proj "
      "is missing");
  tensors = open_clip_tensors();
  tensors["token_embedding.weight"] = at::zeros({0, int64_t{1} << 40});
  tensors["text_projection"] = at::zeros({8});
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: cannot infer the sizes of the model: text_projection "
      "expected "
      "2 dimensions, got [8]; token_embedding.weight expected sizes of 1 to 16777216, "
      "got [0, 1099511627776]");
}

TEST_CASE("prefixes of wrappers are taken off") {
  LoadedClip plain = load_tensors(open_clip_tensors());
  for (const std::string prefix : {"module.", "model.module.", "_orig_mod.", "ema."}) {
    TensorMap tensors;
    for (const auto& [name, tensor] : open_clip_tensors()) {
      tensors[prefix + name] = tensor;
    }
    tensors["step"] = at::zeros({});
    LoadedClip clip = load_tensors(tensors);
    CHECK(gives_equal_features(plain, clip));
    CHECK(
        clip.description.find(
            "read from \"" + prefix + "\", 1 other tensors left out") !=
        std::string::npos);
    tensors.erase(prefix + "ln_final.bias");
    CHECK(
        error_of_tensors(tensors) ==
        "model.safetensors: under \"" + prefix + "\": 1 missing: ln_final.bias");
  }
  TensorMap both;
  for (const auto& [name, tensor] : open_clip_tensors()) {
    both["a." + name] = tensor;
    both["b." + name] = tensor;
  }
  CHECK(
      error_of_tensors(both) ==
      "model.safetensors: expected one model, found 2 under \"a.\", \"b.\"");
}

TEST_CASE("buffers that are no weights, and scalars in brackets, do no harm") {
  LoadedClip plain = load_tensors(open_clip_tensors());
  TensorMap tensors = open_clip_tensors();
  tensors["attn_mask"] = at::zeros({12, 12});
  tensors["logit_scale"] = tensors["logit_scale"].view({1});
  LoadedClip clip = load_tensors(tensors);
  CHECK(gives_equal_features(plain, clip));
  CHECK(clip.model->logit_scale.dim() == 0);
  CHECK(clip.model->logit_scale.equal(plain.model->logit_scale));
  TensorMap theirs = hugging_face_tensors();
  theirs["text_model.embeddings.position_ids"] = at::arange(12).view({1, 12});
  theirs["vision_model.embeddings.position_ids"] = at::arange(17).view({1, 17});
  CHECK_NOTHROW(load_tensors(theirs));

  TensorMap resnet =
      trmml::io::read_torch_archive(kCheckpoints / "small-rn/openai.pt").tensors;
  for (auto item = resnet.begin(); item != resnet.end();) {
    const bool is_counter = item->first.find("num_batches") != std::string::npos;
    item = is_counter ? resnet.erase(item) : std::next(item);
  }
  CHECK_NOTHROW(load_tensors(resnet, CheckpointOptions().text_heads(2)));
}

TEST_CASE("numbers that OpenAI's files tell must agree with the shapes") {
  TensorMap tensors = open_clip_tensors();
  tensors["input_resolution"] = at::scalar_tensor(32, at::kLong);
  const LoadedClip clip = load_tensors(tensors);
  CHECK(clip.names == "OpenAI");
  CHECK(uses_quick_gelu(clip));
  tensors["input_resolution"] = at::scalar_tensor(224, at::kLong);
  CHECK(
      error_of_tensors(tensors) ==
      "model.safetensors: the file says input_resolution 224, but the shapes of its "
      "weights say 32");
}

TEST_CASE("the activation comes from options, file, config, or is assumed") {
  const auto other = [](const char* folder, const char* name) {
    return std::pair(std::string(name), read_bytes(kVit / folder / name));
  };
  const auto open_clip = other("open_clip", "open_clip_config.json");
  const auto theirs = other("transformers", "config.json");
  const TensorMap flat = open_clip_tensors();
  const TensorMap hugging_face = hugging_face_tensors();

  CHECK_FALSE(uses_quick_gelu(load_tensors(flat)));
  CHECK(load_tensors(flat).assumptions.size() == 1);
  CHECK(uses_quick_gelu(load_tensors(hugging_face)));
  CHECK(
      load_tensors(hugging_face).assumptions ==
      std::vector<std::string>{"QuickGELU in both towers, as transformers has it where "
                               "nothing is said (option quick_gelu)"});
  CHECK_FALSE(uses_quick_gelu(load_tensors(flat, {}, {}, {open_clip})));
  CHECK(load_tensors(flat, {}, {}, {open_clip}).assumptions.empty());
  CHECK(uses_quick_gelu(load_tensors(flat, {}, {}, {theirs})));
  CHECK_FALSE(uses_quick_gelu(load_tensors(hugging_face, {}, {}, {open_clip})));
  CHECK(uses_quick_gelu(
      load_tensors(flat, CheckpointOptions().quick_gelu(true), {}, {open_clip})));

  auto quick = open_clip;
  quick.second.replace(quick.second.find("\"embed_dim\""), 0, "\"quick_gelu\": true, ");
  CHECK(uses_quick_gelu(load_tensors(flat, {}, {}, {quick})));
}

TEST_CASE("a config of another model is left alone, a wrong one is an error") {
  auto theirs = std::pair<std::string, std::string>(
      "config.json", read_bytes(kVit / "transformers/config.json"));
  const auto with = [&](const std::string& from, const std::string& to) {
    auto changed = theirs;
    const size_t place = changed.second.rfind(from);  // of the image tower
    changed.second.replace(place, from.size(), to);
    return std::vector<std::pair<std::string, std::string>>{changed};
  };
  const TensorMap tensors = hugging_face_tensors();
  const LoadedClip other = load_tensors(
      tensors, two_heads(), {}, with("\"hidden_size\": 8", "\"hidden_size\": 16"));
  CHECK(other.assumptions.size() == 1);
  CHECK(
      load_tensors(tensors, two_heads(), {}, with("\"clip\"", "\"siglip\""))
          .assumptions.size() == 1);
  CHECK(
      error_of_tensors(tensors, {}, {}, with("\"quick_gelu\"", "\"gelu_new\"")) ==
      "config.json: expected vision_config.hidden_act to be \"quick_gelu\" or "
      "\"gelu\", "
      "got \"gelu_new\"");
  CHECK(
      error_of_tensors(tensors, {}, {}, with("1e-05", "1e-06")) ==
      "config.json: expected vision_config.layer_norm_eps to be 1e-05, got 1e-06");
  CHECK(
      error_of_tensors(
          tensors,
          {},
          {},
          with("\"num_attention_heads\": 2", "\"num_attention_heads\": \"2\"")) ==
      "config.json: expected vision_config.num_attention_heads to be a whole number, "
      "got "
      "\"2\"");
  CHECK(
      error_of_tensors(
          tensors,
          {},
          {},
          with("\"num_attention_heads\": 2", "\"num_attention_heads\": 3")) ==
      "model.safetensors: VisionTransformerOptions: expected heads that divide width "
      "8, "
      "got 3");
  CHECK(
      error_of_tensors(tensors, {}, {}, {{"config.json", "{"}}) ==
      "config.json: expected a JSON object");
  CHECK(
      error_of_tensors(tensors, {}, {}, {{"config.json", "[]"}}) ==
      "config.json: expected a JSON object");

  std::string cfg = read_bytes(kVit / "open_clip/open_clip_config.json");
  cfg.replace(cfg.find("\"head_width\""), 0, "\"pool_type\": \"avg\", ");
  CHECK(
      error_of_tensors(open_clip_tensors(), {}, {}, {{"open_clip_config.json", cfg}}) ==
      "open_clip_config.json: expected model_cfg.vision_cfg.pool_type to be \"tok\", "
      "got "
      "\"avg\"");
}

TEST_CASE("heads that nothing tells are asked for") {
  CHECK(
      error_of_tensors(open_clip_tensors(), {}) ==
      "model.safetensors: the width 8 is no multiple of 64, and nothing tells the "
      "number "
      "of attention heads (option image_heads)");
  CHECK(
      error_of_tensors(open_clip_tensors(), CheckpointOptions().image_heads(2)) ==
      "model.safetensors: the width 8 is no multiple of 64, and nothing tells the "
      "number "
      "of attention heads (option text_heads)");
  CHECK(
      error_of_tensors(
          open_clip_tensors(), CheckpointOptions().image_heads(0).text_heads(2)) ==
      "load_clip: expected image_heads that divide the width 8, got 0");
}

TEST_CASE("half precision is up-cast, and other types are made on request") {
  LoadedClip plain = load_tensors(open_clip_tensors());
  TensorMap halves;
  for (const auto& [name, tensor] : open_clip_tensors()) {
    halves[name] = tensor.to(at::kHalf);  // exact: the weights were rounded to fp16
  }
  LoadedClip clip = load_tensors(halves);
  CHECK(clip.model->text->token_embedding->weight.scalar_type() == at::kFloat);
  CHECK(gives_equal_features(plain, clip));
  CHECK(clip.description.find("numbers in Half") != std::string::npos);

  LoadedClip brain =
      load_tensors(open_clip_tensors(), two_heads().dtype(at::kBFloat16));
  CHECK(
      brain.model->encode_image(support::clip_images(1, 32).to(at::kBFloat16))
          .scalar_type() == at::kBFloat16);
  LoadedClip exact = load_tensors(open_clip_tensors(), two_heads().dtype(at::kDouble));
  CHECK(
      support::row_difference(
          exact.model->encode_image(support::clip_images(1, 32).to(at::kDouble)),
          plain.model->encode_image(support::clip_images(1, 32))) < 1e-5);
  CHECK(
      error_of_tensors(open_clip_tensors(), two_heads().dtype(at::kHalf)) ==
      "load_clip: expected dtype Float, Double, BFloat16, or Half on an accelerator, "
      "got "
      "Half on cpu");
  CHECK(
      error_of_tensors(open_clip_tensors(), two_heads().dtype(at::kLong)) ==
      "load_clip: expected dtype Float, Double, BFloat16, or Half on an accelerator, "
      "got "
      "Long on cpu");
}

TEST_CASE("half precision is kept on an accelerator when asked") {
  if (!at::hasCUDA()) {
    return;
  }
  LoadedClip plain = load_tensors(open_clip_tensors());
  LoadedClip clip =
      load_tensors(open_clip_tensors(), two_heads().device(at::kCUDA).dtype(at::kHalf));
  const at::Tensor images = support::clip_images(1, 32);
  const at::Tensor features =
      clip.model->encode_image(images.to(at::kCUDA).to(at::kHalf));
  CHECK(features.scalar_type() == at::kHalf);
  CHECK(
      support::row_difference(features.cpu(), plain.model->encode_image(images)) <
      2e-2);
}

TEST_CASE("files that are no CLIP are refused with what they hold") {
  CHECK(
      error_of_tensors({{"fc.weight", at::ones({2})}, {"fc.bias", at::ones({2})}}) ==
      "model.safetensors: expected both towers of CLIP under the names of OpenAI, "
      "OpenCLIP or Hugging Face, found 2 tensors such as \"fc.bias\", \"fc.weight\"");
  CHECK(
      error_of_tensors({}) ==
      "model.safetensors: expected both towers of CLIP under the names of OpenAI, "
      "OpenCLIP or Hugging Face, found 0 tensors");
  TensorMap tensors = open_clip_tensors();
  tensors.erase("token_embedding.weight");
  CHECK(
      error_of_tensors(tensors).find("expected both towers of CLIP") !=
      std::string::npos);
  CHECK(
      error_of_tensors(
          {{"visual.trunk.conv.weight", at::ones({2})},
           {"text.transformer.embeddings.weight", at::ones({2})}}) ==
      "model.safetensors: expected both towers of CLIP under the names of OpenAI, "
      "OpenCLIP or Hugging Face, found 2 tensors such as "
      "\"text.transformer.embeddings.weight\", \"visual.trunk.conv.weight\" (image "
      "towers of timm are not supported) (other text encoders are not supported)");
}

TEST_CASE("formats are told apart by content, and folders by what is in them") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& name) {
    return error_of([&] { load_clip(folder / name, two_heads()); });
  };
  CHECK(error("missing") == "missing: cannot open the file: No such file or directory");
  const std::string empty = error("");
  CHECK(
      empty.substr(empty.find(": ")) ==
      ": expected a folder with a checkpoint (model.safetensors, ..), found none");
  write_bytes(folder / "a.pt", read_bytes(kVit / "two_towers.safetensors"));
  CHECK(load_clip(folder.path(), two_heads()).format == "safetensors");
  write_bytes(folder / "b.bin", read_bytes(kVit / "openai_state.pt"));
  CHECK(load_clip(folder / "b.bin", two_heads()).format == "state dict");
  const std::string several = error("");
  CHECK(
      several.substr(several.find(": ")) ==
      ": expected one checkpoint in the folder, found a.pt, b.bin (name one of the "
      "files)");
  write_bytes(folder / "c.safetensors", read_bytes(kVit / "openai.pt"));
  CHECK(
      load_clip(folder / "c.safetensors", two_heads()).format == "TorchScript archive");
  write_bytes(folder / "d", "{\"a\": 1}");
  CHECK(
      error("d") == "d: index: expected the fields weight_map and metadata, got \"a\"");
  write_bytes(folder / "d", "{}");
  CHECK(error("d") == "d: index: expected the field weight_map, found none");
  // Lengths of a header whose first bytes look like a pickle, a zip archive, an index.
  for (const size_t length : {0x80U, 0x4B50U, 0x7BU}) {
    std::string header = "{}";
    header.resize(length, ' ');
    write_bytes(folder / "g", support::little(length, 8) + header);
    CHECK(error("g").find("found 0 tensors") != std::string::npos);
  }
  write_bytes(folder / "e", "hello");
  CHECK(error("e") == "e: expected at least 8 bytes (the length of the header), got 5");
  write_bytes(folder / "f", "\x80\x02\x8a\nl\xfc");
  CHECK(
      error("f").find("expected the zip format of PyTorch 1.6 and later") !=
      std::string::npos);
}
