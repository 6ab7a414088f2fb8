#include "host/store/models.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "host/store/files.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

class Models : public testing::Test {
 protected:
  Models() {
    std::string name = (fs::temp_directory_path() / "assay-models-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Models() override { fs::remove_all(folder_); }

  ModelStore store() const { return *ModelStore::open(folder_ / "store"); }

  static Result<fs::path> make(const ModelStore& store, const std::string& digest) {
    const std::atomic<bool> cancelled = false;
    const auto claim = store.claim(digest, cancelled, {});
    EXPECT_TRUE(claim);
    const auto folder = store.begin(*claim, digest);
    EXPECT_TRUE(folder);
    std::ofstream(*folder / "weights") << "12345";
    return store.publish(*claim, digest, {{"made", "today"}});
  }

  fs::path folder_;
};

TEST_F(Models, AreThereOnlyWhenTheyAreWhole) {
  const ModelStore store = this->store();
  EXPECT_FALSE(store.find("d"));
  const auto made = make(store, "d");
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(*made, folder_ / "store" / "models" / "d");
  const auto found = store.find("d");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at("made"), "today");
  EXPECT_EQ(found->at("digest"), "d");
  EXPECT_EQ(found->at("files").dump(), R"([{"name":"weights","bytes":5}])");
  EXPECT_TRUE(fs::is_empty(folder_ / "store" / "tmp"));

  fs::resize_file(*made / "weights", 4);
  EXPECT_FALSE(store.find("d"));
  ASSERT_TRUE(make(store, "d"));
  EXPECT_TRUE(store.find("d"));
  fs::remove(*made / "weights");
  EXPECT_FALSE(store.find("d"));
}

TEST_F(Models, OfAnotherDigestOrWithoutADocumentAreNotTaken) {
  const ModelStore store = this->store();
  const auto made = make(store, "d");
  fs::rename(*made, store.path_of("e"));
  EXPECT_FALSE(store.find("e"));
  for (const char* text : {"", "5", "{}", R"({"digest":"e"})", R"({"digest":"e","files":[]})",
                           R"({"digest":"e","files":[1]})", R"({"digest":"e","files":[{}]})"}) {
    std::ofstream(store.path_of("e") / "assay.json") << text;
    EXPECT_FALSE(store.find("e")) << text;
  }
}

TEST_F(Models, WhatAnAttemptLeftIsHandedToTheNext) {
  const ModelStore store = this->store();
  const std::atomic<bool> cancelled = false;
  {
    const auto claim = store.claim("d", cancelled, {});
    std::ofstream(*store.begin(*claim, "d") / "half") << "123";
  }
  EXPECT_FALSE(store.find("d"));
  const auto claim = store.claim("d", cancelled, {});
  EXPECT_TRUE(fs::exists(*store.begin(*claim, "d") / "half"));
  store.discard(*claim, "d");
  EXPECT_TRUE(fs::is_empty(*store.begin(*claim, "d")));
}

TEST_F(Models, NothingWrittenIsNoModel) {
  const ModelStore store = this->store();
  const std::atomic<bool> cancelled = false;
  const auto claim = store.claim("d", cancelled, {});
  const auto folder = store.begin(*claim, "d");
  const auto made = store.publish(*claim, "d", Json::object());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text, "nothing was written into " + folder->string());
  EXPECT_FALSE(store.find("d"));
}

TEST_F(Models, AClaimIsWaitedForAndCanBeGivenUp) {
  const ModelStore store = this->store();
  std::atomic<bool> cancelled = false;
  std::optional<Claim> claim;
  claim.emplace(*store.claim("d", cancelled, {}));
  EXPECT_TRUE(store.claim("e", cancelled, {})) << "of another model";

  bool has_waited = false;
  std::thread giver([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    claim.reset();
  });
  {
    const auto second = store.claim("d", cancelled, [&] { has_waited = true; });
    EXPECT_TRUE(second);
    EXPECT_TRUE(has_waited);
    giver.join();
    const auto third = store.claim("d", cancelled, [&] { cancelled = true; });
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, ASSAY_CANCELLED);
  }
}

TEST_F(Models, AStoreThatCannotBeWrittenNamesItsOption) {
  std::ofstream(folder_ / "file") << "";
  const auto store = ModelStore::open(folder_ / "file");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().text, "cannot write to " + (folder_ / "file" / "models").string() +
                                    ": Not a directory; choose another --store folder or change "
                                    "its permissions");
}

}  // namespace
}  // namespace assay::host
