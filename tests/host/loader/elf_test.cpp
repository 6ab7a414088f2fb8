#include "host/loader/elf.hpp"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "host/loader/registry.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

const fs::path kFakes = ASSAY_TEST_FAKES;

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class Elf : public testing::Test {
 protected:
  Elf() {
    std::string name = fs::temp_directory_path() / "assay-elf-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~Elf() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  /// The file as some tools leave it: without section headers.
  fs::path without_sections(const fs::path& original) const {
    std::string bytes = bytes_of(original);
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    std::memcpy(bytes.data(), &header, sizeof header);
    return write(original.filename(), bytes);
  }

  fs::path folder_;
};

TEST_F(Elf, TellsTheEntriesOfAPlugin) {
  const auto facts = read_elf(kFakes / "fake-backends.so");
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_THAT(*facts->entries, testing::ElementsAre("assay_plugin_v1"));
  EXPECT_THAT(facts->exports, testing::Contains("assay_plugin_v1"));
  ASSERT_TRUE(facts->note);
  EXPECT_EQ(facts->note->plugin_id, "fake/backends");
}

TEST_F(Elf, TellsTheEntriesOfAPluginOfAnotherMajor) {
  const auto facts = read_elf(kFakes / "broken/exports_v2_only.so");
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_THAT(*facts->entries, testing::ElementsAre("assay_plugin_v2"));
}

TEST_F(Elf, TellsThatALibraryHasNoEntry) {
  const auto facts = read_elf(kFakes / "broken/no_entry.so");
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_THAT(*facts->entries, testing::IsEmpty());
}

TEST_F(Elf, ReadsTheNote) {
  const auto facts = read_elf(kFakes / "broken/needs_newer_minor.so");
  ASSERT_TRUE(facts) << facts.error().text;
  ASSERT_TRUE(facts->note);
  EXPECT_EQ(facts->note->abi_major, 1u);
  EXPECT_EQ(facts->note->abi_minor_needed, 9u);
  EXPECT_EQ(facts->note->plugin_id, "fake/needs-newer-minor");
}

TEST_F(Elf, WithoutSectionHeadersDoesNotKnowTheEntries) {
  const auto facts = read_elf(without_sections(kFakes / "fake-backends.so"));
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_FALSE(facts->entries);
}

TEST_F(Elf, WithoutSectionHeadersIsOpenedAndAskedForItsEntry) {
  const auto plugin = open_plugin(without_sections(kFakes / "fake-backends.so"));
  EXPECT_TRUE(plugin) << plugin.error().text;
  const auto other = open_plugin(without_sections(kFakes / "broken/no_entry.so"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().text, "plugin " + (folder_ / "no_entry.so").string() +
                                    " exports no assay_plugin_v1, so it is no plugin");
}

// A property, not an example: whatever bytes a file has, reading it ends with facts or a sentence.
TEST_F(Elf, WithAnyBytesChangedGivesFactsOrASentence) {
  const std::string good = bytes_of(kFakes / "broken/needs_newer_minor.so");
  std::mt19937 random(20240607);
  std::uniform_int_distribution<int> byte(0, 255);
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof header);
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    // Half of the changes hit the headers, where they do most harm.
    const bool is_in_sections = round % 4 == 1;
    const std::size_t begin = is_in_sections ? header.e_shoff : 0;
    const std::size_t end = round % 2 == 0 ? bytes.size() : begin + 1024;
    std::uniform_int_distribution<std::size_t> at(begin, std::min(end, bytes.size()) - 1);
    for (int change = 0; change < 4; ++change) bytes[at(random)] = static_cast<char>(byte(random));
    const auto facts = read_elf(write("changed.so", bytes));
    if (!facts) {
      EXPECT_NE(facts.error().text, "");
    }
  }
}

}  // namespace
}  // namespace assay::host
