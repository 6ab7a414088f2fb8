#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/host/graph/graph_fixture.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;

class Trusted : public GraphTest {
 protected:
  /// What the plugin of all components may do from now on.
  Trust& trust() { return const_cast<Plugin*>(registry_.components()[0].plugin)->trust; }
};

TEST_F(Trusted, RefusesAPluginThatMayNotRunWhereTheManifestNamesIt) {
  trust().source = TrustSource::kNone;
  trust().allows_host = false;
  trust().refusal = "is not trusted";
  const std::string said = mistakes(kRight);
  EXPECT_THAT(said, HasSubstr(":3:11: acme/rounds is not trusted; look at it with `assay plugins "
                              "describe acme/rounds` and allow it with `assay plugins trust "));
  EXPECT_THAT(said, HasSubstr(":10:7: acme/pairs is not trusted; "));
}

TEST_F(Trusted, RefusesAKindThatTheLockDoesNotAllow) {
  trust().kinds = {ASSAY_DATASET, ASSAY_METRIC, ASSAY_REPORTER};
  EXPECT_THAT(mistakes(kRight),
              HasSubstr(":3:11: acme/rounds is a backend, which plugins.lock does not allow"));
}

TEST_F(Trusted, LetsNoManifestBringIntoTheHostWhatIsTrustedInAWorkerOnly) {
  const std::string none =
      "[model.here]\nbackend = \"acme/rounds\"\npath = \"tiny\"\n"
      "isolation = \"none\"\n";
  EXPECT_EQ(mistakes_with(none), "");
  trust().source = TrustSource::kCommandLine;
  trust().allows_host = false;
  EXPECT_THAT(mistakes_with(none),
              HasSubstr(":23:13: acme/rounds comes from --plugin-dir, which trusts it in a worker "
                        "only; leave isolation out, or allow it with `assay plugins trust"));
  trust() = {};
  const_cast<Plugin*>(registry_.components()[0].plugin)->worker_only = "needs a worker";
  EXPECT_THAT(mistakes_with(none), HasSubstr(":23:13: acme/rounds needs a worker"));
}

}  // namespace
}  // namespace assay::host
