#include <gtest/gtest.h>

#include "host/core/hash.hpp"
#include "tests/plugins/plugin_host.hpp"
#include "tests/plugins/test_files.hpp"

namespace plugin_test {
namespace {

std::vector<std::string> texts_of(const Rows& rows) {
  EXPECT_EQ(rows.said.text, "");
  std::vector<std::string> texts;
  for (const Json& row : rows.rows) texts.push_back(row.at("text").get<std::string>());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(TextDataset, IsOneDocumentByDefault) {
  const TempFile file("one\ntwo\n");
  const Rows rows = read_dataset("assay/text", {{"path", file.path()}});
  EXPECT_EQ(texts_of(rows), Texts{"one\ntwo\n"});
  EXPECT_EQ(rows.schema, (Json{{"text", "u"}}));
}

TEST(TextDataset, OfAnEmptyFileHasNoRows) {
  const TempFile file("");
  for (const char* documents : {"file", "lines"}) {
    EXPECT_EQ(
        texts_of(read_dataset("assay/text", {{"path", file.path()}, {"documents", documents}})),
        Texts{});
  }
}

TEST(TextDataset, KeepsTheLineEndAndMakesABlankLineEmpty) {
  const TempFile file("a\n \t\n\xC2\xA0\n\r\nb\r\nc");
  EXPECT_EQ(texts_of(read_dataset("assay/text", {{"path", file.path()}, {"documents", "lines"}})),
            (Texts{"a\n", "", "", "", "b\r\n", "c"}));
}

TEST(TextDataset, LeavesOutEmptyDocumentsWhenItStrips) {
  const TempFile file("\xE2\x80\x83one \n\n \ntwo\n");
  EXPECT_EQ(texts_of(read_dataset(
                "assay/text", {{"path", file.path()}, {"documents", "lines"}, {"strip", true}})),
            (Texts{"one", "two"}));
}

TEST(TextDataset, StripsAFileDownToNothing) {
  const TempFile file(" \n");
  EXPECT_EQ(texts_of(read_dataset("assay/text", {{"path", file.path()}, {"strip", true}})),
            Texts{});
}

TEST(TextDataset, CutsAtASeparatorAndStartsNoDocumentAfterTheLastOne) {
  const TempFile file("one<|end|>two<|end|><|end|>");
  EXPECT_EQ(texts_of(read_dataset(
                "assay/text",
                {{"path", file.path()}, {"documents", "separator"}, {"separator", "<|end|>"}})),
            (Texts{"one", "two", ""}));
}

TEST(TextDataset, FindsASeparatorThatTwoBlocksShare) {
  // The reader takes 1 MiB at a time: the separator lies across the end of the first block.
  const std::string first((1 << 20) - 3, 'a');
  const TempFile file(first + "<|end|>b");
  EXPECT_EQ(texts_of(read_dataset(
                "assay/text",
                {{"path", file.path()}, {"documents", "separator"}, {"separator", "<|end|>"}})),
            (Texts{first, "b"}));
}

TEST(TextDataset, LeavesOutAByteOrderMark) {
  const TempFile file("\xEF\xBB\xBFone");
  EXPECT_EQ(texts_of(read_dataset("assay/text", {{"path", file.path()}})), Texts{"one"});
}

TEST(TextDataset, GivesTheSameRowsWhenOpenedAgain) {
  const TempFile file("one\ntwo\n");
  const Json options{{"path", file.path()}, {"documents", "lines"}};
  EXPECT_EQ(texts_of(read_dataset("assay/text", options)),
            texts_of(read_dataset("assay/text", options)));
}

struct Refusal {
  Json options;
  std::string content;
  std::string where, text;  ///< "{}" stands for the path
};

void expect_refusal(const char* dataset, const Refusal& refusal) {
  const TempFile file(refusal.content);
  Json options = refusal.options;
  if (!options.contains("path")) options["path"] = file.path();
  const Rows rows = read_dataset(dataset, options, Keep::kCountOnly);
  EXPECT_EQ(rows.said.text, with_path(refusal.text, options["path"].get<std::string>()));
}

TEST(TextDataset, RefusesADocumentOf50MbAndSaysHowToSplitIt) {
  const std::string big(50 << 20, 'a');
  expect_refusal(
      "assay/text",
      {{},
       big,
       "documents",
       "{}:1: the document that starts here has 52428800 bytes, and one may have at most "
       "33554432 (32 MiB); cut the file with documents = \"lines\" or documents = "
       "\"separator\""});
  expect_refusal(
      "assay/text",
      {{{"documents", "lines"}},
       "first\n" + big + "\nlast\n",
       "documents",
       "{}:2: the document that starts here has 52428800 bytes, and one may have at most "
       "33554432 (32 MiB); put a line break into it"});
  expect_refusal(
      "assay/text",
      {{{"documents", "separator"}, {"separator", "###"}},
       "a\n###" + big + "###b",
       "documents",
       "{}:2: the document that starts here has 52428800 bytes, and one may have at most "
       "33554432 (32 MiB); put another separator into it, or use documents = \"lines\""});
}

TEST(TextDataset, TakesTheLargestDocumentThatIsAllowed) {
  const TempFile file(std::string(32 << 20, 'a'));
  EXPECT_EQ(read_dataset("assay/text", {{"path", file.path()}}, Keep::kCountOnly).n_rows, 1u);
}

TEST(TextDataset, NamesLineAndByteOfWhatIsNotUtf8) {
  const std::string text = "{}:2: byte 5 of the file is not UTF-8; save the file as UTF-8";
  expect_refusal("assay/text", {{}, "ab\ncd\xFF\n", "path", text});
  expect_refusal("assay/text", {{{"documents", "lines"}}, "ab\ncd\xFF\n", "path", text});
  expect_refusal("assay/text", {{}, "ab\ncd\xED\xA0\x80\n", "path", text});  // a surrogate
  expect_refusal("assay/text", {{}, "ab\ncd\xC0\xAF\n", "path", text});      // an overlong slash
  expect_refusal("assay/text", {{}, "ab\ncd\xF0\x9F\x98", "path", text});    // a cut character
}

TEST(TextDataset, RefusesASeparatorWithoutItsOptionAndTheOptionWithoutOne) {
  expect_refusal("assay/text",
                 {{{"separator", "x"}},
                  "",
                  "separator",
                  "separator is used only with documents = \"separator\"; add that or leave "
                  "separator out"});
  expect_refusal("assay/text", {{{"documents", "separator"}},
                                "",
                                "separator",
                                "documents = \"separator\" needs a separator, such as separator = "
                                "\"<|endoftext|>\""});
  expect_refusal("assay/text", {{{"documents", "separator"}, {"separator", ""}},
                                "",
                                "separator",
                                "documents = \"separator\" needs a separator, such as separator = "
                                "\"<|endoftext|>\""});
}

TEST(TextDataset, RefusesAFileThatIsNotThereAndAFolder) {
  const TempFile file("");
  expect_refusal("assay/text", {{{"path", file.path() + ".gone"}},
                                "",
                                "path",
                                "{}: cannot be opened: No such file or directory"});
  expect_refusal("assay/text",
                 {{{"path", file.folder()}},
                  "",
                  "path",
                  "{}: this is a folder; name one text file, or say which split (split = \"test\" "
                  "opens test.txt in it)"});
}

TEST(TextDataset, OpensTheFileOfASplit) {
  const TempFile temp("one");
  std::ofstream(temp.folder() + "/dev.txt") << "dev";
  EXPECT_EQ(texts_of(read_dataset("assay/text", {{"path", temp.folder()}}, Keep::kRows, "dev")),
            Texts{"dev"});
  EXPECT_EQ(texts_of(read_dataset("assay/text", {{"path", temp.folder() + "/{split}.txt"}},
                                  Keep::kRows, "dev")),
            Texts{"dev"});
  EXPECT_EQ(
      read_dataset("assay/text", {{"path", temp.path()}}, Keep::kRows, "train").said.text,
      temp.path() +
          " is one text file and has no split \"train\"; put {split} into path, name a folder "
          "that holds train.txt, or leave split out");
}

TEST(TextDataset, GivesTheRowsOfThePublishedWikiText) {
  const std::string path = shared_file("data/text/wikitext-2-raw/wiki.test.raw");
  if (path.empty()) GTEST_SKIP() << "needs the shared reference data (ASSAY_SHARED)";
  const Rows rows = read_dataset("assay/text", {{"path", path}, {"documents", "lines"}});
  std::string joined;
  for (const std::string& text : texts_of(rows)) joined += text + "\n\n";
  joined.resize(joined.size() - 2);
  EXPECT_EQ(rows.n_rows, 4358u);
  // text_sha256 of the oracle's wikitext2-joined.perplexity.json: the rows of the Hub, joined as
  // the transformers guide does.
  EXPECT_EQ(assay::host::sha256(joined),
            "696cca6b65a171b0a358a4be6732cdfdf2dd6164a32e20fd70e3c13fc4dfae83");
}

}  // namespace
}  // namespace plugin_test
