#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/prototype.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <ostream>
#include <string_view>

namespace trmml {

/// Options for `CategoryPrototypeBank`. All values ours.
struct CategoryPrototypeBankOptions {
  CategoryPrototypeBankOptions(int64_t n_cls, int64_t embed_dim)
      : n_cls_(n_cls), embed_dim_(embed_dim) {}

  /// C, number of categories, > 0.
  TORCH_ARG(int64_t, n_cls);

  /// D, width of the joint image-text embedding, > 0.
  TORCH_ARG(int64_t, embed_dim);

  /// mu of the moving average, in [0, 1) (default 0.9, ours).
  TORCH_ARG(double, momentum) = 0.9;

  /// Only known positives whose predicted probability is at least this enter the
  /// prototypes, in [0, 1) (default 0: no gate, ours).
  TORCH_ARG(double, confidence) = 0.0;
};

/// Sums and counts of one batch, ready to be all-reduced over the ranks.
struct PrototypeStatistics {
  functional::CategorySums positive;  ///< known positives
  functional::CategorySums negative;  ///< known absences

  /// Adds those of more pictures.
  PrototypeStatistics& operator+=(const PrototypeStatistics& more) {
    positive.sums += more.positive.sums;
    positive.counts += more.positive.counts;
    negative.sums += more.negative.sums;
    negative.counts += more.negative.counts;
    return *this;
  }
};

/// Memory of the multimodal category prototypes: a memory of visual prototypes, with
/// the text prototypes beside it ([S] stated by the paper's abstract). The update is
/// ours; see `functional::update_prototypes`: \f[ P_c \leftarrow \mathrm{norm}(\mu P_c
/// + (1 - \mu) m_c),\quad
///     m_c = \mathrm{norm}\ \mathrm{mean}\{ \hat x_{bc} : y_{bc} = +1 \} \f]
/// Negative visual prototypes are kept likewise from known absences.
///
/// Shapes (B images, C categories, P prompts, D joint width):
///   update(features [B, C, D], labels [B, C], text_features [P, C, D] or [C, D],
///          probabilities [B, C] or undefined)
/// Buffers (saved, loaded, cloned and moved with the module): `visual`, `negative`,
/// `text` [C, D]; `visual_ready`, `negative_ready` [C]. Prototypes that do not exist
/// yet are zero. No parameters, no gradient, no random numbers. Call `update` after the
/// optimizer's step: it changes the buffers in place, which a graph that still waits
/// for `backward()` may hold. Throws `c10::ValueError` on wrong shapes, labels and
/// non-finite features.
///
/// ```
/// CategoryPrototypeBank bank(CategoryPrototypeBankOptions(n_cls, width));
/// bank->update(match.query_features, labels, text_features);
/// ```
class CategoryPrototypeBankImpl
    : public torch::nn::Cloneable<CategoryPrototypeBankImpl> {
 public:
  explicit CategoryPrototypeBankImpl(const CategoryPrototypeBankOptions& options_);

  void reset() override;
  void pretty_print(std::ostream& stream) const override;

  /// One step with a batch: `set_text(text_features)` and `update_from(collect(...))`;
  /// all of it or, when it throws, nothing.
  void update(
      const at::Tensor& features,
      const at::Tensor& labels,
      const at::Tensor& text_features,
      const at::Tensor& probabilities = {});

  /// Sums and counts of a batch; changes nothing. With several ranks: collect,
  /// all-reduce the four tensors, `update_from`.
  PrototypeStatistics collect(
      const at::Tensor& features,
      const at::Tensor& labels,
      const at::Tensor& probabilities = {}) const;

  /// One step of the moving averages from sums and counts.
  void update_from(const PrototypeStatistics& statistics);

  /// Keeps the (first, present) text features, normalised, as text prototypes.
  void set_text(const at::Tensor& text_features);

  /// Forgets every prototype.
  void clear();

  const at::Tensor& visual() const { return visual_; }      ///< [C, D]
  const at::Tensor& negative() const { return negative_; }  ///< [C, D]
  const at::Tensor& text() const { return text_; }          ///< [C, D]

  /// [C] bool: categories that have a visual prototype.
  at::Tensor visual_ready() const { return visual_ready_.gt(0); }
  /// [C] bool: categories that have a negative visual prototype.
  at::Tensor negative_ready() const { return negative_ready_.gt(0); }

  /// The options this module was built with.
  CategoryPrototypeBankOptions options;

 private:
  at::Tensor checked_text(const at::Tensor& text_features) const;

  at::Tensor visual_;
  at::Tensor visual_ready_;
  at::Tensor negative_;
  at::Tensor negative_ready_;
  at::Tensor text_;
};

TORCH_MODULE(CategoryPrototypeBank);

inline CategoryPrototypeBankImpl::CategoryPrototypeBankImpl(
    const CategoryPrototypeBankOptions& options_)
    : options(options_) {
  constexpr auto kWhere = "CategoryPrototypeBank";
  TORCH_CHECK_VALUE(
      options.n_cls() > 0 && options.embed_dim() > 0,
      kWhere,
      ": expected n_cls and embed_dim > 0, got ",
      options.n_cls(),
      " and ",
      options.embed_dim());
  TORCH_CHECK_VALUE(
      options.momentum() >= 0 && options.momentum() < 1,
      kWhere,
      ": expected momentum in [0, 1), got ",
      options.momentum());
  TORCH_CHECK_VALUE(
      options.confidence() >= 0 && options.confidence() < 1,
      kWhere,
      ": expected confidence in [0, 1), got ",
      options.confidence());
  reset();
}

inline void CategoryPrototypeBankImpl::reset() {
  const int64_t c = options.n_cls();
  const int64_t d = options.embed_dim();
  visual_ = register_buffer("visual", at::zeros({c, d}));
  visual_ready_ = register_buffer("visual_ready", at::zeros({c}, at::kBool));
  negative_ = register_buffer("negative", at::zeros({c, d}));
  negative_ready_ = register_buffer("negative_ready", at::zeros({c}, at::kBool));
  text_ = register_buffer("text", at::zeros({c, d}));
}

inline void CategoryPrototypeBankImpl::update(
    const at::Tensor& features,
    const at::Tensor& labels,
    const at::Tensor& text_features,
    const at::Tensor& probabilities) {
  const PrototypeStatistics statistics = collect(features, labels, probabilities);
  const at::Tensor text = checked_text(text_features);
  update_from(statistics);
  text_.copy_(text);
}

inline PrototypeStatistics CategoryPrototypeBankImpl::collect(
    const at::Tensor& features,
    const at::Tensor& labels,
    const at::Tensor& probabilities) const {
  constexpr auto kWhere = "CategoryPrototypeBank::update";
  const c10::NoGradGuard guard;
  check_shape(
      features, {kAnySize, options.n_cls(), options.embed_dim()}, kWhere, "features");
  check_labels(labels, {features.size(0), options.n_cls()}, kWhere);
  at::Tensor positive = labels.gt(0);  // [B, C]
  if (options.confidence() > 0) {
    check_shape(
        probabilities,
        {features.size(0), options.n_cls()},
        kWhere,
        "probabilities",
        "the confidence gate needs them");
    positive = positive.logical_and(probabilities.ge(options.confidence()));
  }
  return {
      functional::category_sums(features, positive),
      functional::category_sums(features, labels.lt(0))};
}

inline void CategoryPrototypeBankImpl::update_from(
    const PrototypeStatistics& statistics) {
  constexpr auto kWhere = "CategoryPrototypeBank::update";
  const c10::NoGradGuard guard;
  const auto check_finite = [&](const functional::CategorySums& seen) {
    check_shape(seen.sums, {options.n_cls(), options.embed_dim()}, kWhere, "sums");
    const at::Tensor wrong = seen.sums.isfinite().logical_not().any(1);  // [C]
    if (wrong.any().item<bool>()) {
      TORCH_CHECK_VALUE(
          false,
          kWhere,
          ": expected finite features, got NaN or infinity in category ",
          wrong.nonzero()[0].item<int64_t>());
    }
  };
  check_finite(statistics.positive);  // both, before anything changes
  check_finite(statistics.negative);
  const auto step = [&](const at::Tensor& values,
                        const at::Tensor& ready,
                        const functional::CategorySums& seen) {
    const functional::Prototypes next =
        functional::update_prototypes({values, ready}, seen, options.momentum());
    values.copy_(next.values);
    ready.copy_(next.ready);
  };
  step(visual_, visual_ready_, statistics.positive);
  step(negative_, negative_ready_, statistics.negative);
}

inline void CategoryPrototypeBankImpl::set_text(const at::Tensor& text_features) {
  text_.copy_(checked_text(text_features));
}

inline at::Tensor CategoryPrototypeBankImpl::checked_text(
    const at::Tensor& text_features) const {
  constexpr auto kWhere = "CategoryPrototypeBank::set_text";
  const c10::NoGradGuard guard;
  TORCH_CHECK_VALUE(
      text_features.defined() && (text_features.dim() == 2 || text_features.dim() == 3),
      kWhere,
      ": expected text_features of shape [P, C, D] or [C, D], got ",
      text_features.defined() ? format_shape(text_features.sizes())
                              : "an undefined tensor");
  const at::Tensor present =
      text_features.dim() == 3 ? text_features.select(0, 0) : text_features;
  check_shape(present, {options.n_cls(), options.embed_dim()}, kWhere, "text_features");
  TORCH_CHECK_VALUE(
      present.isfinite().all().item<bool>(),
      kWhere,
      ": expected finite text_features, got NaN or infinity");
  return functional::l2_normalise(present.detach());
}

inline void CategoryPrototypeBankImpl::clear() {
  const c10::NoGradGuard guard;
  visual_.zero_();
  visual_ready_.zero_();
  negative_.zero_();
  negative_ready_.zero_();
  text_.zero_();
}

inline void CategoryPrototypeBankImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::CategoryPrototypeBank(n_cls=" << options.n_cls()
         << ", embed_dim=" << options.embed_dim() << ", momentum=" << options.momentum()
         << ", confidence=" << options.confidence() << ")";
}

}  // namespace trmml
