#include "host/core/json.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <limits>

namespace assay::host {
namespace {

TEST(Json, KeepsKeysInTheOrderInWhichTheyWereAdded) {
  Json document;
  document["zeta"] = 1;
  document["alpha"] = 2;
  document["mid"] = 3;
  EXPECT_EQ(document.dump(), R"({"zeta":1,"alpha":2,"mid":3})");
}

TEST(Json, KeepsTheWholeRangeOf64BitIntegers) {
  const Json least = std::numeric_limits<std::int64_t>::min();
  const Json most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(least.dump(), "-9223372036854775808");
  EXPECT_EQ(most.dump(), "18446744073709551615");
  EXPECT_EQ(Json::parse(least.dump()).get<std::int64_t>(), least.get<std::int64_t>());
}

TEST(Json, PrintsNumbersThatReadBackAsTheSameBits) {
  for (const double value : {0.1, 1.0 / 3.0, 1e-310, 1.7976931348623157e308, -0.0}) {
    const auto read = Json::parse(Json(value).dump()).get<double>();
    EXPECT_EQ(std::bit_cast<std::uint64_t>(read), std::bit_cast<std::uint64_t>(value));
  }
}

}  // namespace
}  // namespace assay::host
