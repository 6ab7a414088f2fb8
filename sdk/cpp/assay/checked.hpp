// The checking build: with -DASSAY_CHECKED for a whole plugin, broken rules of the contract are
// logged as misbehaviour and fail the call. Only the means are here; the rules are where they
// apply.
#pragma once

#include <assay/abi.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

#ifdef ASSAY_CHECKED
inline constexpr bool kIsChecked = true;
#else
inline constexpr bool kIsChecked = false;
#endif

/// Source   RFC 3629, section 4
inline bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(i);
    const std::size_t n = lead < 0x80                    ? 1
                          : lead >= 0xC2 && lead <= 0xDF ? 2
                          : lead >= 0xE0 && lead <= 0xEF ? 3
                          : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                         : 0;
    if (n == 0 || i + n > text.size()) return false;
    for (std::size_t k = 1; k < n; ++k) {
      if ((byte(i + k) & 0xC0U) != 0x80) return false;
    }
    if (n > 2) {  // overlong forms, surrogates, beyond U+10FFFF
      const unsigned second = byte(i + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
        return false;
      }
    }
    i += n;
  }
  return true;
}

/// Logs a broken rule. `who`: "host" or "plugin".
inline void log_misbehaviour(const assay_host* table, std::string_view who, std::string_view rule,
                             std::string_view what) {
  const std::string line = "misbehaviour of the " + std::string(who) +
                           " rule=" + std::string(rule) + ": " + std::string(what);
  table->log(table, ASSAY_ERROR, str_of(line));
}

/// Logs a broken rule and fails the call that broke it.
[[noreturn]] inline void misbehaved(const assay_host* table, std::string_view who,
                                    std::string_view rule, const std::string& what) {
  log_misbehaviour(table, who, rule, what);
  throw Error(ASSAY_FAILED_PRECONDITION, std::string(rule), what);
}

namespace detail {

/// One call on an instance. In the checking build two that overlap are the host's misbehaviour.
class Turn {
 public:
  Turn(std::atomic<int>& calls, const assay_host* table, const char* call) : calls_(calls) {
    if (!kIsChecked) return;
    if (calls_.fetch_add(1) == 0) return;
    calls_.fetch_sub(1);
    misbehaved(table, "host", "instance-calls-do-not-overlap",
               std::string(call) + " was called while another call on the same instance ran");
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (kIsChecked) calls_.fetch_sub(1);
  }

 private:
  std::atomic<int>& calls_;
};

}  // namespace detail

}  // namespace v1
}  // namespace assay
