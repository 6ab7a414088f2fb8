#include "host/cli/plugins.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace assay::host {
namespace {

class PluginsCommand : public testing::Test {
 protected:
  int describe(std::string_view id) { return plugins_describe(registry_, id, out_, err_); }

  const Registry registry_ = Registry::scan({ASSAY_TEST_FAKES});
  std::ostringstream out_, err_;
};

TEST_F(PluginsCommand, ListPrintsWhatTheRegistryHolds) {
  EXPECT_EQ(plugins_list(registry_, out_), 0);
  EXPECT_EQ(out_.str(), list_text(registry_));
  EXPECT_NE(out_.str().find("  fake/hash              backend  1.0.0    fake-backends.so"),
            std::string::npos)
      << out_.str();
}

TEST_F(PluginsCommand, DescribePrintsOneComponent) {
  EXPECT_EQ(describe("fake/hash"), 0);
  EXPECT_EQ(out_.str(), describe_text(*registry_.find("fake/hash")));
  EXPECT_EQ(err_.str(), "");
}

TEST_F(PluginsCommand, DescribeNamesTheNearestIdOfOneItDoesNotKnow) {
  EXPECT_EQ(describe("fake/hassh"), 2);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(),
            "unknown component \"fake/hassh\"\n"
            "help: did you mean \"fake/hash\"? `assay plugins list` shows all components found\n");
}

TEST_F(PluginsCommand, DescribeSuggestsNothingWhereNothingIsNear) {
  EXPECT_EQ(describe("quite/something-else-altogether"), 2);
  EXPECT_EQ(err_.str(),
            "unknown component \"quite/something-else-altogether\"\n"
            "help: `assay plugins list` shows all components found\n");
}

}  // namespace
}  // namespace assay::host
