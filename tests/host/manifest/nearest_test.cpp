#include <gtest/gtest.h>

#include "host/manifest/manifest.hpp"

namespace assay::host {
namespace {

TEST(Nearest, FindsASlipOfThePen) {
  const std::vector<std::string> known = {"window", "stride", "text", "join"};
  EXPECT_EQ(nearest("strid", known), "stride");
  EXPECT_EQ(nearest("strdie", known), "stride");  // two neighbours swapped count once
  EXPECT_EQ(nearest("Window", known), "window");
  EXPECT_EQ(nearest("txt", known), "text");
}

TEST(Nearest, FindsAnIdByItsLastPart) {
  EXPECT_EQ(nearest("perplexity", {"assay/text", "assay/perplexity"}), "assay/perplexity");
  EXPECT_EQ(nearest("bits", {"simulate.bits", "dtype"}), "simulate.bits");
}

TEST(Nearest, PrefersTheSmallerDistance) {
  EXPECT_EQ(nearest("assay/perplexty", {"assay/perplexing", "assay/perplexity"}),
            "assay/perplexity");
}

TEST(Nearest, StaysSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("temperature", {"window", "stride"}), "");
  EXPECT_EQ(nearest("x", {"y"}), "");
  EXPECT_EQ(nearest("", {"a"}), "");
  EXPECT_EQ(nearest("a", {}), "");
  EXPECT_EQ(nearest(std::string(1000, 'a'), {std::string(1000, 'a') + "b"}), "");
}

}  // namespace
}  // namespace assay::host
