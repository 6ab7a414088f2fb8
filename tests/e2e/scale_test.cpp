// Large inputs: a million short documents in bounded memory, and one that is too long.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

// The sanitizers make every document about ten times dearer.
#ifdef __SANITIZE_ADDRESS__
constexpr int kDocuments = 30'000;
#else
constexpr int kDocuments = 1'000'000;
#endif

std::string manifest_for(const std::string& dataset, const std::string& path) {
  return "assay = 1\n[model.a]\nbackend = \"fake/hash\"\nvocab = 512\npath = \"" +
         std::string(ASSAY_SOURCE_DIR) + "/share/data/stories260k\"\n[dataset.docs]\nuse = \"" +
         dataset + "\"\npath = \"" + path +
         "\"\n[task.docs]\nprotocol = \"perplexity\"\ndataset = \"docs\"\nwindow = 256\nstride = "
         "128\nlimit = 2000\n";
}

Ran run_on(const TempFolder& folder, const std::string& manifest) {
  // ASan keeps 256 MiB of freed memory by default, which would drown what is measured here.
  return run_assay({"run", folder.write("m.toml", manifest).string(), "--out",
                    (folder.path() / "out").string(), "--plugin-dir", trusted_fakes()},
                   "ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=4 ");
}

TEST(Scale, ManyDocumentsAreReadTokenizedAndSpooledInBoundedMemory) {
  const TempFolder folder;
  {
    std::ofstream out(folder.path() / "docs.jsonl");
    for (int i = 0; i < kDocuments; ++i) {
      out << "{\"id\": " << i << ", \"text\": \"the cat " << i % 97 << " sat on a mat\"}\n";
    }
  }
  const Ran ran = run_on(folder, manifest_for("assay/jsonl", "docs.jsonl"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json document = run_document(folder.path() / "out");
  EXPECT_EQ(document.at("counts")[0].at("scored"), 2000);
  EXPECT_NE(ran.err.find("tokenizing docs  " + std::to_string(kDocuments) + " items"),
            std::string::npos)
      << ran.err;
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  EXPECT_LT(usage.ru_maxrss, 500'000);  // KiB; the backend of this test holds nothing
}

TEST(Scale, LineOfFiftyMegabytesIsRefusedWithHowToSplitIt) {
  const TempFolder folder;
  const std::string path =
      folder.write("one.jsonl", "{\"text\": \"" + std::string(50'000'000, 'w') + "\"}\n").string();
  const Ran ran = run_on(folder, manifest_for("assay/jsonl", path));
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("dataset.docs: assay/jsonl: " + path +
                         ":1: the line has 50000012 bytes, and one may have at most 33554432 (32 "
                         "MiB); split its document into several objects, one per line"),
            std::string::npos)
      << ran.err;
}

TEST(Scale, TextOfFiftyMegabytesIsRefusedWithHowToCutIt) {
  const TempFolder folder;
  const std::string path = folder.write("one.txt", std::string(50'000'000, 'w')).string();
  const Ran ran = run_on(folder, manifest_for("assay/text", path));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_NE(
      ran.err.find("assay/text: " + path +
                   ":1: the document that starts here has 50000000 bytes, and one may have at "
                   "most 33554432 (32 MiB); cut the file with documents = \"lines\" or "
                   "documents = \"separator\""),
      std::string::npos)
      << ran.err;
}

}  // namespace
}  // namespace assay::host
