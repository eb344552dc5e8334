// write_events FOLDER: event files as a run leaves them that was killed after epoch 5
// and resumed at epoch 4. event_log.py knows what is in them.

#include "trmml/report/event_log.hpp"

#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace {

// Epochs `first` to `last`; `shift` tells the runs apart.
void write_epochs(trmml::report::EventLog& log, int first, int last, double shift) {
  for (int epoch = first; epoch <= last; ++epoch) {
    log.scalar("loss/total", shift + 1.0 / (1 + epoch), epoch);
    log.scalar("zero", 0.0, epoch);
    log.scalar("held-out/mAP", epoch == 1 ? NAN : 0.5 + 0.01 * epoch, epoch);
    std::vector<float> values;
    for (int i = 0; i < 1000; ++i) {
      values.push_back(static_cast<float>((i * 37 % 1000) / 1000.0 * (1 + epoch)));
    }
    values.push_back(INFINITY);
    values.push_back(NAN);
    log.histogram("weights", values, epoch);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_events FOLDER\n");
    return 2;
  }
  try {
    trmml::report::EventLog first(argv[1]);
    first.text("options", "**seed** 3, gr\xc3\xbc\xc3\x9f", 0);
    first.text("note", "not UTF-8: \xff!", 0);
    first.histogram("constant", std::vector<float>(5, 2.0F), 0);
    first.histogram("nothing", {}, 0);
    write_epochs(first, 0, 5, 0.0);
    first.flush();
    std::printf("%s\n", first.path().c_str());
    trmml::report::EventLogOptions options;
    options.purge_step = 4;
    trmml::report::EventLog second(argv[1], options);
    write_epochs(second, 4, 7, 10.0);
    std::printf("%s\n", second.path().c_str());
    trmml::report::EventLog third(argv[1]);  // without purge_step: drops nothing
    third.scalar("loss/total", 30.0, 8);
    std::printf("%s\n", third.path().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_events: %s\n", error.what());
    return 1;
  }
  return 0;
}
