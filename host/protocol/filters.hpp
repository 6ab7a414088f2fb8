// From what a model said to what is compared with the target: the steps of a task's `filters`.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/manifest/manifest.hpp"
#include "host/text/regex.hpp"

namespace assay::host {

/// The filters of a task, ready to use. kStrip takes white space off both ends, kFirstLine what
/// stands before the first line end, kRegex the first or last match, kReplace writes `with` for
/// every match. kNumber takes a number as people write it (sign, thousands in groups of three,
/// decimals, exponent) and leaves out the commas; a sign right after a letter, a digit or a closing
/// parenthesis is no sign.
///
/// Threads  [any-thread]
/// Source   kRegex: scoring.md 5.8; kNumber: defined here
class Filters {
 public:
  /// Fails    a pattern that does not compile
  static Result<Filters> compile(std::span<const Filter> filters);

  /// Fails    ASSAY_RESOURCE_EXHAUSTED a pattern that backtracks without end on this text
  Result<std::string> apply(std::string text) const;

 private:
  struct Step {
    Filter filter;
    std::shared_ptr<const Regex> regex;  ///< of the kinds that have one
  };
  static Result<std::string> apply(const Step& step, std::string text);

  std::vector<Step> steps_;
};

}  // namespace assay::host
