// The wall: whatever a component throws becomes the caller's error.
#include <gtest/gtest.h>

#include <assay/error.hpp>
#include <new>
#include <stdexcept>
#include <string>

namespace assay {
namespace {

assay_error fresh() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

TEST(Wall, GivesOkAndLeavesTheErrorAloneWhenNothingIsThrown) {
  assay_error error = fresh();
  error.text[0] = 'x';
  EXPECT_EQ(wall(&error, [] {}), ASSAY_OK);
  EXPECT_EQ(error.text[0], 'x');
}

TEST(Wall, CopiesCodeWhereAndTextOfAnError) {
  assay_error error = fresh();
  const auto body = [] { throw Error(ASSAY_NOT_FOUND, "file", "cannot open x.tsv"); };
  EXPECT_EQ(wall(&error, body), ASSAY_NOT_FOUND);
  EXPECT_EQ(error.code, ASSAY_NOT_FOUND);
  EXPECT_STREQ(error.where, "file");
  EXPECT_STREQ(error.text, "cannot open x.tsv");
  EXPECT_EQ(error.struct_size, sizeof error);
}

TEST(Wall, NamesEveryOtherKindOfException) {
  assay_error error = fresh();
  EXPECT_EQ(wall(&error, [] { throw std::bad_alloc(); }), ASSAY_RESOURCE_EXHAUSTED);
  EXPECT_STREQ(error.text, "out of memory");
  EXPECT_EQ(wall(&error, [] { throw std::runtime_error("pipe is blocked"); }), ASSAY_INTERNAL);
  EXPECT_STREQ(error.text, "pipe is blocked");
  EXPECT_EQ(wall(&error, [] { throw 7; }), ASSAY_INTERNAL);
  EXPECT_STREQ(error.text, "unknown exception");
}

TEST(Wall, TakesAnErrorThatClaimsToBeOkAsInternal) {
  assay_error error = fresh();
  EXPECT_EQ(wall(&error, [] { throw Error(ASSAY_OK, "odd"); }), ASSAY_INTERNAL);
  EXPECT_EQ(error.code, ASSAY_INTERNAL);
}

TEST(Wall, DoesWithoutAnErrorToWriteTo) {
  EXPECT_EQ(wall(nullptr, [] { throw Error(ASSAY_ABORTED, "x"); }), ASSAY_ABORTED);
}

TEST(Put, CutsATextThatIsTooLongBetweenCharacters) {
  assay_error error = fresh();
  // "ä" has two bytes, so the last one would straddle the end of 895 usable bytes.
  std::string text;
  for (int i = 0; i < 500; ++i) text += "\xC3\xA4";
  put(&error, ASSAY_INTERNAL, text, text);
  EXPECT_EQ(std::string(error.text), text.substr(0, 894));
  EXPECT_EQ(std::string(error.where), text.substr(0, 118));
}

TEST(Put, KeepsATextThatJustFits) {
  assay_error error = fresh();
  const std::string text(895, 'a');
  put(&error, ASSAY_INTERNAL, "", text);
  EXPECT_EQ(std::string(error.text), text);
}

}  // namespace
}  // namespace assay
