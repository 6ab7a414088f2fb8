// Lines and characters of a file's text. Nothing of what the text says.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/manifest/manifest.hpp"

namespace assay::host {

/// A line, counted from 1, without its end; "" beyond the last.
std::string_view line_at(std::string_view text, std::uint32_t line);

/// Characters of UTF-8 text.
std::uint32_t characters(std::string_view text);

/// The place of a byte.
Place place_of_byte(std::string_view text, std::size_t byte, std::uint32_t file);

}  // namespace assay::host
