// A folder to work in for one test, and what a manifest in it is answered. Nothing of what a
// manifest means.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "host/manifest/manifest.hpp"

namespace assay::host {

/// A temporary folder that is the working directory while the test runs, so that messages name
/// files as a user would have written them.
class Workspace : public testing::Test {
 protected:
  void SetUp() override {
    before_ = std::filesystem::current_path();
    std::string name = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = std::filesystem::canonical(name);
    std::filesystem::current_path(folder_);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

  static void write(const std::filesystem::path& path, std::string_view text) {
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  const std::filesystem::path& folder() const { return folder_; }

  /// The text with the folder's own name, which differs from run to run, as FOLDER.
  std::string masked(std::string text) const {
    const std::string name = folder_.string();
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name)) {
      text.replace(at, name.size(), "FOLDER");
    }
    return text;
  }

  /// Every error as it is shown, one below the other.
  std::string shown(const std::vector<Source>& sources,
                    const std::vector<Diagnostic>& errors) const {
    std::string text;
    for (const Diagnostic& error : errors) text += render(sources, error) + "\n";
    return masked(text);
  }

  static ParsedManifest read(std::string_view text) {
    write("run.toml", text);
    auto parsed = read_manifest("run.toml");
    EXPECT_TRUE(parsed.has_value());
    return parsed ? std::move(*parsed) : ParsedManifest{};
  }

  std::string errors_of(std::string_view text) const {
    const ParsedManifest parsed = read(text);
    return shown(parsed.manifest.sources, parsed.errors);
  }

 private:
  std::filesystem::path before_, folder_;
};

}  // namespace assay::host
