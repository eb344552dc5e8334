// An experiment of one's own, wired from the library's parts: a method that is not in
// the library is trained beside TRM-ML, by the same trainer and on the same labels, of
// which 10 % are known. docs/own_experiment.md goes through it.
//
//   own_experiment [FOLDER]     FOLDER: Fashion-MNIST (default: where Debian has it)
//
// Takes about a minute on one core and writes nothing.

#include "trmml/clip/checkpoint.hpp"
#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/clip/tokenizer.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/method/classnames.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/training/trainer.hpp"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/program.hpp"

namespace {

namespace clip = trmml::clip;
namespace data = trmml::data;
namespace training = trmml::training;

// The method to be tried: a category is as present as the region that looks most like
// it,
//   z_c = s max_r (<v_r, t+_c> - <v_r, t-_c>),
// with learned prompts and scale s, and no learned queries.
class BestRegion : public torch::nn::Module, public trmml::Method {
 public:
  BestRegion(
      const trmml::PromptLearnerOptions& options,
      trmml::ClassnameEmbeddings names,
      trmml::TextEncoder encode_text)
      : encode_text_(std::move(encode_text)) {
    prompts_ =
        register_module("prompts", trmml::PromptLearner(options, std::move(names)));
    logit_scale_ = register_parameter("logit_scale", at::full({}, std::log(20.0)));
  }

  torch::nn::Module& as_module() override { return *this; }

  at::Tensor text_features() override {
    return trmml::functional::l2_normalise(encode_text_(prompts_->forward()));
  }

  trmml::TrmMlOutput forward(
      const clip::ImageFeatures& images,
      const at::Tensor& text_features) override {
    trmml::TrmMlOutput output;
    output.text_features =
        text_features.defined() ? text_features : this->text_features();
    const at::Tensor difference =
        output.text_features[0] - output.text_features[1];  // [C, D]
    const at::Tensor regions = trmml::functional::l2_normalise(images.regions);
    output.region_logits =
        at::matmul(regions, difference.t()).amax(1) * logit_scale_.exp();  // [B, C]
    return output;
  }

  std::vector<trmml::ParameterGroup> parameter_groups() override {
    return {{"prompts", {prompts_->ctx, logit_scale_}}};
  }

 private:
  trmml::PromptLearner prompts_{nullptr};
  at::Tensor logit_scale_;
  trmml::TextEncoder encode_text_;
};

struct Part {
  clip::ImageFeatures features;
  at::Tensor labels;  // int8 [N, C] in {-1, +1}
};

Part encode(const clip::FrozenImageTower& tower, const data::SceneSet& scenes) {
  constexpr int64_t kBatch = 100;
  std::vector<at::Tensor> global, regions;
  for (const at::Tensor& batch : scenes.images.split(kBatch)) {
    const auto features = tower.image_features(
        clip::normalize_images(batch, /*upscale=*/2), clip::DenseForm::kPlain);
    global.push_back(features.global);
    regions.push_back(features.regions);
  }
  return {{at::cat(global), at::cat(regions)}, scenes.labels};
}

void experiment(const std::string& photos_folder) {
  // What is frozen: pictures, names and towers.
  const std::string folder = TRMML_EXAMPLES_DATA;
  clip::ClipModel model = clip::load_clip(folder + "/scenes_clip.safetensors").model;
  const auto tokenizer = clip::Tokenizer::from_merges(folder + "/scenes_merges.txt");
  const auto& classnames = data::scene_classnames();
  const int64_t n_cls = static_cast<int64_t>(classnames.size());
  clip::TextTransformer text = model->text;
  const at::Tensor frozen_text =
      trmml::frozen_text_features(text, tokenizer, classnames);  // [C, D]
  const trmml::ClassnameEmbeddings names = trmml::embed_classnames(
      text, trmml::tokenize_classnames(tokenizer, classnames, "a photo of a"));
  const trmml::TextEncoder encode_text = [text](const trmml::Prompts& p) mutable {
    return text->forward(p);
  };

  const clip::FrozenImageTower tower(*model);
  using Pool = data::FashionMnist::Pool;
  const auto photos = std::make_shared<const data::FashionMnist>(
      data::FashionMnist::load(photos_folder));
  const Part train = encode(tower, data::make_scenes(photos, Pool::kTrain, 0, 1000));
  const Part held_out =
      encode(tower, data::make_scenes(photos, Pool::kTrain, 2000, 500));
  const Part test = encode(tower, data::make_scenes(photos, Pool::kTest, 0, 1000));

  // What training sees: one label of ten.
  const at::Tensor observed = data::known_label_proportion(train.labels, 0.1);
  const trmml::TrainingSet training_set{
      train.features,
      observed,
      trmml::functional::zero_shot_scores(
          train.features.global, train.features.regions, frozen_text),
      frozen_text};

  const auto run = [&](const std::string& name,
                       const std::shared_ptr<trmml::Method>& method,
                       std::optional<trmml::PseudoLabelerOptions> pseudo_labels) {
    training::Trainer trainer(
        method,
        trmml::TrmMlLoss(trmml::TrmMlLossOptions().distillation_weight(0.25)),
        training::TrainerOptions().epochs(12).patience(0),
        std::move(pseudo_labels));
    const auto result = trainer.fit(training_set, {held_out.features, held_out.labels});
    const double mAP = training::mean_average_precision(
                           training::predict(*method, test.features), test.labels)
                           .mAP;
    fmt::print(
        "{:<26} test mAP {:.1f} %  (epoch {} of {}, held-out {:.1f} %)\n",
        name,
        100 * mAP,
        result.best_epoch + 1,
        result.epochs,
        100 * result.best_mAP);
  };

  const int64_t ctx_dim = names.prefix.size(1), embed_dim = frozen_text.size(1);
  const auto prompts = trmml::PromptLearnerOptions(n_cls, ctx_dim).n_ctx(4);
  at::manual_seed(0);  // of the initial weights
  run("best region", std::make_shared<BestRegion>(prompts, names, encode_text), {});
  at::manual_seed(0);
  trmml::TrmMlOptions options(n_cls, ctx_dim, embed_dim);
  options.prompts() = prompts;
  options.matcher().logit_scale_init(20);
  run("TRM-ML",
      trmml::TrmMl(options, names, encode_text, frozen_text).ptr(),
      trmml::PseudoLabelerOptions());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A method of one's own beside TRM-ML, on FashionScenes."};
  std::string folder = data::kFashionMnistFolder;
  app.add_option("FOLDER", folder, "Fashion-MNIST")->capture_default_str();
  program::parse(app, argc, argv);
  return program::run("own_experiment", [&] { experiment(folder); });
}
