#include "trmml/clip/tokenizer.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>

#include <utf8proc.h>
#include <zlib.h>

namespace trmml::clip {

namespace {

constexpr int32_t kBytes = 256;
constexpr int32_t kFirstMerge = 2 * kBytes;
constexpr std::string_view kEndOfWord = "</w>";
constexpr std::string_view kStartToken = "<|startoftext|>";
constexpr std::string_view kEndToken = "<|endoftext|>";
constexpr char32_t kReplacement = 0xFFFD;
// CLIP's pattern ignores case: the long s is an s, and the iota below is lost (its
// other case is a letter, so it belongs to neither letters nor "anything else").
constexpr char32_t kLongS = 0x17F;
constexpr char32_t kIotaBelow = 0x345;

// ---- UTF-8 ----

void append_utf8(std::string& bytes, char32_t point) {
  std::array<utf8proc_uint8_t, 4> buffer;
  const auto size =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), buffer.data());
  bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(size));
}

std::string to_utf8(std::u32string_view points) {
  std::string bytes;
  bytes.reserve(points.size());
  for (const char32_t point : points) {
    append_utf8(bytes, point);
  }
  return bytes;
}

/// Which second bytes may follow `lead`, and how many follow in all (0: none may).
struct Following {
  int count;
  unsigned char lowest, highest;
};

Following following(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) {
    return {1, 0x80, 0xBF};
  }
  if (lead >= 0xE0 && lead <= 0xEF) {  // no overlong forms, no surrogates
    return {
        2,
        lead == 0xE0 ? uint8_t{0xA0} : uint8_t{0x80},
        lead == 0xED ? uint8_t{0x9F} : uint8_t{0xBF}};
  }
  if (lead >= 0xF0 && lead <= 0xF4) {  // no overlong forms, nothing above U+10FFFF
    return {
        3,
        lead == 0xF0 ? uint8_t{0x90} : uint8_t{0x80},
        lead == 0xF4 ? uint8_t{0x8F} : uint8_t{0xBF}};
  }
  return {0, 0, 0};
}

/// Each longest piece that begins a character but does not end it becomes one U+FFFD.
std::u32string from_utf8(std::string_view bytes) {
  std::u32string points;
  points.reserve(bytes.size());
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[i++]);
    if (lead < 0x80) {
      points.push_back(lead);
      continue;
    }
    const Following rule = following(lead);
    char32_t point = lead & (0x3F >> rule.count);
    int found = 0;
    while (found < rule.count && i < bytes.size()) {
      const auto next = static_cast<unsigned char>(bytes[i]);
      if (next < (found == 0 ? rule.lowest : 0x80) ||
          next > (found == 0 ? rule.highest : 0xBF)) {
        break;
      }
      point = (point << 6) | (next & 0x3F);
      ++found;
      ++i;
    }
    points.push_back(rule.count > 0 && found == rule.count ? point : kReplacement);
  }
  return points;
}

// ---- Unicode classes ----

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool is_letter(char32_t point) {
  if (point < 0x80) {
    return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z');
  }
  const auto c = category(point);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t point) {
  if (point < 0x80) {
    return point >= '0' && point <= '9';
  }
  const auto c = category(point);
  return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool is_space(char32_t point) {
  return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20) ||
         point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
         point == 0x202F || point == 0x205F || point == 0x3000;
}

// ---- HTML references ----

// Names and code points of HTML 4; HTML takes the first group without its ';' too.
constexpr std::string_view kEntitiesWithoutSemicolon =
    "AElig C6 AMP 26 Aacute C1 Acirc C2 Agrave C0 Aring C5 Atilde C3 Auml C4 "
    "COPY A9 Ccedil C7 ETH D0 Eacute C9 Ecirc CA Egrave C8 Euml CB GT 3E "
    "Iacute CD Icirc CE Igrave CC Iuml CF LT 3C Ntilde D1 Oacute D3 Ocirc D4 "
    "Ograve D2 Oslash D8 Otilde D5 Ouml D6 QUOT 22 REG AE THORN DE Uacute DA "
    "Ucirc DB Ugrave D9 Uuml DC Yacute DD aacute E1 acirc E2 acute B4 aelig E6 "
    "agrave E0 amp 26 aring E5 atilde E3 auml E4 brvbar A6 ccedil E7 cedil B8 "
    "cent A2 copy A9 curren A4 deg B0 divide F7 eacute E9 ecirc EA egrave E8 "
    "eth F0 euml EB frac12 BD frac14 BC frac34 BE gt 3E iacute ED icirc EE "
    "iexcl A1 igrave EC iquest BF iuml EF laquo AB lt 3C macr AF micro B5 "
    "middot B7 nbsp A0 not AC ntilde F1 oacute F3 ocirc F4 ograve F2 ordf AA "
    "ordm BA oslash F8 otilde F5 ouml F6 para B6 plusmn B1 pound A3 quot 22 "
    "raquo BB reg AE sect A7 shy AD sup1 B9 sup2 B2 sup3 B3 szlig DF thorn FE "
    "times D7 uacute FA ucirc FB ugrave F9 uml A8 uuml FC yacute FD yen A5 "
    "yuml FF ";
constexpr std::string_view kEntities =
    "Alpha 391 Beta 392 Chi 3A7 Dagger 2021 Delta 394 Epsilon 395 Eta 397 "
    "Gamma 393 Iota 399 Kappa 39A Lambda 39B Mu 39C Nu 39D OElig 152 Omega 3A9 "
    "Omicron 39F Phi 3A6 Pi 3A0 Prime 2033 Psi 3A8 Rho 3A1 Scaron 160 Sigma 3A3 "
    "Tau 3A4 Theta 398 Upsilon 3A5 Xi 39E Yuml 178 Zeta 396 alefsym 2135 "
    "alpha 3B1 and 2227 ang 2220 apos 27 asymp 2248 bdquo 201E beta 3B2 "
    "bull 2022 cap 2229 chi 3C7 circ 2C6 clubs 2663 cong 2245 crarr 21B5 "
    "cup 222A dArr 21D3 dagger 2020 darr 2193 delta 3B4 diams 2666 empty 2205 "
    "emsp 2003 ensp 2002 epsilon 3B5 equiv 2261 eta 3B7 euro 20AC exist 2203 "
    "fnof 192 forall 2200 frasl 2044 gamma 3B3 ge 2265 hArr 21D4 harr 2194 "
    "hearts 2665 hellip 2026 image 2111 infin 221E int 222B iota 3B9 isin 2208 "
    "kappa 3BA lArr 21D0 lambda 3BB lang 27E8 larr 2190 lceil 2308 ldquo 201C "
    "le 2264 lfloor 230A lowast 2217 loz 25CA lrm 200E lsaquo 2039 lsquo 2018 "
    "mdash 2014 minus 2212 mu 3BC nabla 2207 ndash 2013 ne 2260 ni 220B "
    "notin 2209 nsub 2284 nu 3BD oelig 153 oline 203E omega 3C9 omicron 3BF "
    "oplus 2295 or 2228 otimes 2297 part 2202 permil 2030 perp 22A5 phi 3C6 "
    "pi 3C0 piv 3D6 prime 2032 prod 220F prop 221D psi 3C8 rArr 21D2 radic 221A "
    "rang 27E9 rarr 2192 rceil 2309 rdquo 201D real 211C rfloor 230B rho 3C1 "
    "rlm 200F rsaquo 203A rsquo 2019 sbquo 201A scaron 161 sdot 22C5 sigma 3C3 "
    "sigmaf 3C2 sim 223C spades 2660 sub 2282 sube 2286 sum 2211 sup 2283 "
    "supe 2287 tau 3C4 there4 2234 theta 3B8 thetasym 3D1 thinsp 2009 tilde 2DC "
    "trade 2122 uArr 21D1 uarr 2191 upsih 3D2 upsilon 3C5 weierp 2118 xi 3BE "
    "zeta 3B6 zwj 200D zwnj 200C ";

using Entities = std::unordered_map<std::string_view, char32_t>;

Entities parse_entities(std::string_view table) {
  Entities entities;
  while (!table.empty()) {
    const size_t blank = table.find(' ');
    const size_t end = table.find(' ', blank + 1);
    uint32_t point = 0;
    std::from_chars(table.data() + blank + 1, table.data() + end, point, 16);
    entities[table.substr(0, blank)] = point;
    table.remove_prefix(end + 1);
  }
  return entities;
}

/// What HTML makes of `&#n;`: nothing for control characters and the like.
std::u32string numeric_reference(uint32_t number) {
  // Bytes of Windows-1252 that are not Latin-1; 0 stands for itself.
  static constexpr std::array<char32_t, 32> kWindows = {
      0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
      0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
      0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
      0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) {
    return {kReplacement};
  }
  if (number >= 0x80 && number <= 0x9F) {
    return {kWindows[number - 0x80]};
  }
  const bool control = number <= 0x08 || number == 0x0B ||
                       (number >= 0x0E && number <= 0x1F) || number == 0x7F;
  const bool noncharacter =
      (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  return control || noncharacter ? std::u32string() : std::u32string{number};
}

/// The number behind "&#" at `begin`; moves `end` behind it. Too large ones are capped.
std::optional<uint32_t>
read_number(std::u32string_view text, size_t begin, size_t& end) {
  const bool hex = begin < text.size() && (text[begin] == 'x' || text[begin] == 'X');
  uint32_t number = 0;
  size_t i = begin + (hex ? 1 : 0);
  const size_t first = i;
  for (; i < text.size(); ++i) {
    const char32_t c = text[i];
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = (c | 0x20) - 'a' + 10;
    } else {
      break;
    }
    number = std::min<uint32_t>(number * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (i == first) {
    return std::nullopt;
  }
  end = i < text.size() && text[i] == ';' ? i + 1 : i;
  return number;
}

/// What the name behind "&" at `begin` stands for; moves `end` behind it.
std::optional<char32_t> read_name(std::u32string_view text, size_t begin, size_t& end) {
  static const Entities bare = parse_entities(kEntitiesWithoutSemicolon);
  static const Entities closed = parse_entities(kEntities);
  constexpr std::u32string_view kStop = U"\t\n\f <&#;";
  constexpr size_t kLongest = 32;
  std::string name;
  size_t i = begin;
  while (i < text.size() && i - begin < kLongest && text[i] < 0x80 &&
         kStop.find(text[i]) == kStop.npos) {
    name.push_back(static_cast<char>(text[i++]));
  }
  if (i < text.size() && text[i] == ';') {
    if (const auto found = closed.find(name); found != closed.end()) {
      end = i + 1;
      return found->second;
    }
    if (const auto found = bare.find(name); found != bare.end()) {
      end = i + 1;
      return found->second;
    }
  }
  for (size_t size = name.size(); size >= 2; --size) {  // "&ampx" is "&x"
    const auto found = bare.find(std::string_view(name).substr(0, size));
    if (found != bare.end()) {
      end = begin + size;
      return found->second;
    }
  }
  return std::nullopt;
}

std::u32string unescape_html(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i + 1;
    if (text[i] == '&' && end < text.size() && text[end] == '#') {
      if (const auto number = read_number(text, i + 2, end)) {
        result += numeric_reference(*number);
        i = end;
        continue;
      }
    } else if (text[i] == '&') {
      if (const auto point = read_name(text, i + 1, end)) {
        result.push_back(*point);
        i = end;
        continue;
      }
    }
    result.push_back(text[i++]);
  }
  return result;
}

// ---- Cleaning ----

std::u32string compose(std::u32string points) {
  const bool may_change = std::any_of(
      points.begin(), points.end(), [](char32_t point) { return point >= 0x300; });
  if (!may_change) {
    return points;
  }
  const std::string bytes = to_utf8(points);
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
      static_cast<utf8proc_ssize_t>(bytes.size()),
      &composed,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      composed, &std::free);
  TORCH_INTERNAL_ASSERT(size >= 0, utf8proc_errmsg(size));
  return from_utf8(
      {reinterpret_cast<const char*>(composed), static_cast<size_t>(size)});
}

std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  bool pending = false;
  for (const char32_t point : text) {
    if (is_space(point)) {
      pending = !result.empty();
      continue;
    }
    if (pending) {
      result.push_back(' ');
      pending = false;
    }
    result.push_back(point);
  }
  return result;
}

bool is_cased(char32_t point) {
  const bool letter_like =
      point == 0xAA || point == 0xBA ||        // ordinals
      (point >= 0x2160 && point <= 0x217F) ||  // Roman numerals
      (point >= 0x24B6 && point <= 0x24E9) ||  // letters in circles
      (point >= 0x1F130 && point <= 0x1F149) ||
      (point >= 0x1F150 && point <= 0x1F169) || (point >= 0x1F170 && point <= 0x1F189);
  const auto c = category(point);
  return letter_like || c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL ||
         c == UTF8PROC_CATEGORY_LT;
}

/// Skipped when looking for the letter next to a sigma.
bool is_case_ignorable(char32_t point) {
  constexpr std::u32string_view kPunctuation =
      U"'.:"
      U"\u00B7\u2018\u2019\u2024\u2027\u0387\u055F\u05F4\uFE13\uFE52\uFE55\uFF07\uFF0E"
      U"\uFF1A";
  const auto c = category(point);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME ||
         c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_LM ||
         c == UTF8PROC_CATEGORY_SK || kPunctuation.find(point) != kPunctuation.npos;
}

/// A capital sigma at the end of a word has its own small letter.
bool is_final_sigma(std::u32string_view text, size_t i) {
  size_t before = i;
  while (before > 0 && is_case_ignorable(text[before - 1])) {
    --before;
  }
  size_t after = i + 1;
  while (after < text.size() && is_case_ignorable(text[after])) {
    ++after;
  }
  return before > 0 && is_cased(text[before - 1]) &&
         !(after < text.size() && is_cased(text[after]));
}

std::u32string to_lower(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t point = text[i];
    if (point < 0x80) {
      result.push_back(point >= 'A' && point <= 'Z' ? point + 0x20 : point);
    } else if (point == 0x130) {  // the only letter that becomes two: i and a dot
      result += U"i\u0307";
    } else if (point == 0x3A3) {
      result.push_back(is_final_sigma(text, i) ? 0x3C2 : 0x3C3);
    } else {
      result.push_back(static_cast<char32_t>(
          utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
    }
  }
  return result;
}

std::u32string clean(std::string_view text) {
  std::u32string points = from_utf8(text);
  if (points.find(U'&') != points.npos) {
    points = unescape_html(unescape_html(points));
  }
  return to_lower(collapse_spaces(compose(std::move(points))));
}

// ---- Words ----

/// Whether `text` has `pattern` (small ASCII letters) at `begin`.
bool has_at(std::u32string_view text, size_t begin, std::string_view pattern) {
  if (text.size() - begin < pattern.size()) {
    return false;
  }
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char32_t point = text[begin + i];
    const auto wanted = static_cast<char32_t>(pattern[i]);
    if (point != wanted && !(wanted == 's' && point == kLongS)) {
      return false;
    }
  }
  return true;
}

bool is_between_words(char32_t point) {
  return is_space(point) || point == kIotaBelow;
}

/// The end of the word that begins at `begin`, which is not between words.
size_t end_of_word(std::u32string_view text, size_t begin) {
  static constexpr std::array<std::string_view, 9> kFixed = {
      kStartToken, kEndToken, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  if (text[begin] == '<' || text[begin] == '\'') {
    for (const std::string_view fixed : kFixed) {
      if (has_at(text, begin, fixed)) {
        return begin + fixed.size();
      }
    }
  }
  if (is_number(text[begin])) {
    return begin + 1;
  }
  const bool letters = is_letter(text[begin]);
  size_t end = begin + 1;
  while (end < text.size() &&
         (letters ? is_letter(text[end])
                  : !is_between_words(text[end]) && !is_letter(text[end]) &&
                        !is_number(text[end]))) {
    ++end;
  }
  return end;
}

/// Calls `visit` with the UTF-8 bytes of each word of a cleaned text.
template <typename Visit>
void for_each_word(std::u32string_view text, const Visit& visit) {
  std::string word;
  size_t i = 0;
  while (i < text.size()) {
    if (is_between_words(text[i])) {
      ++i;
      continue;
    }
    const size_t end = end_of_word(text, i);
    word.clear();
    for (; i < end; ++i) {
      append_utf8(word, text[i]);
    }
    visit(std::string_view(word));
  }
}

// ---- Symbols ----

/// CLIP's order of the 256 bytes: those that print in Latin-1 first.
struct ByteTable {
  std::array<unsigned char, kBytes> byte_of{};  // by id
  std::array<int32_t, kBytes> id_of{};          // by byte
  std::array<std::string, kBytes> printable;    // by id
};

ByteTable make_byte_table() {
  ByteTable table;
  const auto prints = [](int byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
           byte >= 0xAE;
  };
  int32_t id = 0;
  char32_t stand_in = kBytes;
  for (const bool printing : {true, false}) {
    for (int byte = 0; byte < kBytes; ++byte) {
      if (prints(byte) == printing) {
        const auto index = static_cast<size_t>(id);
        table.byte_of[index] = static_cast<unsigned char>(byte);
        table.id_of[static_cast<size_t>(byte)] = id++;
        append_utf8(
            table.printable[index],
            printing ? static_cast<char32_t>(byte) : stand_in++);
      }
    }
  }
  return table;
}

const ByteTable& byte_table() {
  static const ByteTable table = make_byte_table();
  return table;
}

/// The symbols of a word before any merge.
void append_symbols(std::vector<int32_t>& symbols, std::string_view word) {
  const ByteTable& table = byte_table();
  for (const char byte : word) {
    symbols.push_back(table.id_of[static_cast<unsigned char>(byte)]);
  }
  symbols.back() += kBytes;
}

uint64_t pair_key(int32_t first, int32_t second) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(first)) << 32) |
         static_cast<uint32_t>(second);
}

/// Pair of ids -> rank, with open addressing; at most half full.
class PairRanks {
 public:
  static constexpr int32_t kNone = std::numeric_limits<int32_t>::max();

  explicit PairRanks(const std::vector<uint64_t>& keys) {
    int bits = 1;
    while ((size_t{1} << bits) < 2 * keys.size()) {
      ++bits;
    }
    shift_ = 64 - bits;
    slots_.resize(size_t{1} << bits);
    for (size_t rank = 0; rank < keys.size(); ++rank) {
      size_t slot = slot_of(keys[rank]);
      while (slots_[slot].rank != kNone) {
        slot = (slot + 1) & (slots_.size() - 1);
      }
      slots_[slot] = {keys[rank], static_cast<int32_t>(rank)};
    }
  }

  int32_t find(int32_t first, int32_t second) const {
    const uint64_t key = pair_key(first, second);
    size_t slot = slot_of(key);
    while (slots_[slot].rank != kNone && slots_[slot].key != key) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slots_[slot].rank;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t rank = kNone;
  };

  size_t slot_of(uint64_t key) const {
    return static_cast<size_t>((key * 0x9E3779B97F4A7C15ULL) >> shift_);
  }

  int shift_ = 0;
  std::vector<Slot> slots_;
};

/// Tokens by name while merges are added one by one.
class Symbols {
 public:
  Symbols() {
    for (const std::string_view suffix : {std::string_view(), kEndOfWord}) {
      for (const std::string& printable : byte_table().printable) {
        add(printable + std::string(suffix));
      }
    }
  }

  std::optional<int32_t> find(const std::string& name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  const std::string& name(int32_t id) const { return names_[static_cast<size_t>(id)]; }
  size_t size() const { return names_.size(); }

  void add(std::string name) {
    ids_.emplace(name, static_cast<int32_t>(names_.size()));
    names_.push_back(std::move(name));
  }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace

// ---- Tokenizer ----

struct Tokenizer::Vocabulary {
  std::vector<Merge> merges;
  std::vector<std::string> bytes;  // by id, a blank for the end of a word
  std::vector<std::pair<int32_t, int32_t>> parts;  // by rank
  PairRanks ranks;

  /// Throws what `fail(rank, reason)` throws for a merge that cannot be.
  template <typename Fail>
  static std::shared_ptr<const Vocabulary> make(
      std::vector<Merge> merges,
      const Fail& fail) {
    Symbols symbols;
    std::vector<std::string> bytes;
    for (int32_t id = 0; id < kFirstMerge; ++id) {
      const auto byte = byte_table().byte_of[static_cast<size_t>(id % kBytes)];
      bytes.push_back(std::string(1, static_cast<char>(byte)));
      bytes.back() += id < kBytes ? "" : " ";
    }
    std::vector<std::pair<int32_t, int32_t>> parts;
    std::vector<uint64_t> keys;
    std::set<uint64_t> seen;
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [first, second] = merges[rank];
      const std::optional<int32_t> ids[] = {symbols.find(first), symbols.find(second)};
      for (const int side : {0, 1}) {
        if (!ids[side]) {
          fail(
              rank,
              fmt::format(
                  "'{}' is neither a byte nor made by an earlier merge",
                  side == 0 ? first : second));
        }
      }
      keys.push_back(pair_key(*ids[0], *ids[1]));
      if (!seen.insert(keys.back()).second) {
        fail(rank, fmt::format("'{} {}' was there before", first, second));
      }
      if (symbols.find(first + second)) {
        fail(
            rank,
            fmt::format("'{} {}' makes a token that exists already", first, second));
      }
      symbols.add(first + second);
      parts.emplace_back(*ids[0], *ids[1]);
      bytes.push_back(
          bytes[static_cast<size_t>(*ids[0])] + bytes[static_cast<size_t>(*ids[1])]);
    }
    bytes.emplace_back(kStartToken);
    bytes.emplace_back(kEndToken);
    return std::make_shared<const Vocabulary>(Vocabulary{
        std::move(merges), std::move(bytes), std::move(parts), PairRanks(keys)});
  }
};

namespace {

/// Merges the symbols of one word after the other; keeps its memory between words.
///
/// Candidates wait in a heap, lowest rank first, then leftmost. A merge can only lead
/// to candidates of higher rank (its result was unknown before), so this order equals
/// "best pair everywhere, then the next", in n log n.
class WordMerger {
 public:
  WordMerger(
      const PairRanks& ranks,
      const std::vector<std::pair<int32_t, int32_t>>& parts)
      : ranks_(ranks), parts_(parts) {}

  void append_ids(std::string_view word, std::vector<int64_t>& ids) {
    symbols_.clear();
    append_symbols(symbols_, word);
    const size_t n = symbols_.size();
    next_.resize(n);
    previous_.resize(n);
    for (size_t i = 0; i < n; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;  // of the first: never read
    }
    heap_.clear();
    for (size_t i = 0; i + 1 < n; ++i) {
      push(i);
    }
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const auto [rank, i] = heap_.back();
      heap_.pop_back();
      merge(rank, i);
    }
    for (size_t i = 0; i < n; i = next_[i]) {
      ids.push_back(symbols_[i]);
    }
  }

 private:
  static constexpr int32_t kMerged = -1;

  void push(size_t i) {
    const int32_t rank = ranks_.find(symbols_[i], symbols_[next_[i]]);
    if (rank != PairRanks::kNone) {
      heap_.emplace_back(rank, i);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }

  void merge(int32_t rank, size_t i) {
    const size_t right = next_[i];
    const auto [first, second] = parts_[static_cast<size_t>(rank)];
    if (right >= symbols_.size() || symbols_[i] != first || symbols_[right] != second) {
      return;  // one of the two was merged meanwhile
    }
    symbols_[i] = kFirstMerge + rank;
    symbols_[right] = kMerged;
    next_[i] = next_[right];
    if (next_[i] < symbols_.size()) {
      previous_[next_[i]] = i;
      push(i);
    }
    if (i > 0) {
      push(previous_[i]);
    }
  }

  const PairRanks& ranks_;
  const std::vector<std::pair<int32_t, int32_t>>& parts_;
  std::vector<int32_t> symbols_;
  std::vector<size_t> next_;
  std::vector<size_t> previous_;
  std::vector<std::pair<int32_t, size_t>> heap_;
};

/// The whole of a plain or gzip file.
std::string read_text(const std::filesystem::path& path) {
  constexpr size_t kMaxSize = size_t{64} << 20;  // CLIP's has 3 MB
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::is_regular_file(status)) {
    throw DataError(fmt::format(
        "{}: expected a file with merges, got {}",
        path.string(),
        !std::filesystem::exists(status) ? "no such file" : "something else"));
  }
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(
      gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) {
    throw DataError(fmt::format("{}: cannot open the file", path.string()));
  }
  std::string text;
  std::array<char, 1 << 16> chunk;
  for (;;) {
    const int size =
        gzread(file.get(), chunk.data(), static_cast<unsigned>(chunk.size()));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (size < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw DataError(fmt::format(
          "{}: cannot read the file: {}",
          path.string(),
          code == Z_BUF_ERROR ? "its compressed data are cut off" : reason));
    }
    if (size == 0) {
      return text;
    }
    text.append(chunk.data(), static_cast<size_t>(size));
    if (text.size() > kMaxSize) {
      throw DataError(fmt::format(
          "{}: expected at most {} bytes of merges, got more",
          path.string(),
          kMaxSize));
    }
  }
}

/// The line at the front of `text`, which loses it; "\r\n" ends a line too.
std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  return line;
}

std::optional<Merge> parse_merge(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == line.npos || blank == 0 || blank + 1 == line.size() ||
      line.find(' ', blank + 1) != line.npos) {
    return std::nullopt;
  }
  return Merge(line.substr(0, blank), line.substr(blank + 1));
}

/// For messages: what comes from outside, short and without control characters.
std::string shown(std::string_view text) {
  constexpr size_t kShown = 60;
  size_t size = std::min(text.size(), kShown);
  while (size > 0 && size < text.size() && (text[size] & 0xC0) == 0x80) {
    --size;  // not within a character
  }
  std::string result(text.substr(0, size));
  std::replace_if(
      result.begin(),
      result.end(),
      [](char byte) { return static_cast<unsigned char>(byte) < 0x20; },
      '?');
  return "'" + result + (size < text.size() ? "...'" : "'");
}

}  // namespace

std::string clean_text(std::string_view text) {
  return to_utf8(clean(text));
}

Tokenizer Tokenizer::from_merges(
    const std::filesystem::path& path,
    std::optional<int64_t> max_merges) {
  TORCH_CHECK_VALUE(
      max_merges.value_or(0) >= 0,
      "Tokenizer::from_merges: expected max_merges >= 0, got ",
      max_merges.value_or(0));
  const auto fail = [&path](size_t line, const std::string& reason) {
    throw DataError(fmt::format("{}: line {}: {}", path.string(), line, reason));
  };
  const std::string text = read_text(path);
  std::string_view rest = text;
  if (const std::string_view first = next_line(rest);
      first.find("#version") == first.npos) {
    fail(1, "expected a comment with '#version', got " + shown(first));
  }
  std::vector<Merge> merges;
  while (!rest.empty() &&
         (!max_merges || merges.size() < static_cast<size_t>(*max_merges))) {
    const std::string_view line = next_line(rest);
    const std::optional<Merge> merge = parse_merge(line);
    if (!merge) {
      fail(
          merges.size() + 2,
          "expected two symbols with one blank between, got " + shown(line));
    }
    merges.push_back(*merge);
  }
  Tokenizer tokenizer{std::vector<Merge>()};
  tokenizer.vocabulary_ = Vocabulary::make(
      std::move(merges),
      [&fail](size_t rank, const std::string& reason) { fail(rank + 2, reason); });
  return tokenizer;
}

Tokenizer::Tokenizer(std::vector<Merge> merges)
    : vocabulary_(Vocabulary::make(
          std::move(merges),
          [](size_t rank, const std::string& reason) {
            TORCH_CHECK_VALUE(false, "Tokenizer: merge ", rank, ": ", reason);
          })) {}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  WordMerger merger(vocabulary_->ranks, vocabulary_->parts);
  for_each_word(clean(text), [&](std::string_view word) {
    if (word == kStartToken) {
      ids.push_back(start_id());
    } else if (word == kEndToken) {
      ids.push_back(end_id());
    } else {
      merger.append_ids(word, ids);
    }
  });
  return ids;
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids) const {
  std::string bytes;
  for (const int64_t id : ids) {
    TORCH_CHECK_INDEX(
        id >= 0 && id < vocab_size(),
        "Tokenizer::decode: expected ids in [0, ",
        vocab_size(),
        "), got ",
        id);
    bytes += vocabulary_->bytes[static_cast<size_t>(id)];
  }
  return bytes;
}

at::Tensor Tokenizer::tokenize(
    const std::vector<std::string>& texts,
    int64_t context_length,
    bool truncate) const {
  TORCH_CHECK_VALUE(
      context_length >= 2,
      "Tokenizer::tokenize: expected context_length >= 2 (start and end), got ",
      context_length);
  at::Tensor result =
      at::zeros({static_cast<int64_t>(texts.size()), context_length}, at::kLong);
  int64_t* row = result.data_ptr<int64_t>();
  for (size_t i = 0; i < texts.size(); ++i, row += context_length) {
    std::vector<int64_t> ids = encode(texts[i]);
    const int64_t length = static_cast<int64_t>(ids.size()) + 2;
    TORCH_CHECK_VALUE(
        truncate || length <= context_length,
        "Tokenizer::tokenize: text ",
        i,
        ", ",
        shown(texts[i]),
        ", has ",
        length,
        " tokens with start and end, the limit is ",
        context_length,
        " (truncate = true cuts it)");
    ids.resize(static_cast<size_t>(std::min(length, context_length) - 2));
    row[0] = start_id();
    std::copy(ids.begin(), ids.end(), row + 1);
    row[ids.size() + 1] = end_id();
  }
  return result;  // [n, L]
}

int64_t Tokenizer::start_id() const {
  return vocab_size() - 2;
}

int64_t Tokenizer::end_id() const {
  return vocab_size() - 1;
}

int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(vocabulary_->bytes.size());
}

const std::vector<Merge>& Tokenizer::merges() const {
  return vocabulary_->merges;
}

// ---- Learning ----

namespace {

/// Words with their counts, and how often each pair of neighbours stands in them.
class PairCounter {
 public:
  struct Pair {
    int32_t first, second;
    int64_t count;
  };

  explicit PairCounter(const std::vector<std::string>& texts) {
    std::map<std::string, int64_t> counts;
    for (const std::string& text : texts) {
      for_each_word(clean(text), [&counts](std::string_view word) {
        if (word != kStartToken && word != kEndToken) {
          ++counts[std::string(word)];
        }
      });
    }
    for (const auto& [word, count] : counts) {
      words_.emplace_back();
      append_symbols(words_.back(), word);
      word_counts_.push_back(count);
      add_pairs(words_.size() - 1, 1);
    }
  }

  /// The most frequent pair; count 0 when there is none.
  Pair best(const Symbols& symbols) const {
    Pair best{0, 0, 0};
    const auto names = [&symbols](const Pair& pair) {
      return std::tie(symbols.name(pair.first), symbols.name(pair.second));
    };
    for (const auto& [key, entry] : pairs_) {
      const Pair pair{
          static_cast<int32_t>(key >> 32), static_cast<int32_t>(key), entry.count};
      if (pair.count > best.count ||
          (pair.count == best.count && names(pair) < names(best))) {
        best = pair;
      }
    }
    return best;
  }

  void merge(const Pair& pair, int32_t merged) {
    const std::set<size_t> where = pairs_[pair_key(pair.first, pair.second)].words;
    for (const size_t index : where) {
      add_pairs(index, -1);
      std::vector<int32_t>& word = words_[index];
      size_t size = 0;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool here =
            i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second;
        word[size++] = here ? merged : word[i];
        i += here ? 1 : 0;
      }
      word.resize(size);
      add_pairs(index, 1);
    }
  }

 private:
  struct Entry {
    int64_t count = 0;
    std::set<size_t> words;
  };

  void add_pairs(size_t index, int64_t sign) {
    const std::vector<int32_t>& word = words_[index];
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      const uint64_t key = pair_key(word[i], word[i + 1]);
      Entry& entry = pairs_[key];
      entry.count += sign * word_counts_[index];
      if (sign > 0) {
        entry.words.insert(index);
      } else {
        entry.words.erase(index);
      }
      if (entry.count == 0) {
        pairs_.erase(key);
      }
    }
  }

  std::vector<std::vector<int32_t>> words_;
  std::vector<int64_t> word_counts_;
  std::unordered_map<uint64_t, Entry> pairs_;
};

}  // namespace

std::vector<Merge> learn_merges(
    const std::vector<std::string>& texts,
    int64_t n_merges) {
  TORCH_CHECK_VALUE(
      n_merges >= 0, "learn_merges: expected n_merges >= 0, got ", n_merges);
  Symbols symbols;
  PairCounter counter(texts);
  std::vector<Merge> merges;
  while (static_cast<int64_t>(merges.size()) < n_merges) {
    const PairCounter::Pair pair = counter.best(symbols);
    if (pair.count == 0) {
      break;
    }
    merges.emplace_back(symbols.name(pair.first), symbols.name(pair.second));
    counter.merge(pair, static_cast<int32_t>(symbols.size()));
    symbols.add(merges.back().first + merges.back().second);
  }
  return merges;
}

void write_merges(const std::filesystem::path& path, const std::vector<Merge>& merges) {
  io::AtomicFile file(path);
  file.write("#version: trmml 1\n");
  for (const auto& [first, second] : merges) {
    file.write(first + " " + second + "\n");
  }
  file.commit();
}

}  // namespace trmml::clip
