#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using support::TemporaryFolder;
using support::write_bytes;
using trmml::io::read_sharded_safetensors;
using trmml::io::SafetensorsFile;
using trmml::io::write_safetensors;

namespace {

/// A folder with two shards, "1.safetensors" (a, b) and "2.safetensors" (c).
void write_shards(const TemporaryFolder& folder) {
  write_safetensors(
      folder / "1.safetensors",
      {{"a", at::ones({2})}, {"b", at::zeros({1})}},
      {{"format", "pt"}, {"part", "1"}});
  write_safetensors(
      folder / "2.safetensors", {{"c", at::full({3}, 7.f)}}, {{"part", "2"}});
}

/// The message for a folder with this index, without the folder in front.
std::string error_of_index(const std::string& index) {
  const TemporaryFolder folder;
  write_shards(folder);
  write_bytes(folder / "index.json", index);
  const std::string message = support::error_of<trmml::CheckpointError>(
      [&] { read_sharded_safetensors(folder / "index.json"); });
  const std::string prefix = folder.path().string() + "/";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

std::string map_of(const std::string& entries) {
  return R"({"metadata":{"total_size":24},"weight_map":{)" + entries + "}}";
}

struct BadIndex {
  std::string bytes;
  std::string message;  // without "index.json: index: " unless it begins with "!"
};

const std::string kOutside =
    "weight_map: expected a file beside the index that ends with .safetensors for "
    "\"a\", "
    "got ";

const std::vector<BadIndex> kBadIndices = {
    // JSON
    {"", "expected '{' as its first byte"},
    {"[]", "expected '{' as its first byte"},
    {" {}", "expected '{' as its first byte"},
    {"\xEF\xBB\xBF{}", "expected '{' as its first byte"},
    {"null", "expected '{' as its first byte"},
    {"{", "expected JSON, got an error at byte 2"},
    {"{\"weight_map\":{}}}", "expected JSON, got an error at byte 18"},
    {"{\"weight_map\"}", "expected JSON, got an error at byte 14"},
    {"{\"weight_map\":{\"a\":}}", "expected JSON, got an error at byte 20"},
    {"{\"weight_map\":{},}", "expected JSON, got an error at byte 18"},
    {"{\"\xFF\":1}", "expected JSON, got an error at byte 3"},
    {"{//\n}", "expected JSON, got an error at byte 2"},
    {std::string("{}\0", 3), "expected the field weight_map, found none"},
    // Fields
    {"{}", "expected the field weight_map, found none"},
    {R"({"metadata":{}})", "expected the field weight_map, found none"},
    {R"({"weights":{}})",
     "expected the fields weight_map and metadata, got \"weights\""},
    {R"({"a\u001b[2J":{}})",
     "expected the fields weight_map and metadata, got \"a\\u001b[2J\""},
    {R"({"weight_map":{},"weight_map":{}})", "the field weight_map stands there twice"},
    {R"({"metadata":{},"metadata":{}})", "the field metadata stands there twice"},
    {R"({"metadata":3})", "metadata: expected an object, got a number"},
    {R"({"metadata":null})", "metadata: expected an object, got null"},
    {R"({"metadata":[]})", "metadata: expected an object, got a list"},
    {R"({"metadata":{"a":{}}})", "metadata: expected numbers and text, got an object"},
    {R"({"metadata":{"a":[1]}})", "metadata: expected numbers and text, got a list"},
    {R"({"weight_map":3})", "weight_map: expected an object, got a number"},
    {R"({"weight_map":"a"})", "weight_map: expected an object, got text"},
    {R"({"weight_map":[]})", "weight_map: expected an object, got a list"},
    {R"({"weight_map":null})", "weight_map: expected an object, got null"},
    // Entries
    {map_of(R"("a":1)"),
     "weight_map: expected the name of a file for \"a\", got a number"},
    {map_of(R"("a":-1.5)"),
     "weight_map: expected the name of a file for \"a\", got a number"},
    {map_of(R"("a":true)"),
     "weight_map: expected the name of a file for \"a\", got a truth value"},
    {map_of(R"("a":null)"),
     "weight_map: expected the name of a file for \"a\", got null"},
    {map_of(R"("a":{})"),
     "weight_map: expected the name of a file for \"a\", got an object"},
    {map_of(R"("a":["1.safetensors"])"),
     "weight_map: expected the name of a file for \"a\", got a list"},
    {map_of(R"("a":"1.safetensors","a":"2.safetensors")"),
     "weight_map: the name \"a\" stands there twice"},
    {map_of(R"("a":"1.safetensors","\u0061":"1.safetensors")"),
     "weight_map: the name \"a\" stands there twice"},
    // Files
    {map_of(R"("a":"")"), kOutside + "\"\""},
    {map_of(R"("a":".safetensors")"), kOutside + "\".safetensors\""},
    {map_of(R"("a":"1.bin")"), kOutside + "\"1.bin\""},
    {map_of(R"("a":"..")"), kOutside + "\"..\""},
    {map_of(R"("a":"../1.safetensors")"), kOutside + "\"../1.safetensors\""},
    {map_of(R"("a":"/1.safetensors")"), kOutside + "\"/1.safetensors\""},
    {map_of(R"("a":"x/1.safetensors")"), kOutside + "\"x/1.safetensors\""},
    {map_of(R"("a":"x\\1.safetensors")"), kOutside + "\"x\\\\1.safetensors\""},
    {map_of(R"("a":"1\u0000.safetensors")"), kOutside + "\"1\\u0000.safetensors\""},
    {map_of(R"("a":"3.safetensors")"),
     "!3.safetensors: cannot open the file: No such file or directory"},
    {map_of(R"("a":"1.safetensors","b":"1.safetensors","d":"2.safetensors")"),
     "!2.safetensors: tensor \"d\" is not in this file, but the index says so"},
    {map_of(R"("a":"1.safetensors")"),
     "!1.safetensors: tensor \"b\" is in this file, but the index does not say so"},
    {map_of(R"("a":"1.safetensors","b":"2.safetensors","c":"2.safetensors")"),
     "!1.safetensors: tensor \"b\" is in this file, but the index does not say so"},
};

}  // namespace

TEST_CASE("bad indices of shards are refused, each with its own message") {
  CHECK(kBadIndices.size() >= 40);
  for (const BadIndex& bad : kBadIndices) {
    const bool is_shard = bad.message.front() == '!';
    CHECK(
        error_of_index(bad.bytes) ==
        (is_shard ? bad.message.substr(1) : "index.json: index: " + bad.message));
  }
}

TEST_CASE("more bad indices, and shards that are no safetensors") {
  const TemporaryFolder folder;
  write_shards(folder);
  write_bytes(folder / "3.safetensors", "not at all");
  write_bytes(folder / "index.json", map_of(R"("a":"3.safetensors")"));
  const std::string message = support::error_of<trmml::CheckpointError>(
      [&] { read_sharded_safetensors(folder / "index.json"); });
  CHECK(
      message.find("3.safetensors: expected a header of at most") != std::string::npos);

  std::string many;
  for (int i = 0; i < 4097; ++i) {
    many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":\"" + std::to_string(i) +
            ".safetensors\"";
  }
  CHECK(
      error_of_index(map_of(many)) ==
      "index.json: index: expected at most 4096 files, got more");
  CHECK(
      error_of_index("{\"metadata\":" + std::string(1'000'000, '[')) ==
      "index.json: index: metadata: expected an object, got a list");
}

TEST_CASE("shards are read as one file") {
  const TemporaryFolder folder;
  write_shards(folder);
  write_bytes(
      folder / "index.json",
      "{\n  \"weight_map\": {\"c\": \"2.safetensors\", \"a\": \"1.safetensors\",\n"
      "  \"b\": \"1.safetensors\"}, \"metadata\": {\"total_size\": 24.0, \"x\": "
      "null}}\n");
  const SafetensorsFile file = read_sharded_safetensors(folder / "index.json");
  CHECK(file.tensors.size() == 3);
  CHECK(file.tensors.at("a").equal(at::ones({2})));
  CHECK(file.tensors.at("b").equal(at::zeros({1})));
  CHECK(file.tensors.at("c").equal(at::full({3}, 7.f)));
  CHECK(file.metadata == trmml::io::Metadata{{"format", "pt"}, {"part", "1"}});
}
