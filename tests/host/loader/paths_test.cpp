#include "host/loader/paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/host/loader/folder.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uid_t kStranger = 54321;

std::string refusal(const fs::path& path) {
  const auto file = open_checked(path);
  return file ? "(it was opened)" : file.error().text;
}

TEST(OpenChecked, OpensAFileBelowAStickyFolderOfRoot) {
  const Folder folder;
  const auto file = open_checked(folder.write("a.so", "words"));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(bytes_of(file->path()), "words");
}

TEST(OpenChecked, StaysWithTheFileThatWasLookedAt) {
  const Folder folder;
  const fs::path path = folder.write("a.so", "first");
  const auto file = open_checked(path);
  ASSERT_TRUE(file) << file.error().text;
  fs::rename(folder.write("b.so", "second"), path);
  EXPECT_EQ(bytes_of(file->path()), "first");
}

TEST(OpenChecked, RefusesAFileThatOthersMayWriteTo) {
  const Folder folder;
  const fs::path path = folder.write("a.so", "");
  chmod(path.c_str(), 0666);
  EXPECT_EQ(refusal(path), "may be written to by others; chmod o-w " + path.string());
  chmod(path.c_str(), 0664);
  EXPECT_EQ(refusal(path), "may be written to by its group; chmod g-w " + path.string());
}

TEST(OpenChecked, RefusesAFolderOnTheWayThatOthersMayWriteTo) {
  const Folder folder;
  const fs::path path = folder.write("deep/er/a.so", "");
  chmod((folder.path() / "deep").c_str(), 0777);
  EXPECT_EQ(refusal(path), "lies in " + (folder.path() / "deep").string() +
                               ", which others may write to; chmod o-w " +
                               (folder.path() / "deep").string());
  chmod((folder.path() / "deep").c_str(), 0775);
  EXPECT_THAT(refusal(path), HasSubstr("which its group may write to; chmod g-w "));
  chmod((folder.path() / "deep").c_str(), 0755);
  EXPECT_EQ(refusal(path), "(it was opened)");
}

TEST(OpenChecked, RefusesAStickyFolderThatIsNotRoots) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder to another user";
  const Folder folder;
  const fs::path path = folder.write("deep/a.so", "");
  const fs::path deep = folder.path() / "deep";
  chmod(deep.c_str(), 01777);
  EXPECT_EQ(refusal(path), "(it was opened)");
  ASSERT_EQ(chown(deep.c_str(), kStranger, kStranger), 0);
  EXPECT_EQ(refusal(path),
            "lies in " + deep.string() + ", which belongs to user 54321; chown 0 " + deep.string());
}

TEST(OpenChecked, RefusesAFileOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file to another user";
  const Folder folder;
  const fs::path path = folder.write("a.so", "");
  ASSERT_EQ(chown(path.c_str(), kStranger, kStranger), 0);
  EXPECT_EQ(refusal(path), "belongs to user 54321; chown 0 " + path.string());
}

TEST(OpenChecked, FollowsNoSymbolicLink) {
  const Folder folder;
  const fs::path path = folder.write("real/a.so", "");
  fs::create_directory_symlink(folder.path() / "real", folder.path() / "link");
  fs::create_symlink(path, folder.path() / "a.so");
  EXPECT_EQ(refusal(folder.path() / "link/a.so"), "is reached through the symbolic link " +
                                                      (folder.path() / "link").string() +
                                                      "; name the place itself");
  EXPECT_THAT(refusal(folder.path() / "a.so"), HasSubstr("is reached through the symbolic link "));
}

TEST(OpenChecked, RefusesWhatIsNoFile) {
  const Folder folder;
  EXPECT_EQ(refusal(folder.path()), "is not a regular file");
  EXPECT_EQ(refusal(folder.path() / "absent"), "does not exist");
  EXPECT_EQ(refusal(folder.write("file", "") / "below"), "lies below a file, not in a folder");
  EXPECT_EQ(refusal("relative/a.so"), "is not named by an absolute path");
}

TEST(CheckFolder, RefusesAStickyFolderAtTheEnd) {
  const Folder folder;
  chmod(folder.path().c_str(), 01777);
  const auto checked = check_folder(folder.path());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().text,
            "may be written to by others; chmod o-w " + folder.path().string());
  chmod(folder.path().c_str(), 0755);
  EXPECT_TRUE(check_folder(folder.path()));
}

TEST(PrivateFolder, IsMadeForTheUserAlone) {
  const Folder folder;
  const fs::path made = folder.path() / "a/b/c";
  EXPECT_TRUE(make_private_folder(made));
  EXPECT_EQ(fs::status(made).permissions(), fs::perms::owner_all);
  EXPECT_TRUE(is_private_folder(made));
  chmod(made.c_str(), 0755);
  EXPECT_FALSE(is_private_folder(made));
  EXPECT_FALSE(make_private_folder(made));
}

TEST(ReplaceFile, LeavesOneFileForTheUserAlone) {
  const Folder folder;
  const fs::path path = folder.write("x.lock", "old");
  ASSERT_TRUE(replace_file(path, "new"));
  EXPECT_EQ(bytes_of(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(ReplaceFile, SaysWhatCannotBeWritten) {
  const auto written = replace_file("/absent/folder/x.lock", "");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().text,
            "/absent/folder/x.lock cannot be written: No such file or directory");
}

TEST(UserFolder, IsTheVariableOrBelowHome) {
  setenv("ASSAY_TEST_FOLDER", "/some/where", 1);
  EXPECT_EQ(user_folder("ASSAY_TEST_FOLDER", ".cache"), "/some/where");
  setenv("ASSAY_TEST_FOLDER", "not/absolute", 1);
  setenv("HOME", "/u/me", 1);
  EXPECT_EQ(user_folder("ASSAY_TEST_FOLDER", ".cache"), "/u/me/.cache");
  unsetenv("ASSAY_TEST_FOLDER");
  EXPECT_EQ(user_folder("ASSAY_TEST_FOLDER", ".cache"), "/u/me/.cache");
}

}  // namespace
}  // namespace assay::host
