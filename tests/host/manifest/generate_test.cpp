#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class ReadGenerate : public Workspace {
 protected:
  /// A task that is right but for `keys`, which begin at line 7.
  static std::string with(std::string_view keys) {
    return R"(assay = 1
[task.a]
protocol = "generate"
dataset = "d"
prompt = "{{ q }}"
target = "{{ a }}"
)" + std::string(keys);
  }

  TaskNode task(std::string_view keys) const {
    ParsedManifest parsed = read(with(keys));
    EXPECT_EQ(shown(parsed.manifest.sources, parsed.errors), "");
    return std::move(parsed.manifest.tasks.at(0));
  }

  std::string mistakes(std::string_view keys) const { return errors_of(with(keys)); }
};

TEST_F(ReadGenerate, IsGreedyAnd256TokensLongUnlessSaid) {
  const TaskNode a = task("");
  EXPECT_EQ(a.protocol.value, Protocol::kGenerate);
  EXPECT_EQ(a.max_new_tokens.value, 256U);
  EXPECT_EQ(a.min_new_tokens.value, 0U);
  EXPECT_TRUE(a.stop.empty());
  EXPECT_EQ(a.temperature.value, 0.0);
  EXPECT_EQ(a.top_k.value, 0U);
  EXPECT_EQ(a.top_p.value, 1.0);
  EXPECT_TRUE(a.filters.empty());
  EXPECT_FALSE(a.chat.value);
}

TEST_F(ReadGenerate, TakesEveryKey) {
  const TaskNode a = task(R"(max_new_tokens = 50
min_new_tokens = 50
stop = ["\n", "Question:"]
temperature = 1
top_k = 40
top_p = 0.95
seed = 7
shots = 2
shots_from = "train"
description = "Answer."
chat = true
)");
  EXPECT_EQ(a.max_new_tokens.value, 50U);
  EXPECT_EQ(a.min_new_tokens.value, 50U);
  ASSERT_EQ(a.stop.size(), 2U);
  EXPECT_EQ(a.stop[1].value, "Question:");
  EXPECT_EQ(a.temperature.value, 1.0);
  EXPECT_EQ(a.top_k.value, 40U);
  EXPECT_EQ(a.top_p.value, 0.95);
  EXPECT_EQ(a.seed.value, 7U);
  EXPECT_EQ(a.shots.value, 2U);
  EXPECT_EQ(a.description.value, "Answer.");
  EXPECT_TRUE(a.chat.value);
}

TEST_F(ReadGenerate, TakesOneStopTextWithoutBrackets) {
  const TaskNode a = task("stop = \"\\n\"\n");
  ASSERT_EQ(a.stop.size(), 1U);
  EXPECT_EQ(a.stop[0].value, "\n");
}

TEST_F(ReadGenerate, RefusesNumbersOutOfRange) {
  EXPECT_EQ(mistakes(R"(max_new_tokens = 1048577
min_new_tokens = 257
temperature = 100.5
top_k = -1
top_p = 0
[task.b]
protocol = "generate"
dataset = "d"
prompt = "{{ q }}"
target = "{{ a }}"
max_new_tokens = 0
temperature = nan
top_p = 1.01
[task.c]
protocol = "generate"
dataset = "d"
prompt = "{{ q }}"
target = "{{ a }}"
max_new_tokens = 8
min_new_tokens = 9
temperature = "0.7"
top_p = true
chat = "true"
)"),
            R"(run.toml:7:18: max_new_tokens must be between 1 and 1048576, got 1048577
  7 | max_new_tokens = 1048577
    |                  ^^^^^^^
run.toml:8:18: min_new_tokens must be between 0 and 256, got 257
  8 | min_new_tokens = 257
    |                  ^^^
run.toml:9:15: temperature must be 0, or between 0.000001 and 100, got 100.5
  9 | temperature = 100.5
    |               ^^^^^
run.toml:10:9: top_k must be between 0 and 4294967295, got -1
  10 | top_k = -1
     |         ^^
run.toml:11:9: top_p must be between 0.000001 and 1, got 0
  11 | top_p = 0
     |         ^
run.toml:17:18: max_new_tokens must be between 1 and 1048576, got 0
  17 | max_new_tokens = 0
     |                  ^
run.toml:18:15: temperature must be 0, or between 0.000001 and 100, got nan
  18 | temperature = nan
     |               ^^^
run.toml:19:9: top_p must be between 0.000001 and 1, got 1.01
  19 | top_p = 1.01
     |         ^^^^
run.toml:26:18: min_new_tokens must be between 0 and 8, got 9
  26 | min_new_tokens = 9
     |                  ^
run.toml:27:15: temperature must be a number, got the text "0.7"
  27 | temperature = "0.7"
     |               ^^^^^
help: write it without quotes: temperature = 0.7
run.toml:28:9: top_p must be a number, got true
  28 | top_p = true
     |         ^^^^
run.toml:29:8: chat must be true or false, got the text "true"
  29 | chat = "true"
     |        ^^^^^^
help: write it without quotes: chat = true
)");
}

TEST_F(ReadGenerate, RefusesKeysOfDrawingWhileItIsGreedy) {
  EXPECT_EQ(mistakes(R"(top_k = 5
top_p = 0.9
seed = 3
)"),
            R"(run.toml:7:1: top_k has no effect: decoding is greedy, as temperature is 0
  7 | top_k = 5
    | ^^^^^
help: write temperature = 1.0 to draw tokens, or leave top_k out
run.toml:8:1: top_p has no effect: decoding is greedy, as temperature is 0
  8 | top_p = 0.9
    | ^^^^^
help: write temperature = 1.0 to draw tokens, or leave top_p out
run.toml:9:1: seed has no effect: decoding is greedy, as temperature is 0
  9 | seed = 3
    | ^^^^
help: write temperature = 1.0 to draw tokens, or leave seed out
)");
  EXPECT_EQ(mistakes("temperature = 0.0\ntop_k = 1\n"),
            R"(run.toml:8:1: top_k has no effect: decoding is greedy, as temperature is 0
  8 | top_k = 1
    | ^^^^^
help: write temperature = 1.0 to draw tokens, or leave top_k out
)");
  EXPECT_EQ(mistakes("seed = 3\nshots = 2\n"), "");  // decides the examples
  EXPECT_EQ(mistakes("temperature = 0.1\ntop_k = 1\ntop_p = 0.9\nseed = 3\n"), "");
}

TEST_F(ReadGenerate, RefusesStopTextsThatStandEverywhere) {
  EXPECT_EQ(mistakes("stop = \"\"\n"),
            R"(run.toml:7:8: a stop text is empty, which would end every answer before it begins
  7 | stop = ""
    |        ^^
help: name what ends an answer, such as stop = ["\n"], or leave it out
)");
  EXPECT_EQ(mistakes("stop = [\"\\n\", \"\", 5]\n"),
            R"(run.toml:7:15: a stop text is empty, which would end every answer before it begins
  7 | stop = ["\n", "", 5]
    |               ^^
help: name what ends an answer, such as stop = ["\n"], or leave it out
run.toml:7:19: each of stop must be a text, got the whole number 5
  7 | stop = ["\n", "", 5]
    |                   ^
help: write it in quotes: "5"
)");
  EXPECT_EQ(mistakes("stop = []\n"), R"(run.toml:7:8: stop is an empty list
  7 | stop = []
    |        ^^
help: leave it out, or name at least one
)");
  EXPECT_EQ(mistakes("stop = { a = 1 }\n"),
            R"(run.toml:7:8: stop must be a text or a list of texts, got a table
  7 | stop = { a = 1 }
    |        ^^^^^^^^^
)");
}

TEST_F(ReadGenerate, TakesFiltersInTheirOrder) {
  using Kind = Filter::Kind;
  const TaskNode a = task(R"toml(filters = [
  "strip", "first_line", "number", { number = "first" }, { number = "last", otherwise = "none" },
  { regex = "#### (\\d+)" }, { regex = "a|b", match = "last", otherwise = "" },
  { replace = ",", with = "" }]
)toml");
  const auto filter = [](Kind kind, std::string pattern, bool takes_last,
                         std::string otherwise = "[invalid]") {
    return Filter{kind, std::move(pattern), "", takes_last, std::move(otherwise)};
  };
  ASSERT_EQ(a.filters.size(), 8U);
  EXPECT_EQ(a.filters[0].value, filter(Kind::kStrip, "", false));
  EXPECT_EQ(a.filters[1].value, filter(Kind::kFirstLine, "", false));
  EXPECT_EQ(a.filters[2].value, filter(Kind::kNumber, "", true));
  EXPECT_EQ(a.filters[3].value, filter(Kind::kNumber, "", false));
  EXPECT_EQ(a.filters[4].value, filter(Kind::kNumber, "", true, "none"));
  EXPECT_EQ(a.filters[5].value, filter(Kind::kRegex, "#### (\\d+)", false));
  EXPECT_EQ(a.filters[6].value, filter(Kind::kRegex, "a|b", true, ""));
  EXPECT_EQ(a.filters[7].value, filter(Kind::kReplace, ",", false));
  // For what is wrong inside it, a pattern's own place.
  EXPECT_EQ(a.filters[5].place.line, 9U);
  EXPECT_EQ(a.filters[5].place.column, 13U);
}

TEST_F(ReadGenerate, RefusesFiltersThatAreNone) {
  EXPECT_EQ(mistakes(R"(filters = ["stripe", "lower", "regex", "replace", 5]
)"),
            R"(run.toml:7:12: unknown filter "stripe"
  7 | filters = ["stripe", "lower", "regex", "replace", 5]
    |            ^^^^^^^^
help: did you mean "strip"?
run.toml:7:22: unknown filter "lower"
  7 | filters = ["stripe", "lower", "regex", "replace", 5]
    |                      ^^^^^^^
help: the filters are "strip", "first_line", "number", { number = "first" }, { regex = "..." } and { replace = "...", with = "..." }
run.toml:7:31: filter "regex" needs a pattern
  7 | filters = ["stripe", "lower", "regex", "replace", 5]
    |                               ^^^^^^^
help: write { regex = "..." }
run.toml:7:40: filter "replace" needs a pattern
  7 | filters = ["stripe", "lower", "regex", "replace", 5]
    |                                        ^^^^^^^^^
help: write { replace = "...", with = "..." }
run.toml:7:51: each of filters must be a name or a table, got the whole number 5
  7 | filters = ["stripe", "lower", "regex", "replace", 5]
    |                                                   ^
help: the filters are "strip", "first_line", "number", { number = "first" }, { regex = "..." } and { replace = "...", with = "..." }
)");
  EXPECT_EQ(mistakes("filters = \"strip\"\n"),
            R"(run.toml:7:11: filters must be a list, got the text "strip"
  7 | filters = "strip"
    |           ^^^^^^^
help: write filters = ["strip"]
)");
  EXPECT_EQ(mistakes("filters = []\n"), R"(run.toml:7:11: filters is an empty list
  7 | filters = []
    |           ^^
help: leave it out to take the output as it is, or name at least one
)");
}

TEST_F(ReadGenerate, RefusesFilterTablesThatSayTooLittleOrTooMuch) {
  EXPECT_EQ(mistakes(R"(filters = [
  { match = "last" },
  { regx = "a" },
  { regex = "a", replace = "b", with = "" },
  { regex = "", match = "lst" },
  { regex = 5, mtch = "last" },
  { replace = "a" },
  { replace = "a", with = 1 },
  { number = true },
  { number = "first", match = "last" },
]
)"),
            R"(run.toml:8:3: a filter has number, regex or replace, this one has none
  8 |   { match = "last" },
    |   ^^^^^^^^^^^^^^^^^^
help: the filters are "strip", "first_line", "number", { number = "first" }, { regex = "..." } and { replace = "...", with = "..." }
run.toml:9:5: unknown key "regx" in task.a.filters
  9 |   { regx = "a" },
    |     ^^^^
help: did you mean "regex"?
run.toml:10:18: a filter is one step, this one has regex and replace
  10 |   { regex = "a", replace = "b", with = "" },
     |                  ^^^^^^^
help: write two filters; they are applied one after the other
run.toml:11:13: regex is an empty pattern, which matches everywhere
  11 |   { regex = "", match = "lst" },
     |             ^^
run.toml:11:25: match must be "first" or "last", got the text "lst"
  11 |   { regex = "", match = "lst" },
     |                         ^^^^^
help: did you mean "last"?
run.toml:12:13: regex must be a text, got the whole number 5
  12 |   { regex = 5, mtch = "last" },
     |             ^
help: write it in quotes: "5"
run.toml:12:16: unknown key "mtch" in task.a.filters
  12 |   { regex = 5, mtch = "last" },
     |                ^^^^
help: did you mean "match"?
run.toml:13:3: task.a.filters lacks "with"
  13 |   { replace = "a" },
     |   ^^^^^^^^^^^^^^^^^
help: with: what every match becomes, "" to take it out
run.toml:14:27: with must be a text, got the whole number 1
  14 |   { replace = "a", with = 1 },
     |                           ^
help: write it in quotes: "1"
run.toml:15:14: number must be "first" or "last", got true
  15 |   { number = true },
     |              ^^^^
run.toml:16:23: unknown key "match" in task.a.filters
  16 |   { number = "first", match = "last" },
     |                       ^^^^^
help: a number filter has number and otherwise
)");
}

TEST_F(ReadGenerate, LeavesNoUseForWhatAChatTemplatePutsBetweenTexts) {
  EXPECT_EQ(
      mistakes("chat = true\ndelimiter = \" \"\nseparator = \"\"\n"),
      R"(run.toml:8:1: delimiter has no use with chat = true: the model's chat template stands between the texts
  8 | delimiter = " "
    | ^^^^^^^^^
help: leave delimiter or chat out
run.toml:9:1: separator has no use with chat = true: the model's chat template stands between the texts
  9 | separator = ""
    | ^^^^^^^^^
help: leave separator or chat out
)");
  EXPECT_EQ(mistakes("chat = false\ndelimiter = \" \"\nseparator = \"\"\n"), "");
}

}  // namespace
}  // namespace assay::host
