// The table itself, and tests of the file and the description on facts made by hand.
#include <gmock/gmock.h>

#include <assay/suite/suite.hpp>
#include <set>
#include <string_view>

#include "tests/sdk/suite/planted.hpp"

namespace assay::suite {
namespace {

assay_status create(const assay_host*, const assay_config*, const assay_resources*, void** self,
                    assay_error*) noexcept {
  static int instance;
  *self = &instance;
  return ASSAY_OK;
}

constexpr assay_metric_v1 kApi{sizeof kApi, 0, nullptr, nullptr};
constexpr assay_component kComponent{sizeof kComponent,
                                     ASSAY_METRIC,
                                     "acme/facts",
                                     "1.0.0",
                                     "Facts",
                                     0,
                                     nullptr,
                                     0,
                                     nullptr,
                                     0,
                                     nullptr,
                                     0,
                                     create,
                                     [](void*) noexcept {},
                                     &kApi,
                                     nullptr,
                                     0};

TEST(SuiteTable, IdsAreUniqueAndGrouped) {
  std::set<std::string> ids;
  for (const suite::Test& test : tests()) {
    EXPECT_TRUE(ids.insert(test.id).second) << test.id;
    EXPECT_THAT(test.id, testing::MatchesRegex("[a-z]+\\.[a-z][a-z-]*[a-z]"));
    EXPECT_THAT(test.rule, testing::EndsWith(".")) << test.id;
    EXPECT_LE(test.ruling, 27) << test.id;
  }
  EXPECT_GT(ids.size(), 100U);
}

LibraryFacts sound_facts() {
  LibraryFacts facts;
  facts.exports = {{"assay_plugin_v1"}};
  facts.note = {1, 0, "acme/facts"};
  facts.has_executable_stack = facts.has_text_relocations = facts.has_static_tls = false;
  facts.unique_symbols = facts.changed_by_load = std::vector<std::string>{};
  facts.load_seconds = 0.001;
  return facts;
}

constexpr assay_option kOption{sizeof kOption, ASSAY_INT, 0, "n", "A number.", "1", nullptr, 1, 10};
constexpr assay_column kColumn{sizeof kColumn, ASSAY_TEXT, 0, "text", "a text", nullptr, 1, 0};
constexpr const assay_option* kOptions[] = {&kOption, &kOption};
constexpr const assay_column* kColumns[] = {&kColumn, &kColumn};
constexpr std::uint32_t kTable[] = {16, 0, 0, 0};
constexpr assay_backend_v1 kBackend{sizeof kBackend, 0, nullptr, nullptr, nullptr, nullptr};
constexpr assay_extension kExtensions[] = {{"com.acme.words/2", kTable}};
constexpr assay_extension kOddExtensions[] = {{"text/1", kTable}};

/// A plugin of one component: what it says, and what is known of its file.
struct Facts {
  LibraryFacts library = sound_facts();
  assay_component component = sound_component();
  const char* license = "Apache-2.0";
  std::vector<std::string> option_faults = {};

  static assay_component sound_component() {
    assay_component component = kComponent;
    component.options = kOptions;
    component.columns = kColumns;
    component.extensions = kExtensions;
    component.n_options = component.n_columns = component.n_extensions = 1;
    return component;
  }
};

Outcome outcome_of(const char* test, Facts& facts) {
  const assay_component* components[] = {&facts.component};
  const assay_plugin plugin{sizeof plugin,   ASSAY_ABI_MAJOR,
                            ASSAY_ABI_MINOR, "acme/facts",
                            "1.0.0",         "Acme",
                            facts.license,   "",
                            components,      1};
  Settings settings;
  settings.plugin = &plugin;
  settings.library = facts.library;
  settings.option_faults = facts.option_faults;
  settings.folder = testing::TempDir();
  check::LocalSubject subject(facts.component);
  return run_test(*find_test(test), subject, settings);
}

/// Of the library's facts alone.
Outcome of_library(const char* test, LibraryFacts library,
                   const assay_component& component = kComponent) {
  Facts facts;
  facts.library = std::move(library);
  facts.component = component;
  return outcome_of(test, facts);
}

/// What a create may not do: change what the plugin says.
assay_component* changed_by_create = nullptr;

assay_status create_and_change(const assay_host*, const assay_config*, const assay_resources*,
                               void** self, assay_error*) noexcept {
  changed_by_create->summary = "other facts";
  *self = changed_by_create;
  return ASSAY_OK;
}

struct Spoiled {
  const char* test;
  void (*spoil)(Facts&);
  assay_kind kind = ASSAY_METRIC;
};

constexpr Spoiled kSpoiled[] = {
    {"library.exports-one-symbol", [](Facts& f) { f.library.exports->push_back("helper"); }},
    {"library.exports-one-symbol", [](Facts& f) { f.library.exports->clear(); }},
    {"library.has-note", [](Facts& f) { f.library.note.reset(); }},
    {"library.has-note", [](Facts& f) { f.library.note->plugin_id = "other/id"; }},
    {"library.no-executable-stack", [](Facts& f) { f.library.has_executable_stack = true; }},
    {"library.no-text-relocations", [](Facts& f) { f.library.has_text_relocations = true; }},
    {"library.no-static-tls", [](Facts& f) { f.library.has_static_tls = true; }},
    {"library.no-unique-symbols", [](Facts& f) { f.library.unique_symbols = {{"_ZZ1fvE1x"}}; }},
    {"library.loading-changes-nothing",
     [](Facts& f) { f.library.changed_by_load = {{"the locale"}}; }},
    {"library.scans-fast", [](Facts& f) { f.library.load_seconds = 3; }},
    {"description.ids-are-well-formed", [](Facts& f) { f.component.id = "no slash"; }},
    {"description.texts-are-there", [](Facts& f) { f.component.summary = nullptr; }},
    {"description.texts-are-there", [](Facts& f) { f.license = nullptr; }},
    {"description.describes-itself", [](Facts& f) { f.component.summary = ""; }},
    {"description.names-a-license", [](Facts& f) { f.license = ""; }},
    {"description.options-are-declared-well", [](Facts& f) { f.component.n_options = 2; }},
    {"description.options-are-declared-well",
     [](Facts& f) { f.option_faults = {"the default does not fit"}; }},
    {"description.columns-are-declared-well", [](Facts& f) { f.component.n_columns = 2; }},
    {"description.columns-are-declared-well",
     [](Facts& f) {
       f.component.outputs = kColumns;  // whose bounds hold nothing
       f.component.n_outputs = 1;
     }},
    {"description.extension-ids-are-well-formed",
     [](Facts& f) { f.component.extensions = kOddExtensions; }},
    {"description.capabilities-have-functions",
     [](Facts& f) { f.component.caps = ASSAY_CAP_SCORE; }, ASSAY_BACKEND},
    {"description.capabilities-have-functions",
     [](Facts& f) { f.component.caps = ASSAY_CAP_QUANTIZE; }, ASSAY_BACKEND},
    {"description.same-bytes-after-use", [](Facts& f) { f.component.create = create_and_change; }},
};

TEST(SuiteFacts, EachIsJudged) {
  for (const Spoiled& spoiled : kSpoiled) {
    Facts facts;
    facts.component.kind = spoiled.kind;
    if (spoiled.kind == ASSAY_BACKEND) facts.component.api = &kBackend;
    const Outcome sound = outcome_of(spoiled.test, facts);
    EXPECT_EQ(sound.verdict, Verdict::kPassed) << spoiled.test << ": " << shown(sound);
    spoiled.spoil(facts);
    changed_by_create = &facts.component;
    EXPECT_EQ(outcome_of(spoiled.test, facts).verdict, Verdict::kFailed) << spoiled.test;
  }
}

// A test that nothing was planted for may be one that cannot fail.
TEST(SuiteTable, EveryTestHasAPlantedFault) {
  std::set<std::string_view> planted;
  for (const Spoiled& spoiled : kSpoiled) planted.insert(spoiled.test);
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& group = *all.GetTestSuite(i);
    for (int k = 0; k < group.total_test_count(); ++k) {
      const char* parameter = group.GetTestInfo(k)->value_param();
      const std::string_view text = parameter == nullptr ? "" : parameter;
      planted.insert(text.substr(0, text.find(' ')));
    }
  }
  for (const suite::Test& test : tests()) {
    EXPECT_TRUE(planted.contains(test.id))
        << "no component of these tests has the fault that " << test.id << " is there for";
  }
}

TEST(SuiteLibrary, WhatIsNotKnownIsNotJudged) {
  const Outcome outcome = of_library("library.no-static-tls", {});
  EXPECT_EQ(outcome.verdict, Verdict::kNotApplicable);
  EXPECT_THAT(outcome.findings, testing::ElementsAre("the file does not tell"));
}

TEST(SuiteDescription, ExtensionIdsHaveAForm) {
  for (const char* id : {"text/1", "assay.backend.text", "assay.backend.text/0", "a..b.c/1"}) {
    const assay_extension extensions[] = {{id, kTable}};
    assay_component component = kComponent;
    component.extensions = extensions;
    component.n_extensions = 1;
    EXPECT_EQ(of_library("description.extension-ids-are-well-formed", {}, component).verdict,
              Verdict::kFailed)
        << id;
  }
  const assay_extension extensions[] = {{"com.acme.words/2", kTable}};
  assay_component component = kComponent;
  component.extensions = extensions;
  component.n_extensions = 1;
  EXPECT_EQ(of_library("description.extension-ids-are-well-formed", {}, component).verdict,
            Verdict::kPassed);
}

}  // namespace
}  // namespace assay::suite
