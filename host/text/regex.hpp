// Regular expressions over model outputs, bounded in time. The door to PCRE2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"

namespace assay::host {

/// Perl syntax over UTF-8, where \d, \w and \s know all of Unicode, as in Python's re. Differs from
/// it: \Z also matches before a last line end.
///
/// Threads  [any-thread] all const functions may run at once
class Regex {
 public:
  /// Fails    ASSAY_INVALID_ARGUMENT it does not compile, with the reason and the character
  static Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Every match that does not overlap the one before: the whole of it where the pattern has no
  /// group, else its first group that is not empty ("" when all are).
  ///
  /// Fails    ASSAY_RESOURCE_EXHAUSTED the pattern backtracks beyond the limit on this text, which
  ///          is a matter of well under a second; ASSAY_INVALID_ARGUMENT text that is not UTF-8
  /// Source   re.findall; scoring.md 5.8
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
