#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>

#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/test_files.hpp"

namespace plugin_test {
namespace {

Rows rows_of(const std::string& content, Keep keep = Keep::kRows) {
  const TempFile file(content);
  return read_dataset("assay/jsonl", {{"path", file.path()}}, keep);
}

/// The message about a file of this content, its path written as "{}".
std::string complaint_about(const std::string& content) {
  const TempFile file(content);
  const Rows rows = read_dataset("assay/jsonl", {{"path", file.path()}}, Keep::kCountOnly);
  std::string text = rows.said.text;
  for (std::size_t at; (at = text.find(file.path())) != std::string::npos;) {
    text.replace(at, file.path().size(), "{}");
  }
  return text;
}

TEST(JsonlDataset, TakesColumnsAndTypesFromAllLines) {
  const Rows rows = rows_of(
      "{\"question\": \"a\", \"n\": 1, \"share\": 1, \"ok\": true}\n"
      "{\"question\": \"b\", \"n\": 2, \"share\": 0.5, \"ok\": false, \"late\": \"x\"}\n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.schema,
            (Json{{"question", "u"}, {"n", "l"}, {"share", "g"}, {"ok", "b"}, {"late", "u?"}}));
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0],
            Json::parse(R"({"question":"a","n":1,"share":1.0,"ok":true,"late":null})"));
  EXPECT_EQ(rows.rows[1],
            Json::parse(R"({"question":"b","n":2,"share":0.5,"ok":false,"late":"x"})"));
}

TEST(JsonlDataset, GivesListsAndObjectsAsTheyStand) {
  const std::string first =
      R"({"choices":["a","b\u0000c"],"meta":{"source":"x","tags":[{"t":1},{"t":2}]},"scores":[1,2.5]})";
  const std::string second = R"({"choices":[],"meta":{"source":null,"tags":[]},"scores":[]})";
  const Rows rows = rows_of(first + "\n" + second);
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.schema, (Json{{"choices", "+l<u>"},
                               {"meta", "+s<source:u?,tags:+l<+s<t:l>>>"},
                               {"scores", "+l<g>"}}));
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0], Json::parse(first));
  EXPECT_EQ(rows.rows[1], Json::parse(second));
}

TEST(JsonlDataset, MakesAColumnThatIsNeverThereText) {
  const Rows rows = rows_of("{\"a\": null, \"b\": []}\n{\"b\": [null]}\n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.schema, (Json{{"a", "u?"}, {"b", "+l<u?>"}}));
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[1], Json::parse(R"({"a":null,"b":[null]})"));
}

TEST(JsonlDataset, TakesAByteOrderMarkBlankLinesAndWindowsLineEnds) {
  const Rows rows = rows_of("\xEF\xBB\xBF{\"a\": 1}\r\n\r\n  \t\n{\"a\": 2}");
  EXPECT_EQ(rows.said.text, "");
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[1], (Json{{"a", 2}}));
}

TEST(JsonlDataset, OfAnEmptyFileHasNoRows) {
  const Rows rows = rows_of("\n \n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.n_rows, 0u);
}

TEST(JsonlDataset, KeepsEveryWholeNumberOf64Bits) {
  const Rows rows = rows_of("{\"a\": 9223372036854775807}\n{\"a\": -9223372036854775808}\n");
  EXPECT_EQ(rows.said.text, "");
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0].at("a").get<std::int64_t>(), INT64_MAX);
  EXPECT_EQ(rows.rows[1].at("a").get<std::int64_t>(), INT64_MIN);
}

TEST(JsonlDataset, NamesLineAndColumnOfWhatIsNotJson) {
  const std::string good = "{\"a\": 1}\n";
  EXPECT_EQ(
      complaint_about(good + "{\"a\": }\n"),
      "{}:2:7: not valid JSON: unexpected '}'; expected '[', '{', or a literal; each line must "
      "be one JSON object");
  EXPECT_EQ(complaint_about(good + "{\"\xC3\xA9\": 1\n"),
            "{}:2:8: not valid JSON: unexpected end of input; expected '}'; each line must be one "
            "JSON object");
  EXPECT_EQ(complaint_about("{\"a\": NaN}\n"),
            "{}:1:7: not valid JSON: invalid literal; JSON has no NaN and no infinity: write null");
  EXPECT_EQ(complaint_about("{\"a\": \"b\xFF\"}\n"),
            "{}:1:9: not valid JSON: invalid string: ill-formed UTF-8 byte; each line must be one "
            "JSON object");
  EXPECT_EQ(complaint_about("{\"a\": 1} {\"a\": 2}\n"),
            "{}:1:10: not valid JSON: unexpected '{'; expected end of input; each line must be one "
            "JSON object");
  EXPECT_EQ(
      complaint_about("{\"a\": 1,}\n"),
      "{}:1:9: not valid JSON: unexpected '}'; expected string literal; each line must be one "
      "JSON object");
}

TEST(JsonlDataset, RefusesALineThatIsNotAnObject) {
  EXPECT_EQ(complaint_about("{\"a\": 1}\n7\n"),
            "{}:2: the line holds a whole number; each line must be one JSON object (of a JSON "
            "list, jq -c '.[]' makes such lines)");
  EXPECT_EQ(complaint_about("[1, 2]\n"),
            "{}:1: the line holds a list; each line must be one JSON object (of a JSON list, jq -c "
            "'.[]' makes such lines)");
  EXPECT_EQ(complaint_about("null\n"),
            "{}:1: the line holds null; each line must be one JSON object (of a JSON list, jq -c "
            "'.[]' makes such lines)");
}

TEST(JsonlDataset, RefusesAKeyThatIsThereTwice) {
  EXPECT_EQ(complaint_about("{\"a\": 1}\n{\"a\": 1, \"b\": 2, \"a\": 3}\n"),
            "{}:2: the key \"a\" is there twice");
}

TEST(JsonlDataset, NamesColumnLineAndBothTypesWhereTheyDiffer) {
  EXPECT_EQ(complaint_about("{\"a\": 1}\n\n{\"a\": \"1\"}\n"),
            "{}:3: column \"a\" holds text here and a whole number in line 1; give it one type in "
            "all lines");
  EXPECT_EQ(
      complaint_about("{\"m\": {\"t\": [1]}}\n{\"m\": {\"t\": [[1]]}}\n"),
      "{}:2: column \"m.t[]\" holds a list here and a whole number in line 1; give it one type "
      "in all lines");
  EXPECT_EQ(
      complaint_about("{\"a\": [true, 1]}\n"),
      "{}:1: column \"a[]\" holds a whole number here and true or false in line 1; give it one "
      "type in all lines");
}

TEST(JsonlDataset, RefusesNumbersThatDoNotFit) {
  EXPECT_EQ(complaint_about("{\"a\": 9223372036854775808}\n"),
            "{}:1: column \"a\" holds 9223372036854775808, which does not fit in 64 bits; write it "
            "as text");
  EXPECT_EQ(
      complaint_about("{\"a\": 123456789012345678901234567890}\n"),
      "{}:1: column \"a\" holds 123456789012345678901234567890, which does not fit in 64 bits; "
      "write it as text");
  EXPECT_EQ(complaint_about("{\"a\": 1e999}\n"),
            "{}:1:11: not valid JSON: number overflow parsing '1e999'; each line must be one JSON "
            "object");
}

TEST(JsonlDataset, RefusesValuesNestedTooDeep) {
  const std::string deep =
      "{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}\n";
  EXPECT_EQ(complaint_about(deep),
            "{}:1: values are nested deeper than 32 levels; flatten the record");
}

TEST(JsonlDataset, RefusesKeysThatAreData) {
  std::string line = "{\"a\": {";
  for (int i = 0; i < 5000; ++i) line += (i == 0 ? "\"k" : ", \"k") + std::to_string(i) + "\": 1";
  EXPECT_EQ(
      complaint_about(line + "}}\n"),
      "{}:1: more than 4096 different keys at one place; write what varies as a list of values, "
      "not as keys");
}

TEST(JsonlDataset, RefusesADocumentOf50MbAndSaysHowToSplitIt) {
  EXPECT_EQ(
      complaint_about("{\"text\": \"a\"}\n{\"text\": \"" + std::string(50 << 20, 'a') + "\"}\n"),
      "{}:2: the line has 52428812 bytes, and one may have at most 33554432 (32 MiB); split its "
      "document into several objects, one per line");
}

TEST(JsonlDataset, RefusesAFileThatIsNotThereAndAFolder) {
  const TempFile file("");
  EXPECT_EQ(read_dataset("assay/jsonl", {{"path", file.path() + ".gone"}}).said.text,
            file.path() + ".gone: cannot be opened: No such file or directory");
  EXPECT_EQ(read_dataset("assay/jsonl", {{"path", file.folder()}}).said.text,
            file.folder() +
                ": this is a folder; name one JSONL file, or say which split (split = \"test\" "
                "opens test.jsonl in it)");
}

TEST(JsonlDataset, RefusesAFileWithoutColumns) {
  EXPECT_EQ(complaint_about("{}\n{}\n"), "{}: no object has a key, so there are no columns");
}

TEST(JsonlDataset, GivesNothingWhereARecordLacksAColumn) {
  const Rows rows = rows_of("{\"q\": \"a\", \"category\": \"x\"}\n{\"q\": \"b\"}\n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.schema, (Json{{"q", "u"}, {"category", "u?"}}));
  EXPECT_EQ(rows.rows.at(1), (Json{{"q", "b"}, {"category", nullptr}}));
}

TEST(JsonlDataset, OpensTheFileOfASplit) {
  const TempFile temp("{\"a\": 1}\n");
  std::ofstream(temp.folder() + "/dev.jsonl") << "{\"a\": \"dev\"}\n";
  std::ofstream(temp.folder() + "/test.jsonl") << "{\"b\": 2}\n{\"b\": 3}\n";
  for (const std::string& path : {temp.folder(), temp.folder() + "/{split}.jsonl"}) {
    EXPECT_EQ(read_dataset("assay/jsonl", {{"path", path}}, Keep::kRows, "dev").rows.at(0),
              (Json{{"a", "dev"}}));
    EXPECT_EQ(read_dataset("assay/jsonl", {{"path", path}}, Keep::kRows, "test").rows.at(1),
              (Json{{"b", 3}}));
  }
  EXPECT_EQ(read_dataset("assay/jsonl", {{"path", temp.folder()}}, Keep::kRows, "train").said.text,
            temp.folder() +
                " has no split \"train\": there is no train.jsonl in it; it holds dev.jsonl, "
                "test.jsonl");
  EXPECT_EQ(read_dataset("assay/jsonl", {{"path", temp.path()}}, Keep::kRows, "train").said.text,
            temp.path() +
                " is one JSONL file and has no split \"train\"; put {split} into path, name a "
                "folder that holds train.jsonl, set split_column, or leave split out");
}

TEST(JsonlDataset, TakesTheRowsOfASplitOutOfOneFile) {
  const TempFile file(
      "{\"a\": 1, \"part\": \"dev\"}\n{\"a\": 2, \"part\": \"test\"}\n{\"a\": 3}\n"
      "{\"a\": 4, \"part\": \"dev\"}\n");
  const Json options{{"path", file.path()}, {"split_column", "part"}};
  const Rows dev = read_dataset("assay/jsonl", options, Keep::kRows, "dev");
  EXPECT_EQ(dev.said.text, "");
  ASSERT_EQ(dev.n_rows, 2u);
  EXPECT_EQ(dev.rows[1], (Json{{"a", 4}, {"part", "dev"}}));
  EXPECT_EQ(
      read_dataset("assay/jsonl", options, Keep::kRows, "train").said.text,
      file.path() + ": no row has \"train\" in column \"part\", which holds \"dev\", \"test\"");
  EXPECT_EQ(read_dataset("assay/jsonl", options).said.text,
            file.path() +
                ": split_column = \"part\" needs a split; add split with one of \"dev\", \"test\"");
  EXPECT_EQ(read_dataset("assay/jsonl", {{"path", file.path()}, {"split_column", "a"}}, Keep::kRows,
                         "dev")
                .said.text,
            file.path() + ": column \"a\" holds int64; the names of splits are texts");
}

// The sanitizer keeps freed memory back, which says nothing about what is needed.
#ifdef __SANITIZE_ADDRESS__
constexpr int kManyRows = 100'000;
constexpr long kGrowthKib = 1'000'000;
#else
constexpr int kManyRows = 1'000'000;
constexpr long kGrowthKib = 64'000;
#endif

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(JsonlDataset, StreamsAMillionRowsInBoundedMemory) {
  const TempFile file("");
  {
    std::ofstream out(file.path());
    for (int i = 0; i < kManyRows; ++i) {
      out << "{\"id\": " << i << ", \"text\": \"a short document, the " << i << "th\"}\n";
    }
  }
  const long peak_before_kib = peak_kib();
  const auto begin = std::chrono::steady_clock::now();
  const Rows rows = read_dataset("assay/jsonl", {{"path", file.path()}}, Keep::kCountOnly);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.n_rows, static_cast<std::uint64_t>(kManyRows));
  EXPECT_LT(peak_kib() - peak_before_kib, kGrowthKib);
  RecordProperty("rows_per_second", std::to_string(kManyRows / took.count()));
}

TEST(JsonlDataset, ReadsTheBenchmarksAsAJsonLibraryDoes) {
  for (const char* name :
       {"data/benchmarks/arc/arc_easy_test.jsonl", "data/benchmarks/gsm8k/test.jsonl",
        "data/benchmarks/humaneval/HumanEval.jsonl", "data/domain/ledger/test_choices.jsonl"}) {
    const std::string path = shared_file(name);
    if (path.empty()) GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
    const Rows rows = read_dataset("assay/jsonl", {{"path", path}});
    EXPECT_EQ(rows.said.text, "");
    std::ifstream in(path);
    std::size_t i = 0;
    for (std::string line; std::getline(in, line); ++i) {
      ASSERT_LT(i, rows.rows.size());
      const Json& row = rows.rows[i];
      EXPECT_EQ(row, Json::parse(line)) << name << " line " << i + 1;
    }
    EXPECT_EQ(i, rows.n_rows);
  }
}

}  // namespace
}  // namespace plugin_test
