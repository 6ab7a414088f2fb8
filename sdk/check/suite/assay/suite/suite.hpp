// The conformance suite: what a component must keep, as a table of tests. In which process a test
// runs, how long it may take and how findings are shown is the caller's business.
#pragma once

#include <assay/abi.h>

#include <assay/check/fake_host.hpp>
#include <assay/check/subject.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::suite {

enum class Level { kMust, kShould, kNote };
std::string_view to_string(Level level);

/// What a file told before and while it was loaded. Nothing: not known.
struct LibraryFacts {
  struct Note {
    std::uint32_t abi_major = 0, abi_minor_needed = 0;
    std::string plugin_id;
  };

  std::optional<std::vector<std::string>> exports;  ///< every dynamic symbol it defines
  std::optional<Note> note;
  std::optional<bool> has_executable_stack, has_text_relocations, has_static_tls;
  std::optional<std::vector<std::string>> unique_symbols;   ///< STB_GNU_UNIQUE
  std::optional<std::vector<std::string>> changed_by_load;  ///< "the locale"
  std::optional<double> load_seconds;
};

/// How long a component may take.
///
/// Units    seconds
struct Limits {
  double grace = 5;     ///< from a cancel to the end of run
  double silence = 60;  ///< between two signs of life
};

/// What tests are given.
///
/// Owns     the caller keeps `plugin` alive
struct Settings {
  const assay_plugin* plugin = nullptr;
  LibraryFacts library;
  check::Options options;                  ///< effective: defaults filled in
  std::vector<std::string> option_faults;  ///< defaults that do not fit, each a sentence
  std::string model_dir;                   ///< backends; empty: none
  std::string split;                       ///< datasets
  std::string folder;                      ///< the test's own, empty; the caller removes it
  std::uint64_t seed = 1234;
  Limits limits;
};

enum class Verdict { kPassed, kFailed, kNotApplicable };

struct Outcome {
  Verdict verdict = Verdict::kPassed;
  /// Failed: what was expected and what came, each a sentence. Not applicable: why.
  std::vector<std::string> findings;
};

class Probe;

/// One rule and how it is tested.
struct Test {
  const char* id;         ///< "backend.one-done-per-id"
  assay_kind kind;        ///< 0: every kind
  const char* extension;  ///< that the component must list, or NULL
  Level level;
  int ruling;         ///< of ABI 1.0; 0: none
  bool is_of_worker;  ///< does a process border make a difference?
  const char* rule;   ///< one sentence
  void (*run)(Probe&);
};

/// Every test, in the order in which they are shown.
std::span<const Test> tests();
const Test* find_test(std::string_view id);

/// Is the test one for components of this kind with these extensions? Others have no business in a
/// listing.
bool is_for(const Test& test, const assay_component& component);

/// Runs one test here and now. A component that crashes takes the process along.
Outcome run_test(const Test& test, check::Subject& subject, const Settings& settings);

}  // namespace assay::suite
