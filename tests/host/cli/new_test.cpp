#include "host/cli/new.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace assay::host {
namespace {

namespace fs = std::filesystem;

const fs::path kTemplates = ASSAY_TEST_TEMPLATES;

class NewPlugin : public testing::Test {
 protected:
  NewPlugin() {
    std::string name = fs::temp_directory_path() / "assay-new-XXXXXX";
    work_ = mkdtemp(name.data());
  }
  ~NewPlugin() override { fs::remove_all(work_); }

  Result<fs::path> make(const std::string& kind, const std::string& id) const {
    return make_project(kTemplates, {kind, id, work_ / "project"});
  }
  std::string refusal(const std::string& kind, const std::string& id) const {
    const auto made = make(kind, id);
    EXPECT_FALSE(fs::exists(work_ / "project"));
    return made ? "(it was made)" : made.error().text;
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(work_ / "project")) {
      if (entry.is_regular_file())
        names.insert(fs::relative(entry.path(), work_ / "project").string());
    }
    return names;
  }
  std::string text(const std::string& file) const {
    std::ifstream in(work_ / "project" / file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path work_;
};

TEST_F(NewPlugin, IsAWholeProjectUnderItsOwnNames) {
  const auto made = make("metric", "acme/long-form.v2");
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(*made, work_ / "project");
  EXPECT_EQ(files(), (std::set<std::string>{".ci/run", ".gitignore", "CMakeLists.txt", "README.md",
                                            "long_form_v2.cpp", "long_form_v2_test.cpp"}));
  EXPECT_NE(text("CMakeLists.txt").find("assay_add_plugin(acme-long-form.v2 long_form_v2.cpp)"),
            std::string::npos)
      << text("CMakeLists.txt");
  EXPECT_NE(text("long_form_v2.cpp").find("struct LongFormV2 : assay::Metric"), std::string::npos);
  EXPECT_NE(text("long_form_v2.cpp")
                .find("ASSAY_PLUGIN(\"acme/long-form.v2\", \"1.0.0\", \"acme\", \"Proprietary\", "
                      "LongFormV2)"),
            std::string::npos);
  EXPECT_NE(fs::status(work_ / "project/.ci/run").permissions() & fs::perms::owner_exec,
            fs::perms::none);
}

TEST_F(NewPlugin, LeavesNoNameOfTheTemplateBehind) {
  for (const char* kind : {"backend", "c", "dataset", "metric", "reporter"}) {
    const auto made = make(kind, "acme/words");
    ASSERT_TRUE(made) << made.error().text;
    for (const std::string& file : files()) {
      for (const char* name : {"my-vendor", "my-plugin", "my_plugin", "MyPlugin"}) {
        EXPECT_EQ(text(file).find(name), std::string::npos) << kind << " " << file;
      }
    }
    fs::remove_all(*made);
  }
}

TEST_F(NewPlugin, IsNeverWrittenOverSomething) {
  const fs::path folder = work_ / "project";
  fs::create_directory(folder);
  const auto made = make("metric", "acme/words");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text, folder.string() +
                                   " exists, and nothing is written over; remove it, or name "
                                   "another folder with --dir");
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(NewPlugin, NeedsAnIdThatGivesNames) {
  const std::string expected =
      " is no id for a new plugin; expected vendor/name in small letters, digits, - _ and ., each "
      "part beginning with a letter, such as acme/words";
  for (const char* id : {"", "words", "/words", "acme/", "acme/4bit", "Acme/words", "acme/a/b",
                         "acme/wörter", "../x", "acme/..", "acme/a b", "acme/a\"b"}) {
    EXPECT_EQ(refusal("metric", id), '"' + std::string(id) + '"' + expected);
  }
  EXPECT_EQ(refusal("metric", "assay/words"),
            "\"assay/words\": the vendor \"assay\" is that of the plugins that come with it; write "
            "your own name before the slash");
  const std::string longest = "acme/" + std::string(59, 'a');
  EXPECT_EQ(refusal("metric", longest), '"' + longest + "\" has 64 letters; an id has at most 63");
}

TEST_F(NewPlugin, NamesTheKindsThereAre) {
  EXPECT_EQ(refusal("metrik", "acme/words"),
            "there is no template of a \"metrik\"; did you mean \"metric\"? Known: backend, c, "
            "dataset, metric, reporter");
  EXPECT_EQ(refusal("project", "acme/words"),
            "there is no template of a \"project\"; known: backend, c, dataset, metric, reporter");
}

TEST_F(NewPlugin, SaysWhereTemplatesWereExpected) {
  const auto made = make_project(work_ / "none", {"metric", "acme/words", work_ / "project"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text, "there are no templates in " + (work_ / "none").string() +
                                   "; install the component sdk of assay beside this program");
}

TEST_F(NewPlugin, RemovesWhatItCouldNotFinish) {
  const fs::path templates = work_ / "templates";
  fs::create_directories(templates / "metric");
  fs::create_directories(templates / "project");
  std::ofstream(templates / "project" / "CMakeLists.txt") << "project(my-vendor-my-plugin)\n";
  fs::create_symlink("nowhere", templates / "metric" / "my_plugin.cpp");
  const auto made = make_project(templates, {"metric", "acme/words", work_ / "project"});
  ASSERT_FALSE(made);
  EXPECT_FALSE(fs::exists(work_ / "project"));
}

}  // namespace
}  // namespace assay::host
