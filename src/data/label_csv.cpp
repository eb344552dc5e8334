#include "trmml/core/error.hpp"
#include "trmml/data/csv.hpp"
#include "trmml/data/mask_files.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "../io/quoted.hpp"
#include "csv_records.hpp"
#include "label_rows.hpp"
#include "label_text.hpp"
#include "mask_check.hpp"
#include "named_rows.hpp"
#include "text_file.hpp"

// Labels and masks as CSV, in both forms.

namespace trmml::data {

namespace fs = std::filesystem;

namespace {

std::map<std::string, int64_t, std::less<>> columns_of(const LabelTable& table) {
  std::map<std::string, int64_t, std::less<>> columns;
  for (size_t c = 0; c < table.classnames.size(); ++c) {
    columns[table.classnames[c]] = static_cast<int64_t>(c);
  }
  return columns;
}

// The records of a file, with the first one as header.
class LabelCsv {
 public:
  /// Throws `DataError` unless the file is UTF-8 and has a header.
  LabelCsv(const fs::path& file, Faults& faults)
      : file_(file), text_(read_utf8(file, faults).value_or("")) {
    faults.throw_if_any();
    const std::string_view text = text_;
    const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    if (!split_record(line, header_).empty() || header_.front() != "image" ||
        header_.size() < 2) {
      throw DataError(fmt::format(
          "{}, line 1: expected a header \"image,\" and the names of categories, got "
          "{}",
          file.string(),
          io::in_quotes(line)));
    }
  }

  const std::vector<std::string>& header() const { return header_; }

  bool is_long_form() const {
    return header_ == std::vector<std::string>{"image", "category", "state"};
  }

  /// Calls `use(fields, place)` for each record that has as many fields as the header.
  template <typename Use>
  void for_each_row(Faults& faults, const Use& use) const {
    for_each_record(
        text_,
        file_,
        faults,
        [&](const std::vector<std::string>& fields, int64_t line) {
          if (fields.size() != header_.size()) {
            faults.add(
                file_,
                line_place(line),
                fmt::format(
                    "expected {} fields, got {}", header_.size(), fields.size()));
          } else if (line > 1) {
            use(fields, line_place(line));
          }
        });
  }

 private:
  const fs::path& file_;
  std::string text_;
  std::vector<std::string> header_;
};

LabelTable parse_label_csv(const fs::path& file, const LabelCsv& csv, Faults& faults) {
  const std::vector<std::string>& header = csv.header();
  PictureList pictures("", "", false);
  std::vector<int8_t> states;
  csv.for_each_row(
      faults, [&](const std::vector<std::string>& fields, const std::string& place) {
        if (!pictures.add(fields[0], file, place, faults)) {
          return;
        }
        for (size_t c = 1; c < fields.size(); ++c) {
          const std::optional<int8_t> state = state_of(fields[c], LabelCode::kHcp);
          if (!state) {
            faults.add(
                file,
                fmt::format("{}, column {}", place, c + 1),
                fmt::format(
                    "expected {}, got {}",
                    values_of(LabelCode::kHcp),
                    io::in_quotes(fields[c])));
          }
          states.push_back(state.value_or(0));
        }
      });
  LabelTable table;
  table.classnames.assign(header.begin() + 1, header.end());
  table.images = pictures.take();
  table.labels = label_tensor(states, static_cast<int64_t>(table.classnames.size()));
  return table;
}

void read_long_csv(
    const fs::path& file,
    const LabelCsv& csv,
    const LabelTable& complete,
    at::Tensor& mask,
    Faults& faults) {
  const auto columns = columns_of(complete);
  std::map<std::string, int64_t, std::less<>> rows;  // of names seen so far
  NamedRows named(complete.images, file, faults);
  const auto use = [&](const std::vector<std::string>& fields,
                       const std::string& place) {
    auto row = rows.find(fields[0]);
    if (row == rows.end()) {
      row = rows.emplace(fields[0], named.take(fields[0], place)).first;
    }
    const auto column = columns.find(fields[1]);
    if (column == columns.end()) {
      faults.add(
          file,
          place,
          fmt::format(
              "expected a category of the data set, got {}", io::in_quotes(fields[1])));
    }
    const int8_t state = fields[2] == "present"  ? int8_t{1}
                         : fields[2] == "absent" ? int8_t{-1}
                                                 : int8_t{0};
    if (state == 0 && fields[2] != "unknown") {
      faults.add(
          file,
          place,
          fmt::format(
              "expected present, absent or unknown, got {}", io::in_quotes(fields[2])));
    }
    if (row->second < 0 || column == columns.end()) {
      return;
    }
    int8_t& entry =
        mask.data_ptr<int8_t>()[row->second * mask.size(1) + column->second];
    if (entry != 0) {
      faults.add(
          file,
          place,
          fmt::format(
              "the state of {} in {} stands there twice",
              io::in_quotes(fields[1]),
              io::in_quotes(fields[0])));
    }
    entry = state;
  };
  csv.for_each_row(faults, use);
}

void copy_by_name(
    const fs::path& file,
    const LabelTable& from,
    const LabelTable& complete,
    at::Tensor& mask,
    Faults& faults) {
  const auto columns = columns_of(complete);
  std::vector<int64_t> to;  // column of each of the file's
  for (const std::string& name : from.classnames) {
    const auto column = columns.find(name);
    to.push_back(column == columns.end() ? -1 : column->second);
  }
  std::vector<int64_t> sorted = to;
  std::sort(sorted.begin(), sorted.end());
  if (from.classnames.size() != complete.classnames.size() || sorted.front() < 0 ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    faults.add(
        file,
        "line 1",
        fmt::format(
            "expected each of the {} categories of the data set once, got {} names of "
            "which {} are categories",
            complete.classnames.size(),
            to.size(),
            std::count_if(to.begin(), to.end(), [](int64_t c) { return c >= 0; })));
    return;
  }
  NamedRows rows(complete.images, file, faults);
  const auto n_cls = static_cast<int64_t>(to.size());
  for (size_t i = 0; i < from.images.size(); ++i) {
    const int64_t row = rows.take(from.images[i], fmt::format("record {}", i + 1));
    for (int64_t c = 0; row >= 0 && c < n_cls; ++c) {
      mask.data_ptr<int8_t>()[row * n_cls + to[static_cast<size_t>(c)]] =
          from.labels.data_ptr<int8_t>()[static_cast<int64_t>(i) * n_cls + c];
    }
  }
  rows.expect_all();
}

}  // namespace

LabelTable read_label_csv(const fs::path& file) {
  Faults faults("labels of " + file.filename().string());
  const LabelCsv csv(file, faults);
  if (csv.is_long_form()) {
    throw DataError(fmt::format(
        "{}: expected a column for each category, got a list of known labels (which "
        "cannot say what there is besides)",
        file.string()));
  }
  LabelTable table = parse_label_csv(file, csv, faults);
  faults.throw_if_any();
  table.validate(file.string());
  return table;
}

at::Tensor read_mask_csv(const fs::path& file, const LabelTable& complete) {
  at::Tensor mask = empty_mask(complete);
  Faults faults("labels of " + file.filename().string());
  const LabelCsv csv(file, faults);
  if (csv.is_long_form()) {
    read_long_csv(file, csv, complete, mask, faults);
  } else {
    copy_by_name(file, parse_label_csv(file, csv, faults), complete, mask, faults);
  }
  add_contradictions(file, mask, complete, faults);
  faults.throw_if_any();
  return mask;
}

void write_mask_csv(const fs::path& file, const LabelTable& table, MaskCsv form) {
  table.validate();
  const at::Tensor labels = table.labels.contiguous();
  const auto* states = labels.data_ptr<int8_t>();
  std::vector<std::string> names;
  for (const std::string& name : table.classnames) {
    names.push_back(csv_field(name));
  }
  io::AtomicFile out(file);
  out.write("image");
  for (const std::string& name : names) {
    if (form == MaskCsv::kMatrix) {
      out.write("," + name);
    }
  }
  out.write(form == MaskCsv::kMatrix ? "\n" : ",category,state\n");
  for (const std::string& picture : table.images) {
    const std::string image = csv_field(picture);
    std::string lines = form == MaskCsv::kMatrix ? image : "";
    for (const std::string& name : names) {
      const int8_t state = *states++;
      if (form == MaskCsv::kMatrix) {
        lines += fmt::format(",{}", state);
      } else if (state != 0) {
        lines +=
            fmt::format("{},{},{}\n", image, name, state > 0 ? "present" : "absent");
      }
    }
    out.write(form == MaskCsv::kMatrix ? lines + "\n" : lines);
  }
  out.commit();
}

}  // namespace trmml::data
