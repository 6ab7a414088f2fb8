#include "host/core/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace assay::host {
namespace {

std::string encoded(unsigned point) {
  std::string text;
  const auto add = [&text](unsigned byte) { text += static_cast<char>(byte); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | point >> 6);
    add(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    add(0xE0 | point >> 12);
    add(0x80 | (point >> 6 & 0x3F));
    add(0x80 | (point & 0x3F));
  } else {
    add(0xF0 | point >> 18);
    add(0x80 | (point >> 12 & 0x3F));
    add(0x80 | (point >> 6 & 0x3F));
    add(0x80 | (point & 0x3F));
  }
  return text;
}

TEST(Utf8Fault, FindsNoneInAnyCharacterAndAllSurrogates) {
  for (unsigned point = 0; point <= 0x110010; ++point) {
    const bool is_scalar = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    ASSERT_EQ(!utf8_fault(encoded(point)), is_scalar) << point;
  }
}

TEST(Utf8Fault, FindsOverlongFormsLoneBytesAndCutCharacters) {
  for (const char* bytes :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xF0\x80\x80\x80",
        "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_EQ(utf8_fault(std::string("ab") + bytes), 2u) << testing::PrintToString(bytes);
  }
}

TEST(Utf8Fault, LetsAZeroByteStand) { EXPECT_FALSE(utf8_fault(std::string_view("a\0b", 3))); }

TEST(MendedUtf8, LeavesWhatIsWellFormed) {
  EXPECT_EQ(mended_utf8("Zürich 🙂"), "Zürich 🙂");
  EXPECT_EQ(mended_utf8(""), "");
}

TEST(MendedUtf8, PutsOneMarkForEachByteThatDoesNotBelong) {
  EXPECT_EQ(mended_utf8("a\xE2\x82z"), "a\xEF\xBF\xBD\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace assay::host
