// What went wrong, as an exception inside a plugin and as the caller's assay_error outside, and the
// wall between the two. Nothing here knows what a component does.
#pragma once

#include <assay/abi.h>

#include <algorithm>
#include <assay/namespace.hpp>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

inline std::string_view view_of(assay_str text) {
  return {text.ptr == nullptr ? "" : text.ptr, static_cast<std::size_t>(text.len)};
}

/// Borrows; `text` must outlive what is made of it.
inline assay_str str_of(std::string_view text) { return {text.data(), text.size()}; }

/// A failure with its code, what it is about (an option, a column, a file; may be empty), and one
/// sentence: what, expected, what to do.
class Error : public std::exception {
 public:
  Error(assay_status code, std::string where, std::string text)
      : code_(code), where_(std::move(where)), text_(std::move(text)) {}
  Error(assay_status code, std::string text) : Error(code, {}, std::move(text)) {}

  assay_status code() const noexcept { return code_; }
  const std::string& where() const noexcept { return where_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  assay_status code_;
  std::string where_, text_;
};

/// Copies as much as fits, ends it with NUL, and cuts no UTF-8 character in two.
inline void copy_text(char* out, std::size_t capacity, std::string_view text) noexcept {
  std::size_t n = std::min(text.size(), capacity - 1);
  if (n < text.size()) {
    while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  }
  if (n > 0) std::memcpy(out, text.data(), n);
  out[n] = '\0';
}

/// Writes a failure into the caller's error, which may be null, and gives the code to return.
inline assay_status put(assay_error* error, assay_status code, std::string_view where,
                        std::string_view text) noexcept {
  if (code == ASSAY_OK) code = ASSAY_INTERNAL;  // thrown as an error, so it is none
  if (error == nullptr) return code;
  error->code = code;
  copy_text(error->where, sizeof error->where, where);
  copy_text(error->text, sizeof error->text, text);
  return code;
}

/// Runs body and lets no exception out. Every function in an interface table is one call to this.
template <class Body>
assay_status wall(assay_error* error, Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return ASSAY_OK;
  } catch (const Error& failure) {
    return put(error, failure.code(), failure.where(), failure.what());
  } catch (const std::bad_alloc&) {
    return put(error, ASSAY_RESOURCE_EXHAUSTED, "", "out of memory");
  } catch (const std::exception& failure) {
    return put(error, ASSAY_INTERNAL, "", failure.what());
  } catch (...) {
    return put(error, ASSAY_INTERNAL, "", "unknown exception");
  }
}

}  // namespace v1
}  // namespace assay
