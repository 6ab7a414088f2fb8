#include "host/loader/trust.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "host/core/hash.hpp"
#include "host/loader/instance.hpp"
#include "tests/host/loader/folder.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const fs::path kFakes = ASSAY_TEST_FAKES;

/// One folder with a plugin, searched as a folder of any source.
class TrustOf : public testing::Test {
 protected:
  TrustOf() {
    folder_.copy(kFakes / "fake-metrics.so");
    folder_.write("lib/data.txt", "data");
  }

  /// The entry that `assay plugins trust` makes now.
  LockEntry& allow() {
    LockEntry entry;
    entry.id = "fake/metrics";
    entry.directory = folder_.path();
    entry.kinds = {ASSAY_METRIC};
    entry.date = "2024-06-07";
    entry.files = *hash_folder(folder_.path());
    lock_.plugins = {entry};
    return lock_.plugins[0];
  }

  const Component& search(FolderSource source) {
    ScanSettings settings;
    settings.lock = &lock_;
    registry_ = Registry::scan({{folder_.path(), source}}, settings);
    EXPECT_TRUE(registry_.rejected().empty()) << registry_.rejected()[0].reason;
    return registry_.components().at(0);
  }
  std::string rejected(FolderSource source) {
    ScanSettings settings;
    settings.lock = &lock_;
    registry_ = Registry::scan({{folder_.path(), source}}, settings);
    return registry_.rejected().empty() ? "(it was taken)" : registry_.rejected()[0].reason;
  }

  Folder folder_;
  Lock lock_;
  Registry registry_;
};

TEST_F(TrustOf, BundledPluginsMayRunAnywhereWithoutAnEntry) {
  chmod(folder_.path().c_str(), 0777);
  const Component& component = search(FolderSource::kBundled);
  EXPECT_EQ(component.plugin->trust.source, TrustSource::kBundled);
  EXPECT_EQ(refusal_of(component), "");
  EXPECT_EQ(host_refusal_of(component), "");
}

TEST_F(TrustOf, PluginsOfTheCommandLineRunInAWorkerOnly) {
  const Component& component = search(FolderSource::kCommandLine);
  EXPECT_EQ(component.plugin->trust.source, TrustSource::kCommandLine);
  EXPECT_EQ(refusal_of(component), "");
  EXPECT_THAT(host_refusal_of(component), StartsWith("comes from --plugin-dir, which trusts it"));
}

TEST_F(TrustOf, OthersNeedAnEntry) {
  for (const FolderSource source :
       {FolderSource::kEnvironment, FolderSource::kUser, FolderSource::kSystem}) {
    const Component& component = search(source);
    EXPECT_EQ(component.plugin->trust.source, TrustSource::kNone);
    EXPECT_EQ(refusal_of(component),
              "is not trusted; look at it with `assay plugins describe fake/one` and allow it "
              "with `assay plugins trust " +
                  folder_.path().string() + "`");
    EXPECT_EQ(host_refusal_of(component), refusal_of(component));
  }
}

TEST_F(TrustOf, AnEntryLetsItRunInAWorker) {
  allow();
  const Component& component = search(FolderSource::kUser);
  EXPECT_EQ(component.plugin->trust.source, TrustSource::kLock);
  EXPECT_EQ(refusal_of(component), "");
  EXPECT_THAT(host_refusal_of(component), StartsWith("is trusted in a worker only"));
  EXPECT_EQ(component.plugin->trust.files.at("lib/data.txt"), sha256("data"));
}

TEST_F(TrustOf, AnEntryWithoutIsolationLetsItRunHere) {
  allow().allows_host = true;
  EXPECT_EQ(host_refusal_of(search(FolderSource::kUser)), "");
}

TEST_F(TrustOf, AnEntryOfAnotherFolderOrPluginDoesNothing) {
  allow().directory = "/elsewhere";
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)), StartsWith("is not trusted; look at"));
  allow().id = "fake/other";
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)), StartsWith("is not trusted; look at"));
}

TEST_F(TrustOf, EveryChangeOfTheFolderEndsIt) {
  allow();
  folder_.write("lib/data.txt", "other");
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)),
              StartsWith("is not trusted any more: lib/data.txt was changed since 2024-06-07; "));
  allow();
  folder_.write("lib/new.so", "");
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)), HasSubstr(": lib/new.so was added since "));
  allow();
  fs::remove(folder_.path() / "lib/new.so");
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)), HasSubstr(": lib/new.so is gone since "));
  allow();
  fs::create_symlink("data.txt", folder_.path() / "lib/link");
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)),
              HasSubstr("holds the symbolic link lib/link"));
}

TEST_F(TrustOf, AnEntryAllowsItsKindsOnly) {
  allow().kinds = {ASSAY_DATASET};
  EXPECT_THAT(refusal_of(search(FolderSource::kUser)),
              StartsWith("is a metric, which plugins.lock does not allow this plugin to have"));
}

TEST_F(TrustOf, NoFileIsTakenFromAPlaceOthersMayWriteTo) {
  for (const FolderSource source : {FolderSource::kCommandLine, FolderSource::kEnvironment,
                                    FolderSource::kUser, FolderSource::kSystem}) {
    chmod(folder_.path().c_str(), 0777);
    EXPECT_THAT(rejected(source), StartsWith("lies in a folder that may be written to by others"));
    chmod(folder_.path().c_str(), 0755);
    EXPECT_EQ(rejected(source), "(it was taken)");
    chmod((folder_.path() / "fake-metrics.so").c_str(), 0775);
    EXPECT_THAT(rejected(source), StartsWith("may be written to by its group; chmod g-w "));
    chmod((folder_.path() / "fake-metrics.so").c_str(), 0755);
  }
}

/// Says what it was asked for.
class NamingIsolation final : public Isolation {
 public:
  Result<Json> scan(const fs::path&) override { return Failure{ASSAY_UNAVAILABLE, "scan"}; }
  Result<std::unique_ptr<Remote>> create(const Component&, const Json&, const Lease&) override {
    return Failure{ASSAY_UNAVAILABLE, "create in a worker"};
  }
  Result<assay_resources> estimate(const Component&, const Json&, const Lease&,
                                   const assay_job&) override {
    return Failure{ASSAY_UNAVAILABLE, "estimate in a worker"};
  }
  Result<std::vector<ConfigComplaint>> check(const Component&, const Json&, const Lease&) override {
    return Failure{ASSAY_UNAVAILABLE, "check in a worker"};
  }
};

class Place : public TrustOf {
 protected:
  /// How creating the component ends, with processes at hand or without.
  std::string create(FolderSource source, bool has_workers, bool in_worker) {
    const Component& found = search(source);
    Plugin plugin = *found.plugin;
    NamingIsolation isolation;
    if (has_workers) plugin.isolation = &isolation;
    Lease lease;
    lease.in_worker = in_worker;
    const Json options = Json::object();
    const auto instance = Instance::create({found.constants, &plugin}, options, lease);
    return instance ? "created here" : instance.error().text;
  }
};

TEST_F(Place, OfATrustedComponentIsWhereTheCallerWantsIt) {
  EXPECT_EQ(create(FolderSource::kBundled, true, false), "created here");
  EXPECT_EQ(create(FolderSource::kBundled, true, true), "create in a worker");
}

TEST_F(Place, OfAnyOtherIsAWorker) {
  EXPECT_EQ(create(FolderSource::kCommandLine, true, false), "create in a worker");
  EXPECT_THAT(create(FolderSource::kCommandLine, false, false),
              StartsWith("fake/one comes from --plugin-dir"));
}

TEST_F(Place, OfOneThatIsNotTrustedIsAWorkerForThoseWhoOnlyLook) {
  EXPECT_EQ(create(FolderSource::kUser, true, false), "create in a worker");
  EXPECT_THAT(create(FolderSource::kUser, false, false), HasSubstr("is not trusted"));
}

TEST_F(Place, OfAPluginThisProcessCannotTakeIsAWorker) {
  fs::remove(folder_.path() / "fake-metrics.so");
  folder_.copy(kFakes / "loading/fake-static-tls.so");
  EXPECT_EQ(create(FolderSource::kBundled, true, false), "create in a worker");
  EXPECT_THAT(create(FolderSource::kBundled, false, false), HasSubstr("DF_STATIC_TLS"));
}

TEST_F(Place, OfALibraryThatWasReplacedAfterTheSearchIsNowhere) {
  const Component& found = search(FolderSource::kBundled);
  EXPECT_TRUE(found.loaded());
  Plugin moved = *found.plugin;
  moved.path = folder_.path() / "absent.so";
  const auto loaded = Component{found.constants, &moved}.loaded();
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().text, EndsWith("absent.so does not exist"));
}

}  // namespace
}  // namespace assay::host
