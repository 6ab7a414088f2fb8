#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "host/core/hash.hpp"
#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/test_files.hpp"

namespace plugin_test {
namespace {

const Json kNoHeader{{"header", false}, {"columns", {"a", "b"}}};

Rows rows_of(const std::string& content, Json options = Json::object()) {
  const TempFile file(content);
  options["path"] = file.path();
  return read_dataset("assay/csv", options);
}

/// The message about a file of this content, its path written as "{}".
std::string complaint_about(const std::string& content, Json options = Json::object()) {
  const TempFile file(content);
  options["path"] = file.path();
  std::string text = read_dataset("assay/csv", options, Keep::kCountOnly).said.text;
  for (std::size_t at; (at = text.find(file.path())) != std::string::npos;) {
    text.replace(at, file.path().size(), "{}");
  }
  return text;
}

TEST(CsvDataset, GivesTheColumnsOfTheHeaderAsTexts) {
  const Rows rows = rows_of("question,answer\nwho?,007\n\"a \"\"b\"\", c\",\n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.schema, (Json{{"question", "u"}, {"answer", "u"}}));
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0], (Json{{"question", "who?"}, {"answer", "007"}}));
  EXPECT_EQ(rows.rows[1], (Json{{"question", "a \"b\", c"}, {"answer", ""}}));
}

TEST(CsvDataset, KeepsLineEndsInsideQuotes) {
  const Rows rows = rows_of("a,b\r\n\"one\r\ntwo\nthree\rfour\",x\r\n");
  EXPECT_EQ(rows.said.text, "");
  ASSERT_EQ(rows.n_rows, 1u);
  EXPECT_EQ(rows.rows[0], (Json{{"a", "one\r\ntwo\nthree\rfour"}, {"b", "x"}}));
}

TEST(CsvDataset, TakesAByteOrderMarkBlankLinesAndALastLineWithoutEnd) {
  for (const char* end : {"\n", "\r\n"}) {
    std::string text = "\xEF\xBB\xBF\na,b\n\n1,2\n\n\n3,\"4\"";
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
      text.replace(at, 1, end);
    }
    const Rows rows = rows_of(text);
    EXPECT_EQ(rows.said.text, "");
    ASSERT_EQ(rows.n_rows, 2u);
    EXPECT_EQ(rows.rows[1], (Json{{"a", "3"}, {"b", "4"}}));
  }
}

TEST(CsvDataset, KeepsSpacesAndAQuoteInsideAFieldWithoutQuotes) {
  const Rows rows = rows_of("a,b\n 5\" nail , x\"\"y\n");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.rows.at(0), (Json{{"a", " 5\" nail "}, {"b", " x\"\"y"}}));
}

TEST(CsvDataset, MakesABlankLineARowOnlyWhereQuotesSaySo) {
  const Rows rows = rows_of("a\n\n\"\"\nx\n");
  EXPECT_EQ(rows.said.text, "");
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0], (Json{{"a", ""}}));
}

TEST(CsvDataset, TakesNamesForAFileWithoutHeader) {
  const Rows rows = rows_of("1,2\n3,4\n", kNoHeader);
  EXPECT_EQ(rows.said.text, "");
  ASSERT_EQ(rows.n_rows, 2u);
  EXPECT_EQ(rows.rows[0], (Json{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(rows_of("", kNoHeader).n_rows, 0u);
}

TEST(CsvDataset, TakesAnotherSeparator) {
  EXPECT_EQ(rows_of("a\tb\n1,5\t2\n", {{"separator", "\t"}}).rows.at(0),
            (Json{{"a", "1,5"}, {"b", "2"}}));
  EXPECT_EQ(rows_of("a;b\n1,5;\";\"\n", {{"separator", ";"}}).rows.at(0),
            (Json{{"a", "1,5"}, {"b", ";"}}));
}

TEST(CsvDataset, MakesNumbersOfColumnsThatLoseNothingByIt) {
  const Rows rows = rows_of(
      "n,x,zip,mixed,word,none\n"
      "1,0.5,007,1,1,\n"
      "-20,1.0,123,1.5,a,\n"
      ",-3.25,5,2,2,\n",
      {{"types", "infer"}});
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(
      rows.schema,
      (Json{{"n", "l?"}, {"x", "g"}, {"zip", "u"}, {"mixed", "u"}, {"word", "u"}, {"none", "u"}}));
  ASSERT_EQ(rows.n_rows, 3u);
  EXPECT_EQ(rows.rows[1], Json::parse(R"({"n":-20,"x":1.0,"zip":"123","mixed":"1.5","word":"a",
                                          "none":""})"));
  EXPECT_EQ(rows.rows[2].at("n"), nullptr);
}

TEST(CsvDataset, LeavesSpellingsThatANumberWouldNotKeepAsTexts) {
  for (const char* spelling :
       {"+1", "-0", "1.", ".5", "0.50", "1e5", "1e-5", "0.00001", " 1", "nan", "inf", "0x10",
        "1_000", "9223372036854775808", "1000000000000000.0"}) {
    const Rows rows = rows_of("a\n" + std::string(spelling) + "\n", {{"types", "infer"}});
    EXPECT_EQ(rows.schema, (Json{{"a", "u"}})) << spelling;
    EXPECT_EQ(rows.rows.at(0).at("a"), spelling);
  }
  EXPECT_EQ(rows_of("a\n9223372036854775807\n-9223372036854775808\n", {{"types", "infer"}}).schema,
            (Json{{"a", "l"}}));
  EXPECT_EQ(rows_of("a\n0.1\n-0.0\n0.0001\n123456.789\n", {{"types", "infer"}}).schema,
            (Json{{"a", "g"}}));
}

TEST(CsvDataset, NamesTheLineWhereARowOfAnotherLengthStarts) {
  EXPECT_EQ(
      complaint_about("a,b,c\n1,2,3\n\"x\ny\",2\n"),
      "{}:3: row has 2 fields, the header has 3; put fields that hold the separator or a line "
      "end in quotes");
  EXPECT_EQ(
      complaint_about("a,b\n\"1\n1\",2\n1,2,3\n"),
      "{}:4: row has 3 fields, the header has 2; put fields that hold the separator or a line "
      "end in quotes");
  EXPECT_EQ(complaint_about("1\n", kNoHeader),
            "{}:1: row has 1 field, columns names 2; put fields that hold the separator or a line "
            "end in quotes");
}

TEST(CsvDataset, NamesTheLineOfAQuoteThatIsNeverClosed) {
  EXPECT_EQ(complaint_about("a,b\n1,2\n3,\"x\n4,5\n6,7\n"),
            "{}:3: the quote that opens a field here is never closed; close it, and write a quote "
            "inside a field twice");
  EXPECT_EQ(complaint_about("a,b\n1,\"two\nthree\"\"\n"),
            "{}:2: the quote that opens a field here is never closed; close it, and write a quote "
            "inside a field twice");
}

TEST(CsvDataset, NamesTheLineOfTextBehindAClosingQuote) {
  const std::string text =
      ": text follows the quote that closes a field; write a quote inside a field twice, and leave "
      "nothing between the closing one and the separator";
  EXPECT_EQ(complaint_about("a,b\n\"say \"hi\" now\",2\n"), "{}:2" + text);
  EXPECT_EQ(complaint_about("a,b\n\"one\ntwo\" ,2\n"), "{}:3" + text);
  EXPECT_EQ(complaint_about("a,b\n1,\"2\"\r3,4\n"), "{}:2" + text);
}

TEST(CsvDataset, NamesTheLineOfALoneCarriageReturn) {
  const std::string text =
      ": a carriage return stands alone in a field without quotes; put the field in quotes, or "
      "save "
      "the file with LF or CR LF line ends";
  EXPECT_EQ(complaint_about("a,b\r1,2\r"), "{}:1" + text);
  EXPECT_EQ(complaint_about("a,b\n1,2\r"), "{}:2" + text);
  EXPECT_EQ(complaint_about("a,b\n1\r2,3\n"), "{}:2" + text);
}

TEST(CsvDataset, NamesTheLineOfWhatIsNoText) {
  EXPECT_EQ(complaint_about("a,b\n1,\"x\ny\xFF\"\n"), "{}:3: not UTF-8; save the file as UTF-8");
  EXPECT_EQ(complaint_about("a,\xE9\n"), "{}:1: not UTF-8; save the file as UTF-8");
  EXPECT_EQ(complaint_about(std::string("a,b\n1,2\0\n", 9)),
            "{}:2: a NUL byte; is this a text file in UTF-8?");
}

TEST(CsvDataset, RefusesHeadersWithoutOrWithEqualNames) {
  EXPECT_EQ(complaint_about("\na,b,a\n"),
            "{}:2: the header: the name \"a\" is there twice; give every column its own");
  EXPECT_EQ(complaint_about("a,\n"),
            "{}:1: the header: column 2 has no name; give every column one");
  EXPECT_EQ(complaint_about("\n\n"),
            "{}: the file is empty; its first record must name the columns");
  EXPECT_EQ(complaint_about("1\n", {{"header", false}, {"columns", {"a", "a"}}}),
            "columns: the name \"a\" is there twice; give every column its own");
  EXPECT_EQ(complaint_about("1\n", {{"header", false}, {"columns", Json::array()}}),
            "columns names 0 columns; a file has 1 to 4096");
}

TEST(CsvDataset, RefusesOptionsThatDoNotGoTogether) {
  EXPECT_EQ(
      complaint_about("", {{"columns", {"a"}}}),
      "the header names the columns; leave columns out, or say header = false where the first "
      "line is a record");
  EXPECT_EQ(complaint_about("", {{"header", false}}),
            "header = false needs the names of the columns, such as columns = [\"question\", "
            "\"answer\"]");
  for (const char* separator : {"", "ab", "\"", "\n", "\r", "\xC3\xA9"}) {
    EXPECT_EQ(complaint_about("", {{"separator", separator}}),
              "separator must be one ASCII character that is no quote and no line end, such as "
              "\",\", \";\" or \"\\t\"")
        << separator;
  }
}

TEST(CsvDataset, RefusesFieldsAndRecordsThatAreTooLarge) {
  const std::string most(16 << 20, 'a');
  EXPECT_EQ(complaint_about("a,b\n1," + most + "\n"), "");
  EXPECT_EQ(
      complaint_about("a,b\n1,\"\n" + most + "\"\n"),
      "{}:2: the field that starts here has more than 16777216 bytes (16 MiB); shorten it, or "
      "close its quote if that is missing");
  EXPECT_EQ(complaint_about("a,b,c\n1,2,3\n" + most + "," + most + ",x\n"),
            "{}:3: the record has more than 33554432 bytes (32 MiB); split it, or close a quote if "
            "one is missing");
}

TEST(CsvDataset, RefusesAFileThatIsNotThere) {
  const TempFile file("");
  EXPECT_EQ(read_dataset("assay/csv", {{"path", file.path() + ".gone"}}).said.text,
            file.path() + ".gone: cannot be opened: No such file or directory");
}

TEST(CsvDataset, TakesARecordThatTwoBlocksShare) {
  // The reader takes 1 MiB at a time: quotes and CR LF lie across the ends of blocks.
  for (int shift = 0; shift < 8; ++shift) {
    const std::string first(static_cast<std::size_t>((1 << 20) - 8 + shift), 'x');
    const Rows rows = rows_of("a,b\r\n" + first + ",\"\"\"\"\r\ny,z\r\n");
    ASSERT_EQ(rows.said.text, "");
    ASSERT_EQ(rows.n_rows, 2u);
    EXPECT_EQ(rows.rows[0].at("b"), "\"");
    EXPECT_EQ(rows.rows[1], (Json{{"a", "y"}, {"b", "z"}}));
  }
}

std::string file_in(const TempFile& temp, const std::string& name, const std::string& content) {
  std::ofstream(temp.folder() + "/" + name, std::ios::binary) << content;
  return temp.folder();
}

TEST(CsvDataset, OpensTheFileOfASplit) {
  const TempFile temp("a\nno split\n");
  file_in(temp, "dev.csv", "a\ndev\n");
  file_in(temp, "test.csv", "a,b\ntest,1\n");
  for (const std::string& path : {temp.folder(), temp.folder() + "/{split}.csv"}) {
    const Rows dev = read_dataset("assay/csv", {{"path", path}}, Keep::kRows, "dev");
    EXPECT_EQ(dev.said.text, "");
    EXPECT_EQ(dev.rows.at(0), (Json{{"a", "dev"}}));
    const Rows test = read_dataset("assay/csv", {{"path", path}}, Keep::kRows, "test");
    EXPECT_EQ(test.rows.at(0), (Json{{"a", "test"}, {"b", "1"}}));
  }
  EXPECT_EQ(read_dataset("assay/csv", {{"path", temp.path()}}, Keep::kRows, "dev").said.text,
            temp.path() +
                " is one CSV file and has no split \"dev\"; put {split} into path, name a folder "
                "that holds dev.csv, set split_column, or leave split out");
}

TEST(CsvDataset, TakesTheRowsOfASplitOutOfOneFile) {
  const TempFile file("a,part\n1,dev\n2,test\n3,dev\n4,\n");
  const Json options{{"path", file.path()}, {"split_column", "part"}, {"types", "infer"}};
  const Rows dev = read_dataset("assay/csv", options, Keep::kRows, "dev");
  EXPECT_EQ(dev.said.text, "");
  ASSERT_EQ(dev.n_rows, 2u);
  EXPECT_EQ(dev.rows[1], (Json{{"a", 3}, {"part", "dev"}}));
  EXPECT_EQ(read_dataset("assay/csv", options, Keep::kRows, "test").n_rows, 1u);
  EXPECT_EQ(
      read_dataset("assay/csv", options, Keep::kRows, "train").said.text,
      file.path() + ": no row has \"train\" in column \"part\", which holds \"dev\", \"test\"");
  EXPECT_EQ(read_dataset("assay/csv", options).said.text,
            file.path() +
                ": split_column = \"part\" needs a split; add split with one of \"dev\", \"test\"");
}

TEST(CsvDataset, TakesSplitsThatAreSpeltLikeNumbers) {
  const TempFile file("a,fold\n1,0\n2,1\n");
  const Rows rows = read_dataset(
      "assay/csv", {{"path", file.path()}, {"split_column", "fold"}, {"types", "infer"}},
      Keep::kRows, "1");
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.rows.at(0), (Json{{"a", 2}, {"fold", "1"}}));
}

TEST(CsvDataset, RefusesTwoWaysToChooseASplit) {
  EXPECT_EQ(read_dataset("assay/csv", {{"path", "d/{split}.csv"}, {"split_column", "part"}},
                         Keep::kRows, "dev")
                .said.text,
            "split_column and {split} in path both choose rows by the split; leave one out");
}

Json golden() {
  return Json::parse(
      read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/plugins/datasets/data/csv.json"));
}

TEST(CsvDataset, ReadsWhatPythonWritesAsPythonReadsIt) {
  for (const char* name : {"comma", "tab", "quoted"}) {
    const Json expected = golden().at(name);
    const std::string path =
        std::string(ASSAY_SOURCE_DIR) + "/tests/plugins/datasets/data/" + name + ".csv";
    const Rows rows =
        read_dataset("assay/csv", {{"path", path}, {"separator", expected.at("separator")}});
    ASSERT_EQ(rows.said.text, "");
    ASSERT_EQ(rows.n_rows + 1, expected.at("rows").size()) << name;
    for (std::size_t i = 0; i < rows.rows.size(); ++i) {
      Json fields = Json::array();
      for (const auto& [column, value] : rows.rows[i].items()) fields.push_back(value);
      EXPECT_EQ(fields, expected.at("rows").at(i + 1)) << name << " row " << i;
    }
  }
}

/// All records of a folder's files, by name, as tests/golden/csv_records.py digests them.
Json digest_of(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::string bytes;
  std::uint64_t n_records = 0;
  for (const std::string& path : paths) {
    const Rows rows = read_dataset(
        "assay/csv",
        {{"path", path}, {"header", false}, {"columns", {"q", "a", "b", "c", "d", "k"}}});
    EXPECT_EQ(rows.said.text, "");
    n_records += rows.n_rows;
    for (const Json& row : rows.rows) {
      for (const auto& [column, value] : row.items()) bytes += value.get<std::string>() + "\x1f";
      bytes += "\x1e";
    }
  }
  return {{"records", n_records}, {"sha256", assay::host::sha256(bytes)}};
}

TEST(CsvDataset, ReadsEveryRecordOfMmluAsPythonDoes) {
  const std::string benchmarks = shared_file("data/benchmarks/mmlu");
  const std::string originals = shared_file("data/domain/medical/mmlu-original");
  if (benchmarks.empty() || originals.empty()) {
    GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
  }
  EXPECT_EQ(digest_of(benchmarks + "/test"), golden().at("mmlu").at("test"));
  EXPECT_EQ(digest_of(benchmarks + "/dev"), golden().at("mmlu").at("dev"));
  EXPECT_EQ(digest_of(originals), golden().at("mmlu-original"));
}

TEST(CsvDataset, CountsTheQuestionsOfMmlu) {
  const std::string folder = shared_file("data/benchmarks/mmlu");
  if (folder.empty()) GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
  for (const auto& [split, n_questions] :
       std::map<std::string, std::uint64_t>{{"test", 14042}, {"dev", 285}}) {
    std::uint64_t n_rows = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/" + split)) {
      n_rows +=
          read_dataset("assay/csv", {{"path", entry.path().string()}}, Keep::kCountOnly).n_rows;
    }
    EXPECT_EQ(n_rows, n_questions) << split;
  }
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

TEST(CsvDataset, StreamsAMillionRowsInBoundedMemory) {
  const TempFile file("");
  {
    std::ofstream out(file.path());
    out << "id,text,part\n";
    for (int i = 0; i < kManyRows; ++i) {
      out << i << ",\"a short document, the \"\"" << i << "th\"\"\",test\n";
    }
  }
  const long peak_before_kib = peak_kib();
  const auto begin = std::chrono::steady_clock::now();
  const Rows rows =
      read_dataset("assay/csv", {{"path", file.path()}, {"types", "infer"}}, Keep::kCountOnly);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(rows.said.text, "");
  EXPECT_EQ(rows.n_rows, static_cast<std::uint64_t>(kManyRows));
  EXPECT_LT(peak_kib() - peak_before_kib, kGrowthKib);
  RecordProperty("rows_per_second", std::to_string(kManyRows / took.count()));
}

}  // namespace
}  // namespace plugin_test
