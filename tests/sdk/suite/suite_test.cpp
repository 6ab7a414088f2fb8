// The table itself, and tests of the file and the description on facts made by hand.
#include <gmock/gmock.h>

#include <assay/suite/suite.hpp>
#include <set>

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

Outcome of_library(const char* test, LibraryFacts facts,
                   const assay_component& component = kComponent) {
  const assay_component* components[] = {&component};
  const assay_plugin plugin{sizeof plugin,   ASSAY_ABI_MAJOR,
                            ASSAY_ABI_MINOR, "acme/facts",
                            "1.0.0",         "Acme",
                            "Apache-2.0",    "",
                            components,      1};
  Settings settings;
  settings.plugin = &plugin;
  settings.library = std::move(facts);
  check::LocalSubject subject(component);
  return run_test(*find_test(test), subject, settings);
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

TEST(SuiteLibrary, EveryFactIsJudged) {
  const auto expect_found = [](const char* test, void (*spoil)(LibraryFacts&)) {
    LibraryFacts facts = sound_facts();
    EXPECT_EQ(of_library(test, facts).verdict, Verdict::kPassed) << test;
    spoil(facts);
    EXPECT_EQ(of_library(test, facts).verdict, Verdict::kFailed) << test;
  };
  expect_found("library.exports-one-symbol",
               [](LibraryFacts& facts) { facts.exports->push_back("helper"); });
  expect_found("library.exports-one-symbol", [](LibraryFacts& facts) { facts.exports->clear(); });
  expect_found("library.has-note", [](LibraryFacts& facts) { facts.note.reset(); });
  expect_found("library.has-note", [](LibraryFacts& facts) { facts.note->plugin_id = "other/id"; });
  expect_found("library.no-executable-stack",
               [](LibraryFacts& facts) { facts.has_executable_stack = true; });
  expect_found("library.no-text-relocations",
               [](LibraryFacts& facts) { facts.has_text_relocations = true; });
  expect_found("library.no-static-tls", [](LibraryFacts& facts) { facts.has_static_tls = true; });
  expect_found("library.no-unique-symbols",
               [](LibraryFacts& facts) { facts.unique_symbols->push_back("_ZZ1fvE1x"); });
  expect_found("library.loading-changes-nothing",
               [](LibraryFacts& facts) { facts.changed_by_load->push_back("the locale"); });
  expect_found("library.scans-fast", [](LibraryFacts& facts) { facts.load_seconds = 3; });
}

TEST(SuiteLibrary, WhatIsNotKnownIsNotJudged) {
  const Outcome outcome = of_library("library.no-static-tls", {});
  EXPECT_EQ(outcome.verdict, Verdict::kNotApplicable);
  EXPECT_THAT(outcome.findings, testing::ElementsAre("the file does not tell"));
}

TEST(SuiteDescription, BadIdsAreFound) {
  assay_component component = kComponent;
  component.id = "no slash";
  EXPECT_EQ(of_library("description.ids-are-well-formed", {}, component).verdict, Verdict::kFailed);
  EXPECT_EQ(of_library("description.ids-are-well-formed", {}).verdict, Verdict::kPassed);
}

TEST(SuiteDescription, MissingTextsAreFound) {
  assay_component component = kComponent;
  component.summary = nullptr;
  EXPECT_EQ(of_library("description.texts-are-there", {}, component).verdict, Verdict::kFailed);
  component.summary = "";
  EXPECT_EQ(of_library("description.texts-are-there", {}, component).verdict, Verdict::kPassed);
  EXPECT_EQ(of_library("description.describes-itself", {}, component).verdict, Verdict::kFailed);
}

TEST(SuiteDescription, ExtensionIdsHaveAForm) {
  constexpr std::uint32_t kTable[] = {16, 0, 0, 0};
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
