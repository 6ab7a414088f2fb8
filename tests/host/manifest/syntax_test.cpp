#include "tests/host/manifest/workspace.hpp"

namespace assay::host {
namespace {

class Syntax : public Workspace {};

TEST_F(Syntax, NamesTheTextThatIsNotClosed) {
  EXPECT_EQ(errors_of("assay = 1\nname = \"half\nseed = 3\n"),
            R"(run.toml:2:13: not TOML: this text has no closing quote on its line
  2 | name = "half
    |             ^
help: close it, or write three quotes on both sides of a text of several lines
)");
}

TEST_F(Syntax, AsksForQuotes) {
  EXPECT_EQ(errors_of("assay = 1\n[model.a]\nbackend = assay/torch\n"),
            R"(run.toml:3:11: not TOML: expected a value here
  3 | backend = assay/torch
    |           ^
help: texts stand in quotes: backend = "assay/torch"
)");
}

TEST_F(Syntax, AsksForQuotesAroundPercentages) {
  EXPECT_EQ(errors_of("assay = 1\n[[gate]]\nmax_increase = 5%\n"),
            R"(run.toml:3:17: not TOML: in a number: expected digit, saw '%'
  3 | max_increase = 5%
    |                 ^
help: percentages stand in quotes: "5%"
)");
}

// toml++ 3.3 takes such letters for impossible where it looks for white space.
TEST_F(Syntax, PointsAtALetterThatNeedsQuotesInAKey) {
  EXPECT_EQ(errors_of("assay = 1\nkommentär = 1\n"),
            R"(run.toml:2:8: not TOML: in a key: expected '=', saw 'ä'
  2 | kommentär = 1
    |        ^
)");
  EXPECT_EQ(
      errors_of("assay = 1\nключ = 1\n"),
      R"(run.toml:2:1: not TOML: in a line: expected keys, tables, whitespace or comments, saw 'к'
  2 | ключ = 1
    | ^
)");
}

TEST_F(Syntax, PointsAtTheSecondOfTwoEqualKeys) {
  EXPECT_EQ(errors_of("assay = 1\nname = \"a\"\n  name   = \"b\"\n"),
            R"(run.toml:3:3: not TOML: "name" is there twice
  3 |   name   = "b"
    |   ^^^^
help: keep one of them
)");
}

TEST_F(Syntax, PointsAtTheSecondOfTwoEqualTables) {
  EXPECT_EQ(errors_of("assay = 1\n[model.a]\n[model.a]\n"),
            R"(run.toml:3:1: not TOML: "model.a" is there twice
  3 | [model.a]
    | ^^^^^^^^^
help: keep one of them
)");
}

TEST_F(Syntax, SaysInsideWhatTheFileEnds) {
  EXPECT_EQ(errors_of("assay = 1\nx = [1,"), R"(run.toml:2:8: not TOML: the file ends inside a list
  2 | x = [1,
    |        ^
)");
  EXPECT_EQ(errors_of("assay = 1\n[model"),
            R"(run.toml:2:7: not TOML: the file ends inside a table's header
  2 | [model
    |       ^
)");
}

TEST_F(Syntax, ReportsATableHeaderThatDoesNotBeginWithAKey) {
  EXPECT_EQ(errors_of("assay = 1\n[{x}]\n"),
            R"(run.toml:2:2: not TOML: in a key: expected a key, saw '{'
  2 | [{x}]
    |  ^
)");
  EXPECT_EQ(errors_of("assay = 1\n[\n"),
            R"(run.toml:2:2: not TOML: in a key: expected a key, saw the end of the line
  2 | [
    |  ^
)");
}

TEST_F(Syntax, SaysWhichSignIsMissing) {
  EXPECT_EQ(errors_of("assay\n"),
            R"(run.toml:1:6: not TOML: in a key: expected '=', saw the end of the line
  1 | assay
    |      ^
)");
}

TEST_F(Syntax, RefusesNumbersThatAreTooLarge) {
  EXPECT_EQ(
      errors_of("assay = 99999999999999999999\n"),
      R"(run.toml:1:29: not TOML: in a number: '99999999999999999999' is not representable in 64 bits
  1 | assay = 99999999999999999999
    |                             ^
)");
}

TEST_F(Syntax, NamesTheByteThatIsNotUtf8) {
  EXPECT_EQ(errors_of("assay = 1\nname = \"\xC3\xA9 caf\xE9\"\n"),
            "run.toml:2:14: not UTF-8: a stray byte 0xE9\n"
            "  2 | name = \"\xC3\xA9 caf\xEF\xBF\xBD\"\n"
            "    |              ^\n"
            "help: save the file as UTF-8\n");
}

TEST_F(Syntax, RefusesKeysOfVeryManyPartsBeforeTheParserRecursesOverThem) {
  std::string key = "a";
  for (int i = 0; i < 1'000'000; ++i) key += ".a";
  const std::string said = errors_of("assay = 1\n" + key + " = 1\n");
  EXPECT_EQ(said.substr(0, said.find('\n')), "run.toml:2:32: this key has more than 16 parts");
}

TEST_F(Syntax, CountsNoDotsInsideTextsAndComments) {
  EXPECT_EQ(errors_of("assay = 1 # ........................\n"
                      "name = \"....................\\\".......\" # ......\n"
                      "[dataset.d]\nuse = 'x/.....................'\n"
                      "a = \"\"\"\n.\"...........................\n\"\"\"\n"
                      "b = '''\n............................\\'''\n"),
            "");
}

TEST_F(Syntax, RefusesValuesThatNestVeryDeep) {
  EXPECT_EQ(errors_of("a = " + std::string(100'000, '[')),
            "run.toml:1:37: not TOML: values nest more than 32 deep\n"
            "  1 | a = " +
                std::string(156, '[') +
                "...\n"
                "    | " +
                std::string(36, ' ') + "^\n");
}

TEST(ParseValue, ReadsTheDefaultOfAnOption) {
  const auto value = parse_value("[1, 2]");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(std::get<std::vector<Value>>(value->data).size(), 2U);
  EXPECT_EQ(value->place.line, 0U);
}

TEST(ParseValue, RefusesWhatIsNoValueOrMoreThanOne) {
  EXPECT_EQ(parse_value("rtn").error().text, "not TOML: expected a value here");
  EXPECT_EQ(parse_value("1\nb = 2").error().text, "not one TOML value");
}

}  // namespace
}  // namespace assay::host
