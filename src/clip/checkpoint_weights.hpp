#pragma once

#include "trmml/clip/clip_model.hpp"

#include "checkpoint_file.hpp"
#include "checkpoint_names.hpp"

// From the tensors of a checkpoint to the parameters of a model. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// Throws `CheckpointError` with all names that are missing, unexpected, of another
/// shape or type than a model with `sizes` has.
void check_weights(
    const Weights& weights,
    const Named& named,
    const ClipModelOptions& sizes);

/// Copies checked weights; gives the pages of the file back on the way, so that they
/// are in memory once, not twice.
void copy_weights(const Named& named, ClipModelImpl& model);

/// Lets the parameters be the checked weights themselves, of whatever type; those that
/// the file has in pieces are copied.
void share_weights(const Named& named, ClipModelImpl& model);

}  // namespace trmml::clip::checkpoint
