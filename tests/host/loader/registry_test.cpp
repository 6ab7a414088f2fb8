#include "host/loader/registry.hpp"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "host/core/hash.hpp"
#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

const fs::path kFakes = ASSAY_TEST_FAKES;

/// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "assay-registry-XXXXXX";
    path_ = fs::canonical(mkdtemp(name.data()));
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  fs::path path_;
};

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// What opening the file fails with, without the "plugin PATH " before it.
std::string refusal(const fs::path& path, assay_status code = ASSAY_FAILED_PRECONDITION) {
  const auto plugin = open_plugin(path);
  if (plugin) return "(it was opened)";
  const std::string prefix = "plugin " + path.string() + " ";
  EXPECT_EQ(plugin.error().text.substr(0, prefix.size()), prefix);
  EXPECT_EQ(plugin.error().where, path.string());
  EXPECT_EQ(plugin.error().code, code);
  return plugin.error().text.substr(prefix.size());
}

TEST(OpenPlugin, ReadsConstantsPathAndDigest) {
  const auto plugin = open_plugin(kFakes / "fake-backends.so");
  ASSERT_TRUE(plugin) << plugin.error().text;
  EXPECT_STREQ(plugin->constants->id, "fake/backends");
  EXPECT_EQ(plugin->constants->n_components, 2u);
  EXPECT_EQ(plugin->path, fs::canonical(kFakes / "fake-backends.so"));
  EXPECT_EQ(plugin->sha256, *sha256_file(kFakes / "fake-backends.so"));
}

TEST(OpenPlugin, FollowsALinkToTheFileItself) {
  const Folder folder;
  fs::create_symlink(kFakes / "fake-backends.so", folder.path() / "link.so");
  const auto plugin = open_plugin(folder.path() / "link.so");
  ASSERT_TRUE(plugin) << plugin.error().text;
  EXPECT_EQ(plugin->path, fs::canonical(kFakes / "fake-backends.so"));
}

TEST(OpenPlugin, SaysThatAFileDoesNotExist) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.path() / "absent.so", ASSAY_NOT_FOUND), "does not exist");
}

TEST(OpenPlugin, NamesTheFileInTheSentence) {
  const auto plugin = open_plugin("/absent/x.so");
  ASSERT_FALSE(plugin);
  EXPECT_EQ(plugin.error().text, "plugin /absent/x.so does not exist");
}

TEST(OpenPlugin, RefusesAFolder) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.path()), "is a folder; expected a shared library");
}

TEST(OpenPlugin, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(refusal("/dev/null"), "is not a regular file; expected a shared library");
}

TEST(OpenPlugin, RefusesAnEmptyFile) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.write("a.so", "")), "is empty; expected a shared library");
}

TEST(OpenPlugin, RefusesAFileItMayNotRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const Folder folder;
  const fs::path path = folder.write("a.so", "x");
  fs::permissions(path, fs::perms::none);
  EXPECT_EQ(refusal(path), "cannot be read: Permission denied");
}

TEST(OpenPlugin, RefusesATextFile) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.write("a.so", "/* GNU ld script */\nGROUP ( libc.so.6 )\n")),
            "is a text file; expected a shared library");
}

TEST(OpenPlugin, RefusesOtherBytes) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.write("a.so", std::string("\xCF\xFA\xED\xFE\x07\0\0\x01", 8))),
            "is not a shared library (no ELF header)");
}

/// A copy of a good plugin with its ELF header changed.
template <class Change>
fs::path bent_copy(const Folder& folder, Change&& change) {
  std::string bytes = bytes_of(kFakes / "fake-backends.so");
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  change(header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return folder.write("bent.so", bytes);
}

TEST(OpenPlugin, RefusesA32BitLibrary) {
  const Folder folder;
  EXPECT_EQ(refusal(bent_copy(folder, [](auto& elf) { elf.e_ident[EI_CLASS] = ELFCLASS32; })),
            "is a 32-bit library; expected a 64-bit one");
}

TEST(OpenPlugin, RefusesABigEndianLibrary) {
  const Folder folder;
  EXPECT_EQ(refusal(bent_copy(folder, [](auto& elf) { elf.e_ident[EI_DATA] = ELFDATA2MSB; })),
            "is a big-endian library; expected a little-endian one");
}

TEST(OpenPlugin, RefusesALibraryForAnotherMachineAndNamesBoth) {
  const Folder folder;
  EXPECT_EQ(refusal(bent_copy(folder, [](auto& elf) { elf.e_machine = EM_RISCV; })),
#if defined(__x86_64__)
            "is built for RISC-V; expected x86-64");
#else
            "is built for RISC-V; expected AArch64");
#endif
}

TEST(OpenPlugin, RefusesAnObjectFile) {
  const Folder folder;
  EXPECT_EQ(refusal(bent_copy(folder, [](auto& elf) { elf.e_type = ET_REL; })),
            "is an object file; expected a shared library");
}

TEST(OpenPlugin, RefusesAFileCutShortAnywhere) {
  const Folder folder;
  const std::string bytes = bytes_of(kFakes / "fake-backends.so");
  for (const std::size_t kept : {std::size_t{20}, std::size_t{64}, std::size_t{200},
                                 bytes.size() / 4, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_EQ(refusal(folder.write("cut.so", bytes.substr(0, kept))),
              "is cut short: its headers describe more than its " + std::to_string(kept) +
                  " bytes; copy or build it again");
  }
}

TEST(OpenPlugin, RefusesHeadersThatPointAnywhere) {
  const Folder folder;
  EXPECT_THAT(refusal(bent_copy(folder, [](auto& elf) { elf.e_phoff = ~std::uint64_t{0} - 8; })),
              testing::StartsWith("is cut short"));
  EXPECT_THAT(refusal(bent_copy(folder, [](auto& elf) { elf.e_shoff = ~std::uint64_t{0} / 2; })),
              testing::StartsWith("is cut short"));
  EXPECT_EQ(refusal(bent_copy(folder, [](auto& elf) { elf.e_phentsize = 3; })),
            "has ELF headers of an unknown size; build it again");
}

TEST(OpenPlugin, RefusesALibraryThatExportsNothingOfOurs) {
  EXPECT_EQ(refusal(kFakes / "broken/no_entry.so"),
            "exports no assay_plugin_v1, so it is no plugin");
}

TEST(OpenPlugin, RefusesANewerAbiAndNamesBothVersions) {
  const std::string sentence =
      "was built for ABI 2, this assay speaks ABI 1; get a build of the plugin for ABI 1";
  EXPECT_EQ(refusal(kFakes / "broken/abi_from_the_future.so"), sentence);
  EXPECT_EQ(refusal(kFakes / "broken/exports_v2_only.so"), sentence);
}

TEST(OpenPlugin, RefusesAPluginThatNeedsANewerMinorBeforeLoadingIt) {
  EXPECT_EQ(refusal(kFakes / "broken/needs_newer_minor.so"),
            "needs ABI 1.9, this assay speaks ABI 1.0; get a newer assay");
}

TEST(OpenPlugin, NamesTheLibraryAPluginNeedsAndDoesNotFind) {
  EXPECT_EQ(refusal(kFakes / "broken/missing_library.so"),
            "needs the library libassay-fake-absent.so, which was not found; install it or put it "
            "beside the plugin");
}

TEST(OpenPlugin, NamesTheSymbolAPluginNeedsAndDoesNotFind) {
  EXPECT_EQ(refusal(kFakes / "broken/undefined_symbol.so"),
            "needs the symbol assay_fake_function_nobody_has, which none of its libraries has; "
            "link the library that has it");
}

TEST(OpenPlugin, RefusesConstantsThatBreakTheContract) {
  EXPECT_EQ(refusal(kFakes / "broken/null_id.so"),
            "breaks the plugin contract: a component's id is NULL");
  EXPECT_EQ(refusal(kFakes / "broken/short_struct.so"),
            "breaks the plugin contract: assay_plugin_v1 says it has 24 bytes; ABI 1.0 has 64");
  EXPECT_EQ(refusal(kFakes / "broken/duplicate_ids.so"),
            "breaks the plugin contract: component \"fake/twin\" is there twice");
}

TEST(Registry, FindsComponentsByIdAndKind) {
  const Registry registry = Registry::scan({kFakes});
  const Component* component = registry.find("fake/hash");
  ASSERT_NE(component, nullptr);
  EXPECT_EQ(component->id(), "fake/hash");
  EXPECT_EQ(component->version(), "1.0.0");
  EXPECT_EQ(registry.find("fake/hash", ASSAY_BACKEND), component);
  EXPECT_EQ(registry.find("fake/hash", ASSAY_METRIC), nullptr);
  EXPECT_EQ(registry.find("fake/absent"), nullptr);
  EXPECT_THAT(registry.ids(ASSAY_BACKEND), testing::IsSupersetOf({"fake/uniform", "fake/hash"}));
  EXPECT_THAT(registry.ids(ASSAY_REPORTER), testing::IsEmpty());
}

TEST(Registry, KeepsTheReasonOfEachFileItCannotUse) {
  const Registry registry = Registry::scan({kFakes / "broken"});
  EXPECT_THAT(registry.components(), testing::IsEmpty());
  ASSERT_EQ(registry.rejected().size(), 9u);
  EXPECT_EQ(registry.rejected()[0].path, kFakes / "broken/abi_from_the_future.so");
  EXPECT_EQ(registry.rejected()[0].reason,
            "was built for ABI 2, this assay speaks ABI 1; get a build of the plugin for ABI 1");
}

TEST(Registry, LooksOnlyAtFilesNamedSo) {
  const Folder folder;
  folder.write("README.md", "words");
  folder.write("libx.so.1", "words");
  EXPECT_THAT(Registry::scan({folder.path()}).rejected(), testing::IsEmpty());
}

TEST(Registry, ReportsAFolderThatDoesNotExist) {
  const Registry registry = Registry::scan({"/absent/plugins"});
  ASSERT_EQ(registry.rejected().size(), 1u);
  EXPECT_EQ(registry.rejected()[0].path, "/absent/plugins");
  EXPECT_EQ(registry.rejected()[0].reason, "no such folder");
}

TEST(Registry, ReportsAFileGivenAsAFolder) {
  const Folder folder;
  const Registry registry = Registry::scan({folder.write("x.so", "")});
  ASSERT_EQ(registry.rejected().size(), 1u);
  EXPECT_EQ(registry.rejected()[0].reason, "cannot be read as a folder: Not a directory");
}

TEST(Registry, TakesOneFileOnceHoweverItIsReached) {
  const Folder folder;
  fs::create_symlink(kFakes / "fake-backends.so", folder.path() / "again.so");
  const Registry registry = Registry::scan({folder.path(), folder.path(), kFakes});
  EXPECT_EQ(registry.ids(ASSAY_BACKEND), Registry::scan({kFakes}).ids(ASSAY_BACKEND));
  EXPECT_THAT(registry.rejected(), testing::IsEmpty());
}

TEST(Registry, LetsTheFirstComponentOfAnIdWinAndSaysSo) {
  const Folder first;
  const Folder second;
  fs::copy_file(kFakes / "fake-backends.so", first.path() / "mine.so");
  fs::copy_file(kFakes / "fake-backends.so", second.path() / "theirs.so");
  const Registry registry = Registry::scan({first.path(), second.path()});
  EXPECT_EQ(registry.find("fake/hash")->plugin->path, first.path() / "mine.so");
  ASSERT_EQ(registry.rejected().size(), 2u);
  EXPECT_EQ(registry.rejected()[0].path, second.path() / "theirs.so");
  EXPECT_EQ(registry.rejected()[0].reason, "component \"fake/uniform\" was found before, in " +
                                               (first.path() / "mine.so").string());
}

TEST(Registry, LeavesOutAComponentOfAKindItDoesNotKnow) {
  InMemoryPlugin fake;
  fake.plugin.abi_minor = ASSAY_ABI_MINOR + 1;
  fake.component.kind = 5;
  Registry registry;
  registry.add(fake.plugin, "/fakes/new.so");
  EXPECT_THAT(registry.components(), testing::IsEmpty());
  ASSERT_EQ(registry.rejected().size(), 1u);
  EXPECT_EQ(registry.rejected()[0].reason,
            "component \"fake/metric\" is of a kind newer than this assay (5)");
}

TEST(Registry, KeepsItsComponentsWhenMoved) {
  InMemoryPlugin fake;
  Registry registry;
  registry.add(fake.plugin, "/fakes/metric.so");
  const Component* component = registry.find("fake/metric");
  const Registry moved = std::move(registry);
  EXPECT_EQ(moved.find("fake/metric"), component);
  EXPECT_EQ(component->plugin->path, "/fakes/metric.so");
}

class SearchPath : public testing::Test {
 protected:
  void SetUp() override { unsetenv("ASSAY_PLUGIN_PATH"); }
  void TearDown() override { unsetenv("ASSAY_PLUGIN_PATH"); }
};

TEST_F(SearchPath, IsCommandLineThenEnvironmentThenBesideTheExecutable) {
  const Folder one;
  const Folder two;
  const Folder three;
  const fs::path beside =
      fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib/assay";
  fs::create_directories(beside);
  setenv("ASSAY_PLUGIN_PATH", (two.path().string() + ":" + three.path().string()).c_str(), 1);
  const auto folders = plugin_search_path({one.path()});
  ASSERT_GE(folders.size(), 4u);
  EXPECT_EQ(folders[0].path, one.path());
  EXPECT_EQ(folders[1].path, two.path());
  EXPECT_EQ(folders[2].path, three.path());
  EXPECT_EQ(folders[3].path, beside);
}

TEST_F(SearchPath, KeepsAFolderOfTheCommandLineThatDoesNotExist) {
  EXPECT_EQ(plugin_search_path({"/absent/a"}).front().path, "/absent/a");
}

TEST_F(SearchPath, LeavesOutOtherFoldersThatDoNotExist) {
  setenv("ASSAY_PLUGIN_PATH", "/absent/b", 1);
  EXPECT_THAT(plugin_search_path({}),
              testing::Not(testing::Contains(testing::Field(&PluginFolder::path, "/absent/b"))));
}

TEST_F(SearchPath, DoesNotTakeAnEmptyElementForTheWorkingDirectory) {
  setenv("ASSAY_PLUGIN_PATH", "::", 1);
  EXPECT_THAT(
      plugin_search_path({}),
      testing::Not(testing::Contains(testing::Field(&PluginFolder::path, fs::current_path()))));
}

TEST_F(SearchPath, IsAbsolute) {
  setenv("ASSAY_PLUGIN_PATH", ".", 1);
  for (const PluginFolder& folder : plugin_search_path({"plugins/mine"})) {
    EXPECT_TRUE(folder.path.is_absolute()) << folder.path;
  }
}

}  // namespace
}  // namespace assay::host
