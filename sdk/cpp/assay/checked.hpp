// The checking build: with -DASSAY_CHECKED for a whole plugin, broken rules of the contract are
// logged as misbehaviour and fail the call. Only the means are here; the rules are where they
// apply.
#pragma once

#include <assay/abi.h>

#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <assay/text.hpp>
#include <atomic>
#include <string>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

#ifdef ASSAY_CHECKED
inline constexpr bool kIsChecked = true;
#else
inline constexpr bool kIsChecked = false;
#endif

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
