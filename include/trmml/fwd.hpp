#pragma once

// Names only, for headers that mention trmml's types by pointer or reference. Cheap: no
// LibTorch.

namespace trmml {

class Method;
struct Prompts;
struct RegionMatch;
struct TrmMlOutput;
struct TrmMlLossTerms;
struct TrmMlTargets;

class PromptLearnerImpl;
class RegionMatcherImpl;
class MultimodalContrastiveLossImpl;
class CategoryPrototypeBankImpl;
class PseudoLabelerImpl;
class AsymmetricLossImpl;
class TrmMlImpl;
class TrmMlLossImpl;
class TextMatchingBaselineImpl;
class LinearProbe;

namespace clip {
struct ImageFeatures;
class ClipModelImpl;
class ModifiedResNetImpl;
class VisionTransformerImpl;
class TextTransformerImpl;
class Tokenizer;
struct CheckpointOptions;
struct LoadedClip;
}  // namespace clip

namespace data {
struct Batch;
struct Image;
struct LabelTable;
struct LoaderOptions;
struct Sample;
struct Scene;
struct SceneSet;
class Dataset;
class FashionMnist;
class ImageDataset;
class Loader;
class SceneDataset;
class SceneGenerator;
}  // namespace data

namespace training {
class Ema;
class Trainer;
}  // namespace training

namespace report {
class EventLog;
class HtmlReport;
class MetricsLog;
class Progress;
struct EpochMetrics;
struct RunReport;
}  // namespace report

}  // namespace trmml
