// Quantities written with a unit: sizes, durations, percentages. Text to numbers and back, no keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace assay::host {

/// "4GiB", "1.5 MB", "512": bytes. Nothing where it is none, or more than 2^63 - 1.
///
/// Source   IEC 80000-13: KiB = 1024; kB, KB = 1000
std::optional<std::uint64_t> parse_size(std::string_view text);

/// "30s", "500ms", "5min", "2h": seconds. Nothing where it is none.
std::optional<double> parse_duration(std::string_view text);

/// "5%": 0.05. Nothing where it is none.
std::optional<double> parse_percent(std::string_view text);

}  // namespace assay::host
