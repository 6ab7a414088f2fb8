// What `assay plugins check` does: which tests of the conformance suite are run on a file, each in
// a process of its own, and how their outcomes are shown. What is tested is in sdk/check/suite.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/loader/registry.hpp"

namespace assay::host {

/// What the command line said.
struct ConformanceArguments {
  std::filesystem::path file;
  std::string component;             ///< empty: all of them
  std::vector<std::string> options;  ///< "key=value", value as TOML or as a bare text
  std::filesystem::path model_dir;
  std::string split;
  std::string only;       ///< a pattern with * and ?; empty: all tests
  std::string reproduce;  ///< "TEST:SEED"
  std::uint64_t seed = 1234;
  std::string isolation = "both";
  double timeout_seconds = 60;
  std::string format = "text";
  std::filesystem::path output;
  bool is_strict = false;
  bool is_list = false;
};

/// How one test of one component ended.
struct ConformanceResult {
  std::string component, test, level, rule, isolation;
  int ruling = 0;
  std::string verdict;  ///< "passed", "failed", "not applicable"
  std::vector<std::string> findings;
  std::vector<std::string> last_lines;  ///< what a failed one wrote to standard error
  std::string reproduce;                ///< the command that runs it again
  double seconds = 0;
};

/// All results of a file.
struct ConformanceReport {
  std::string file, plugin, version;
  std::uint64_t seed = 0;
  std::vector<ConformanceResult> results;
};

/// The report as a table for each component, its findings, and a line that sums up.
std::string conformance_text(const ConformanceReport& report);
/// Schema "assay.check/1".
Json conformance_json(const ConformanceReport& report);
/// Source   the JUnit XML format as Jenkins and GitLab read it
std::string conformance_junit(const ConformanceReport& report);

/// Does a name fit a pattern with * and ?
bool fits_pattern(std::string_view pattern, std::string_view name);

/// Effective options of a component from "key=value" texts: a flat object. What is wrong with them
/// is a Failure; defaults that do not fit go to `faults`.
///
/// Fails    ASSAY_INVALID_ARGUMENT what the manifest's own check would say
Result<Json> conformance_options(const Component& component, const std::vector<std::string>& given,
                                 std::vector<std::string>& faults);

/// Runs the tests and writes the report. Gives the exit code: 0 all must tests passed, 1 not, 2 the
/// file or the arguments cannot be used.
int plugins_check(const ConformanceArguments& arguments);

/// What each test's process does: reads a job from standard input, runs it, writes the outcome to
/// descriptor 3.
int plugins_check_one();

}  // namespace assay::host
