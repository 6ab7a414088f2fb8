#include "host/manifest/quantity.hpp"

#include <gtest/gtest.h>

namespace assay::host {
namespace {

TEST(ParseSize, KnowsDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_size("4GiB"), 4294967296U);
  EXPECT_EQ(parse_size("1.5 KiB"), 1536U);
  EXPECT_EQ(parse_size("2 kB"), 2000U);
  EXPECT_EQ(parse_size("3MB"), 3000000U);
  EXPECT_EQ(parse_size("17"), 17U);
  EXPECT_EQ(parse_size("17B"), 17U);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "GiB", "-1GiB", "4 gigs", "1e99TiB", "16777216TiB", "nan", "4GiB "}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(ParseDuration, KnowsItsUnits) {
  EXPECT_EQ(parse_duration("30s"), 30.0);
  EXPECT_EQ(parse_duration("500ms"), 0.5);
  EXPECT_EQ(parse_duration("2 min"), 120.0);
  EXPECT_EQ(parse_duration("1h"), 3600.0);
  EXPECT_EQ(parse_duration("30"), std::nullopt);
  EXPECT_EQ(parse_duration("soon"), std::nullopt);
}

TEST(ParsePercent, IsAShareOfOne) {
  EXPECT_EQ(parse_percent("5%"), 0.05);
  EXPECT_EQ(parse_percent("97.5 %"), 0.975);
  EXPECT_EQ(parse_percent("-5%"), -0.05);
  for (const char* text : {"", "%", "5", "five%", "5%%", "inf%", "--5%"}) {
    EXPECT_EQ(parse_percent(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace assay::host
