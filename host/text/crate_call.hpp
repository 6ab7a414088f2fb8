// What the sources of this folder share in calling the crates. Knows assay_text.h, nothing of
// tokens or templates.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "host/core/result.hpp"
#include "host/text/assay_text.h"

namespace assay::host {

/// A buffer of the crates, given back when it goes out of scope.
class CrateBuffer {
 public:
  CrateBuffer() = default;
  ~CrateBuffer() { assay_text_free(&buffer_); }
  CrateBuffer(const CrateBuffer&) = delete;
  CrateBuffer& operator=(const CrateBuffer&) = delete;

  assay_text_buffer* out() { return &buffer_; }
  const void* data() const { return buffer_.data; }
  std::string_view text() const {
    if (buffer_.data == nullptr) return {};
    return {static_cast<const char*>(buffer_.data), buffer_.size_bytes};
  }

 private:
  assay_text_buffer buffer_{nullptr, 0};
};

inline assay_text_str borrowed(std::string_view text) { return {text.data(), text.size()}; }

/// The failure of a call that did not return ASSAY_TEXT_OK: `about`, then the crates' own reason.
inline Failure failure_of(std::int32_t status, const CrateBuffer& reason, std::string_view about) {
  std::string text(about);
  if (status == ASSAY_TEXT_BUG) {
    text += "the Rust crate behind it failed, which is a bug: ";
    text += reason.text();
    return {ASSAY_INTERNAL, std::move(text)};
  }
  text += reason.text();
  return {ASSAY_INVALID_ARGUMENT, std::move(text)};
}

}  // namespace assay::host
