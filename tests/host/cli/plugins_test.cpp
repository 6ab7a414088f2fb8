#include "host/cli/plugins.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "host/core/json.hpp"

namespace assay::host {
namespace {

class PluginsCommand : public testing::Test {
 protected:
  int describe(std::string_view id) {
    return plugins_describe(registry_, id, as_json_, out_, err_);
  }

  const Registry registry_ = Registry::scan({ASSAY_TEST_FAKES});
  bool as_json_ = false;
  std::ostringstream out_, err_;
};

TEST_F(PluginsCommand, ListPrintsWhatTheRegistryHolds) {
  EXPECT_EQ(plugins_list(registry_, as_json_, out_), 0);
  EXPECT_EQ(out_.str(), list_text(registry_));
  EXPECT_TRUE(std::regex_search(
      out_.str(), std::regex("  fake/hash +backend +1.0.0 +bundled +worker +fake-backends.so")))
      << out_.str();
}

TEST_F(PluginsCommand, DescribePrintsOneComponent) {
  EXPECT_EQ(describe("fake/hash"), 0);
  EXPECT_EQ(out_.str(), describe_text(*registry_.find("fake/hash")));
  EXPECT_EQ(err_.str(), "");
}

TEST_F(PluginsCommand, ListAsJsonHoldsWhatTheTableDoes) {
  as_json_ = true;
  EXPECT_EQ(plugins_list(registry_, as_json_, out_), 0);
  const Json json = Json::parse(out_.str());
  EXPECT_EQ(json.at("schema"), "assay.plugins/1");
  ASSERT_EQ(json.at("components").size(), registry_.components().size());
  for (const Json& component : json.at("components")) {
    EXPECT_EQ(component.at("trust"), "bundled");
    EXPECT_EQ(component.at("isolation"), component.at("kind") == "backend" ? "worker" : "none");
    EXPECT_TRUE(component.at("refusal").is_null());
    EXPECT_EQ(component.at("sha256").get<std::string>().size(), 64u);
  }
}

TEST_F(PluginsCommand, DescribeAsJsonHoldsOptionsByTheNamesOfTypes) {
  as_json_ = true;
  EXPECT_EQ(describe("fake/hash"), 0);
  const Json json = Json::parse(out_.str());
  EXPECT_EQ(json.at("schema"), "assay.component/1");
  EXPECT_EQ(json.at("id"), "fake/hash");
  EXPECT_EQ(json.at("kind"), "backend");
  EXPECT_EQ(json.at("options").at(0).at("name"), "vocab");
  EXPECT_EQ(json.at("options").at(0).at("type"), "int");
  EXPECT_EQ(json.at("plugin").at("id"), "fake/backends");
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
