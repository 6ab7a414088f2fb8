// For authors of assay.backend.tokenizer/1: a backend brings the model's own tokenizer, which the
// host then uses instead of a tokenizer.json. Where a text is cut and what is added stays the
// host's.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <assay/template.hpp>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace detail {

/// A backend with
///   std::vector<std::int32_t> encode(std::string_view, std::uint32_t flags) const;
///   std::string decode(std::span<const std::int32_t>, std::uint32_t flags) const;
///   std::vector<std::int32_t> end_tokens() const;
///   assay::Fingerprint tokenizer_fingerprint() const;
/// all [any-thread], also while run is going on. flags: ASSAY_ENCODE_*. decode gives bytes, not
/// always UTF-8.
template <class T>
struct BackendTokenizerEntry {
  static constexpr bool kIsOffered =
      requires(const T& backend, std::span<const std::int32_t> tokens, std::string_view text) {
    { backend.encode(text, std::uint32_t{}) } -> std::convertible_to<std::vector<std::int32_t>>;
    { backend.decode(tokens, std::uint32_t{}) } -> std::convertible_to<std::string>;
    { backend.end_tokens() } -> std::convertible_to<std::vector<std::int32_t>>;
    { backend.tokenizer_fingerprint() } -> std::convertible_to<Fingerprint>;
  };
  static constexpr const char* kId = ASSAY_BACKEND_TOKENIZER_1;

  static assay_status encode(void* self, assay_str text, std::uint32_t flags, std::int32_t* out,
                             std::uint64_t cap, std::uint64_t* n, assay_error* error) noexcept {
    return wall(error, [&] {
      const std::vector<std::int32_t> tokens =
          loaded<T>(self, "encode").encode(view_of(text), flags);
      give(tokens, out, cap, n);
    });
  }
  static assay_status decode(void* self, const std::int32_t* tokens, std::uint64_t n_tokens,
                             std::uint32_t flags, char* out, std::uint64_t cap, std::uint64_t* n,
                             assay_error* error) noexcept {
    return wall(error, [&] {
      const std::string bytes = loaded<T>(self, "decode").decode({tokens, n_tokens}, flags);
      give(bytes, out, cap, n);
    });
  }
  static assay_status ends(void* self, std::int32_t* out, std::uint64_t cap, std::uint64_t* n,
                           assay_error* error) noexcept {
    return wall(error, [&] {
      const std::vector<std::int32_t> tokens = loaded<T>(self, "ends").end_tokens();
      give(tokens, out, cap, n);
    });
  }
  static assay_status fingerprint(void* self, std::uint8_t* sha256, assay_error* error) noexcept {
    return wall(error, [&] {
      const Fingerprint digest = loaded<T>(self, "fingerprint").tokenizer_fingerprint();
      std::copy(digest.begin(), digest.end(), sha256);
    });
  }
  static constexpr assay_backend_tokenizer_v1 kApi{
      sizeof(assay_backend_tokenizer_v1), 0, encode, decode, ends, fingerprint};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
