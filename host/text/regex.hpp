// Regular expressions over model outputs, bounded in time. The door to PCRE2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// Python's re over UTF-8: \d, \w and \s know all of Unicode, \Z is the very end, `.` stops at \n
/// alone. Differs from it: what only Perl has is allowed, such as [[:alpha:]] and \p{L}; the flags
/// (?a), (?L) and (?u) are not; \s leaves out U+001C to U+001F and takes U+180E; \B matches an
/// empty text; a counted repetition of what can match nothing may capture another part.
///
/// A search takes at most 5,000,000 steps and 20 more for each byte of its text, counted the same
/// on every machine.
///
/// Threads  [any-thread] all const functions may run at once
class Regex {
 public:
  /// Fails    ASSAY_INVALID_ARGUMENT it does not compile, with the reason and the character; it is
  ///          longer than 16 KiB
  static Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Every match that does not overlap the one before: the whole of it where the pattern has no
  /// group, else its first group that is not empty ("" when all are).
  ///
  /// Fails    ASSAY_RESOURCE_EXHAUSTED the pattern backtracks beyond the limit of steps, or beyond
  ///          64 MiB, on this text: a matter of well under a second; ASSAY_INVALID_ARGUMENT text
  ///          that is not UTF-8
  /// Source   re.findall; the rule for groups of lm-eval 0.4.13, filters/extraction.py
  Result<std::vector<std::string>> find_all(std::string_view text) const;

  /// Every match replaced by `with`, which is taken as it stands.
  ///
  /// Fails    as find_all
  Result<std::string> replace(std::string_view text, std::string_view with) const;

 private:
  struct State;
  explicit Regex(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
