// The ordinary calls of any component, made once: what tests of no one kind do with it. Kinds' own
// rules are elsewhere.
#pragma once

#include <assay/suite/probe.hpp>
#include <string>
#include <vector>

namespace assay::suite {

/// A call that failed as provoked.
struct Provoked {
  std::string call;
  assay_status status = ASSAY_OK;
  assay_error error{};
};

/// Everything a run asks of a component, on this instance. Fails the test where a call fails.
void use(Probe& probe, Made& made);

/// Calls that must fail: creations with wrong options, calls out of order, names that do not exist.
/// Those that were answered with OK are left out; other tests find them.
std::vector<Provoked> provoke(Probe& probe);

/// A report in memory: a run document and empty tables. `is_odd`: names full of characters that
/// reports must escape. `is_empty`: nothing was measured.
class FakeReport {
 public:
  explicit FakeReport(bool is_odd = false, bool is_empty = false);
  FakeReport(const FakeReport&) = delete;
  FakeReport& operator=(const FakeReport&) = delete;

  const assay_report& report() const { return report_; }

 private:
  std::string json_;
  bool is_odd_, is_empty_;
  assay_report report_{};
};

}  // namespace assay::suite
