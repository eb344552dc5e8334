#pragma once

#include "trmml/data/transforms.hpp"
#include "trmml/training/encoded_pictures.hpp"

#include "support/clip_program.hpp"
#include "support/picture_world.hpp"

// From a picture to its frozen features, in training and afterwards.

namespace experiment {

/// The CLIP of a run.
clip_program::Options clip_options(const PictureOptions& options);

/// What becomes of a picture that is not augmented: squashed to `options.resolution`.
trmml::data::TestTransform test_transform(const PictureOptions& options);

/// uint8 pictures [B, 3, S, S] to features, on the device of the tower.
trmml::training::ImageEncoder encoder_of(
    const clip_program::Clip& clip,
    const PictureOptions& options);

}  // namespace experiment
