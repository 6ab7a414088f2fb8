#include "host/stats/gate.hpp"

#include <cmath>
#include <cstdio>
#include <limits>

#include "host/stats/estimate.hpp"

namespace assay::host {
namespace {

// The bound 0.97 and a ratio of 97/100 differ in the last bit; neither should decide.
constexpr double kRounding = 1e-12;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

std::string percent(double ratio) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f %%", 100 * ratio);
  return text;
}

struct Claim {
  double observed;
  bool holds_below;  ///< at most the bound, else at least
  bool is_ratio;
  const char* what;
};

Claim claim(Threshold threshold, const Bound& bound, bool less_is_better, double baseline,
            double candidate) {
  const double scale = bound.is_relative ? std::fabs(baseline) : 1;
  switch (threshold) {
    case Threshold::kMaxIncrease:
      return {(candidate - baseline) / scale, true, bound.is_relative, "increased by"};
    case Threshold::kMaxDrop:
      return {(baseline - candidate) / scale, true, bound.is_relative, "dropped by"};
    case Threshold::kMinRetained:
      return {retained(baseline, candidate, less_is_better), false, true, "retained"};
    case Threshold::kMin:
      return {candidate, false, bound.is_relative, "is"};
    case Threshold::kMax:
      return {candidate, true, bound.is_relative, "is"};
  }
  return {std::numeric_limits<double>::quiet_NaN(), true, false, ""};
}

bool divides_by_zero(Threshold threshold, const Bound& bound, bool less_is_better, double baseline,
                     double candidate) {
  if (threshold == Threshold::kMinRetained) return (less_is_better ? candidate : baseline) == 0;
  const bool is_difference =
      threshold == Threshold::kMaxIncrease || threshold == Threshold::kMaxDrop;
  return is_difference && bound.is_relative && baseline == 0;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "PASS";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kInconclusive:
      return "INCONCLUSIVE";
    case Verdict::kUninformative:
      return "UNINFORMATIVE";
  }
  return "";
}

Judgement judge(Threshold threshold, const Bound& bound, bool less_is_better, double baseline,
                double candidate) {
  const Claim c = claim(threshold, bound, less_is_better, baseline, candidate);
  Judgement judgement;
  judgement.observed = c.observed;
  judgement.allowed = bound.value;
  if (divides_by_zero(threshold, bound, less_is_better, baseline, candidate)) {
    judgement.verdict = Verdict::kUninformative;
    judgement.observed = std::numeric_limits<double>::quiet_NaN();
    judgement.text = "relative to 0 nothing can be said";
    return judgement;
  }
  if (!std::isfinite(c.observed)) {
    judgement.text = "the figure is not known";
    return judgement;
  }
  const double slack = kRounding * std::fmax(1, std::fabs(bound.value));
  const bool holds =
      c.holds_below ? c.observed <= bound.value + slack : c.observed >= bound.value - slack;
  judgement.verdict = holds ? Verdict::kPass : Verdict::kFail;
  const auto show = [&](double value) { return c.is_ratio ? percent(value) : number(value); };
  judgement.text = std::string(c.what) + " " + show(c.observed) + ", " +
                   (c.holds_below ? "at most " + show(bound.value) + " allowed"
                                  : "at least " + show(bound.value) + " required");
  return judgement;
}

}  // namespace assay::host
