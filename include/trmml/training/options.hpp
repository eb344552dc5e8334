#pragma once

#include "trmml/method/evidence.hpp"
#include "trmml/method/method.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>

namespace trmml::training {

/// Options for `Trainer`. All ours; sized for FashionScenes on frozen features.
struct TrainerOptions {
  /// Passes over the training set.
  TORCH_ARG(int64_t, epochs) = 15;

  /// Pictures a step; the last, smaller batch of an epoch is kept.
  TORCH_ARG(int64_t, batch_size) = 128;

  /// Parts that a step's pictures are split into, > 0: their gradients are added up, so
  /// memory falls, and the step stays the same but for what is normalised or compared
  /// within a batch.
  TORCH_ARG(int64_t, accumulate) = 1;

  /// Largest learning rates of AdamW for prompts and logit scale, and for queries,
  /// attention and MLP.
  TORCH_ARG(double, prompt_learning_rate) = 5e-3;
  TORCH_ARG(double, matcher_learning_rate) = 1e-3;

  /// Weight decay of the matcher; prompts and logit scale have none.
  TORCH_ARG(double, weight_decay) = 1e-3;

  /// Share of the steps over which the learning rate rises.
  TORCH_ARG(double, rise) = 0.2;

  /// Largest norm of the gradient.
  TORCH_ARG(double, max_grad_norm) = 5.0;

  /// The moving average of the weights forgets down to this share in one epoch:
  /// decay = ema_memory^(1 / steps per epoch), in (0, 1).
  TORCH_ARG(double, ema_memory) = 0.82;

  /// Epochs without gain on the held-out pictures after which training stops; 0: never.
  TORCH_ARG(int64_t, patience) = 8;

  /// First epoch (from 0) with pseudo-labels.
  TORCH_ARG(int64_t, pseudo_from_epoch) = 1;

  /// Logits by which the best epoch is chosen.
  TORCH_ARG(Score, score) = Score::kMean;

  /// Without known absences, the probability (of z^r) below which an unknown label
  /// counts as absent for the negative prototypes; see
  /// `functional::confident_absences`.
  TORCH_ARG(double, absent_below) = 0.1;

  /// What pseudo-labels are estimated from.
  TORCH_ARG(EvidenceOptions, evidence) = {};

  /// Order of the pictures.
  TORCH_ARG(uint64_t, seed) = 0;

  /// Folder of "last.safetensors", the state to resume from; empty: none is written.
  TORCH_ARG(std::filesystem::path, folder) = {};

  /// Steps between two states, besides the one at the end of each epoch; 0: only those.
  TORCH_ARG(int64_t, checkpoint_every) = 0;

  /// Compute the method's forward and backward pass in bfloat16 where that is safe
  /// (autocast: matrix products, not the loss, nor evaluation and pseudo-labels).
  /// Weights, their average and the moments stay float.
  TORCH_ARG(bool, bfloat16) = false;

  /// Continue from the state in `folder`, if there is one.
  TORCH_ARG(bool, resume) = false;
};

}  // namespace trmml::training
