#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::io {

/// A class of storages, "FloatStorage" say, whose numbers this library has a type for.
struct StorageDtype {
  std::string_view name;  ///< the class's without "Storage"
  at::ScalarType type;
  uint64_t size;  ///< bytes, and also the alignment
};

inline constexpr std::array<StorageDtype, 10> kStorageDtypes = {{
    {"Double", at::kDouble, 8},
    {"Float", at::kFloat, 4},
    {"Half", at::kHalf, 2},
    {"BFloat16", at::kBFloat16, 2},
    {"Long", at::kLong, 8},
    {"Int", at::kInt, 4},
    {"Short", at::kShort, 2},
    {"Char", at::kChar, 1},
    {"Byte", at::kByte, 1},
    {"Bool", at::kBool, 1},
}};

/// A stretch of memory that tensors of a pickle live in; its bytes are elsewhere.
struct PickledStorage {
  std::string key;                      ///< name of its record
  const StorageDtype* dtype = nullptr;  ///< one of `kStorageDtypes`
  uint64_t elements = 0;
};

/// A tensor of a pickle: a view of a storage. Nothing is checked but that sizes and
/// strides are equally many and not negative.
struct PickledTensor {
  uint32_t storage = 0;  ///< which of `TensorPickle::storages`
  uint64_t offset = 0;   ///< in elements
  std::vector<uint64_t> sizes;
  std::vector<uint64_t> strides;
};

/// The tensors of a pickle with their names.
struct TensorPickle {
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  std::vector<std::pair<std::string, uint32_t>> names;  ///< name, which of `tensors`
};

/// Reads the pickle in a file of `torch.save` or `torch.jit.save` without running
/// anything of it.
///
/// A pickle is a program for a small machine. This one knows the instructions that make
/// numbers, text, lists, tuples and dicts, and of all globals of Python only those that
/// rebuild dense tensors, `OrderedDict`, and, `with_modules`, classes of TorchScript,
/// which become plain bags of attributes. Everything else is refused by its name.
///
/// Tensors are named by the way to them: keys, attributes, and places in lists, joined
/// with dots. Other values are dropped. Memory and time are bounded by a multiple of
/// the pickle's size (at most 16 MiB); nothing is allocated for numbers that are
/// claimed.
///
/// Throws `CheckpointError`, beginning with `where`, that names the byte.
TensorPickle read_tensor_pickle(
    std::string_view pickle,
    bool with_modules,
    const std::string& where);

}  // namespace trmml::io
