#include "host/cli/trust.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <sstream>

#include "host/loader/lock.hpp"
#include "host/loader/trust.hpp"
#include "tests/host/loader/folder.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrustCommand : public testing::Test {
 protected:
  TrustCommand() {
    plugins_.copy(ASSAY_TEST_FAKES "/fake-metrics.so");
    plugins_.write("lib/words.txt", "words");
    request_.folder = plugins_.path();
    request_.is_agreed = true;
    places_.lock = home_.path() / "config/assay/plugins.lock";
    places_.store = home_.path() / "data/assay/plugins";
  }

  int trust(const std::string& answer = "") {
    out_.str("");
    err_.str("");
    std::istringstream in(answer);
    return plugins_trust(request_, places_, in, out_, err_);
  }
  Lock lock() const {
    auto read = read_lock(places_.lock);
    EXPECT_TRUE(read) << read.error().text;
    return *read;
  }
  /// Why a run would refuse fake/one of a folder; "" when it would not.
  std::string refusal(const fs::path& folder) const {
    const Lock read = lock();
    ScanSettings settings;
    settings.lock = &read;
    const Registry registry = Registry::scan({{folder, FolderSource::kUser}}, settings);
    return refusal_of(*registry.find("fake/one"));
  }

  Folder plugins_, home_;
  TrustRequest request_;
  TrustPlaces places_;
  std::ostringstream out_, err_;
};

TEST_F(TrustCommand, WritesAnEntryThatLetsRunsUseThePlugin) {
  EXPECT_THAT(refusal(plugins_.path()), HasSubstr("is not trusted"));
  EXPECT_EQ(trust(), 0) << err_.str();
  EXPECT_EQ(refusal(plugins_.path()), "");
  const Lock read = lock();
  const LockEntry* entry = read.find(plugins_.path(), "fake/metrics");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->version, "1.0.0");
  EXPECT_FALSE(entry->allows_host);
  EXPECT_THAT(entry->kinds, testing::ElementsAre(ASSAY_METRIC));
  EXPECT_EQ(entry->files.size(), 2u);
}

TEST_F(TrustCommand, ShowsComponentsFilesAndHashes) {
  trust();
  EXPECT_THAT(out_.str(), HasSubstr("  fake/one 1.0.0, a metric: Gives 1 for every row"));
  EXPECT_THAT(out_.str(), HasSubstr("  lib/words.txt\n"));
  EXPECT_THAT(out_.str(), HasSubstr("It may run in worker processes, with your rights."));
  EXPECT_THAT(out_.str(), HasSubstr("note: assay does not look there; set ASSAY_PLUGIN_PATH="));
}

TEST_F(TrustCommand, AsksWhereSomebodyIsThere) {
  request_.is_agreed = false;
  request_.is_terminal = true;
  EXPECT_EQ(trust("n\n"), 1);
  EXPECT_EQ(trust(""), 1);
  EXPECT_FALSE(fs::exists(places_.lock));
  EXPECT_EQ(trust("y\n"), 0);
  EXPECT_TRUE(fs::exists(places_.lock));
}

TEST_F(TrustCommand, DoesNothingWhereNobodyCanBeAsked) {
  request_.is_agreed = false;
  EXPECT_EQ(trust("y\n"), 2);
  EXPECT_EQ(err_.str(),
            "error: there is nobody to ask; look at the list and run it again with --yes\n");
  EXPECT_FALSE(fs::exists(places_.lock));
}

TEST_F(TrustCommand, ShowsWhatChangedSinceTheLastTime) {
  trust();
  const std::string before = lock().plugins[0].files.at("lib/words.txt");
  plugins_.write("lib/words.txt", "other words");
  plugins_.write("new.txt", "");
  EXPECT_THAT(refusal(plugins_.path()), HasSubstr("lib/words.txt was changed since"));
  request_.allows_host = true;
  EXPECT_EQ(trust(), 0);
  EXPECT_THAT(out_.str(), HasSubstr("fake/metrics was allowed on "));
  EXPECT_THAT(out_.str(),
              HasSubstr("  changed  lib/words.txt\n    was  " + before + "\n    is   "));
  EXPECT_THAT(out_.str(), HasSubstr("  new      new.txt\n"));
  EXPECT_THAT(out_.str(), HasSubstr("  it may run in assay's own process\n"));
  EXPECT_EQ(refusal(plugins_.path()), "");
  EXPECT_EQ(lock().plugins.size(), 1u);
  trust();
  EXPECT_THAT(out_.str(), HasSubstr("; nothing changed since\n"));
}

TEST_F(TrustCommand, CopiesABundleIntoAStoreNamedByItsHash) {
  request_.is_copied = true;
  chmod((plugins_.path() / "lib").c_str(), 0755);
  EXPECT_EQ(trust(), 0) << err_.str();
  const fs::path copy = fs::directory_iterator(places_.store)->path();
  EXPECT_EQ(fs::status(copy).permissions(), fs::perms::owner_all);
  EXPECT_EQ(bytes_of(copy / "lib/words.txt"), "words");
  EXPECT_EQ(refusal(copy), "");
  EXPECT_THAT(refusal(plugins_.path()), HasSubstr("is not trusted"));
  EXPECT_EQ(trust(), 0) << "a second time";
  EXPECT_EQ(lock().plugins.size(), 1u);
}

TEST_F(TrustCommand, RefusesAPlaceOthersMayWriteTo) {
  chmod((plugins_.path() / "lib/words.txt").c_str(), 0666);
  EXPECT_EQ(trust(), 2);
  EXPECT_EQ(err_.str(), "error: " + plugins_.path().string() +
                            " cannot be trusted: it holds lib/words.txt, which may be written to "
                            "by others; chmod o-w " +
                            (plugins_.path() / "lib/words.txt").string() + "\n");
  EXPECT_FALSE(fs::exists(places_.lock));
}

TEST_F(TrustCommand, RefusesWhatHoldsNoPlugin) {
  fs::remove(plugins_.path() / "fake-metrics.so");
  plugins_.write("a.so", "words");
  EXPECT_EQ(trust(), 2);
  EXPECT_THAT(err_.str(), HasSubstr("a.so: is a text file; expected a shared library\n"));
  EXPECT_THAT(err_.str(), HasSubstr(" holds no plugin that can be used\n"));
  request_.folder = "/absent";
  EXPECT_EQ(trust(), 2);
  EXPECT_EQ(err_.str(), "error: /absent is not a folder; name the one that the plugin lies in\n");
}

TEST_F(TrustCommand, DoesNotReplaceAListItCannotRead) {
  trust();
  std::ofstream(places_.lock) << "not a list";
  EXPECT_EQ(trust(), 2);
  EXPECT_THAT(err_.str(), HasSubstr("plugins.lock:1:"));
  EXPECT_EQ(bytes_of(places_.lock), "not a list");
}

}  // namespace
}  // namespace assay::host
