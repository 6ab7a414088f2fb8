#include <gtest/gtest.h>

#include <limits>

#include "host/loader/registry.hpp"
#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr const char* kChoices[] = {"4", "8", nullptr};
constexpr std::uint32_t kSize = sizeof(assay_option);

// The options of the specification's own example, and one of each other sort.
constexpr assay_option kGroup = {kSize, ASSAY_INT, 0, "group", "Weights that share one scale.",
                                 "128", nullptr,   8, 1024};
constexpr assay_option kKvBits = {
    kSize, ASSAY_CHOICE, 0, "kv.bits", "Bits of a cached key or value.", "8", kChoices, 1, 0};
constexpr assay_option kCalib = {
    kSize, ASSAY_PATH_IN, ASSAY_OPT_REQUIRED, "calib", "Calibration text.", nullptr, nullptr, 1, 0};
constexpr assay_option kDamp = {kSize,  ASSAY_FLOAT, 0, "damp",   "Added to the diagonal.",
                                "0.01", nullptr,     0, kInfinity};
constexpr assay_option kToken = {kSize,
                                 ASSAY_TEXT,
                                 ASSAY_OPT_SECRET | ASSAY_OPT_DEPRECATED,
                                 "token",
                                 "Access key.",
                                 nullptr,
                                 nullptr,
                                 0,
                                 0};
constexpr assay_option kBudget = {kSize,    ASSAY_SIZE,     0,
                                  "budget", "Most memory.", "\"4GiB\"",
                                  nullptr,  -kInfinity,     1099511627776.0};

constexpr std::uint32_t kWide = sizeof(assay_column);
constexpr assay_column kTarget = {kWide, ASSAY_TEXT, 0, "target", "the reference", nullptr, 1, 0};
constexpr assay_column kHint = {kWide, ASSAY_TEXT, ASSAY_COL_OPTIONAL, "hint", "if any", nullptr,
                                1,     0};
constexpr assay_column kAcc = {
    kWide, ASSAY_FLOAT, ASSAY_COL_MEAN | ASSAY_COL_PRIMARY, "acc", "share right", "1", 0, 1};
constexpr assay_column kLoss = {kWide, ASSAY_FLOAT, ASSAY_COL_LESS_IS_BETTER, "loss", "", "nats",
                                0,     kInfinity};

TEST(DescribeText, PrintsTheOptionsOfABackend) {
  InMemoryPlugin fake;
  const assay_option* options[] = {&kGroup, &kKvBits, &kCalib, &kDamp, &kToken, &kBudget};
  const assay_extension extension = {"assay.backend.memory/1", &fake};
  fake.plugin.vendor = "Acme";
  fake.plugin.license = "Proprietary";
  fake.component.id = "acme/int4";
  fake.component.version = "2.1.0";
  fake.component.summary = "4-bit weights with an 8-bit cache";
  fake.component.kind = ASSAY_BACKEND;
  fake.component.caps = ASSAY_CAP_SCORE | ASSAY_CAP_DETERMINISTIC;
  fake.component.options = options;
  fake.component.n_options = 6;
  fake.component.extensions = &extension;
  fake.component.n_extensions = 1;
  Registry registry;
  registry.add(fake.plugin, "/plugins/acme.so");
  EXPECT_EQ(
      describe_text(*registry.find("acme/int4")),
      R"(acme/int4 2.1.0   backend   4-bit weights with an 8-bit cache        Acme, Proprietary
  group    int     128         8 to 1024              Weights that share one scale.
  kv.bits  choice  8           4, 8                   Bits of a cached key or value.
  calib    path    (required)                         Calibration text.
  damp     float   0.01        at least 0             Added to the diagonal.
  token    text    (optional)                         Access key. (secret) (deprecated)
  budget   size    "4GiB"      at most 1099511627776  Most memory.

capabilities  deterministic, score
extensions    assay.backend.memory/1
plugin        fake/plugin 4.5.6
abi           1.0
built with    a test
file          /plugins/acme.so
)");
}

TEST(DescribeText, PrintsWhatAMetricNeedsAndGives) {
  InMemoryPlugin fake;
  const assay_column* columns[] = {&kTarget, &kHint};
  const assay_column* outputs[] = {&kAcc, &kLoss};
  fake.component.columns = columns;
  fake.component.n_columns = 2;
  fake.component.outputs = outputs;
  fake.component.n_outputs = 2;
  Registry registry;
  registry.add(fake.plugin, "/plugins/metric.so");
  EXPECT_EQ(describe_text(registry.components()[0]),
            R"(fake/metric 1.2.3   metric   Measures nothing        Fakes, Apache-2.0
  (no options)

columns it needs
  target  text              the reference
  hint    text  (optional)  if any

outputs
  acc   1     more is better  mean   0 to 1      primary  share right
  loss  nats  less is better  total  at least 0

plugin      fake/plugin 4.5.6
abi         1.0
built with  a test
file        /plugins/metric.so
)");
}

TEST(DescribeText, SaysThatADatasetsColumnsDependOnItsFile) {
  InMemoryPlugin fake;
  fake.component.kind = ASSAY_DATASET;
  fake.plugin.vendor = "";
  fake.plugin.license = "";
  Registry registry;
  registry.add(fake.plugin, "/plugins/data.so");
  EXPECT_EQ(describe_text(registry.components()[0]),
            R"(fake/metric 1.2.3   dataset   Measures nothing
  (no options)

columns
  (known when its file is open)

plugin      fake/plugin 4.5.6
abi         1.0
built with  a test
file        /plugins/data.so
)");
}

TEST(DescribeText, ShowsAPluginsWordsOnOneLineAndSteersNoTerminal) {
  InMemoryPlugin fake;
  fake.component.summary = "two\nlines \x1b[31m";
  Registry registry;
  registry.add(fake.plugin, "/plugins/metric.so");
  const std::string text = describe_text(registry.components()[0]);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "fake/metric 1.2.3   metric   two lines  [31m        Fakes, Apache-2.0");
}

TEST(ListText, AlignsComponentsUnderTheirFolders) {
  InMemoryPlugin first;
  InMemoryPlugin second;
  second.component.id = "acme/a-much-longer-name";
  second.component.kind = ASSAY_DATASET;
  second.component.version = "10.20.30";
  second.component.summary = "Rows";
  Registry registry;
  registry.add(first.plugin, "/one/metric.so");
  registry.add(second.plugin, "/two/acme-data.so");
  EXPECT_EQ(
      list_text(registry),
      R"(  id                       kind     version   trust    isolation  plugin file   summary
/one
  fake/metric              metric   1.2.3     bundled  none       metric.so     Measures nothing
/two
  acme/a-much-longer-name  dataset  10.20.30  bundled  none       acme-data.so  Rows
)");
}

TEST(ListText, NamesFoldersSearchedWhenThereIsNothing) {
  const Registry registry = Registry::scan({"/absent/a", "/absent/b"});
  EXPECT_EQ(list_text(registry), R"(no plugins found; looked in
  /absent/a
  /absent/b
not used
  /absent/a: no such folder
  /absent/b: no such folder
)");
  EXPECT_EQ(list_text(Registry()), "no plugins found; there is no folder to look in\n");
}

TEST(ListText, GivesTheReasonOfEachFileNotUsed) {
  const std::string folder = ASSAY_TEST_FAKES "/broken";
  const std::string text = list_text(Registry::scan({folder}));
  EXPECT_NE(text.find("  " + folder +
                      "/no_entry.so: exports no assay_plugin_v1, so it is no "
                      "plugin\n"),
            std::string::npos)
      << text;
}

TEST(ToString, NamesKinds) {
  EXPECT_EQ(to_string(ASSAY_BACKEND), "backend");
  EXPECT_EQ(to_string(ASSAY_DATASET), "dataset");
  EXPECT_EQ(to_string(ASSAY_METRIC), "metric");
  EXPECT_EQ(to_string(ASSAY_REPORTER), "reporter");
  EXPECT_EQ(to_string(99), "component");
}

}  // namespace
}  // namespace assay::host
