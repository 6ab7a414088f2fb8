// A claim about one figure, judged against its threshold. Where the figure comes from is not known
// here.
#pragma once

#include <string>
#include <string_view>

#include "host/manifest/manifest.hpp"

namespace assay::host {

enum class Verdict { kPass, kFail, kInconclusive, kUninformative };

std::string_view to_string(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::kInconclusive;
  double observed = 0;  ///< in the threshold's own terms: a ratio, a difference or the value
  double allowed = 0;
  std::string text;  ///< one sentence with both
};

/// Judges a candidate's figure. `baseline` is NaN where the threshold does not need it. A figure
/// that is not known is INCONCLUSIVE; a relative threshold on a baseline of 0 is UNINFORMATIVE. A
/// figure exactly at the bound passes.
///
/// Source   defined here; max_increase and max_drop "5%" are relative to the baseline's value
Judgement judge(Threshold threshold, const Bound& bound, bool less_is_better, double baseline,
                double candidate);

}  // namespace assay::host
