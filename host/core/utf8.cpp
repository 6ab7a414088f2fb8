#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

bool is_in(unsigned char byte, unsigned char lo, unsigned char hi) {
  return lo <= byte && byte <= hi;
}

/// The length of the well-formed character at `i`, or nothing.
std::optional<std::size_t> length_at(std::string_view text, std::size_t i) {
  const unsigned char lead = byte_at(text, i);
  if (lead < 0x80) return 1;
  const unsigned char second = byte_at(text, i + 1);
  if (is_in(lead, 0xC2, 0xDF)) {
    if (is_in(second, 0x80, 0xBF)) return 2;
    return std::nullopt;
  }
  const bool has_third = is_in(byte_at(text, i + 2), 0x80, 0xBF);
  if (is_in(lead, 0xE0, 0xEF)) {
    const unsigned char lo = lead == 0xE0 ? 0xA0 : 0x80;  // no overlong forms
    const unsigned char hi = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    if (is_in(second, lo, hi) && has_third) return 3;
    return std::nullopt;
  }
  if (is_in(lead, 0xF0, 0xF4)) {
    const unsigned char lo = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char hi = lead == 0xF4 ? 0x8F : 0xBF;  // nothing above U+10FFFF
    if (is_in(second, lo, hi) && has_third && is_in(byte_at(text, i + 3), 0x80, 0xBF)) return 4;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> utf8_fault(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto length = length_at(text, i);
    if (!length) return i;
    i += *length;
  }
  return std::nullopt;
}

std::string mended_utf8(std::string_view text) {
  std::string mended;
  mended.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto length = length_at(text, i);
    mended += length ? text.substr(i, *length) : "\xEF\xBF\xBD";
    i += length.value_or(1);
  }
  return mended;
}

}  // namespace assay::host
