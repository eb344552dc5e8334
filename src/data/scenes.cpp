#include "trmml/data/scenes.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <zlib.h>

namespace trmml::data {
namespace {

constexpr int kPhotoPixels = FashionMnist::kSide * FashionMnist::kSide;
constexpr int kPretrainPhotos = 40000;
constexpr int kTrainingPhotos = 60000;
constexpr int kTestPhotos = 10000;

// ---------------------------------------------------------------- tables of the world

constexpr std::array<const char*, kSceneGarments> kGarmentNames = {
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot"};
constexpr std::array<const char*, kSceneColours> kColourNames =
    {"red", "orange", "yellow", "green", "blue", "purple", "white", "black"};
constexpr int kRgb[kSceneColours][3] = {
    {215, 35, 40},
    {235, 130, 25},
    {230, 215, 50},
    {40, 165, 60},
    {45, 75, 215},
    {140, 50, 165},
    {238, 238, 238},
    {38, 38, 42}};
// Eight styles: which garments are worn together, and in which colours.
constexpr int kOutfits[8][8] = {
    {3, 3, 3, 5, 5, 8, 8, 3},   // dress, sandal, bag
    {4, 4, 9, 9, 9, 8, 1, 4},   // coat, ankle boot, bag, trouser
    {0, 0, 7, 7, 1, 1, 7, 0},   // t-shirt, sneaker, trouser
    {2, 2, 1, 9, 1, 2, 9, 4},   // pullover, trouser, ankle boot, coat
    {6, 6, 1, 1, 8, 6, 9, 6},   // shirt, trouser, bag, ankle boot
    {0, 5, 5, 0, 8, 3, 5, 0},   // t-shirt, sandal, bag, dress
    {2, 7, 7, 2, 6, 7, 2, 8},   // pullover, sneaker, shirt, bag
    {6, 4, 4, 7, 3, 9, 6, 4}};  // shirt, coat, sneaker, dress, ankle boot
constexpr int kThemes[8][4] = {
    {0, 0, 6, 5},
    {7, 7, 7, 4},
    {4, 4, 6, 0},
    {3, 3, 7, 1},
    {6, 6, 4, 7},
    {2, 2, 1, 6},
    {5, 5, 3, 2},
    {1, 1, 0, 7}};
constexpr int kSceneCount[8] = {1, 2, 2, 3, 3, 4, 4, 5};  // garments a scene
constexpr int kWebCount[8] = {1, 1, 1, 1, 1, 2, 2, 2};    // garments a web picture
constexpr int kClutterCount[8] = {0, 1, 1, 2, 2, 2, 3, 3};
constexpr int kSmallestSide = 22;  // a garment's side is 22..34 pixels
constexpr int kSides = 13;
constexpr uint32_t kPoolSeed[3] = {1001, 2002, 3003};

struct KindFacts {
  int grid;    // cells a side
  int cell;    // pixels a cell
  int draws;   // random outputs a picture
  int jitter;  // of a garment's colour
};

KindFacts facts(SceneKind kind) {
  return kind == SceneKind::kScene ? KindFacts{3, 32, 64, 40}
                                   : KindFacts{2, 24, 48, 30};
}

int clamp_to_byte(int value) {
  return std::clamp(value, 0, 255);
}

// 65536 + 96 * 96 * 3 triangular values in [-31, 31].
const std::vector<int>& noise_table() {
  static const std::vector<int> table = [] {
    std::mt19937 engine(20240718);
    std::vector<int> values(65536 + 96 * 96 * 3);
    for (int& value : values) {
      const auto u = static_cast<uint32_t>(engine());
      value = static_cast<int>(u >> 27) + static_cast<int>((u >> 22) & 31U) - 31;
    }
    return values;
  }();
  return table;
}

// ---------------------------------------------------------------- painting

// One picture in the making. `u` are its random outputs; arithmetic is on signed
// integers, >> is the arithmetic shift (defined so since C++20).
class Painter {
 public:
  Painter(const FashionMnist& photos, FashionMnist::Pool pool, SceneKind kind)
      : photos_(photos),
        pool_(pool),
        kind_(kind),
        facts_(facts(kind)),
        side_(facts_.grid * facts_.cell) {}

  Scene paint(const std::vector<int64_t>& u) {
    style_ = static_cast<int>(u[0] % 8);
    const int* counts = is_scene() ? kSceneCount : kWebCount;
    const int n = counts[u[1] % 8];
    paint_background(u);
    shuffle_cells(u);
    if (is_scene()) {
      const int n_clutter = kClutterCount[u[7] % 8];
      for (int k = 0; k < n_clutter; ++k) {
        paint_clutter(&u[static_cast<size_t>(46 + 4 * k)], cells_[n + k]);
      }
    }
    owner_.assign(static_cast<size_t>(side_ * side_), -1);
    Scene scene;
    scene.side = side_;
    for (int k = 0; k < n; ++k) {
      scene.items.push_back(paint_garment(&u[static_cast<size_t>(16 + 6 * k)], k));
    }
    for (const int k : owner_) {
      if (k >= 0) {
        ++scene.items[static_cast<size_t>(k)].visible_area;
      }
    }
    scene.rgb = expose(u);
    return scene;
  }

 private:
  bool is_scene() const { return kind_ == SceneKind::kScene; }

  int* pixel(int x, int y) {
    return &canvas_[static_cast<size_t>((y * side_ + x) * 3)];
  }

  void paint_background(const std::vector<int64_t>& u) {
    int base[3];
    for (int c = 0; c < 3; ++c) {
      base[c] = 50 + static_cast<int>((u[2] >> (8 * c)) % 131);
    }
    const int mean = (base[0] + base[1] + base[2]) / 3;
    const int gx = static_cast<int>(u[3] % 65) - 32;
    const int gy = static_cast<int>((u[3] >> 8) % 65) - 32;
    const int px = 3 + static_cast<int>(u[4] % 14);
    const int py = 3 + static_cast<int>((u[4] >> 8) % 14);
    const int amplitude = static_cast<int>((u[4] >> 16) % 25);
    canvas_.resize(static_cast<size_t>(side_ * side_ * 3));
    for (int y = 0; y < side_; ++y) {
      for (int x = 0; x < side_; ++x) {
        const int tone =
            ((gx * x + gy * y) >> 6) + (((x / px + y / py) & 1) != 0 ? amplitude : 0);
        for (int c = 0; c < 3; ++c) {
          pixel(x, y)[c] = (base[c] + mean) / 2 + tone;
        }
      }
    }
  }

  void shuffle_cells(const std::vector<int64_t>& u) {
    const int n_cells = facts_.grid * facts_.grid;
    for (int i = 0; i < n_cells; ++i) {
      cells_[i] = i;
    }
    for (int i = n_cells - 1; i > 0; --i) {
      const auto j = u[static_cast<size_t>(8 + (n_cells - 1 - i))] % (i + 1);
      std::swap(cells_[i], cells_[j]);
    }
  }

  // The corner of a w x h window near the middle of a cell, inside the picture.
  std::pair<int, int> corner(int cell, int64_t draw, int w, int h) const {
    const int cx = (cell % facts_.grid) * facts_.cell + facts_.cell / 2 +
                   static_cast<int>(draw % 13) - 6;
    const int cy = (cell / facts_.grid) * facts_.cell + facts_.cell / 2 +
                   static_cast<int>((draw >> 8) % 13) - 6;
    return {std::clamp(cx - w / 2, 0, side_ - w), std::clamp(cy - h / 2, 0, side_ - h)};
  }

  static std::array<int, 3> jittered(int colour, int64_t draw, int jitter) {
    std::array<int, 3> rgb{};
    for (int c = 0; c < 3; ++c) {
      const int delta = static_cast<int>((draw >> (8 * c)) % (2 * jitter + 1)) - jitter;
      rgb[static_cast<size_t>(c)] = clamp_to_byte(kRgb[colour][c] + delta);
    }
    return rgb;
  }

  // Plain coloured shapes in free cells: no garment, so no label.
  void paint_clutter(const int64_t* d, int cell) {
    const int w = 10 + static_cast<int>(d[1] % 17);
    const int h = 10 + static_cast<int>((d[1] >> 8) % 17);
    const int shape = static_cast<int>((d[1] >> 16) % 3);
    const auto [x0, y0] = corner(cell, d[2], w, h);
    const auto rgb = jittered(static_cast<int>((d[0] >> 8) % 8), d[3], 30);
    for (int q = 0; q < h; ++q) {
      for (int p = 0; p < w; ++p) {
        const int dx = 2 * p + 1 - w;
        const int dy = 2 * q + 1 - h;
        if (shape == 1 && dx * dx * h * h + dy * dy * w * w > w * w * h * h) {
          continue;  // outside the ellipse
        }
        if (shape == 2 && (p + q) % 6 >= 4) {
          continue;  // between the stripes
        }
        for (int c = 0; c < 3; ++c) {
          pixel(x0 + p, y0 + q)[c] = (rgb[static_cast<size_t>(c)] * (256 - 3 * q)) >> 8;
        }
      }
    }
  }

  SceneItem paint_garment(const int64_t* d, int k) {
    const bool uniform_garment = !is_scene() || (d[0] & 7) < 2;
    const bool uniform_colour = !is_scene() || (d[1] & 7) < 3;
    SceneItem item;
    item.garment = uniform_garment ? static_cast<int>((d[0] >> 8) % kSceneGarments)
                                   : kOutfits[style_][(d[0] >> 3) & 7];
    item.colour = uniform_colour ? static_cast<int>((d[1] >> 8) % kSceneColours)
                                 : kThemes[style_][(d[1] >> 3) & 3];
    const int size = kSmallestSide + static_cast<int>(d[3] % kSides);
    const bool flip = ((d[3] >> 8) & 1) != 0;
    const auto [x0, y0] = corner(cells_[k], d[4], size, size);
    const auto rgb = jittered(item.colour, d[5], facts_.jitter);
    const uint8_t* photo =
        photos_.photo(pool_, item.garment, static_cast<uint32_t>(d[2]));
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        const int v = sample(photo, flip ? size - 1 - x : x, y, size);
        if (v > 0) {
          blend(pixel(x0 + x, y0 + y), rgb, v);
          owner_[static_cast<size_t>((y0 + y) * side_ + x0 + x)] = k;
        }
      }
    }
    return item;
  }

  // Fixed-point bilinear value of a photograph that is resized to size x size.
  static int sample(const uint8_t* photo, int x, int y, int size) {
    constexpr int kLast = FashionMnist::kSide - 1;
    const auto position = [size](int i) {
      return std::clamp((2 * i + 1) * 3584 / size - 128, 0, kLast * 256);
    };
    const int px = position(x);
    const int py = position(y);
    const int fx = px & 255;
    const int fy = py & 255;
    const int x1 = std::min((px >> 8) + 1, kLast);
    const int y1 = std::min((py >> 8) + 1, kLast);
    const uint8_t* top = photo + (py >> 8) * FashionMnist::kSide;
    const uint8_t* bottom = photo + y1 * FashionMnist::kSide;
    const int a = top[px >> 8] * (256 - fx) + top[x1] * fx;
    const int b = bottom[px >> 8] * (256 - fx) + bottom[x1] * fx;
    return (a * (256 - fy) + b * fy + 32768) >> 16;
  }

  static void blend(int* pixel, const std::array<int, 3>& rgb, int v) {
    const int alpha = std::min(255, 3 * v);
    const int shade = 70 + ((v * 185) >> 8);
    for (size_t c = 0; c < 3; ++c) {
      const int colour = (rgb[c] * shade) >> 8;
      pixel[c] = (alpha * colour + (255 - alpha) * clamp_to_byte(pixel[c]) + 127) / 255;
    }
  }

  // Light and sensor noise.
  std::vector<uint8_t> expose(const std::vector<int64_t>& u) const {
    int gain[3];
    for (int c = 0; c < 3; ++c) {
      gain[c] = 176 + static_cast<int>(u[5] % 97);
      if (is_scene()) {
        gain[c] = (gain[c] * (256 - static_cast<int>((u[58] >> (8 * c)) % 70))) >> 8;
      }
    }
    const int strength = 4 + static_cast<int>((u[5] >> 8) % 13);
    const int* noise = noise_table().data() + (u[6] & 65535);
    std::vector<uint8_t> rgb(canvas_.size());
    for (size_t i = 0; i < rgb.size(); ++i) {
      const int lit = (clamp_to_byte(canvas_[i]) * gain[i % 3]) >> 8;
      rgb[i] = static_cast<uint8_t>(clamp_to_byte(lit + ((noise[i] * strength) >> 4)));
    }
    return rgb;
  }

  const FashionMnist& photos_;
  FashionMnist::Pool pool_;
  SceneKind kind_;
  KindFacts facts_;
  int side_;
  int style_ = 0;
  int cells_[9] = {};
  std::vector<int> canvas_;
  std::vector<int> owner_;
};

// ---------------------------------------------------------------- IDX files

std::vector<uint8_t> read_idx(
    const std::filesystem::path& folder,
    const std::string& name,
    uint8_t n_dims,
    size_t count,
    size_t item_size) {
  std::filesystem::path path = folder / name;
  if (!std::filesystem::exists(path)) {
    path += ".gz";
  }
  const gzFile file = gzopen(path.c_str(), "rb");  // reads plain files as well
  if (file == nullptr) {
    throw DataError(fmt::format(
        "Fashion-MNIST: expected {} (or the same without .gz), got no such file "
        "(install Debian's dataset-fashion-mnist, or name the folder of the four IDX "
        "files)",
        path.string()));
  }
  const size_t header = 4 + 4 * static_cast<size_t>(n_dims);
  const size_t expected = header + count * item_size;
  std::vector<uint8_t> bytes(expected + 1);
  const int got = gzread(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  if (got != static_cast<int>(expected)) {
    throw DataError(fmt::format(
        "Fashion-MNIST: {}: expected {} bytes after decompression, got {}",
        path.string(),
        expected,
        got < 0                            ? "a broken stream"
        : got > static_cast<int>(expected) ? "more"
                                           : std::to_string(got)));
  }
  const uint8_t magic[4] = {0, 0, 8, n_dims};
  const size_t stated =
      static_cast<size_t>(bytes[4]) << 24 | bytes[5] << 16 | bytes[6] << 8 | bytes[7];
  if (std::memcmp(bytes.data(), magic, 4) != 0 || stated != count) {
    throw DataError(fmt::format(
        "Fashion-MNIST: {}: expected an IDX header of {} items of bytes, got another",
        path.string(),
        count));
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
  bytes.pop_back();
  return bytes;
}

}  // namespace

// ---------------------------------------------------------------- FashionMnist

FashionMnist FashionMnist::load(const std::filesystem::path& folder) {
  FashionMnist photos;
  photos.pixels_ =
      read_idx(folder, "train-images-idx3-ubyte", 3, kTrainingPhotos, kPhotoPixels);
  const auto test =
      read_idx(folder, "t10k-images-idx3-ubyte", 3, kTestPhotos, kPhotoPixels);
  photos.pixels_.insert(photos.pixels_.end(), test.begin(), test.end());
  auto garments = read_idx(folder, "train-labels-idx1-ubyte", 1, kTrainingPhotos, 1);
  const auto more = read_idx(folder, "t10k-labels-idx1-ubyte", 1, kTestPhotos, 1);
  garments.insert(garments.end(), more.begin(), more.end());
  for (uint32_t i = 0; i < garments.size(); ++i) {
    if (garments[i] >= kSceneGarments) {
      throw DataError(fmt::format(
          "Fashion-MNIST: {}: expected labels 0..9, got {} for photograph {}",
          folder.string(),
          garments[i],
          i));
    }
    const size_t pool = i < kPretrainPhotos ? 0 : i < kTrainingPhotos ? 1 : 2;
    photos.by_garment_[pool][garments[i]].push_back(i);
  }
  for (const auto& pool : photos.by_garment_) {
    for (size_t garment = 0; garment < pool.size(); ++garment) {
      if (pool[garment].empty()) {
        throw DataError(fmt::format(
            "Fashion-MNIST: {}: expected photographs of every garment in every pool, "
            "got none with the label {}",
            folder.string(),
            garment));
      }
    }
  }
  return photos;
}

const uint8_t* FashionMnist::photo(Pool pool, int garment, uint32_t index) const {
  const auto& list =
      by_garment_[static_cast<size_t>(pool)][static_cast<size_t>(garment)];
  return &pixels_[static_cast<size_t>(list[index % list.size()]) * kPhotoPixels];
}

// ---------------------------------------------------------------- scenes

const std::vector<std::string>& scene_classnames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all(kGarmentNames.begin(), kGarmentNames.end());
    for (const char* colour : kColourNames) {
      all.push_back(std::string(colour) + " garment");
    }
    return all;
  }();
  return names;
}

SceneGenerator::SceneGenerator(
    std::shared_ptr<const FashionMnist> photos,
    FashionMnist::Pool pool,
    SceneKind kind)
    : photos_(std::move(photos)),
      pool_(pool),
      kind_(kind),
      engine_(kPoolSeed[static_cast<size_t>(pool)]) {}

void SceneGenerator::skip(int64_t n) {
  engine_.discard(static_cast<unsigned long long>(n) * facts(kind_).draws);
}

Scene SceneGenerator::next() {
  std::vector<int64_t> draws(static_cast<size_t>(facts(kind_).draws));
  for (int64_t& draw : draws) {
    draw = static_cast<int64_t>(engine_());
  }
  return Painter(*photos_, pool_, kind_).paint(draws);
}

SceneSet make_scenes(
    const std::shared_ptr<const FashionMnist>& photos,
    FashionMnist::Pool pool,
    int64_t first,
    int64_t count) {
  const int64_t side = 96;
  SceneSet set;
  set.images = at::empty({count, side, side, 3}, at::kByte);
  set.labels = at::full({count, kSceneCategories}, -1, at::kChar);
  SceneGenerator generator(photos, pool, SceneKind::kScene);
  generator.skip(first);
  for (int64_t i = 0; i < count; ++i) {
    Scene scene = generator.next();
    std::copy(
        scene.rgb.begin(),
        scene.rgb.end(),
        set.images.data_ptr<uint8_t>() + i * side * side * 3);
    auto* labels = set.labels.data_ptr<int8_t>() + i * kSceneCategories;
    for (const SceneItem& item : scene.items) {
      labels[item.garment] = 1;
      labels[kSceneGarments + item.colour] = 1;
    }
    scene.rgb.clear();
    scene.rgb.shrink_to_fit();
    set.items.push_back(std::move(scene));
  }
  return set;
}

LabelTable SceneSet::table(FashionMnist::Pool pool, int64_t first) const {
  static constexpr const char* kPoolNames[] = {"pretrain", "train", "test"};
  LabelTable table{scene_classnames(), {}, labels};
  for (int64_t i = 0; i < labels.size(0); ++i) {
    table.images.push_back(
        fmt::format("{}/{:06}", kPoolNames[static_cast<size_t>(pool)], first + i));
  }
  return table;
}

std::vector<int64_t> salient_categories(
    const std::vector<Scene>& items,
    uint32_t seed) {
  std::mt19937 engine(1200 + seed);
  std::vector<int64_t> categories;
  for (const Scene& scene : items) {
    TORCH_CHECK_VALUE(
        !scene.items.empty(),
        "salient_categories: expected scenes with items, got none");
    const auto largest = std::max_element(
        scene.items.begin(),
        scene.items.end(),
        [](const SceneItem& a, const SceneItem& b) {
          return a.visible_area < b.visible_area;
        });
    const bool name_colour = legacy_interval(engine, 1) == 1;
    categories.push_back(
        name_colour ? kSceneGarments + largest->colour : largest->garment);
  }
  return categories;
}

std::string scene_caption(const Scene& scene, std::mt19937& engine) {
  static constexpr const char* kTemplates[] = {
      "a photo of {}.",
      "a photo of {}.",
      "a photo of {}.",
      "a picture of {}.",
      "an image of {}.",
      "a photo showing {}.",
      "this is {}.",
      "there is {}."};
  TORCH_CHECK_VALUE(
      !scene.items.empty(), "scene_caption: expected a scene with items, got none");
  std::vector<SceneItem> mentioned;
  for (const SceneItem& item : scene.items) {
    if (legacy_uniform(engine) < 0.7) {
      mentioned.push_back(item);
    }
  }
  if (mentioned.empty()) {
    const auto last = static_cast<uint32_t>(scene.items.size() - 1);
    mentioned.push_back(scene.items[legacy_interval(engine, last)]);
  }
  legacy_shuffle(engine, mentioned);
  std::string list;
  for (const SceneItem& item : mentioned) {
    const char* garment = kGarmentNames[static_cast<size_t>(item.garment)];
    const char* colour = kColourNames[static_cast<size_t>(item.colour)];
    const double draw = legacy_uniform(engine);
    list += list.empty() ? "" : " and ";
    list += draw < 0.45   ? fmt::format("a {} {}", colour, garment)
            : draw < 0.82 ? fmt::format("a {}", garment)
                          : fmt::format("a {} garment", colour);
  }
  return fmt::format(fmt::runtime(kTemplates[legacy_interval(engine, 7)]), list);
}

}  // namespace trmml::data
