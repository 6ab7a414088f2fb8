#include "host/loader/scan.hpp"

#include <assay/ext.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <limits>

#include "host/loader/instance.hpp"
#include "host/loader/open.hpp"
#include "host/loader/registry.hpp"
#include "tests/host/loader/folder.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kFakes = ASSAY_TEST_FAKES;
const fs::path kLoading = kFakes / "loading";

std::vector<fs::path> libraries(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  }
  return files;
}

bool are_same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void expect_same_text(const char* a, const char* b) {
  ASSERT_EQ(a == nullptr, b == nullptr);
  EXPECT_STREQ(a, b);
}

void expect_same(const assay_option& a, const assay_option& b) {
  EXPECT_STREQ(a.name, b.name);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_STREQ(a.help, b.help);
  expect_same_text(a.fallback, b.fallback);
  EXPECT_TRUE(are_same(a.lo, b.lo) && are_same(a.hi, b.hi));
  if (a.type != ASSAY_CHOICE) return;
  for (std::size_t i = 0;; ++i) {
    expect_same_text(a.choices[i], b.choices[i]);
    if (a.choices[i] == nullptr || b.choices[i] == nullptr) break;
  }
}

void expect_same(const assay_column& a, const assay_column& b) {
  EXPECT_STREQ(a.name, b.name);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_STREQ(a.help, b.help);
  expect_same_text(a.unit, b.unit);
  EXPECT_TRUE(are_same(a.lo, b.lo) && are_same(a.hi, b.hi));
}

void expect_same_extension(const assay_extension& a, const assay_extension& b) {
  EXPECT_STREQ(a.id, b.id);
  ASSERT_NE(b.api, nullptr);
  if (std::string_view(a.id) != ASSAY_METRIC_SUMS_1) return;
  const auto& own = *static_cast<const assay_metric_sums_v1*>(a.api);
  const auto& read = *static_cast<const assay_metric_sums_v1*>(b.api);
  ASSERT_EQ(own.n_terms, read.n_terms);
  for (std::uint64_t i = 0; i < own.n_terms; ++i) EXPECT_STREQ(own.terms[i], read.terms[i]);
}

void expect_same(const assay_component& a, const assay_component& b) {
  EXPECT_STREQ(a.id, b.id);
  EXPECT_STREQ(a.version, b.version);
  EXPECT_STREQ(a.summary, b.summary);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.caps, b.caps);
  ASSERT_EQ(a.n_options, b.n_options);
  ASSERT_EQ(a.n_columns, b.n_columns);
  ASSERT_EQ(a.n_outputs, b.n_outputs);
  ASSERT_EQ(a.n_extensions, b.n_extensions);
  for (std::uint64_t i = 0; i < a.n_options; ++i) expect_same(*a.options[i], *b.options[i]);
  for (std::uint64_t i = 0; i < a.n_columns; ++i) expect_same(*a.columns[i], *b.columns[i]);
  for (std::uint64_t i = 0; i < a.n_outputs; ++i) expect_same(*a.outputs[i], *b.outputs[i]);
  for (std::uint64_t i = 0; i < a.n_extensions; ++i) {
    expect_same_extension(a.extensions[i], b.extensions[i]);
  }
}

TEST(Scan, GivesTheConstantsOfEveryPluginOfThisBuild) {
  int n_read = 0;
  for (const fs::path& folder : {kFakes, fs::path(ASSAY_TEST_PLUGINS)}) {
    for (const fs::path& path : libraries(folder)) {
      SCOPED_TRACE(path);
      const auto library = open_library(path, Into::kWorker);
      ASSERT_TRUE(library) << library.error().text;
      const auto scan = scan_plugin(path);
      ASSERT_TRUE(scan) << scan.error().text;
      // As it comes from another process.
      const auto scanned = read_scan(Json::parse(scan->dump()));
      ASSERT_TRUE(scanned) << scanned.error().text;
      const assay_plugin& own = *library->constants;
      const assay_plugin& read = *scanned->constants;
      EXPECT_STREQ(own.id, read.id);
      EXPECT_STREQ(own.version, read.version);
      EXPECT_STREQ(own.vendor, read.vendor);
      EXPECT_STREQ(own.license, read.license);
      EXPECT_STREQ(own.built_with, read.built_with);
      EXPECT_EQ(own.abi_minor, read.abi_minor);
      ASSERT_EQ(own.n_components, read.n_components);
      for (std::uint64_t i = 0; i < own.n_components; ++i) {
        expect_same(*own.components[i], *read.components[i]);
      }
      EXPECT_EQ(scanned->build_id, library->facts.build_id);
      EXPECT_EQ(scanned->worker_only, "");
      EXPECT_GE(scan->at("load_seconds").get<double>(), 0);
      ++n_read;
    }
  }
  EXPECT_GE(n_read, 5);
}

TEST(Scan, KnowsWhichFunctionsThereAreAndNoneOfThemRuns) {
  const auto scanned = read_scan(*scan_plugin(kFakes / "fake-backends.so"));
  ASSERT_TRUE(scanned) << scanned.error().text;
  const assay_component& component = *scanned->constants->components[0];
  const auto& api = *static_cast<const assay_backend_v1*>(component.api);
  const auto library = open_library(kFakes / "fake-backends.so", Into::kHost);
  const auto& own = *static_cast<const assay_backend_v1*>(library->constants->components[0]->api);
  EXPECT_EQ(api.run == nullptr, own.run == nullptr);
  EXPECT_EQ(api.quantize == nullptr, own.quantize == nullptr);
  EXPECT_EQ(api.estimate == nullptr, own.estimate == nullptr);
  ASSERT_NE(api.load, nullptr);
  assay_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(api.load(nullptr, nullptr, nullptr, &error), ASSAY_FAILED_PRECONDITION);
  EXPECT_STREQ(error.text, "was described, and is not loaded in this process");
  component.destroy(nullptr);
}

TEST(Scan, TellsWhatLoadingAPluginChangesAndPutsItBack) {
  const char* home = std::getenv("HOME");
  const std::string home_before = home != nullptr ? home : "";
  const auto folder = fs::current_path();
  const auto scan = scan_plugin(kLoading / "fake-changes-process.so");
  ASSERT_TRUE(scan) << scan.error().text;
  const std::vector<std::string> expected = {"the floating-point mode",
                                             "the locale",
                                             "the environment (ASSAY_FAKE_NEW, HOME)",
                                             "the working directory",
                                             "the signal handlers (SIGUSR2)",
                                             "the signal mask",
                                             "the umask"};
  EXPECT_EQ(scan->at("changes"), Json(expected));
  EXPECT_EQ(fs::current_path(), folder);
  EXPECT_EQ(std::getenv("ASSAY_FAKE_NEW"), nullptr);
  EXPECT_EQ(home != nullptr ? std::getenv("HOME") : "", home_before);
  const auto scanned = read_scan(*scan);
  ASSERT_TRUE(scanned);
  EXPECT_THAT(scanned->worker_only, HasSubstr("changes the floating-point mode, the locale, "));
}

TEST(Scan, NamesAPluginBuiltWithFastMath) {
  const fs::path path = kFakes / "hostile/hostile-fast-math.so";
  const auto scan = scan_plugin(path);
  ASSERT_TRUE(scan) << scan.error().text;
  const auto scanned = read_scan(*scan);
  ASSERT_TRUE(scanned) << scanned.error().text;
  EXPECT_EQ(scanned->worker_only,
            "changes the floating-point mode of the process that loads it; rebuild it without "
            "-ffast-math, or it can only run in a worker");
  const auto here = open_plugin(path);
  ASSERT_FALSE(here);
  EXPECT_EQ(here.error().text, "plugin " + path.string() + " " + scanned->worker_only);
}

TEST(Scan, SendsAPluginWithStaticTlsToAWorker) {
  const fs::path path = kLoading / "fake-static-tls.so";
  const auto here = open_plugin(path);
  ASSERT_FALSE(here);
  EXPECT_THAT(here.error().text, HasSubstr("uses static thread-local storage (DF_STATIC_TLS)"));
  EXPECT_TRUE(open_plugin(path, Into::kWorker));
  EXPECT_THAT(read_scan(*scan_plugin(path))->worker_only, HasSubstr("DF_STATIC_TLS"));
}

TEST(Scan, KeepsInfinitiesTermsAndTextsOutsideUtf8) {
  const auto scan = scan_plugin(kFakes / "fake-backends.so");
  ASSERT_TRUE(scan);
  Json json = *scan;
  Json& component = json["plugin"]["components"][0];
  component["options"] = Json::parse(
      R"([{"name":"a","type":3,"flags":0,"help":"","fallback":null,"choices":null,"lo":"-inf",
           "hi":"inf"},
          {"name":"b","type":5,"flags":0,"help":"","fallback":"\"x\"","choices":["x","y"],"lo":1,
           "hi":0}])");
  component["extensions"] =
      Json::parse(R"([{"id":"assay.metric.sums/1","terms":["hits","tries"]},{"id":"com.acme/1"}])");
  const auto constants = constants_from_json(json);
  ASSERT_TRUE(constants) << constants.error().text;
  const assay_component& read = *(*constants)->components[0];
  EXPECT_EQ(read.options[0]->hi, std::numeric_limits<double>::infinity());
  EXPECT_EQ(read.options[0]->lo, -std::numeric_limits<double>::infinity());
  EXPECT_STREQ(read.options[1]->choices[1], "y");
  EXPECT_EQ(read.options[1]->choices[2], nullptr);
  const auto& sums = *static_cast<const assay_metric_sums_v1*>(read.extensions[0].api);
  ASSERT_EQ(sums.n_terms, 2u);
  EXPECT_STREQ(sums.terms[1], "tries");
  EXPECT_EQ(*static_cast<const std::uint32_t*>(read.extensions[1].api), 8u);
}

// A property, not an example: whatever the document, it is read or refused with a sentence.
TEST(Scan, RefusesADamagedDocument) {
  const Json scan = *scan_plugin(kFakes / "fake-backends.so");
  const Json flat = scan.flatten();
  for (const auto& [place, value] : flat.items()) {
    const Json::json_pointer pointer(place);
    for (const Json& wrong : {Json(nullptr), Json(-1), Json("x"), Json::array(), Json(true)}) {
      Json changed = scan;
      changed[pointer] = wrong;
      const auto read = read_scan(changed);
      EXPECT_TRUE(read || !read.error().text.empty()) << place;
    }
    Json shorter = scan;
    if (pointer.parent_pointer().to_string() != "" &&
        shorter[pointer.parent_pointer()].is_object()) {
      shorter[pointer.parent_pointer()].erase(pointer.back());
      const auto read = read_scan(shorter);
      EXPECT_TRUE(read || !read.error().text.empty()) << place;
    }
  }
  EXPECT_FALSE(read_scan(Json(3)));
  EXPECT_FALSE(read_scan(Json::object()));
  Json other = scan;
  other["assay"] = "0.0.1";
  EXPECT_EQ(read_scan(other).error().text, "gave a scan without a usable \"assay\"");
}

/// Scans in this process and counts how often it was asked.
class CountingIsolation final : public Isolation {
 public:
  Result<Json> scan(const fs::path& plugin) override {
    ++n_scans;
    return scan_plugin(plugin);
  }
  Result<std::unique_ptr<Remote>> create(const Component&, const Json&, const Lease&) override {
    return Failure{ASSAY_UNAVAILABLE, "this isolation only counts"};
  }
  Result<assay_resources> estimate(const Component&, const Json&, const Lease&,
                                   const assay_job&) override {
    return Failure{ASSAY_UNAVAILABLE, "this isolation only counts"};
  }
  Result<std::vector<ConfigComplaint>> check(const Component&, const Json&, const Lease&) override {
    return Failure{ASSAY_UNAVAILABLE, "this isolation only counts"};
  }

  int n_scans = 0;
};

class ScanCache : public testing::Test {
 protected:
  ScanCache() { plugins_.copy(kFakes / "fake-metrics.so"); }

  /// Searches once; how many scans that took.
  int search() {
    isolation_.n_scans = 0;
    ScanSettings settings;
    settings.isolation = &isolation_;
    settings.cache = cache_.path() / "assay/scan";
    const Registry registry = Registry::scan({{plugins_.path(), FolderSource::kBundled}}, settings);
    EXPECT_TRUE(registry.rejected().empty());
    EXPECT_FALSE(registry.components().empty());
    return isolation_.n_scans;
  }
  fs::path kept() const { return fs::directory_iterator(cache_.path() / "assay/scan")->path(); }

  Folder plugins_, cache_;
  CountingIsolation isolation_;
};

TEST_F(ScanCache, ScansAFileOnce) {
  EXPECT_EQ(search(), 1);
  EXPECT_EQ(search(), 0);
  EXPECT_EQ(fs::status(kept().parent_path()).permissions(), fs::perms::owner_all);
}

TEST_F(ScanCache, ScansAnewWhereTheScanIsDamagedOrOfAnotherVersion) {
  search();
  const std::string whole = bytes_of(kept());
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"), std::string("\xff"),
        std::string(R"({"schema":"assay.scan/1"})")}) {
    std::ofstream(kept(), std::ios::binary) << text;
    EXPECT_EQ(search(), 1) << text;
    EXPECT_EQ(search(), 0);
  }
  Json other = Json::parse(bytes_of(kept()));
  other["assay"] = "0.0.1";
  std::ofstream(kept(), std::ios::binary) << other.dump();
  EXPECT_EQ(search(), 1);
}

TEST_F(ScanCache, IsNotUsedWhereOthersCouldHaveWrittenIt) {
  search();
  chmod(kept().parent_path().c_str(), 0777);
  EXPECT_EQ(search(), 1);
  EXPECT_EQ(search(), 1);
}

TEST_F(ScanCache, IsDoneWithoutWhereItCannotBe) {
  std::ofstream(cache_.path() / "assay") << "a file where a folder should be";
  EXPECT_EQ(search(), 1);
  EXPECT_EQ(search(), 1);
}

}  // namespace
}  // namespace assay::host
