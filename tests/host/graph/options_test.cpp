#include "host/graph/options.hpp"

#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

class Options : public GraphTest {
 protected:
  /// A manifest with one model of acme/rounds, its options from line 5.
  static std::string with(const std::string& options) {
    return "assay = 1\n[model.m]\nbackend = \"acme/rounds\"\npath = \"tiny\"\n" + options +
           "\n[dataset.d]\nuse = \"acme/pairs\"\n[task.t]\nprotocol = \"perplexity\"\ndataset = "
           "\"d\"\n"
           "window = 4\nstride = 2\ntext = \"{{ question }}\"\n";
  }
  Json options_of(const std::string& options) const {
    const BuiltGraph built = build(with(options));
    EXPECT_EQ(built.errors.size(), 0U);
    return built.errors.empty() ? built.graph.models.at(0).backend.options : Json();
  }
};

TEST_F(Options, AreFilledInFromTheDefaultsInTheOrderDeclared) {
  EXPECT_EQ(options_of("").dump(),
            R"({"dtype":"float32","fused":true,"cache":1048576,"batches":[1,2]})");
}

TEST_F(Options, KeepEveryTypeAsItsGetterReadsIt) {
  EXPECT_EQ(masked(options_of(R"(dtype = "bfloat16"
fused = false
ratio = 1
scale = 2.5
cache = "2 KiB"
patience = "500ms"
batches = [8]
weights = [1, 0.5]
key = "secret"
old = 3
simulate.method = "rtn"
simulate.skip = ["lm_head"]
override = [{ layer = "a" }, { layer = "b", bits = 3 }])")
                       .dump()),
            R"({"dtype":"bfloat16","simulate.method":"rtn","simulate.bits":4,)"
            R"("simulate.skip":["lm_head"],)"
            R"("override":[{"layer":"a","bits":8},{"layer":"b","bits":3}],"fused":false,)"
            R"("ratio":1.0,"scale":2.5,"cache":2048,"patience":0.5,"batches":[8],)"
            R"("weights":[1.0,0.5],"key":"secret","old":3})");
}

TEST_F(Options, OfSimulateCountOnlyWhereItIsGiven) {
  const BuiltGraph without = build(with(""));
  EXPECT_FALSE(without.graph.models.at(0).is_simulated);
  const BuiltGraph given = build(with("simulate = { method = \"nf4\" }"));
  ASSERT_TRUE(given.errors.empty());
  EXPECT_TRUE(given.graph.models.at(0).is_simulated);
  EXPECT_EQ(given.graph.models.at(0).backend.options.at("simulate.bits"), 4);
}

TEST_F(Options, OfTheSpecAreAnsweredAsTheSpecSays) {
  EXPECT_EQ(mistakes(R"([model.base]
backend = "acme/rounds"
path    = "tiny"

[model.int4]
backend = "acme/int4"
path    = "tiny"
kv.bits = 3
isolation = "worker"

[task.faq]
protocol = "perplexity"
dataset = { use = "acme/pairs" }
window = 4
stride = 2
text = "{{ question }}"
metrics = ["acme/exact-match"]
)"),
            R"(run.toml:1:1: the manifest lacks "assay"
  1 | [model.base]
    | ^
help: begin it with assay = 1, the format of manifests
run.toml:5:1: model.int4 lacks "calib", required by acme/int4
  5 | [model.int4]
    | ^^^^^^^^^^^^
help: calib: Calibration text.
run.toml:8:11: kv.bits = 3 is not one of 4, 8
  8 | kv.bits = 3
    |           ^
run.toml:17:12: acme/exact-match needs a column "output" of type text; task.faq has none (columns: token_nll, first_token, n_tokens, n_bytes, n_words, nll, window_nll, question, answer, category, options)
  17 | metrics = ["acme/exact-match"]
     |            ^^^^^^^^^^^^^^^^^^
)");
}

TEST_F(Options, AreRefusedWhenOfTheWrongType) {
  EXPECT_EQ(mistakes(with(R"(dtype = 3.5
fused = "true"
ratio = "half"
cache = "lots"
patience = "soon"
batches = 3
weights = [1, "x"]
key = 7
draft = false
old = "3"
simulate.skip = "lm_head")")),
            R"(run.toml:2:1: model.m lacks "simulate.method", required by acme/rounds
  2 | [model.m]
    | ^^^^^^^^^
help: simulate.method: How weights are rounded.
run.toml:5:9: dtype must be one of float32, bfloat16, got the number 3.5
  5 | dtype = 3.5
    |         ^^^
run.toml:6:9: fused must be true or false, got the text "true"
  6 | fused = "true"
    |         ^^^^^^
help: write it without quotes: fused = true
run.toml:7:9: ratio must be a number, got the text "half"
  7 | ratio = "half"
    |         ^^^^^^
run.toml:8:9: cache must be a size such as "4GiB", got the text "lots"
  8 | cache = "lots"
    |         ^^^^^^
run.toml:9:12: patience must be a duration such as "30s", got the text "soon"
  9 | patience = "soon"
    |            ^^^^^^
run.toml:10:11: batches must be a list of whole numbers, got the whole number 3
  10 | batches = 3
     |           ^
run.toml:11:15: weights must be a number, got the text "x"
  11 | weights = [1, "x"]
     |               ^^^
run.toml:12:7: key must be a text, got the whole number 7
  12 | key = 7
     |       ^
run.toml:13:9: draft must be the name of a [model.x], got false
  13 | draft = false
     |         ^^^^^
run.toml:14:7: old must be a whole number, got the text "3"
  14 | old = "3"
     |       ^^^
help: write it without quotes: old = 3
run.toml:15:17: simulate.skip must be a list of texts, got the text "lm_head"
  15 | simulate.skip = "lm_head"
     |                 ^^^^^^^^^
)");
}

TEST_F(Options, AreRefusedOutOfTheirRange) {
  EXPECT_EQ(mistakes(with(R"(simulate = { method = "rnt", bits = 9 }
ratio = 1.5
scale = 0.25
batches = [1, 0]
override = [{ layer = "a", bits = 1 }]
weights = [nan])")),
            R"(run.toml:5:23: simulate.method = "rnt" is not one of rtn, nf4
  5 | simulate = { method = "rnt", bits = 9 }
    |                       ^^^^^
help: did you mean "rtn"?
run.toml:5:37: simulate.bits must be between 2 and 8, got 9
  5 | simulate = { method = "rnt", bits = 9 }
    |                                     ^
run.toml:6:9: ratio must be between 0 and 1, got 1.5
  6 | ratio = 1.5
    |         ^^^
run.toml:7:9: scale must be at least 0.5, got 0.25
  7 | scale = 0.25
    |         ^^^^
run.toml:8:15: batches must be between 1 and 64, got 0
  8 | batches = [1, 0]
    |               ^
run.toml:9:35: override.0.bits must be between 2 and 8, got 1
  9 | override = [{ layer = "a", bits = 1 }]
    |                                   ^
run.toml:10:12: weights must be a finite number, got nan
  10 | weights = [nan]
     |            ^^^
)");
}

TEST_F(Options, AreRefusedByNameWhenUnknown) {
  EXPECT_EQ(mistakes(with(R"(dtyp = "float32"
devise = "cpu"
quux = 1
simulate = { method = "rtn", bist = 4 }
override = [{ layer = "a", group = 4 }, { bits = 4 }]
draft = "base")")),
            R"(run.toml:5:1: acme/rounds has no option "dtyp"
  5 | dtyp = "float32"
    | ^^^^
help: did you mean "dtype"?
run.toml:6:1: acme/rounds has no option "devise"
  6 | devise = "cpu"
    | ^^^^^^
help: did you mean "device"?
run.toml:7:1: acme/rounds has no option "quux"
  7 | quux = 1
    | ^^^^
help: `assay plugins describe acme/rounds` shows its options
run.toml:8:30: acme/rounds has no option "simulate.bist"
  8 | simulate = { method = "rtn", bist = 4 }
    |                              ^^^^
help: did you mean "bits"?
run.toml:9:28: acme/rounds has no option "override.0.group"
  9 | override = [{ layer = "a", group = 4 }, { bits = 4 }]
    |                            ^^^^^
help: `assay plugins describe acme/rounds` shows its options
run.toml:9:41: model.m lacks "override.1.layer", required by acme/rounds
  9 | override = [{ layer = "a", group = 4 }, { bits = 4 }]
    |                                         ^^^^^^^^^^^^
help: override.1.layer: Which layer.
run.toml:10:9: draft = "base": there is no [model.base]
  10 | draft = "base"
     |         ^^^^^^
help: the models are m
)");
}

TEST_F(Options, MustBeTablesWhereTheirNamesHaveDots) {
  EXPECT_EQ(mistakes(with("override = 3\ndraft = \"m\"")),
            R"(run.toml:5:12: override must be a list of tables, got the whole number 3
  5 | override = 3
    |            ^
help: each has the keys layer, bits
run.toml:6:9: draft = "m" is this model itself
  6 | draft = "m"
    |         ^^^
)");
}

TEST_F(Options, NameABackendThatCannotSimulate) {
  EXPECT_EQ(mistakes(R"(assay = 1
[model.m]
backend = "acme/int4"
path = "tiny"
calib = "calib.txt"
simulate = { bits = 4 }
[task.t]
protocol = "perplexity"
dataset = { use = "acme/pairs" }
window = 4
stride = 2
text = "{{ question }}"
)"),
            R"(run.toml:6:1: acme/int4 cannot simulate
  6 | simulate = { bits = 4 }
    | ^^^^^^^^
help: it declares no options for it; leave simulate out, or use another backend
)");
}

TEST_F(Options, WithInputPathsSayWhereTheyWereLookedFor) {
  EXPECT_EQ(mistakes_with("[dataset.gone]\nuse = \"acme/lines\"\npath = \"gone.txt\"\n"),
            R"(run.toml:22:8: path = "gone.txt" does not exist
  22 | path = "gone.txt"
     |        ^^^^^^^^^^
help: input paths are relative to the manifest: looked for FOLDER/gone.txt
)");
}

TEST(OutputPathFault, KeepsFilesInsideTheOutputDirectory) {
  EXPECT_EQ(output_path_fault("report.md"), "");
  EXPECT_EQ(output_path_fault("pages/../report.md"), "");
  EXPECT_EQ(output_path_fault(""), "names no file");
  EXPECT_EQ(output_path_fault("pages/"), "names no file");
  EXPECT_EQ(output_path_fault("."), "names no file");
  EXPECT_EQ(output_path_fault("/tmp/x"),
            "is absolute; output paths are inside the output directory");
  EXPECT_EQ(output_path_fault("a/../../x"), "leads out of the output directory");
  EXPECT_EQ(output_path_fault("run.json"), "is a name that assay itself uses");
  EXPECT_EQ(output_path_fault("rows/x"), "is a name that assay itself uses");
}

class ConfigCheck : public Options {
 protected:
  void SetUp() override {
    Options::SetUp();
    registry_.add(acme_too(), "acme-too.so");
  }

  /// A manifest with one model of acme/checks, its options from line 5.
  static std::string checked(const std::string& options) {
    std::string text = with(options);
    return text.replace(text.find("acme/rounds"), 11, "acme/checks");
  }
};

TEST_F(ConfigCheck, PutsWhatTheComponentSaysAtTheOption) {
  EXPECT_EQ(mistakes(checked("kv.low = 9\nkv.high = 4")),
            R"(run.toml:5:10: kv.low lies above kv.high
  5 | kv.low = 9
    |          ^
run.toml:6:11: kv.high lies below kv.low
  6 | kv.high = 4
    |           ^
)");
}

TEST_F(ConfigCheck, OfAnOptionThatIsNotWrittenStandsWhereItWouldBe) {
  // kv is written and kv.high is not: at kv. Of nothing written: at the model.
  EXPECT_EQ(mistakes(checked("kv = { low = 9 }")),
            R"(run.toml:5:6: kv.high lies below kv.low
  5 | kv = { low = 9 }
    |      ^^^^^^^^^^^
run.toml:5:14: kv.low lies above kv.high
  5 | kv = { low = 9 }
    |              ^
)");
  const ParsedManifest parsed = read(checked("slow = true"));
  const BuiltGraph built = build_graph(parsed, registry_);
  EXPECT_TRUE(built.errors.empty());
  EXPECT_EQ(shown(parsed.manifest.sources, built.warnings),
            R"(run.toml:2:1: warning: model.m: nobody waits that long
  2 | [model.m]
    | ^^^^^^^^^
run.toml:5:8: warning: slow takes ten times as long
  5 | slow = true
    |        ^^^^
)");
  EXPECT_EQ(built.graph.models.at(0).backend.component->id(), "acme/checks");
}

TEST_F(ConfigCheck, ReachesIntoListsOfTables) {
  EXPECT_EQ(mistakes(checked("part = [{ size = 1 }, { size = 4 }, {}, { size = 6 }]")),
            R"(run.toml:5:32: part.1.size is even
  5 | part = [{ size = 1 }, { size = 4 }, {}, { size = 6 }]
    |                                ^
run.toml:5:50: part.3.size is even
  5 | part = [{ size = 1 }, { size = 4 }, {}, { size = 6 }]
    |                                                  ^
)");
}

TEST_F(ConfigCheck, ThatFailsIsAnError) {
  EXPECT_EQ(
      mistakes(checked("away = true")),
      R"(run.toml:2:1: model.m: the options cannot be checked: acme/checks: the licence server is away
  2 | [model.m]
    | ^^^^^^^^^
)");
}

TEST_F(ConfigCheck, IsOfOptionsThatAreValidOneByOne) {
  EXPECT_EQ(mistakes(checked("away = true\nkv.low = \"9\"")),
            R"(run.toml:6:10: kv.low must be a whole number, got the text "9"
  6 | kv.low = "9"
    |          ^^^
help: write it without quotes: kv.low = 9
)");
}

TEST(PlaceOfOption, IsThatOfWhatIsWritten) {
  const Place low{0, 1, 1, 1}, table{0, 2, 2, 2}, list{0, 3, 3, 3}, element{0, 4, 4, 4};
  const Table inner{{"low", low, {low, std::int64_t{9}}}};
  const Table given{
      {"kv", table, {table, inner}},
      {"skip", list, {list, std::vector<Value>{{element, std::string("a")}, {element, inner}}}}};
  const auto line = [&](std::string_view key) {
    const auto place = place_of_option(given, key);
    return place ? place->line : 0;
  };
  EXPECT_EQ(line("kv.low"), 1U);
  EXPECT_EQ(line("kv.high"), 2U);
  EXPECT_EQ(line("kv"), 2U);
  EXPECT_EQ(line("kv."), 2U);
  EXPECT_EQ(line("skip"), 3U);
  EXPECT_EQ(line("skip.0"), 4U);
  EXPECT_EQ(line("skip.1.low"), 1U);
  EXPECT_EQ(line("skip.2"), 3U);
  EXPECT_EQ(line("skip.-1"), 3U);
  EXPECT_EQ(line("skip.0.x"), 4U);
  EXPECT_EQ(line("skip.x"), 3U);
  EXPECT_EQ(line(""), 0U);
  EXPECT_EQ(line("."), 0U);
  EXPECT_EQ(line("other.low"), 0U);
}

}  // namespace
}  // namespace assay::host
