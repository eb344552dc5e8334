#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/prompts.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

namespace trmml {

/// Where the class name stands in a prompt.
enum class ClassPosition {
  kEnd,     ///< start, context, name, suffix
  kMiddle,  ///< start, first half of the context, name, second half, suffix
};

/// Options for `PromptLearner`. Prompt tuning is [S] stated by the paper's abstract;
/// all values are ours.
///
/// ```
/// PromptLearnerOptions options(80, 512);
/// options.n_ctx(16).class_specific(true);
/// ```
struct PromptLearnerOptions {
  PromptLearnerOptions(int64_t n_cls, int64_t ctx_dim)
      : n_cls_(n_cls), ctx_dim_(ctx_dim) {}

  /// C, number of categories, > 0.
  TORCH_ARG(int64_t, n_cls);

  /// w, width of the text tower's token embeddings, > 0.
  TORCH_ARG(int64_t, ctx_dim);

  /// P, prompts per category, > 0 (default 2: present, absent; ours).
  TORCH_ARG(int64_t, n_prompts) = 2;

  /// M, learnable context tokens, >= 0 (default 16, ours).
  TORCH_ARG(int64_t, n_ctx) = 16;

  /// A context of its own for every category, instead of one for all (default false,
  /// ours: a generic context lets the text tower compute the common prefix once).
  TORCH_ARG(bool, class_specific) = false;

  /// Place of the class name (default kEnd, ours).
  TORCH_ARG(ClassPosition, class_position) = ClassPosition::kEnd;

  /// Standard deviation of the contexts' initial values, >= 0 (default 0.02, ours).
  TORCH_ARG(double, init_std) = 0.02;

  /// The same for the prompts after the first (the negative one), >= 0; default:
  /// `init_std`. The standard deviation of the embeddings themselves is a useful
  /// choice.
  TORCH_ARG(std::optional<double>, negative_init_std) = std::nullopt;
};

/// What `PromptLearner` needs to know of the text: embeddings, no tokenizer and no
/// tower.
struct ClassnameEmbeddings {
  at::Tensor prefix;             ///< [1, w] the start token
  at::Tensor names;              ///< [T, w] tokens of class name 0, 1, ...
  std::vector<int64_t> offsets;  ///< [C + 1]; name c: rows offsets[c] .. offsets[c+1]-1
  at::Tensor suffix;             ///< [n, w] what follows a name, e.g. "." and end token
  at::Tensor initial_ctx = {};   ///< [M, w] initial words of the first prompt's context
                                 ///< (noise of `init_std` is added), or undefined
};

/// Packs the embeddings of class names of different lengths, each [n_c, w].
/// ```
/// auto embeddings = pack_classnames(start, {cat, traffic_light}, end);
/// ```
inline ClassnameEmbeddings pack_classnames(
    const at::Tensor& prefix,
    const std::vector<at::Tensor>& names,
    const at::Tensor& suffix) {
  TORCH_CHECK_VALUE(
      !names.empty(), "pack_classnames: expected at least one class name, got none");
  ClassnameEmbeddings embeddings{prefix, at::cat(names, 0), {0}, suffix};
  for (const at::Tensor& name : names) {
    embeddings.offsets.push_back(embeddings.offsets.back() + name.size(0));
  }
  return embeddings;
}

/// Learnable contexts joined with class names: the prompts of every category.
///
/// Prompt tuning is [S] stated by the paper's abstract; what follows is ours. Prompt p
/// of category c is the sequence \f[ [\mathrm{start}]\ v^{p}_1 \ldots
/// v^{p}_M\ [\mathrm{name}_c]\ [\mathrm{suffix}] \f] (or with the name between the two
/// halves of the context), where v is shared by all categories or belongs to category
/// c. M odd: the second half is the longer one.
///
/// Shapes (P prompts, C categories, M context tokens, w text width, S shared tokens, T
/// own tokens of all categories):
///   forward()    -> Prompts{common [P, S, w], own [T, w] or [P, T, w], offsets [C +
///   1]}
///     generic, kEnd      S = 1 + M      own [T, w]: name, suffix
///     generic, kMiddle   S = 1 + M / 2  own [P, T, w]: name, second half, suffix
///     class-specific     S = 1          own [P, T, w]: all but the start token
/// Parameter: `ctx` [P, M, w] or [P, C, M, w], in single precision or better. Buffers:
/// `token_prefix` [1, w], `token_names` [T, w], `token_counts` [C] (rows of
/// `token_names` that each category has), `token_suffix` [n, w]. Gradients reach `ctx`.
/// `forward` changes no state and draws no random numbers; initial values come from the
/// global generator. Throws `c10::ValueError` at construction when options or
/// embeddings contradict each other.
///
/// ```
/// PromptLearner prompt_learner(PromptLearnerOptions(n_cls, width), embeddings);
/// at::Tensor text_features = text_tower->forward(prompt_learner->forward());  // [P,
/// C, D]
/// ```
class PromptLearnerImpl : public torch::nn::Cloneable<PromptLearnerImpl> {
 public:
  PromptLearnerImpl(
      const PromptLearnerOptions& options_,
      ClassnameEmbeddings embeddings);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  Prompts forward();

  /// The options this module was built with.
  PromptLearnerOptions options;

  at::Tensor ctx;           ///< [P, M, w] or [P, C, M, w]
  at::Tensor token_prefix;  ///< [1, w]
  at::Tensor token_names;   ///< [T, w]
  at::Tensor token_counts;  ///< [C], of each name; they sum up to T
  at::Tensor token_suffix;  ///< [n, w]

 private:
  void check() const;
  std::vector<int64_t> name_offsets() const;

  ClassnameEmbeddings embeddings_;
};

TORCH_MODULE(PromptLearner);

inline PromptLearnerImpl::PromptLearnerImpl(
    const PromptLearnerOptions& options_,
    ClassnameEmbeddings embeddings)
    : options(options_), embeddings_(std::move(embeddings)) {
  check();
  reset();
}

inline void PromptLearnerImpl::check() const {
  constexpr auto kWhere = "PromptLearner";
  TORCH_CHECK_VALUE(
      options.n_cls() > 0 && options.ctx_dim() > 0 && options.n_prompts() > 0,
      kWhere,
      ": expected n_cls, ctx_dim and n_prompts > 0, got ",
      options.n_cls(),
      ", ",
      options.ctx_dim(),
      " and ",
      options.n_prompts());
  TORCH_CHECK_VALUE(
      options.n_ctx() >= 0, kWhere, ": expected n_ctx >= 0, got ", options.n_ctx());
  TORCH_CHECK_VALUE(
      options.init_std() >= 0 && options.negative_init_std().value_or(0) >= 0,
      kWhere,
      ": expected init_std and negative_init_std >= 0, got ",
      options.init_std(),
      " and ",
      options.negative_init_std().value_or(options.init_std()));
  const int64_t width = options.ctx_dim();
  check_shape(embeddings_.prefix, {1, width}, kWhere, "prefix");
  check_shape(embeddings_.names, {kAnySize, width}, kWhere, "names");
  check_floating(embeddings_.names, kWhere, "names");
  check_shape(embeddings_.suffix, {kAnySize, width}, kWhere, "suffix");
  TORCH_CHECK_VALUE(
      embeddings_.suffix.size(0) > 0,
      kWhere,
      ": expected a suffix of at least the end token, got none");
  const std::vector<int64_t>& offsets = embeddings_.offsets;
  TORCH_CHECK_VALUE(
      static_cast<int64_t>(offsets.size()) == options.n_cls() + 1,
      kWhere,
      ": expected ",
      options.n_cls() + 1,
      " offsets for ",
      options.n_cls(),
      " categories, got ",
      offsets.size());
  TORCH_CHECK_VALUE(
      offsets.front() == 0 && offsets.back() == embeddings_.names.size(0),
      kWhere,
      ": expected offsets from 0 to the ",
      embeddings_.names.size(0),
      " rows of names, got ",
      offsets.front(),
      " to ",
      offsets.back());
  for (size_t c = 0; c + 1 < offsets.size(); ++c) {
    TORCH_CHECK_VALUE(
        offsets[c] < offsets[c + 1],
        kWhere,
        ": expected at least one token in every class name, category ",
        c,
        " has none");
  }
  if (embeddings_.initial_ctx.defined()) {
    check_shape(
        embeddings_.initial_ctx,
        {options.n_ctx(), width},
        kWhere,
        "initial_ctx",
        "n_ctx must be the number of initial words");
  }
}

inline void PromptLearnerImpl::reset() {
  const auto type = embeddings_.names.options().requires_grad(false);
  const auto buffer = [&](const char* name, const at::Tensor& value) {
    return register_buffer(name, value.detach().to(type).clone());
  };
  token_prefix = buffer("token_prefix", embeddings_.prefix);
  token_names = buffer("token_names", embeddings_.names);
  token_suffix = buffer("token_suffix", embeddings_.suffix);
  token_counts = register_buffer(
      "token_counts", at::tensor(embeddings_.offsets, at::kLong).diff());
  const auto trained =
      type.dtype(at::promoteTypes(token_names.scalar_type(), at::kFloat));
  const int64_t p = options.n_prompts();
  const int64_t m = options.n_ctx();
  const int64_t w = options.ctx_dim();
  ctx = register_parameter(
      "ctx",
      options.class_specific() ? at::empty({p, options.n_cls(), m, w}, trained)
                               : at::empty({p, m, w}, trained));
  reset_parameters();
}

inline void PromptLearnerImpl::reset_parameters() {
  const c10::NoGradGuard guard;
  for (int64_t p = 0; p < options.n_prompts(); ++p) {
    at::Tensor context = ctx.select(0, p);  // [M, w] or [C, M, w]
    if (p > 0) {
      context.normal_(0, options.negative_init_std().value_or(options.init_std()));
      continue;
    }
    context.normal_(0, options.init_std());
    if (embeddings_.initial_ctx.defined()) {
      context.add_(embeddings_.initial_ctx.to(context.options().requires_grad(false)));
    }
  }
}

// From the buffers: a state that was loaded may have other names.
inline std::vector<int64_t> PromptLearnerImpl::name_offsets() const {
  const at::Tensor counts = token_counts.to(at::kCPU, at::kLong).contiguous();
  std::vector<int64_t> offsets = {0};
  for (int64_t c = 0; c < counts.size(0); ++c) {
    offsets.push_back(offsets.back() + counts.data_ptr<int64_t>()[c]);
  }
  TORCH_CHECK_VALUE(
      offsets.back() == token_names.size(0),
      "PromptLearner: expected token_counts that sum up to the ",
      token_names.size(0),
      " rows of token_names, got ",
      offsets.back());
  return offsets;
}

inline Prompts PromptLearnerImpl::forward() {
  const int64_t n_prompts = options.n_prompts();
  const int64_t n_ctx = options.n_ctx();
  const std::vector<int64_t> names = name_offsets();
  const int64_t n_names = names.back();
  const int64_t n_suffix = token_suffix.size(0);
  const bool middle = options.class_position() == ClassPosition::kMiddle;
  const bool specific = options.class_specific();
  const int64_t before_name = middle ? n_ctx / 2 : n_ctx;
  const bool own_context = specific || before_name < n_ctx;

  // Rows that the categories' own tokens are picked from: start, names, suffix,
  // context.
  at::Tensor rows = at::cat({token_prefix, token_names, token_suffix}, 0);
  const int64_t first_ctx = rows.size(0);
  if (own_context) {
    rows = at::cat(
        {rows.unsqueeze(0).expand({n_prompts, -1, -1}),
         specific ? ctx.flatten(1, 2) : ctx},
        1);  // [P, rows, w]
  }

  Prompts prompts;
  std::vector<int64_t> picked;
  const auto pick = [&picked](int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      picked.push_back(first + i);
    }
  };
  prompts.offsets.push_back(0);
  for (int64_t c = 0; c < options.n_cls(); ++c) {
    const int64_t name = names[static_cast<size_t>(c)];
    const int64_t name_end = names[static_cast<size_t>(c) + 1];
    const int64_t context = first_ctx + (specific ? c * n_ctx : 0);
    if (specific) {
      pick(context, before_name);
    }
    pick(1 + name, name_end - name);
    pick(context + before_name, n_ctx - before_name);
    pick(1 + n_names, n_suffix);
    prompts.offsets.push_back(static_cast<int64_t>(picked.size()));
  }
  const at::Tensor index = at::tensor(picked, at::kLong).to(ctx.device());
  prompts.own = rows.index_select(-2, index);  // [T, w] or [P, T, w]

  const at::Tensor start = token_prefix.unsqueeze(0).expand({n_prompts, -1, -1});
  prompts.common =
      specific ? start : at::cat({start, ctx.narrow(1, 0, before_name)}, 1);
  return prompts;
}

inline void PromptLearnerImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::PromptLearner(n_cls=" << options.n_cls()
         << ", ctx_dim=" << options.ctx_dim() << ", n_prompts=" << options.n_prompts()
         << ", n_ctx=" << options.n_ctx() << ", class_specific=" << std::boolalpha
         << options.class_specific() << ", class_position="
         << (options.class_position() == ClassPosition::kEnd ? "end" : "middle") << ")";
}

}  // namespace trmml
