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

/// A copy of a good plugin with its program headers and dynamic section changed.
template <class Change, class ChangeTag>
std::string bent(Change&& change, ChangeTag&& change_tag) {
  std::string bytes = bytes_of(kFakes / "fake-fails-in-create.so");
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    char* at = bytes.data() + header.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    std::memcpy(&segment, at, sizeof segment);
    change(segment);
    std::memcpy(at, &segment, sizeof segment);
    if (segment.p_type != PT_DYNAMIC) continue;
    for (std::size_t k = 0; k < segment.p_filesz / sizeof(Elf64_Dyn); ++k) {
      char* tag_at = bytes.data() + segment.p_offset + k * sizeof(Elf64_Dyn);
      Elf64_Dyn tag;
      std::memcpy(&tag, tag_at, sizeof tag);
      change_tag(tag);
      std::memcpy(tag_at, &tag, sizeof tag);
    }
  }
  return bytes;
}

constexpr auto kNoTag = [](Elf64_Dyn&) {};
constexpr auto kNoSegment = [](Elf64_Phdr&) {};

/// A tag that a library can do without, made another.
auto instead_of_relacount(Elf64_Sxword tag, Elf64_Xword value) {
  return [=](Elf64_Dyn& there) {
    if (there.d_tag != DT_RELACOUNT) return;
    there.d_tag = tag;
    there.d_un.d_val = value;
  };
}

TEST_F(Elf, TellsWhatAPluginNeedsAndWhereItLooks) {
  const auto facts = read_elf(kFakes / "loading/one/fake-brings-one.so");
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_THAT(facts->needs.needed, testing::Contains("libassay-fake-brought.so"));
  EXPECT_THAT(facts->needs.folders, testing::ElementsAre(testing::HasSubstr("$ORIGIN")));
  const auto needs = read_needs(kFakes / "loading/one/libassay-fake-brought.so");
  ASSERT_TRUE(needs) << needs.error().text;
  EXPECT_EQ(needs->soname, "libassay-fake-brought.so");
}

TEST_F(Elf, TellsNameBuildIdAndSymbolsThatBindEverywhere) {
  const auto facts = read_elf(kFakes / "loading/fake-unique.so");
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_EQ(facts->needs.soname, "fake-unique.so.7");
  EXPECT_EQ(facts->build_id, "c0ffee");
  EXPECT_THAT(facts->exports, testing::Contains("count"));
#if defined(__clang__)
  EXPECT_THAT(facts->unique_symbols, testing::IsEmpty()) << "only GCC makes them";
#else
  EXPECT_THAT(facts->unique_symbols, testing::Contains(testing::HasSubstr("Counter")));
#endif
}

TEST_F(Elf, TellsStaticTls) {
  EXPECT_TRUE(read_elf(kFakes / "loading/fake-static-tls.so")->has_static_tls);
  EXPECT_FALSE(read_elf(kFakes / "fake-backends.so")->has_static_tls);
}

TEST_F(Elf, RefusesAPluginThatWantsAnExecutableStack) {
  const std::string sentence =
      "asks for an executable stack, which would make the stacks of the whole process so; link it "
      "with -Wl,-z,noexecstack";
  const auto wants_it = [](Elf64_Phdr& segment) {
    if (segment.p_type == PT_GNU_STACK) segment.p_flags |= PF_X;
  };
  const auto leaves_it_open = [](Elf64_Phdr& segment) {
    if (segment.p_type == PT_GNU_STACK) segment.p_type = PT_NULL;
  };
  for (const std::string& bytes : {bent(wants_it, kNoTag), bent(leaves_it_open, kNoTag)}) {
    const fs::path path = write("stack.so", bytes);
    EXPECT_TRUE(read_elf(path)->has_executable_stack);
    for (const Into into : {Into::kHost, Into::kWorker}) {
      EXPECT_EQ(open_plugin(path, into).error().text, "plugin " + path.string() + " " + sentence);
    }
  }
}

TEST_F(Elf, RefusesAPluginWhoseCodeIsWrittenTo) {
  for (const std::string& bytes : {bent(kNoSegment, instead_of_relacount(DT_TEXTREL, 0)),
                                   bent(kNoSegment, instead_of_relacount(DT_FLAGS, DF_TEXTREL))}) {
    const fs::path path = write("textrel.so", bytes);
    EXPECT_TRUE(read_elf(path)->has_text_relocations);
    EXPECT_EQ(open_plugin(path).error().text,
              "plugin " + path.string() +
                  " has its code written to while it is loaded (TEXTREL); compile all of it with "
                  "-fPIC");
  }
}

TEST_F(Elf, RefusesAPluginWithoutANote) {
  const auto hide = [](Elf64_Phdr& segment) {
    if (segment.p_type == PT_NOTE) segment.p_type = PT_NULL;
  };
  const fs::path path = write("note.so", bent(hide, kNoTag));
  EXPECT_EQ(open_plugin(path).error().text,
            "plugin " + path.string() +
                " has no note of assay, which is read before any of its code runs; build it with "
                "ASSAY_PLUGIN, or put ASSAY_NOTE at file scope");
}

TEST_F(Elf, RefusesNamesBeyondTheFile) {
  const auto far = instead_of_relacount(DT_NEEDED, ~Elf64_Xword{0} - 3);
  EXPECT_THAT(read_elf(write("far.so", bent(kNoSegment, far))).error().text,
              testing::StartsWith("is cut short"));
  const auto long_names = [](Elf64_Dyn& tag) {
    if (tag.d_tag == DT_STRSZ) tag.d_un.d_val = ~Elf64_Xword{0} - 3;
  };
  const auto read = read_elf(write("long.so", bent(kNoSegment, long_names)));
  EXPECT_TRUE(read || !read.error().text.empty());
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
    const auto needs = read_needs(write("changed.so", bytes));
    EXPECT_TRUE(needs || !needs.error().text.empty());
    const auto facts = read_elf(folder_ / "changed.so");
    if (!facts) {
      EXPECT_NE(facts.error().text, "");
    }
  }
}

}  // namespace
}  // namespace assay::host
