// The metric: how far an answer's level is from the right one, and on which side.
#pragma once

#include <assay/sdk.hpp>
#include <optional>
#include <string_view>

/// The first number from 1 to 5 that stands alone in an answer.
std::optional<int> level_in(std::string_view answer);

struct Triage : assay::Metric {
  static constexpr assay::Info info{"clinic/triage", "1.0.0", "Agreement on the urgency",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::number("per_level", "0.5", "What each level beside the right one costs.").in(0, 1)};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what the model wrote"},
                                              {ASSAY_TEXT, "target", "the right level"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("agreement", "1: the right level").within(0, 1).primary(),
      assay::mean("under_triage", "less urgent than it is, or no level")
          .within(0, 1)
          .less_is_better(),
      assay::mean("unreadable", "no level at all").within(0, 1).less_is_better()};

  explicit Triage(assay::Context context) : per_level(context.number("per_level")) {}
  void score(const assay::Sample& item, assay::Values values) const;

  double per_level;
};
