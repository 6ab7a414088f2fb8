#include <gtest/gtest.h>

#include "host/manifest/manifest.hpp"

namespace assay::host {
namespace {

const std::vector<Source> kTiny = {
    {"tiny.toml", "a\nb\nc\nuse = \"assay/perplexty\"\n\tuse = \xC3\xA9 \xE6\xBC\xA2 x\n"}};

TEST(Render, IsTheFormOfTheStyleGuide) {
  EXPECT_EQ(render(kTiny, {{0, 4, 7, 17},
                           "unknown component \"assay/perplexty\"",
                           "did you mean \"assay/perplexity\"? `assay plugins list` shows all "
                           "components found"}),
            R"(tiny.toml:4:7: unknown component "assay/perplexty"
  4 | use = "assay/perplexty"
    |       ^^^^^^^^^^^^^^^^^
help: did you mean "assay/perplexity"? `assay plugins list` shows all components found)");
}

TEST(Render, KeepsTheCaretUnderThePlaceBehindTabsAndWideCharacters) {
  EXPECT_EQ(render(kTiny, {{0, 5, 12, 1}, "wrong", ""}),
            "tiny.toml:5:12: wrong\n  5 | \tuse = \xC3\xA9 \xE6\xBC\xA2 x\n    | \t           ^");
  EXPECT_EQ(render(kTiny, {{0, 5, 10, 1}, "wrong", ""}),
            "tiny.toml:5:10: wrong\n  5 | \tuse = \xC3\xA9 \xE6\xBC\xA2 x\n    | \t        ^^");
}

TEST(Render, NamesTheFileAloneWhereThereIsNoPlace) {
  EXPECT_EQ(render(kTiny, {{}, "the manifest has no task", "write one"}),
            "tiny.toml: the manifest has no task\nhelp: write one");
}

TEST(Render, StaysInsideTheFile) {
  EXPECT_EQ(render(kTiny, {{0, 99, 99, 99}, "wrong", ""}),
            "tiny.toml:99:99: wrong\n  99 | \n     | ^");
  EXPECT_EQ(render(kTiny, {{7, 1, 1, 1}, "wrong", ""}), "1:1: wrong");
  EXPECT_EQ(render({}, {{}, "wrong", ""}), "wrong");
}

TEST(Render, ShowsThePartOfALongLineThatMatters) {
  const std::vector<Source> sources = {
      {"x.toml", std::string(300, 'a') + "!" + std::string(300, 'b')}};
  EXPECT_EQ(render(sources, {{0, 1, 301, 1}, "wrong", ""}),
            "x.toml:1:301: wrong\n  1 | ..." + std::string(60, 'a') + "!" + std::string(99, 'b') +
                "...\n    | " + std::string(63, ' ') + "^");
}

TEST(Render, GivesATerminalNothingToObey) {
  const std::vector<Source> sources = {{"x.toml", "a = \"\x1b[31m\""}};
  EXPECT_EQ(render(sources, {{0, 1, 5, 1}, "wrong \x1b[0m", ""}),
            "x.toml:1:5: wrong  [0m\n  1 | a = \"\xEF\xBF\xBD[31m\"\n    |     ^");
}

TEST(PutInFileOrder, SortsByPlaceAndSaysNothingTwice) {
  std::vector<Diagnostic> errors = {{{}, "no place", ""},    {{1, 1, 1, 1}, "second file", ""},
                                    {{0, 9, 2, 1}, "c", ""}, {{0, 9, 1, 1}, "b", ""},
                                    {{0, 2, 5, 1}, "a", ""}, {{0, 9, 1, 1}, "d", ""},
                                    {{0, 9, 1, 1}, "b", ""}};
  put_in_file_order(errors);
  std::string order;
  for (const Diagnostic& error : errors) order += error.text + ";";
  EXPECT_EQ(order, "a;b;d;c;second file;no place;");
}

}  // namespace
}  // namespace assay::host
