// Runs one test of the suite on a component in memory. Which component, and what its fault is, is
// in the tests.
#pragma once

#include <gmock/gmock.h>

#include <assay/suite/suite.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>

namespace assay::suite {

/// A fault and the test that is there for it.
struct Planted {
  const char* fault;
  const char* test;
  std::uint64_t caps = 0;  ///< what the component declares; 0: as it is
};

/// Names the test in the list of a test program, where it is looked for.
inline void PrintTo(const Planted& planted, std::ostream* out) {
  *out << planted.test << ' ' << planted.fault;
}

inline std::string named(const testing::TestParamInfo<Planted>& planted) {
  return std::to_string(planted.index) + "_" + planted.param.fault;
}

inline Outcome outcome_of(const char* test, const assay_component& component,
                          check::Options options = {}) {
  std::string name = (std::filesystem::temp_directory_path() / "assay-suite-XXXXXX").string();
  const assay_component* components[] = {&component};
  const assay_plugin plugin{sizeof plugin,   ASSAY_ABI_MAJOR,
                            ASSAY_ABI_MINOR, "acme/planted",
                            "1.0.0",         "Acme",
                            "Apache-2.0",    "",
                            components,      1};
  Settings settings;
  settings.plugin = &plugin;
  settings.options = std::move(options);
  settings.folder = mkdtemp(name.data());
  settings.limits = {.grace = 1, .silence = 1};  // a fault is not to keep a test waiting
  check::LocalSubject subject(component);
  const Test* found = find_test(test);
  EXPECT_NE(found, nullptr) << test << " is no test of the suite";
  Outcome outcome;
  if (found != nullptr) outcome = run_test(*found, subject, settings);
  std::filesystem::remove_all(settings.folder);
  return outcome;
}

inline std::string shown(const Outcome& outcome) {
  std::string text;
  for (const std::string& finding : outcome.findings) text += finding + "\n";
  return text;
}

}  // namespace assay::suite
