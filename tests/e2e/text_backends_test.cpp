// Backends of texts, and backends with a tokenizer and template of their own, in the worker that
// the program gives them: what tests/host/run/text_backends_test.cpp finds in one process is the
// same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

using testing::HasSubstr;

class TextWorkers : public testing::Test {
 protected:
  void SetUp() override {
    std::string sums;
    for (int i = 0; i < 60; ++i) {
      const int sum = i + 7;
      sums += Json{{"q", std::to_string(i) + " + 7"},
                   {"a", std::to_string(sum)},
                   {"options", {std::to_string(sum), "1000", "2000", "3000"}}}
                  .dump() +
              "\n";
    }
    folder_.write("sums.jsonl", sums);
  }

  Json run(const std::string& tail) {
    const std::string manifest =
        folder_
            .write(
                "m.toml",
                "assay = 1\n[dataset.sums]\nuse = \"assay/jsonl\"\npath = \"sums.jsonl\"\n" + tail)
            .string();
    ran_ = run_assay({"run", "-q", manifest, "--out", (folder_.path() / "out").string(),
                      "--plugin-dir", trusted_fakes()});
    return run_document(folder_.path() / "out");
  }

  std::vector<Json> rows(const std::string& variant, const std::string& task) const {
    return rows_in(folder_.path() / "out/rows" / variant / (task + ".jsonl.zst"));
  }

  TempFolder folder_;
  Ran ran_;
};

constexpr const char* kAnswers =
    "protocol = \"generate\"\ndataset = \"sums\"\nprompt = \"{{ q }}\"\ntarget = \"a\"\n"
    "stop = [\".\"]\nfilters = [\"strip\"]\nmax_new_tokens = 8\n"
    "metrics = [\"assay/exact_match\"]\n";

TEST_F(TextWorkers, EndpointAnswersAndEveryReportSaysWhatIsNotControlled) {
  const Json document = run(
      std::string("[model.endpoint]\nbackend = \"fake/endpoint\"\n"
                  "[model.off]\nbackend = \"fake/endpoint\"\noff_by = 1\n[task.answers]\n") +
      kAnswers +
      "[task.choices]\nprotocol = \"multiple_choice\"\ndataset = \"sums\"\nprompt = \"{{ q }}\"\n"
      "choices = \"options\"\ntarget = \"a\"\nmetrics = [\"assay/accuracy\"]\n"
      "[compare]\nbaseline = \"endpoint\"\n"
      "[[report]]\nuse = \"assay/console\"\n[[report]]\nuse = \"assay/markdown\"\n");
  ASSERT_TRUE(document.is_object()) << ran_.err;
  EXPECT_EQ(document.at("status"), "complete") << document.at("failures");
  EXPECT_EQ(record_of(document, "endpoint", "answers", "exact_match")->at("value"), 1);
  EXPECT_EQ(record_of(document, "off", "answers", "exact_match")->at("value"), 0);
  EXPECT_EQ(record_of(document, "endpoint", "choices", "acc")->at("value"), 1);
  for (const Json& variant : document.at("variants")) {
    EXPECT_EQ(variant.at("tokenization"), "not controlled");
  }
  EXPECT_THAT(ran_.out, HasSubstr("tokenization not controlled: endpoint, off"));
  EXPECT_THAT(text_of(folder_.path() / "out/report.md"),
              HasSubstr("Tokenization not controlled: endpoint, off."));
  const Json row = rows("endpoint", "answers").at(3);
  EXPECT_EQ(row.at("raw_output"), " 10");
  EXPECT_EQ(row.at("finish"), "stop");
  EXPECT_EQ(row.at("n_tokens"), 3);
  EXPECT_EQ(rows("endpoint", "choices").at(5).at("choice_loglikelihoods"),
            Json({-0.5, -5.0, -5.0, -5.0}));
}

TEST_F(TextWorkers, TokenizerAndTemplateOfABackendWorkFromItsProcess) {
  const Json document =
      run(std::string("[model.words]\nbackend = \"fake/own-tokens\"\nstyle = \"words\"\n"
                      "[task.answers]\nchat = true\n") +
          kAnswers +
          "[task.p]\nprotocol = \"perplexity\"\ndataset = \"sums\"\ntext = \"{{ q }} = {{ a }}\"\n"
          "window = 8\nstride = 4\nmetrics = [\"assay/perplexity\"]\n");
  ASSERT_TRUE(document.is_object()) << ran_.err;
  EXPECT_EQ(document.at("status"), "complete") << document.at("failures");
  const Json& variant = document.at("variants")[0];
  EXPECT_EQ(variant.at("tokenization"), "controlled");
  EXPECT_EQ(variant.at("tokenizer_sha256"), "abcd77" + std::string(58, '0'));
  EXPECT_EQ(variant.at("chat_template_sha256"), "ef" + std::string(62, '0'));
  // "5 + 7 = 12": five words of ten bytes.
  const Json row = rows("words", "p").at(5);
  EXPECT_EQ(row.at("n_bytes"), 10);
  EXPECT_EQ(row.at("n_tokens"), 5);
}

}  // namespace
}  // namespace assay::host
