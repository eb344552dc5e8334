#include "tensor_pickle.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "quoted.hpp"

namespace trmml::io {

namespace {

constexpr size_t kMaxPickle = size_t{16} << 20;
constexpr size_t kMaxValues = 4'000'000;
constexpr size_t kMaxTensors = 200'000;
constexpr size_t kMaxMemoGap = 16;
constexpr size_t kMaxName = 512;
constexpr size_t kMaxDimensions = 64;
constexpr int kMaxDepth = 64;
constexpr uint32_t kNothing = 0xFFFFFFFF;

/// What a global of Python means here.
enum class Global : uint8_t {
  kRebuildTensor,     // (storage, offset, sizes, strides)
  kRebuildTensorV2,   // (storage, offset, sizes, strides, needs grad, hooks[, other])
  kRebuildParameter,  // (tensor, needs grad, hooks)
  kOrderedDict,       // ()
  kStorage,           // an argument only
  kSame,              // (value[, description]) -> value
  kForgotten,         // (...) -> None
  kModule,            // made by NEWOBJ
};

enum class Kind : uint8_t {
  kNone,
  kNumber,  // whole
  kOther,   // a value nobody here asks for: truth values, fractions
  kText,
  kTuple,
  kList,
  kDict,
  kModule,
  kGlobal,
  kStorage,
  kTensor,
};

/// A value of the machine. Values refer to each other by their places in one list, so
/// neither depth nor cycles of a pickle cost stack.
struct Value {
  Kind kind = Kind::kNone;
  Global global = Global::kForgotten;
  uint32_t index = kNothing;  // of items, storage, tensor, dtype
  uint32_t length = 0;        // of a text
  int64_t number = 0;         // or the place of a text
};

class Machine {
 public:
  Machine(std::string_view pickle, bool with_modules, const std::string& where)
      : pickle_(pickle), with_modules_(with_modules), where_(where) {}

  TensorPickle run() {
    if (pickle_.size() > kMaxPickle) {
      throw CheckpointError(fmt::format(
          "{}: expected at most {} bytes, got {}", where_, kMaxPickle, pickle_.size()));
    }
    while (!stopped_) {
      begin_ = place_;
      step(static_cast<unsigned char>(bytes(1)[0]));
    }
    if (place_ != pickle_.size()) {
      fail("the pickle ends before its record");
    }
    name_tensors(root_, 0);
    return std::move(result_);
  }

 private:
  // ------------------------------------------------------------------ bytes

  [[noreturn]] void fail(std::string_view rule) const {
    throw CheckpointError(fmt::format("{}: byte {}: {}", where_, begin_, rule));
  }

  std::string_view bytes(uint64_t count) {
    if (count > pickle_.size() - place_) {
      fail("the pickle ends in the middle (was the file cut off?)");
    }
    const std::string_view found = pickle_.substr(place_, count);
    place_ += count;
    return found;
  }

  uint64_t number(int size) {
    const std::string_view found = bytes(static_cast<uint64_t>(size));
    uint64_t value = 0;
    for (int i = size; i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(found[static_cast<size_t>(i)]);
    }
    return value;
  }

  std::string_view line() {
    const size_t end = pickle_.find('\n', place_);
    if (end == std::string_view::npos) {
      fail("the pickle ends in the middle (was the file cut off?)");
    }
    const std::string_view found = pickle_.substr(place_, end - place_);
    place_ = end + 1;
    return found;
  }

  // ------------------------------------------------------------------ stack

  uint32_t add(Value value) {
    if (values_.size() >= kMaxValues) {
      fail(fmt::format("expected at most {} values, got more", kMaxValues));
    }
    values_.push_back(value);
    return static_cast<uint32_t>(values_.size() - 1);
  }

  void push(uint32_t value) { stack_.push_back(value); }
  void push(Value value) { push(add(value)); }

  uint32_t pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
      fail("expected a value on the stack, found none");
    }
    const uint32_t value = stack_.back();
    stack_.pop_back();
    return value;
  }

  uint32_t top() {
    const uint32_t value = pop();
    push(value);
    return value;
  }

  /// Everything above the last mark.
  std::vector<uint32_t> pop_marked() {
    if (marks_.empty()) {
      fail("expected a mark on the stack, found none");
    }
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<uint32_t> found(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return found;
  }

  const Value& at(uint32_t value) const { return values_[value]; }
  bool is(uint32_t value, Kind kind) const { return at(value).kind == kind; }

  uint32_t pop(Kind kind, std::string_view what) {
    const uint32_t value = pop();
    if (!is(value, kind)) {
      fail(fmt::format("expected {}, got {}", what, describe(value)));
    }
    return value;
  }

  std::string_view text(uint32_t value) const {
    return pickle_.substr(static_cast<size_t>(at(value).number), at(value).length);
  }

  std::string describe(uint32_t value) const {
    switch (at(value).kind) {
      case Kind::kNone:
        return "None";
      case Kind::kNumber:
        return fmt::format("{}", at(value).number);
      case Kind::kOther:
        return "a value of another type";
      case Kind::kText:
        return in_quotes(text(value));
      case Kind::kTuple:
        return "a tuple";
      case Kind::kList:
        return "a list";
      case Kind::kDict:
        return "a dict";
      case Kind::kModule:
        return "a module";
      case Kind::kGlobal:
        return "a class or function";
      case Kind::kStorage:
        return "a storage";
      case Kind::kTensor:
        return "a tensor";
    }
    return "nothing";
  }

  // ------------------------------------------------------------------ containers

  /// Items of lists and tuples one by one, of dicts and modules as key, value, ..
  std::vector<uint32_t>& items(uint32_t container) {
    Value& value = values_[container];
    if (value.index == kNothing) {
      value.index = static_cast<uint32_t>(items_.size());
      items_.emplace_back();
    }
    return items_[value.index];
  }

  const std::vector<uint32_t>& items(uint32_t container) const {
    static const std::vector<uint32_t> kEmpty;
    const uint32_t index = at(container).index;
    return index == kNothing ? kEmpty : items_[index];
  }

  void push_container(Kind kind, std::vector<uint32_t> content = {}) {
    push(Value{kind});
    if (!content.empty()) {
      items(stack_.back()) = std::move(content);
    }
  }

  void push_tuple(int size) {
    std::vector<uint32_t> content(static_cast<size_t>(size));
    for (int i = size; i-- > 0;) {
      content[static_cast<size_t>(i)] = pop();
    }
    push_container(Kind::kTuple, std::move(content));
  }

  void append(const std::vector<uint32_t>& content) {
    const uint32_t list = pop(Kind::kList, "a list to append to");
    push(list);
    if (!content.empty()) {
      std::vector<uint32_t>& all = items(list);
      all.insert(all.end(), content.begin(), content.end());
    }
  }

  void set_items(const std::vector<uint32_t>& content) {
    const uint32_t dict = pop(Kind::kDict, "a dict to fill");
    push(dict);
    if (content.size() % 2 != 0) {
      fail("expected a value for every key of a dict");
    }
    if (!content.empty()) {
      std::vector<uint32_t>& all = items(dict);
      all.insert(all.end(), content.begin(), content.end());
    }
  }

  // ------------------------------------------------------------------ memo

  void remember(uint64_t place) {
    // A memo is filled from its start; one that is not would cost memory for nothing.
    if (place > memo_.size() + kMaxMemoGap) {
      fail(fmt::format(
          "expected a place near {} in the memo, got {}", memo_.size(), place));
    }
    if (place >= memo_.size()) {
      memo_.resize(place + 1, kNothing);
    }
    memo_[place] = top();
  }

  void recall(uint64_t place) {
    if (place >= memo_.size() || memo_[place] == kNothing) {
      fail(fmt::format("nothing was put at place {} of the memo", place));
    }
    push(memo_[place]);
  }

  // ------------------------------------------------------------------ globals

  void push_text(uint64_t length) {
    const std::string_view found = bytes(length);
    push(Value{
        Kind::kText,
        Global::kForgotten,
        kNothing,
        static_cast<uint32_t>(length),
        found.data() - pickle_.data()});
  }

  void push_global(std::string_view module, std::string_view name) {
    Value value{Kind::kGlobal};
    if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
      value.global = Global::kRebuildTensorV2;
    } else if (module == "torch._utils" && name == "_rebuild_tensor") {
      value.global = Global::kRebuildTensor;
    } else if (module == "torch._utils" && name == "_rebuild_parameter") {
      value.global = Global::kRebuildParameter;
    } else if (module == "collections" && name == "OrderedDict") {
      value.global = Global::kOrderedDict;
    } else if (module == "torch" && is_storage(name, value)) {
      value.global = Global::kStorage;
    } else if (
        (module == "torch" && name == "Size") ||
        (module == "torch.jit._pickle" &&
         (name == "build_intlist" || name == "build_tensorlist" ||
          name == "build_boollist" || name == "build_doublelist" ||
          name == "restore_type_tag"))) {
      value.global = Global::kSame;
    } else if (module == "torch" && name == "device") {
      value.global = Global::kForgotten;
    } else if (
        with_modules_ && (module == "__torch__" || module.starts_with("__torch__."))) {
      value.global = Global::kModule;
    } else {
      refuse(module, name);
    }
    push(value);
  }

  static bool is_storage(std::string_view name, Value& value) {
    constexpr std::string_view kEnd = "Storage";
    if (!name.ends_with(kEnd)) {
      return false;
    }
    name.remove_suffix(kEnd.size());
    const auto found = std::find_if(
        kStorageDtypes.begin(),
        kStorageDtypes.end(),
        [name](const StorageDtype& dtype) { return dtype.name == name; });
    value.index = static_cast<uint32_t>(found - kStorageDtypes.begin());
    return found != kStorageDtypes.end();
  }

  [[noreturn]] void refuse(std::string_view module, std::string_view name) const {
    std::string_view hint =
        "weights need none but those of dense tensors and dicts; nothing of the file "
        "was run";
    if (name.ends_with("Storage") && module.starts_with("torch")) {
      hint = "no type of number that this library has";
    } else if (module == "torch._utils") {
      hint = "only dense tensors are read";
    } else if (module.starts_with("__torch__")) {
      hint = "classes of TorchScript are for files of torch.jit.save";
    } else if (
        module.find('.') != std::string_view::npos && !module.starts_with("torch.")) {
      hint =
          "if this file comes from torch.save(model), save model.state_dict() "
          "instead; nothing of the file was run";
    }
    fail(fmt::format(
        "the global {} is not allowed ({})",
        in_quotes(fmt::format("{}.{}", module, name)),
        hint));
  }

  // ------------------------------------------------------------------ calls

  void reduce() {
    const uint32_t arguments = pop(Kind::kTuple, "a tuple of arguments");
    const uint32_t function = pop(Kind::kGlobal, "a function to call");
    const std::vector<uint32_t> given = items_of(arguments);
    const auto expect = [&](size_t least, size_t most, std::string_view what) {
      if (given.size() < least || given.size() > most) {
        fail(fmt::format("expected {}, got {} arguments", what, given.size()));
      }
    };
    switch (at(function).global) {
      case Global::kRebuildTensor:
        expect(4, 4, "the 4 arguments of a tensor");
        return rebuild_tensor(given);
      case Global::kRebuildTensorV2:
        expect(6, 7, "the 6 or 7 arguments of a tensor");
        return rebuild_tensor(given);
      case Global::kRebuildParameter:
        expect(3, 3, "the 3 arguments of a parameter");
        if (!is(given[0], Kind::kTensor)) {
          fail(fmt::format(
              "expected a tensor as parameter, got {}", describe(given[0])));
        }
        return push(given[0]);
      case Global::kOrderedDict:
        expect(0, 0, "an OrderedDict that is filled later");
        return push_container(Kind::kDict);
      case Global::kSame:
        expect(1, 2, "one value");
        return push(given[0]);
      case Global::kForgotten:
        return push(Value{Kind::kNone});
      case Global::kStorage:
      case Global::kModule:
        fail("expected a function to call, got a class");
    }
  }

  std::vector<uint32_t> items_of(uint32_t container) const { return items(container); }

  void new_object() {
    const uint32_t arguments = pop(Kind::kTuple, "a tuple of arguments");
    const uint32_t type = pop(Kind::kGlobal, "a class");
    if (at(type).global != Global::kModule || !items_of(arguments).empty()) {
      fail("expected a class of TorchScript and no arguments");
    }
    push_container(Kind::kModule);
  }

  void build() {
    const uint32_t state = pop();
    const uint32_t object = top();
    if (is(object, Kind::kDict)) {
      return;  // an OrderedDict's own attributes, such as _metadata
    }
    if (!is(object, Kind::kModule) || !is(state, Kind::kDict)) {
      fail(fmt::format(
          "expected the attributes of a module as a dict, got {} for {}",
          describe(state),
          describe(object)));
    }
    values_[object].index = at(state).index;
  }

  /// A storage: ("storage", class, key, device, number of elements).
  void persistent() {
    const std::vector<uint32_t> id =
        items_of(pop(Kind::kTuple, "a tuple for a storage"));
    if (id.size() != 5 || !is(id[0], Kind::kText) || text(id[0]) != "storage" ||
        !is(id[1], Kind::kGlobal) || at(id[1]).global != Global::kStorage ||
        !is(id[2], Kind::kText) || !is(id[3], Kind::kText) ||
        !is(id[4], Kind::kNumber)) {
      fail("expected (\"storage\", class, key, device, elements) for a storage");
    }
    if (at(id[4]).number < 0) {
      fail(fmt::format(
          "expected a storage of 0 elements or more, got {}", at(id[4]).number));
    }
    const PickledStorage storage{
        std::string(text(id[2])),
        &kStorageDtypes[at(id[1]).index],
        static_cast<uint64_t>(at(id[4]).number)};
    auto [found, is_new] = storages_.try_emplace(
        storage.key, static_cast<uint32_t>(result_.storages.size()));
    if (is_new) {
      result_.storages.push_back(storage);
    } else {
      const PickledStorage& before = result_.storages[found->second];
      if (before.dtype != storage.dtype || before.elements != storage.elements) {
        fail(fmt::format(
            "the storage {} is {} numbers of type {} here, but was {} of type {} "
            "before",
            in_quotes(storage.key),
            storage.elements,
            storage.dtype->name,
            before.elements,
            before.dtype->name));
      }
    }
    push(Value{Kind::kStorage, Global::kForgotten, found->second});
  }

  std::vector<uint64_t> sizes(uint32_t list, std::string_view what) const {
    if (!is(list, Kind::kTuple) && !is(list, Kind::kList)) {
      fail(fmt::format(
          "expected the {} of a tensor as a tuple, got {}", what, describe(list)));
    }
    std::vector<uint64_t> found;
    for (const uint32_t item : items(list)) {
      if (!is(item, Kind::kNumber) || at(item).number < 0) {
        fail(fmt::format(
            "expected the {} of a tensor to be 0 or more, got {}",
            what,
            describe(item)));
      }
      found.push_back(static_cast<uint64_t>(at(item).number));
      if (found.size() > kMaxDimensions) {
        fail(fmt::format("expected at most {} dimensions, got more", kMaxDimensions));
      }
    }
    return found;
  }

  void rebuild_tensor(const std::vector<uint32_t>& given) {
    if (!is(given[0], Kind::kStorage)) {
      fail(fmt::format("expected the storage of a tensor, got {}", describe(given[0])));
    }
    if (!is(given[1], Kind::kNumber) || at(given[1]).number < 0) {
      fail(fmt::format(
          "expected the offset of a tensor to be 0 or more, got {}",
          describe(given[1])));
    }
    if (result_.tensors.size() == kMaxTensors) {
      fail(fmt::format("expected at most {} tensors, got more", kMaxTensors));
    }
    PickledTensor tensor;
    tensor.storage = at(given[0]).index;
    tensor.offset = static_cast<uint64_t>(at(given[1]).number);
    tensor.sizes = sizes(given[2], "sizes");
    tensor.strides = sizes(given[3], "strides");
    if (tensor.sizes.size() != tensor.strides.size()) {
      fail(fmt::format(
          "expected as many strides as sizes, got {} and {}",
          tensor.strides.size(),
          tensor.sizes.size()));
    }
    push(Value{
        Kind::kTensor,
        Global::kForgotten,
        static_cast<uint32_t>(result_.tensors.size())});
    result_.tensors.push_back(std::move(tensor));
  }

  // ------------------------------------------------------------------ instructions

  void push_number(int64_t number) {
    push(Value{Kind::kNumber, Global::kForgotten, kNothing, 0, number});
  }

  /// LONG1: a little-endian number in two's complement.
  void push_long() {
    const auto size = static_cast<int>(number(1));
    if (size > 8) {
      fail(fmt::format("expected a number of at most 8 bytes, got {}", size));
    }
    uint64_t value = number(size);
    if (size > 0 && size < 8 && value >> (8 * size - 1) != 0) {
      value |= ~uint64_t{0} << (8 * size);
    }
    push_number(std::bit_cast<int64_t>(value));
  }

  void protocol() {
    const uint64_t version = number(1);
    if (version < 2 || version > 5) {
      fail(fmt::format("expected pickle protocol 2 to 5, got {}", version));
    }
  }

  // clang-format off
  void step(unsigned char instruction) {
    switch (instruction) {
      case 0x80: return protocol();                                      // PROTO
      case 0x95: return void(number(8));                                 // FRAME
      case '(': return marks_.push_back(stack_.size());                  // MARK
      case '.': root_ = pop(); stopped_ = true; return;                  // STOP
      case 'N': return push(Value{Kind::kNone});                         // NONE
      case 0x88: case 0x89: return push(Value{Kind::kOther});            // NEWTRUE, NEWFALSE
      case 'G': bytes(8); return push(Value{Kind::kOther});              // BINFLOAT
      case 'J': return push_number(static_cast<int32_t>(number(4)));     // BININT
      case 'K': return push_number(static_cast<int64_t>(number(1)));     // BININT1
      case 'M': return push_number(static_cast<int64_t>(number(2)));     // BININT2
      case 0x8a: return push_long();                                     // LONG1
      case 'X': return push_text(number(4));                             // BINUNICODE
      case 0x8c: return push_text(number(1));                            // SHORT_BINUNICODE
      case 'U': return push_text(number(1));                             // SHORT_BINSTRING
      case 'T': return push_text(number(4));                             // BINSTRING
      case ')': return push_container(Kind::kTuple);                     // EMPTY_TUPLE
      case ']': return push_container(Kind::kList);                      // EMPTY_LIST
      case '}': return push_container(Kind::kDict);                      // EMPTY_DICT
      case 't': return push_container(Kind::kTuple, pop_marked());       // TUPLE
      case 0x85: return push_tuple(1);                                   // TUPLE1
      case 0x86: return push_tuple(2);                                   // TUPLE2
      case 0x87: return push_tuple(3);                                   // TUPLE3
      case 'l': return push_container(Kind::kList, pop_marked());        // LIST
      case 'a': return append({pop()});                                  // APPEND
      case 'e': return append(pop_marked());                             // APPENDS
      case 's': { const uint32_t value = pop(); const uint32_t key = pop();
                  return set_items({key, value}); }                      // SETITEM
      case 'u': return set_items(pop_marked());                          // SETITEMS
      case 'q': return remember(number(1));                              // BINPUT
      case 'r': return remember(number(4));                              // LONG_BINPUT
      case 0x94: return remember(memo_.size());                          // MEMOIZE
      case 'h': return recall(number(1));                                // BINGET
      case 'j': return recall(number(4));                                // LONG_BINGET
      case 'c': { const std::string_view module = line();
                  return push_global(module, line()); }                  // GLOBAL
      case 0x93: { const uint32_t name = pop(Kind::kText, "the name of a global");
                   const uint32_t module = pop(Kind::kText, "the module of a global");
                   return push_global(text(module), text(name)); }       // STACK_GLOBAL
      case 'R': return reduce();                                         // REDUCE
      case 0x81: return new_object();                                    // NEWOBJ
      case 'b': return build();                                          // BUILD
      case 'Q': return persistent();                                     // BINPERSID
      default:
        fail(fmt::format(
            "the instruction 0x{:02x} is not allowed (weights need none but those of "
            "dense tensors and dicts; nothing of the file was run)",
            instruction));
    }
  }
  // clang-format on

  // ------------------------------------------------------------------ names

  void name_tensors(uint32_t value, int depth) {
    switch (at(value).kind) {
      case Kind::kTensor:
        if (result_.names.size() == kMaxTensors) {
          fail(fmt::format(
              "expected at most {} names of tensors, got more", kMaxTensors));
        }
        result_.names.emplace_back(name_, at(value).index);
        return;
      case Kind::kList:
      case Kind::kTuple:
        enter(value, depth);
        for (size_t i = 0; i < items(value).size(); ++i) {
          name_item(std::to_string(i), items(value)[i], depth);
        }
        return;
      case Kind::kDict:
      case Kind::kModule:
        enter(value, depth);
        check_keys(items(value));
        for (size_t i = 0; i + 1 < items(value).size(); i += 2) {
          name_item(key(items(value)[i]), items(value)[i + 1], depth);
        }
        return;
      default:
        return;
    }
  }

  /// Cycles end at the depth, and what is shared again and again at the number.
  void enter(uint32_t container, int depth) {
    visits_ += items(container).size();
    if (depth >= kMaxDepth || visits_ > kMaxValues) {
      fail(fmt::format(
          "expected values nested at most {} deep and at most {} of them, got more",
          kMaxDepth,
          kMaxValues));
    }
  }

  std::string key(uint32_t value) const {
    if (is(value, Kind::kText)) {
      return std::string(text(value));
    }
    if (is(value, Kind::kNumber)) {
      return std::to_string(at(value).number);
    }
    fail(fmt::format(
        "expected text or a whole number as a key, got {}", describe(value)));
  }

  void check_keys(const std::vector<uint32_t>& entries) const {
    std::vector<std::string> keys;
    for (size_t i = 0; i + 1 < entries.size(); i += 2) {
      keys.push_back(key(entries[i]));
    }
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      fail(fmt::format("the key {} stands there twice", in_quotes(*twice)));
    }
  }

  void name_item(const std::string& item, uint32_t value, int depth) {
    const size_t before = name_.size();
    if (before + item.size() + 1 > kMaxName) {
      fail(fmt::format(
          "expected names of at most {} characters, got one that begins with {}",
          kMaxName,
          in_quotes(name_ + "." + item)));
    }
    name_ += (depth == 0 ? "" : ".") + item;
    name_tensors(value, depth + 1);
    name_.resize(before);
  }

  std::string_view pickle_;
  bool with_modules_;
  const std::string& where_;
  size_t place_ = 0;
  size_t begin_ = 0;  // of the instruction at hand
  bool stopped_ = false;
  uint32_t root_ = kNothing;

  std::vector<Value> values_;
  std::vector<std::vector<uint32_t>> items_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::vector<uint32_t> memo_;
  std::map<std::string, uint32_t, std::less<>> storages_;

  std::string name_;
  size_t visits_ = 0;
  TensorPickle result_;
};

}  // namespace

TensorPickle read_tensor_pickle(
    std::string_view pickle,
    bool with_modules,
    const std::string& where) {
  return Machine(pickle, with_modules, where).run();
}

}  // namespace trmml::io
