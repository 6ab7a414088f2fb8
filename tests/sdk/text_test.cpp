// Text as plugins compare it: characters, white space, words, lower case.
#include <gtest/gtest.h>

#include <assay/text.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace assay {
namespace {

TEST(IsUtf8, KnowsGoodFromBad) {
  for (const char* good :
       {"", "a", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  // A lone continuation, overlong forms, a surrogate, beyond the last character, cut short.
  for (const char* bad : {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF0\x80\x80\x80", "\xE2\x82", "\xFF"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(FindInvalidUtf8, NamesTheFirstByteThatIsNone) {
  EXPECT_EQ(find_invalid_utf8("a\xC3\xA4"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("a\xC3\xA4\xFF"), 3U);
  EXPECT_EQ(find_invalid_utf8("ab\xE2\x82"), 2U);
}

TEST(Characters, AreReadTheWayTheyAreSpelt) {
  // All of the first plane, then every 255th: lengths change at 0x80, 0x800 and 0x10000.
  for (char32_t code = 0; code <= 0x10FFFF; code += code < 0x10100 ? 1 : 0xFF) {
    if (code == 0xD800) code = 0xE000;  // surrogates are no characters
    std::string spelling;
    detail::append_utf8(spelling, code);
    const Character first = first_character(spelling + "x"), last = last_character("x" + spelling);
    ASSERT_EQ(first.code, code);
    ASSERT_EQ(last.code, code);
    ASSERT_EQ(first.bytes.size(), spelling.size());
    ASSERT_EQ(last.bytes.size(), spelling.size());
  }
}

TEST(Characters, GiveAByteThatIsNoneForItself) {
  std::string_view text = "\xFF\xE2\x82z";
  std::vector<std::size_t> sizes;
  std::vector<char32_t> codes;
  while (!text.empty()) {
    const Character character = take_character(text);
    sizes.push_back(character.bytes.size());
    codes.push_back(character.code);
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 1, 1}));
  EXPECT_EQ(codes, (std::vector<char32_t>{0xFFFD, 0xFFFD, 0xFFFD, U'z'}));
  EXPECT_EQ(last_character("a\x82").code, char32_t{0xFFFD});
}

TEST(Stripped, LeavesOutWhiteSpaceAtTheEnds) {
  EXPECT_EQ(stripped(" \t\r\na b\xC2\xA0\xE3\x80\x80\x1C"), "a b");
  EXPECT_EQ(stripped(" \xE2\x80\x83 "), "");
  EXPECT_EQ(stripped("\xE2\x80\x8B"
                     "a"),
            "\xE2\x80\x8B"
            "a");  // zero width is no space
}

TEST(WhiteSpace, IsThatOfPython) {
  // ''.join(c for c in map(chr, range(0x110000)) if c.isspace()) has 29 characters.
  int n_spaces = 0;
  for (char32_t code = 0; code <= 0x10FFFF; ++code) n_spaces += is_white_space(code) ? 1 : 0;
  EXPECT_EQ(n_spaces, 29);
}

TEST(Lower, ChangesLettersOfEveryScript) {
  EXPECT_EQ(lower("ABC xyz 1_"), "abc xyz 1_");
  EXPECT_EQ(lower("\xC3\x84\xC3\x89 \xD0\xAF \xCE\xA9 \xF0\x90\x90\x80"),
            "\xC3\xA4\xC3\xA9 \xD1\x8F \xCF\x89 \xF0\x90\x90\xA8");  // the last is Deseret
  EXPECT_EQ(lower("\xC4\xB0\xE1\xBA\x9E\xE2\x84\xAA"),
            "i\xC3\x9Fk");  // I with dot, sharp S, Kelvin
  EXPECT_EQ(lower("A\xFF"
                  "B"),
            "a\xFF"
            "b");
}

TEST(Lower, AgreesWithPythonOnEveryCharacter) {
  std::ifstream file(ASSAY_SDK_TEST_DATA "/lower_case.txt");  // tests/golden/lower_case.py
  std::map<char32_t, char32_t> expected;
  unsigned long from = 0, to = 0;
  while (file >> std::hex >> from >> to)
    expected[static_cast<char32_t>(from)] = static_cast<char32_t>(to);
  ASSERT_EQ(expected.size(), 1432U);
  expected[0x130] = U'i';  // Python writes two characters for it
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    const auto pair = expected.find(code);
    ASSERT_EQ(detail::lower_of(code, detail::unicode_locale()),
              pair == expected.end() ? code : pair->second)
        << std::hex << static_cast<unsigned long>(code);
  }
}

TEST(Lower, KeepsToAsciiWithoutItsLocale) {
  EXPECT_EQ(detail::lower_of(U'A', locale_t{}), U'a');
  EXPECT_EQ(detail::lower_of(U'\u00C4', locale_t{}), U'\u00C4');
}

TEST(WordCharacters, AreLettersDigitsAndTheUnderscore) {
  for (const char32_t code : U"azAZ09_\u00E9\u044F\u4E2D\u0663\U0001D400") {
    if (code == 0) continue;  // the end of the literal
    EXPECT_TRUE(is_word_character(code)) << static_cast<unsigned long>(code);
  }
  for (const char32_t code : U" -.,'\"\n\u00A0\u2019\u2014\u20AC\u00D7\U0001F600") {
    EXPECT_FALSE(is_word_character(code)) << static_cast<unsigned long>(code);
  }
}

TEST(WordCharacters, AreAllBeyondAsciiWithoutTheirLocale) {
  EXPECT_TRUE(detail::is_word(U'\u2014', locale_t{}));
  EXPECT_FALSE(detail::is_word(U'-', locale_t{}));
}

TEST(Punctuation, IsThatOfAscii) {
  EXPECT_EQ(without_punctuation("U.S.-{a_b}~ \xE2\x80\x94 c!"), "USab \xE2\x80\x94 c");
  std::string ascii;
  for (char c = 1; c < 127; ++c) ascii += c;
  EXPECT_EQ(ascii.size() - without_punctuation(ascii).size(), 32U);  // len(string.punctuation)
}

}  // namespace
}  // namespace assay
