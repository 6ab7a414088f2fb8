#include "host/core/utf8.hpp"

#include <assay/text.hpp>

namespace assay::host {

std::optional<std::size_t> utf8_fault(std::string_view text) { return find_invalid_utf8(text); }

std::string mended_utf8(std::string_view text) {
  std::string mended;
  mended.reserve(text.size());
  while (!text.empty()) {
    const std::string_view bytes = take_character(text).bytes;
    mended += is_utf8(bytes) ? bytes : "\xEF\xBF\xBD";
  }
  return mended;
}

}  // namespace assay::host
