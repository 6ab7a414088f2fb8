// The door to toml++: TOML text as values with their places. What the keys mean is not known here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "host/manifest/manifest.hpp"

namespace assay::host {

/// One file's keys, or the one thing that keeps it from being TOML.
struct ParsedToml {
  Table table;
  std::vector<Diagnostic> errors;
};

/// Parses TOML 1.0. Dates, and keys of more than 16 parts, are refused with their place; values
/// nest at most 32 deep.
///
/// Source   TOML 1.0.0, read by toml++ 3
ParsedToml parse_toml(std::string_view text, std::uint32_t file);

}  // namespace assay::host
