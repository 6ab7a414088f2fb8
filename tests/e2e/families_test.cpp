// A folder of every model family, given nothing but its path.
#include <gtest/gtest.h>

#include <set>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

TEST(Families, RunFromAPathAlone) {
  std::set<std::string> names;
  const fs::path families = fs::path(ASSAY_SOURCE_DIR) / "tests/data/families";
  for (const auto& entry : fs::directory_iterator(families)) {
    if (fs::exists(entry.path() / "config.json")) names.insert(entry.path().filename().string());
  }
  ASSERT_GE(names.size(), 17u);
  const TempFolder folder;
  std::string manifest = "assay = 1\n";
  for (const std::string& name : names) {
    manifest += "[model." + name + "]\nbackend = \"assay/torch\"\npath = \"" +
                (families / name).string() + "\"\n";
  }
  folder.write("text.txt", "The quick brown fox jumps over the lazy dog, and then it sleeps.");
  folder.write("faq.jsonl", R"({"q": "the fox", "a": "e"})"
                            "\n");
  manifest +=
      "[dataset.text]\nuse = \"assay/text\"\npath = \"text.txt\"\n"
      "[dataset.faq]\nuse = \"assay/jsonl\"\npath = \"faq.jsonl\"\n"
      "[task.text]\nprotocol = \"perplexity\"\ndataset = \"text\"\nwindow = 32\nstride = 16\n"
      "[task.faq]\nprotocol = \"generate\"\ndataset = \"faq\"\nprompt = \"q\"\ntarget = \"a\"\n"
      "max_new_tokens = 6\nmin_new_tokens = 6\nmetrics = [\"assay/contains\"]\n";
  const auto out = folder.path() / "out";
  const Ran ran =
      run_assay({"run", folder.write("m.toml", manifest).string(), "--out", out.string()});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const Json document = run_document(out);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Json* perplexity = record_of(document, name, "text", "perplexity");
    ASSERT_NE(perplexity, nullptr);
    EXPECT_GT(perplexity->at("value").get<double>(), 1);
    const auto said = rows_in(out / "rows" / name / "faq.jsonl.zst");
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0].at("n_tokens"), 6);
  }
}

}  // namespace
}  // namespace assay::host
