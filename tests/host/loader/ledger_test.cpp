#include <gtest/gtest.h>

#include "host/loader/registry.hpp"

namespace assay::host {
namespace {

const std::filesystem::path kLoading = ASSAY_TEST_FAKES "/loading";

TEST(Ledger, RefusesASecondLibraryOfANameThatIsThereAndNamesBoth) {
  const auto one = open_plugin(kLoading / "one/fake-brings-one.so");
  ASSERT_TRUE(one) << one.error().text;
  const auto two = open_plugin(kLoading / "two/fake-brings-two.so");
  ASSERT_FALSE(two);
  const std::string path = (kLoading / "two/fake-brings-two.so").string();
  EXPECT_EQ(two.error().code, ASSAY_FAILED_PRECONDITION);
  EXPECT_EQ(two.error().text,
            "plugin " + path + " brings " + (kLoading / "two/libassay-fake-brought.so").string() +
                ", and would get " + (kLoading / "one/libassay-fake-brought.so").string() +
                ", which is in this process under the name libassay-fake-brought.so; two of them "
                "do not mix, so it can only run in a worker");
}

TEST(Ledger, RefusesAPluginThatWouldGetWhatAnotherBrought) {
  const auto one = open_plugin(kLoading / "one/fake-brings-one.so");
  ASSERT_TRUE(one) << one.error().text;
  const auto other = open_plugin(kLoading / "fake-needs-brought.so");
  ASSERT_FALSE(other);
  EXPECT_NE(
      other.error().text.find("needs the system's libassay-fake-brought.so, and would get " +
                              (kLoading / "one/libassay-fake-brought.so").string() +
                              " of the plugin " + (kLoading / "one/fake-brings-one.so").string()),
      std::string::npos)
      << other.error().text;
}

TEST(Ledger, TakesTheSamePluginTwice) {
  EXPECT_TRUE(open_plugin(kLoading / "one/fake-brings-one.so"));
  EXPECT_TRUE(open_plugin(kLoading / "one/fake-brings-one.so"));
}

TEST(Ledger, IsNotAskedInAProcessOfThePluginsOwn) {
  EXPECT_TRUE(open_plugin(kLoading / "two/fake-brings-two.so", Into::kWorker));
}

}  // namespace
}  // namespace assay::host
