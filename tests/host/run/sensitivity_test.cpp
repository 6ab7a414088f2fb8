#include "host/run/sensitivity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/run/propose.hpp"

namespace assay::host {
namespace {

// Differences 1, 2, 3 over 10 tokens each: mean 2, deviation 1.
TEST(DeltaNll, IsTheMeanOfPairsWithItsStandardError) {
  const DeltaNll found = delta_nll({11, 22, 33}, {10, 20, 30}, 10);
  EXPECT_DOUBLE_EQ(found.delta, 0.2);
  EXPECT_DOUBLE_EQ(found.std_error, 0.1 / std::sqrt(3.0));
}

TEST(DeltaNll, HasNoErrorOfOneSequence) {
  EXPECT_TRUE(std::isnan(delta_nll({11}, {10}, 10).std_error));
}

TEST(RankCorrelation, IsThatOfRanks) {
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {10, 100, 1000, 10000}).value(), 1);
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {4, 3, 2, 1}).value(), -1);
  // scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 5])
  EXPECT_NEAR(rank_correlation({1, 2, 2, 4, 5}, {2, 1, 3, 3, 5}).value(), 0.763157894736842, 1e-12);
}

TEST(RankCorrelation, IsUnknownOfTooFewOrConstantValues) {
  EXPECT_FALSE(rank_correlation({1, 2}, {1, 2}));
  EXPECT_FALSE(rank_correlation({1, 1, 1}, {1, 2, 3}));
}

LayerDamage layer(const char* name, double damage) {
  LayerDamage out;
  out.layer = name;
  out.nll = {damage, 0.001};
  out.bits = 4;
  out.bytes = 1000;
  return out;
}

class Propose : public testing::Test {
 protected:
  Propose() {
    found_.variant = "gptq4";
    found_.weight_bytes = 10000;
    found_.stored_bits = 32;
    found_.layers = {layer("a", 0.5), layer("b", 0.2), layer("c", 0.1), layer("d", -0.1)};
    found_.layers[1].bytes = 100;  // the most damage for a byte
  }
  std::vector<std::string> upgraded(std::uint64_t budget) const {
    std::vector<std::string> names;
    const auto proposal = propose(found_, bytes_, budget);
    EXPECT_TRUE(proposal);
    for (const Upgrade& upgrade : proposal->upgrades) names.push_back(upgrade.layer);
    return names;
  }

  Sensitivity found_;
  std::map<std::string, double> bytes_ = {{"a", 2000}, {"b", 200}, {"c", 2000}, {"d", 2000}};
};

TEST_F(Propose, SpendsTheBudgetByDamageForAByte) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(upgraded(10000), Names{});
  EXPECT_EQ(upgraded(10100), Names{"b"});
  EXPECT_EQ(upgraded(11099), Names{"b"});
  EXPECT_EQ(upgraded(11100), (Names{"b", "a"}));
  EXPECT_EQ(upgraded(1 << 20), (Names{"b", "a", "c"})) << "d costs nothing alone";
}

TEST_F(Propose, KeepsLayersOfMethodsWithoutBits) {
  bytes_.clear();
  const auto proposal = propose(found_, bytes_, 10700);
  ASSERT_TRUE(proposal);
  ASSERT_EQ(proposal->upgrades.size(), 1U);
  EXPECT_TRUE(proposal->upgrades[0].is_kept);
  EXPECT_EQ(proposal->upgrades[0].extra_bytes, 700U) << "100 bytes of 4 bits are 800 of 32";
  EXPECT_EQ(proposal->weight_bytes, 10700U);
}

TEST_F(Propose, RefusesABudgetBelowWhatIsTaken) {
  const auto proposal = propose(found_, bytes_, 9999);
  ASSERT_FALSE(proposal);
  EXPECT_EQ(proposal.error().text,
            "--bytes 9999 is less than the 10000 bytes that model.gptq4 takes already; give more, "
            "or fewer bits to all");
}

}  // namespace
}  // namespace assay::host
