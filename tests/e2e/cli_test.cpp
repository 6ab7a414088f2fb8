// The program as a person or a script meets it: exit codes, what goes to which stream, bad input.
#include <gtest/gtest.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

class Cli : public testing::Test {
 protected:
  std::string manifest(const std::string& tail, const std::string& dataset = "items") {
    return "assay = 1\n[model.a]\nbackend = \"fake/hash\"\npath = \"" + model_ +
           "\"\nvocab = 512\n[model.b]\nbackend = \"fake/hash\"\npath = \"" + model_ +
           "\"\nvocab = 512\nnoise = 0.1\n[dataset.items]\nuse = \"assay/jsonl\"\npath = "
           "\"items.jsonl\"\n"
           "[task.choice]\nprotocol = \"multiple_choice\"\ndataset = \"" +
           dataset +
           "\"\nprompt = \"{{ q }}\"\nchoices = \"choices\"\ntarget = \"answer\"\n"
           "group_by = [\"kind\"]\n[compare]\nbaseline = \"a\"\n" +
           tail;
  }

  void write_items(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
      text += Json{{"q", "item " + std::to_string(i)},
                   {"choices", {"yes", "no", "maybe"}},
                   {"answer", i % 3},
                   {"kind", i % 2 == 0 ? "even" : "odd"}}
                  .dump() +
              "\n";
    }
    folder_.write("items.jsonl", text);
  }

  Ran run(const std::string& text, const std::string& prefix = "") {
    const std::string path = folder_.write("m.toml", text).string();
    return run_assay(
        {"run", path, "--out", (folder_.path() / "out").string(), "--plugin-dir", trusted_fakes()},
        prefix);
  }

  TempFolder folder_;
  std::string model_ = std::string(ASSAY_SOURCE_DIR) + "/share/data/stories260k";
};

TEST_F(Cli, HelpShowsExamplesAndExitCodes) {
  const Ran ran = run_assay({"--help"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_NE(ran.out.find("assay run study.toml --out results"), std::string::npos);
  EXPECT_NE(ran.out.find("Exit codes: 0 pass, 1 a gate failed"), std::string::npos);
}

TEST_F(Cli, WithoutASubcommandIsAUsageError) { EXPECT_EQ(run_assay({}).exit_code, 2); }

TEST_F(Cli, ManifestThatIsNotThereIsAUsageError) {
  const Ran ran = run_assay({"run", "none.toml"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("none.toml cannot be opened: No such file or directory"),
            std::string::npos)
      << ran.err;
}

TEST_F(Cli, RunLeavesRowsFiguresAndComparisons) {
  write_items(40);
  const Ran ran = run(manifest(""));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  EXPECT_EQ(document.at("status"), "complete");
  EXPECT_EQ(document.at("verdict"), "NONE");
  const auto rows = rows_in(folder_.path() / "out/rows/b/choice.jsonl.zst");
  ASSERT_EQ(rows.size(), 40u);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].at("index"), i);
  EXPECT_EQ(rows[3].at("groups").at("kind"), "odd");
  EXPECT_EQ(rows[3].at("choices"), Json({"yes", "no", "maybe"}));
  const Json* whole = record_of(document, "b", "choice", "acc");
  const Json* even = record_of(document, "b", "choice", "acc", "kind=even");
  ASSERT_TRUE(whole != nullptr && even != nullptr);
  EXPECT_EQ(whole->at("n"), 40);
  EXPECT_EQ(even->at("n"), 20);
  double sum = 0;
  for (const Json& row : rows) sum += row.at("metrics").at("acc").get<double>();
  EXPECT_DOUBLE_EQ(whole->at("value").get<double>(), sum / 40);
  const Json* delta = record_of(document, "b", "choice", "acc", nullptr, "comparisons");
  ASSERT_NE(delta, nullptr);
  const Json* base = record_of(document, "a", "choice", "acc");
  EXPECT_NEAR(delta->at("delta").get<double>(),
              whole->at("value").get<double>() - base->at("value").get<double>(), 1e-12);
}

TEST_F(Cli, FailedGateExitsWithOneAndSaysByHowMuch) {
  write_items(40);
  const Ran ran = run(manifest("[[gate]]\ntask = \"choice\"\nmetric = \"acc\"\nmin = 1.0\n"));
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  EXPECT_EQ(document.at("verdicts")[0].at("verdict"), "FAIL");
  EXPECT_EQ(document.at("verdicts")[0].at("variant"), "b");
}

TEST_F(Cli, VariantThatFailsLeavesTheOthersAndExitsWithFour) {
  write_items(40);
  std::string text = manifest("");
  text.replace(text.find("noise = 0.1"), 11, "fail_after = 5");
  const Ran ran = run(text);
  EXPECT_EQ(ran.exit_code, 4) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  EXPECT_EQ(document.at("status"), "failed");
  EXPECT_EQ(document.at("variants")[0].at("status"), "complete");
  EXPECT_EQ(document.at("variants")[1].at("status"), "failed");
  EXPECT_NE(record_of(document, "a", "choice", "acc"), nullptr);
}

TEST_F(Cli, ItemsTheBackendRefusesAreCountedAndNamed) {
  write_items(40);
  std::string text = manifest("");
  text.replace(text.find("noise = 0.1"), 11, "refuse_every = 10");
  const Ran ran = run(text);
  EXPECT_EQ(ran.exit_code, 4) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  EXPECT_GT(document.at("counts")[1].at("failed").get<int>(), 0);
  EXPECT_EQ(document.at("counts")[1].at("failed").get<int>() +
                document.at("counts")[1].at("scored").get<int>(),
            40);
}

TEST_F(Cli, InterruptKeepsWhatIsMeasuredAndExitsWith130) {
  write_items(3000);
  std::string text = manifest("");
  text.replace(text.find("noise = 0.1"), 11, "slow_ms = 5");
  const std::string manifest_path = folder_.write("m.toml", text).string();
  const auto out = folder_.path() / "out";
  // The first variant's rows have their name when it is done; the second is slow.
  const std::string script = shell_quoted(ASSAY_BINARY) + " run -q " + manifest_path + " --out " +
                             out.string() + " --plugin-dir " + shell_quoted(trusted_fakes()) +
                             " 2>/dev/null & while [ ! -e " +
                             (out / "rows/a/choice.jsonl.zst").string() +
                             " ]; do sleep 0.1; done; sleep 3; kill -INT $!; wait $!";
  const int status = std::system(script.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const Json document = run_document(folder_.path() / "out");
  EXPECT_EQ(document.at("status"), "partial");
  EXPECT_EQ(document.at("variants")[0].at("status"), "complete");
  EXPECT_EQ(document.at("partial").size(), 1u);
  EXPECT_EQ(rows_in(folder_.path() / "out/rows/a/choice.jsonl.zst").size(), 3000u);
  const auto kept = rows_in(folder_.path() / "out/rows/b/choice.jsonl.zst").size();
  EXPECT_EQ(kept, document.at("partial")[0].at("scored").get<std::size_t>());
  EXPECT_GT(kept, 0u);
  EXPECT_LT(kept, 3000u);
}

TEST_F(Cli, OutputFolderThatCannotBeMadeIsToldInOneSentence) {
  write_items(4);
  folder_.write("out", "a file in the way");
  const Ran ran = run(manifest(""));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_NE(ran.err.find("cannot write to " + (folder_.path() / "out").string() +
                         ": Not a directory; choose another --out folder or change its "
                         "permissions"),
            std::string::npos)
      << ran.err;
}

TEST_F(Cli, EmptyDatasetIsToldInOneSentence) {
  folder_.write("items.jsonl", "");
  const Ran ran = run(manifest(""));
  EXPECT_EQ(ran.exit_code, 2);
  const std::string path = (folder_.path() / "m.toml").string();
  EXPECT_EQ(ran.err, path +
                         ":13:8: dataset.items: no records were found; is its file empty?\n"
                         "  13 | path = \"items.jsonl\"\n     |        ^^^^^^^^^^^^^\n1 error in " +
                         path + "\n");
}

TEST_F(Cli, SameManifestTwiceGivesTheSameRows) {
  write_items(60);
  std::string text = manifest("");
  const auto shots = text.find("group_by");
  text.insert(shots, "shots = 3\n");
  ASSERT_EQ(run(text).exit_code, 0);
  const auto first = rows_in(folder_.path() / "out/rows/a/choice.jsonl.zst");
  ASSERT_EQ(run(text).exit_code, 0);
  EXPECT_EQ(rows_in(folder_.path() / "out/rows/a/choice.jsonl.zst"), first);
}

TEST_F(Cli, ShowsWhatAComponentSaysOfItsOptionsOnceAndRuns) {
  write_items(3);
  const std::string checked =
      "[model.c]\nbackend = \"fake/ext-check\"\npath = \"" + model_ + "\"\n";
  const std::string warned =
      folder_.write("warned.toml", manifest(checked + "slow = true\n")).string();
  const Ran ok = run_assay({"check", warned, "--plugin-dir", trusted_fakes()});
  EXPECT_EQ(ok.exit_code, 0) << ok.err;
  const std::string sentence = ": warning: slow takes ten times as long\n";
  EXPECT_NE(ok.err.find(sentence), std::string::npos) << ok.err;
  EXPECT_EQ(ok.err.find(sentence), ok.err.rfind(sentence));

  const std::string wrong =
      folder_.write("wrong.toml", manifest(checked + "bounds.lowest = 10\nslow = true\n")).string();
  const Ran refused = run_assay({"check", wrong, "--plugin-dir", trusted_fakes()});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find(": bounds.lowest = 10 lies above bounds.highest = 9\n"),
            std::string::npos)
      << refused.err;
  EXPECT_NE(refused.err.find("1 error in "), std::string::npos) << "a warning is none";
}

TEST_F(Cli, TellsTheMemoryOfBackendsThatKnowInTheRunDocument) {
  write_items(3);
  const Ran ran =
      run(manifest("[model.c]\nbackend = \"fake/ext-memory\"\npath = \"" + model_ + "\"\n"));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const Json document = run_document(folder_.path() / "out");
  EXPECT_TRUE(document.at("variants").at(0).at("memory").is_null());
  const Json& device = document.at("variants").at(2).at("memory").at("devices").at(0);
  EXPECT_EQ(device.at("device"), "cpu");
  EXPECT_EQ(device.at("weights"), 4096);
  EXPECT_EQ(device.at("kv_per_token"), 16);
  EXPECT_GT(device.at("kv_peak"), 0);
  EXPECT_TRUE(device.at("allocated_peak").is_null());
  EXPECT_EQ(device.at("tasks").at(0).at("task"), "choice");
  EXPECT_EQ(device.at("tasks").at(0).at("kv_peak"), device.at("kv_peak"));
}

}  // namespace
}  // namespace assay::host
