#include "host/loader/lock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "host/core/hash.hpp"
#include "tests/host/loader/folder.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::string kDigest(64, 'a');

LockEntry entry(const std::string& id, const fs::path& directory) {
  LockEntry made;
  made.id = id;
  made.version = "1.2.3";
  made.directory = directory;
  made.kinds = {ASSAY_BACKEND, ASSAY_METRIC};
  made.date = "2024-06-07";
  made.files = {{"lib/deep.so", kDigest}, {"plugin.so", std::string(64, '0')}};
  return made;
}

std::string refusal(const std::string& text) {
  const Folder folder;
  const auto lock = read_lock(folder.write("plugins.lock", text));
  return lock ? "(it was read)" : lock.error().text;
}

TEST(Lock, ReadsWhatItWrites) {
  const Folder folder;
  const fs::path path = folder.path() / "config/assay/plugins.lock";
  Lock lock;
  lock.plugins = {entry("acme/words", "/opt/acme"), entry("acme/int4", "/opt/acme")};
  lock.plugins[1].allows_host = true;
  // Everything that TOML would take for its own.
  lock.plugins[0].directory = "/opt/a \"quoted\" \\ folder\n[x]\x01";
  lock.plugins[0].files = {{"a \"b\".so", kDigest}, {"c\td.so", kDigest}, {"\u00e9.so", kDigest}};
  ASSERT_TRUE(write_lock(path, lock));
  const auto read = read_lock(path);
  ASSERT_TRUE(read) << read.error().text;
  ASSERT_EQ(read->plugins.size(), 2u);
  for (const LockEntry& wanted : lock.plugins) {
    const LockEntry* found = read->find(wanted.directory, wanted.id);
    ASSERT_NE(found, nullptr) << wanted.directory;
    EXPECT_EQ(found->version, wanted.version);
    EXPECT_EQ(found->kinds, wanted.kinds);
    EXPECT_EQ(found->allows_host, wanted.allows_host);
    EXPECT_EQ(found->date, wanted.date);
    EXPECT_EQ(found->files, wanted.files);
  }
  EXPECT_EQ(lock_text(*read), lock_text(lock)) << "the order is not that of the list";
}

TEST(Lock, ReadsAsAPersonWouldWriteIt) {
  EXPECT_EQ(lock_text({{entry("acme/int4", "/opt/acme")}}),
            "# Plugins that may run. Written by `assay plugins trust`.\n"
            "\n"
            "[[plugin]]\n"
            "id        = \"acme/int4\"\n"
            "version   = \"1.2.3\"\n"
            "directory = \"/opt/acme\"\n"
            "kinds     = [\"backend\", \"metric\"]\n"
            "isolation = \"worker\"\n"
            "date      = \"2024-06-07\"\n"
            "\n"
            "[plugin.files]\n"
            "\"lib/deep.so\" = \"" +
                kDigest + "\"\n\"plugin.so\" = \"" + std::string(64, '0') + "\"\n");
}

TEST(Lock, IsEmptyWhereThereIsNone) {
  const Folder folder;
  for (const fs::path& path : {folder.path() / "absent.lock", fs::path()}) {
    const auto lock = read_lock(path);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(lock->plugins.empty());
  }
}

TEST(Lock, SaysWhichLineIsWrong) {
  const std::string text = lock_text({{entry("acme/int4", "/opt/acme")}});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return refusal(changed);
  };
  EXPECT_THAT(with("[[plugin]]", "[plugin]"), HasSubstr("plugins.lock:3:"));
  EXPECT_THAT(with("\"/opt/acme\"", "\"opt\""),
              HasSubstr("plugins.lock:6:13: directory must be an absolute path"));
  EXPECT_THAT(with("\"metric\"", "\"metrics\""),
              HasSubstr("plugins.lock:7:25: there is no kind \"metrics\""));
  EXPECT_THAT(with("\"worker\"", "\"sandbox\""),
              HasSubstr("isolation must be \"worker\" or \"none\", got \"sandbox\""));
  EXPECT_THAT(with(kDigest, "abc"), HasSubstr("expected the 64 hexadecimal digits of a SHA-256"));
  EXPECT_THAT(with("version ", "verzion "), HasSubstr("plugin lacks \"version\""));
  EXPECT_THAT(with("= \"1.2.3\"", "= \"1.2"), HasSubstr("not TOML"));
  EXPECT_THAT(with("= \"1.2.3\"", "= \"1.2"),
              HasSubstr("mend the file, or remove it and allow the plugins again"));
}

TEST(Lock, IsNotReadWhereOthersCouldHaveWrittenIt) {
  const Folder folder;
  const fs::path path = folder.write("plugins.lock", "");
  chmod(path.c_str(), 0666);
  const auto lock = read_lock(path);
  ASSERT_FALSE(lock);
  EXPECT_EQ(
      lock.error().text,
      path.string() + " is not used: it may be written to by others; chmod o-w " + path.string());
}

TEST(HashFolder, TakesEveryFile) {
  const Folder folder;
  folder.write("a.so", "one");
  folder.write("lib/deep/b.so", "two");
  const auto files = hash_folder(folder.path());
  ASSERT_TRUE(files) << files.error().text;
  EXPECT_THAT(*files,
              ElementsAre(Pair("a.so", sha256("one")), Pair("lib/deep/b.so", sha256("two"))));
}

TEST(HashFolder, RefusesSymbolicLinksAndWhatOthersMayWriteTo) {
  const Folder folder;
  folder.write("lib/a.so", "one");
  fs::create_symlink("a.so", folder.path() / "lib/link.so");
  EXPECT_EQ(hash_folder(folder.path()).error().text,
            "holds the symbolic link lib/link.so; put the file itself there");
  fs::remove(folder.path() / "lib/link.so");
  chmod((folder.path() / "lib/a.so").c_str(), 0666);
  EXPECT_EQ(hash_folder(folder.path()).error().text,
            "holds lib/a.so, which may be written to by others; chmod o-w " +
                (folder.path() / "lib/a.so").string());
}

}  // namespace
}  // namespace assay::host
