#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

/// Splits a line of CSV (RFC 4180, without line breaks in fields) into `fields`. False
/// when its quotes do not close, or have something but a comma behind them.
bool split_csv_line(std::string_view line, std::vector<std::string>& fields);

/// `text` as a field of CSV: in quotes when it must be.
std::string csv_field(std::string_view text);

}  // namespace trmml::data
