#include <gtest/gtest.h>

#include <assay/check/fake_host.hpp>
#include <fstream>
#include <iterator>
#include <string>

namespace check = assay::check;

TEST(MyPlugin, WritesTheDocumentAsItIs) {
  const std::string file = testing::TempDir() + "/my-plugin-report.json";
  check::FakeHost host;
  const check::Created reporter(*assay_plugin_v1.components[0], host, {{"file", file}});
  ASSERT_EQ(reporter.status(), ASSAY_OK);
  assay_report report{};
  report.struct_size = sizeof report;
  report.run_json = {"{}", 2};
  ASSERT_EQ(reporter.api<assay_reporter_v1>().write(reporter.self(), &report, nullptr), ASSAY_OK);
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "{}\n");
}

TEST(MyPlugin, SaysWhatItCannotWrite) {
  check::FakeHost host;
  const check::Created reporter(*assay_plugin_v1.components[0], host,
                                {{"file", std::string("/nowhere/report.json")}});
  assay_report report{};
  report.struct_size = sizeof report;
  assay_error error = check::fresh_error();
  EXPECT_EQ(reporter.api<assay_reporter_v1>().write(reporter.self(), &report, &error),
            ASSAY_UNAVAILABLE);
  EXPECT_STREQ(error.text, "cannot write /nowhere/report.json");
}
