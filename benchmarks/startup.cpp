// What the start of a program costs that reads a CLIP, for compare/startup.py:
//
//   benchmark_startup                a program that is linked with LibTorch and ends
//   benchmark_startup load FILE      reads the weights, as encode does
//   benchmark_startup map FILE       leaves them in the file, as predict does

#include "trmml/clip/checkpoint.hpp"

#include <ATen/Parallel.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  at::set_num_threads(1);  // without a call LibTorch would not even be loaded
  const std::string what = argc == 3 ? argv[1] : "";
  if (argc != 1 && what != "load" && what != "map") {
    std::fprintf(stderr, "usage: %s [load|map FILE]\n", argv[0]);
    return 2;
  }
  if (argc == 3) {
    trmml::clip::load_clip(
        argv[2], trmml::clip::CheckpointOptions().mapped(what == "map"));
  }
  return 0;
}
