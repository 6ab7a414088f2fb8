#include "host/store/digests.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "host/core/hash.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

class Digests : public testing::Test {
 protected:
  Digests() {
    std::string name = (fs::temp_directory_path() / "assay-digests-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    fs::create_directory(model());
  }
  ~Digests() override { fs::remove_all(folder_); }

  fs::path model() const { return folder_ / "model"; }

  /// A file that was last changed an hour ago: its time of change can be relied on.
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((model() / name).parent_path());
    std::ofstream(model() / name) << text;
    fs::last_write_time(model() / name, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }

  std::string digest() {
    FileDigests digests(folder_ / "digests.json");
    read_.clear();
    const auto made = digest_of_directory(
        model(), digests, [&](const fs::path& file, std::uint64_t) { read_.push_back(file); });
    EXPECT_TRUE(made) << made.error().text;
    EXPECT_TRUE(digests.save());
    return made ? *made : "";
  }

  fs::path folder_;
  std::vector<fs::path> read_;
};

TEST_F(Digests, FilesAreReadOnceUntilTheyChange) {
  write("config.json", "{}");
  write("part/model.safetensors", "weights");
  const std::string first = digest();
  EXPECT_EQ(read_.size(), 2);
  EXPECT_EQ(digest(), first);
  EXPECT_EQ(read_.size(), 0);
  write("config.json", "{ }");
  EXPECT_NE(digest(), first);
  EXPECT_EQ(read_, std::vector<fs::path>{model() / "config.json"});
}

TEST_F(Digests, ANameCountsAndAHiddenFileDoesNot) {
  write("a", "weights");
  const std::string first = digest();
  write(".cache/huggingface/a.metadata", "today");
  write(".gitattributes", "*");
  EXPECT_EQ(digest(), first);
  fs::rename(model() / "a", model() / "b");
  EXPECT_NE(digest(), first);
}

TEST_F(Digests, ALinkCountsAsWhatItLeadsTo) {
  write("a", "weights");
  const std::string first = digest();
  fs::rename(model() / "a", folder_ / "blob");
  fs::create_symlink(folder_ / "blob", model() / "a");
  EXPECT_EQ(digest(), first);
}

TEST_F(Digests, WhatChangedJustNowIsReadAgain) {
  write("a", "weights");
  fs::last_write_time(model() / "a", fs::file_time_type::clock::now());
  digest();
  digest();
  EXPECT_EQ(read_.size(), 1);
}

TEST_F(Digests, AMemoryThatCannotBeReadIsBegunAnew) {
  write("a", "weights");
  const std::string first = digest();
  for (const char* text : {"", "[]", "{\"x\": 1", "{\"a\": {\"sha256\": 5}}"}) {
    std::ofstream(folder_ / "digests.json") << text;
    EXPECT_EQ(digest(), first);
    EXPECT_EQ(read_.size(), 1) << text;
  }
}

TEST_F(Digests, ADirectoryThatIsNotThereIsASentence) {
  FileDigests digests(folder_ / "digests.json");
  const auto made = digest_of_directory(folder_ / "none", digests, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text,
            "cannot read " + (folder_ / "none").string() + ": No such file or directory");
}

}  // namespace
}  // namespace assay::host
