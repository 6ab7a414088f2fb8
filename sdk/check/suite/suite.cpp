#include <assay/error.hpp>
#include <assay/suite/probe.hpp>
#include <assay/suite/suite.hpp>
#include <exception>

namespace assay::suite {

std::string_view to_string(Level level) {
  switch (level) {
    case Level::kMust:
      return "must";
    case Level::kShould:
      return "should";
    case Level::kNote:
      return "note";
  }
  return "";
}

std::span<const Test> tests() {
  static const std::vector<Test> all = [] {
    std::vector<Test> table;
    for (const auto& group :
         {library_tests(), description_tests(), lifecycle_tests(), skew_tests(), error_tests(),
          dataset_tests(), metric_tests(), backend_tests(), score_tests(), generate_tests(),
          reporter_tests(), extension_tests(), fuzz_tests()}) {
      table.insert(table.end(), group.begin(), group.end());
    }
    return table;
  }();
  return all;
}

const Test* find_test(std::string_view id) {
  for (const Test& test : tests()) {
    if (id == test.id) return &test;
  }
  return nullptr;
}

bool is_for(const Test& test, const assay_component& component) {
  if (test.kind != 0 && test.kind != component.kind) return false;
  if (test.extension == nullptr) return true;
  for (std::uint64_t i = 0; i < component.n_extensions; ++i) {
    if (std::string_view(component.extensions[i].id) == test.extension) return true;
  }
  return false;
}

Outcome run_test(const Test& test, check::Subject& subject, const Settings& settings) {
  Probe probe(subject, settings);
  try {
    test.run(probe);
  } catch (const EndOfTest&) {
    return probe.outcome();
  } catch (const std::exception& error) {
    Outcome outcome = probe.outcome();
    outcome.verdict = Verdict::kFailed;
    outcome.findings.push_back(error.what());
    return outcome;
  }
  return probe.outcome();
}

}  // namespace assay::suite
