// Whole runs with backends that take texts or bring their own tokenizer: manifest in, document,
// rows and pages out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <set>

#include "host/run/run.hpp"
#include "host/store/rows.hpp"
#include "tests/host/manifest/workspace.hpp"
#include "tests/support/chosen_plugins.hpp"

namespace assay::host {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Registry& registry() {
  static const ChosenPlugins chosen(
      ASSAY_TEST_PLUGINS,
      {"assay-jsonl", "assay-accuracy", "assay-contains", "assay-exact_match", "assay-likelihood",
       "assay-perplexity", "assay-console", "assay-markdown"});
  static const Registry found = Registry::scan({ASSAY_TEST_FAKES, chosen.path()});
  return found;
}

class TextBackends : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    std::string sums;
    for (int i = 0; i < 60; ++i) {
      const int sum = i + 7;
      sums += Json{{"q", std::to_string(i) + " + 7"},
                   {"a", std::to_string(sum)},
                   {"options", {std::to_string(sum), "1000", "2000", "3000"}},
                   {"kind", i % 2 == 0 ? "even" : "odd"}}
                  .dump() +
              "\n";
    }
    write("sums.jsonl", sums);
  }

  static std::string model(const std::string& name, const std::string& more = "") {
    return "[model." + name + "]\nbackend = \"fake/endpoint\"\n" + more;
  }

  static std::string own(const std::string& name, const std::string& more = "") {
    return "[model." + name + "]\nbackend = \"fake/own-tokens\"\n" + more;
  }

  static std::string task(const std::string& name, const std::string& protocol,
                          const std::string& more) {
    return "[task." + name + "]\nprotocol = \"" + protocol + "\"\ndataset = \"sums\"\n" + more;
  }

  static constexpr const char* kHead =
      "assay = 1\n[dataset.sums]\nuse = \"assay/jsonl\"\npath = \"sums.jsonl\"\n";
  static constexpr const char* kAnswers =
      "prompt = \"{{ q }}\"\ntarget = \"a\"\nstop = [\".\"]\nfilters = [\"strip\"]\n"
      "max_new_tokens = 8\nmetrics = [\"assay/exact_match\"]\ngroup_by = [\"kind\"]\n";
  static constexpr const char* kChoices =
      "prompt = \"{{ q }}\"\nchoices = \"options\"\ntarget = \"a\"\ndelimiter = \" \"\n"
      "metrics = [\"assay/accuracy\"]\n";

  Json run(const std::string& tail) {
    const ParsedManifest parsed = read(kHead + tail);
    const BuiltGraph built = build_graph(parsed, registry());
    EXPECT_EQ(shown(parsed.manifest.sources, built.errors), "");
    if (!built.errors.empty()) return Json::object();
    testing::internal::CaptureStdout();
    auto outcome = host::run(
        built.graph, {folder() / "out", folder() / "store", ProgressStyle::kNone, &cancelled_});
    printed_ = testing::internal::GetCapturedStdout();
    EXPECT_TRUE(outcome) << outcome.error().text;
    return outcome ? outcome->document : Json::object();
  }

  std::string mistakes(const std::string& tail) const {
    const ParsedManifest parsed = read(kHead + tail);
    return shown(parsed.manifest.sources, build_graph(parsed, registry()).errors);
  }

  std::vector<Json> rows(const std::string& variant, const std::string& task) const {
    std::vector<Json> all;
    auto reader = RowReader::open(folder() / "out/rows" / variant / (task + ".jsonl.zst"));
    EXPECT_TRUE(reader);
    if (!reader) return all;
    for (auto row = reader->next(); row && *row; row = reader->next()) all.push_back(**row);
    return all;
  }

  static double value(const Json& document, const std::string& variant, const std::string& metric,
                      const Json& group = nullptr, const char* list = "records") {
    for (const Json& entry : document.at(list)) {
      if (entry.at("variant") == variant && entry.at("metric") == metric &&
          entry.at("group") == group) {
        return entry.at("value").get<double>();
      }
    }
    ADD_FAILURE() << variant << " has no " << metric;
    return -1;
  }

  std::string page(const std::string& name) const {
    std::ifstream in(folder() / "out" / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::atomic<bool> cancelled_ = false;
  std::string printed_;
};

TEST_F(TextBackends, AnswersAreScoredAndEveryReportSaysThatTokensAreNotTheHosts) {
  const Json document =
      run(model("endpoint") + model("off", "off_by = 1\n") + own("tokens") +
          task("answers", "generate", std::string(kAnswers) + "shots = 2\nseparator = \"\\n\"\n") +
          "[compare]\nbaseline = \"tokens\"\n"
          "[[gate]]\ntask = \"answers\"\nmetric = \"exact_match\"\nmin = 0.5\n"
          "[[report]]\nuse = \"assay/console\"\n[[report]]\nuse = \"assay/markdown\"\n");
  ASSERT_TRUE(document.contains("variants")) << document;
  EXPECT_EQ(document.at("status"), "complete") << document.at("failures");
  EXPECT_EQ(value(document, "endpoint", "exact_match"), 1);
  EXPECT_EQ(value(document, "endpoint", "exact_match", "kind=odd"), 1);
  EXPECT_EQ(value(document, "off", "exact_match"), 0);

  for (const Json& variant : document.at("variants")) {
    const bool is_ours = variant.at("name") == "tokens";
    EXPECT_EQ(variant.at("tokenization"), is_ours ? "controlled" : "not controlled");
    EXPECT_EQ(variant.at("note").is_null(), is_ours);
    EXPECT_EQ(variant.at("tokenizer_sha256").is_null(), !is_ours);
    EXPECT_EQ(variant.at("path"), nullptr);
  }
  for (const Json& comparison : document.at("comparisons")) {
    EXPECT_EQ(comparison.at("tokenization"), "not controlled") << comparison;
  }
  for (const Json& verdict : document.at("verdicts")) {
    EXPECT_THAT(verdict.at("text").get<std::string>(), HasSubstr("; tokenization not controlled"));
  }
  EXPECT_THAT(printed_, AllOf(HasSubstr("\n  tokenization not controlled: endpoint, off\n"),
                              HasSubstr("- endpoint: tokenization not controlled: fake/endpoint "
                                        "takes texts")));
  EXPECT_THAT(page("report.md"),
              AllOf(HasSubstr("\nTokenization not controlled: endpoint, off.\n"),
                    HasSubstr("- endpoint: tokenization not controlled: fake/endpoint takes")));
}

TEST_F(TextBackends, RowsSayNothingOfTokensThatNobodyCounted) {
  run(model("counts") + model("silent", "counts = false\n") +
      task("answers", "generate", kAnswers));
  const Json counted = rows("counts", "answers").at(3);
  EXPECT_EQ(counted.at("output"), "10");
  EXPECT_EQ(counted.at("raw_output"), " 10");
  EXPECT_EQ(counted.at("finish"), "stop");
  EXPECT_EQ(counted.at("n_tokens"), 3);  // the piece with the stop text is counted
  EXPECT_EQ(counted.at("seconds"), 0.25);
  EXPECT_TRUE(counted.at("first_token_seconds").is_number());
  for (const char* key : {"tokens", "prompt_tokens", "truncated_tokens"}) {
    EXPECT_EQ(counted.at(key), nullptr) << key;
  }
  EXPECT_EQ(rows("silent", "answers").at(3).at("n_tokens"), nullptr);
  EXPECT_EQ(rows("silent", "answers").at(3).at("output"), "10");
}

TEST_F(TextBackends, AnswersToAChatAreTheSameWithoutATemplateOfOurs) {
  const Json document =
      run(model("endpoint") + task("answers", "generate",
                                   std::string(kAnswers) + "chat = true\nshots = 1\n"
                                                           "description = \"Add.\"\n"));
  EXPECT_EQ(value(document, "endpoint", "exact_match"), 1);
  EXPECT_EQ(document.at("variants")[0].at("chat_template_sha256"), nullptr);
}

TEST_F(TextBackends, ChoicesAndContinuationsAreSumsOfPieces) {
  const Json document =
      run(model("endpoint") + model("straddling", "straddles = true\n") +
          task("choices", "multiple_choice", kChoices) +
          task("targets", "continuation",
               "prompt = \"{{ q }}\"\ntarget = \"a\"\nmetrics = [\"assay/likelihood\"]\n"));
  EXPECT_EQ(document.at("status"), "complete") << document.at("failures");
  EXPECT_EQ(value(document, "endpoint", "acc"), 1);
  const Json choice = rows("endpoint", "choices").at(5);
  EXPECT_EQ(choice.at("choice_loglikelihoods"), Json({-0.5, -5.0, -5.0, -5.0}));
  EXPECT_EQ(choice.at("choice_greedy"), Json({1, 0, 0, 0}));
  EXPECT_EQ(choice.at("choice_bytes"), Json({2, 4, 4, 4}));
  EXPECT_EQ(choice.at("choice_tokens"), nullptr);
  EXPECT_EQ(choice.at("straddles"), 0);
  EXPECT_EQ(rows("straddling", "choices").at(5).at("straddles"), 4);
  const Json target = rows("straddling", "targets").at(5);
  EXPECT_EQ(target.at("loglikelihood"), -0.5);
  EXPECT_EQ(target.at("n_tokens"), nullptr);
  EXPECT_EQ(target.at("n_bytes"), 2);
  EXPECT_EQ(target.at("straddles"), 1);
}

// Choice 0 is always the right one here. A backend that prefers what it is asked first of each
// prompt would have all items right if requests came in the order of the choices. With a quarter
// by chance and 60 items, more than 26 are right in less than one of 1000 shuffles.
TEST_F(TextBackends, TheFirstRequestOfAnItemIsNotTheKey) {
  const Json document =
      run(model("texts", "rule = \"first\"\n") + own("tokens", "rule = \"first\"\n") +
          task("choices", "multiple_choice", kChoices));
  EXPECT_LT(value(document, "texts", "acc"), 26.5 / 60);
  EXPECT_LT(value(document, "tokens", "acc"), 26.5 / 60);
  EXPECT_GT(value(document, "texts", "acc"), 0);
  EXPECT_TRUE(document.at("request_order_seed").is_number_unsigned());
  const auto before = document.at("records");
  EXPECT_EQ(run(model("texts", "rule = \"first\"\n") + own("tokens", "rule = \"first\"\n") +
                task("choices", "multiple_choice", kChoices))
                .at("records"),
            before);
}

TEST_F(TextBackends, WhatNeedsTokensIsRefusedInTheManifest) {
  const std::string text = mistakes(model("endpoint") +
                                    "[task.p]\nprotocol = \"perplexity\"\ndataset = \"sums\"\n"
                                    "text = \"{{ q }}\"\nwindow = 8\nstride = 4\n");
  EXPECT_THAT(text, HasSubstr("task.p: perplexity needs tokens; fake/endpoint of model.endpoint "
                              "offers text only"));
  EXPECT_THAT(mistakes(model("endpoint") +
                       task("c", "multiple_choice", std::string(kChoices) + "bos = \"always\"\n")),
              HasSubstr("task.c: bos needs tokens; fake/endpoint of model.endpoint offers text"));
  EXPECT_THAT(mistakes(std::string("[model.m]\nbackend = \"fake/hash\"\n") +
                       task("c", "multiple_choice", kChoices)),
              HasSubstr("model.m lacks \"path\""));
  EXPECT_EQ(mistakes(own("tokens") + model("endpoint") + task("c", "multiple_choice", kChoices)),
            "");
}

TEST_F(TextBackends, ABackendsOwnTokenizerServesEveryProtocol) {
  const Json document =
      run(own("bytes") + own("words", "style = \"words\"\n") + own("lower", "style = \"lower\"\n") +
          task("answers", "generate", std::string(kAnswers) + "chat = true\n") +
          "[task.p]\nprotocol = \"perplexity\"\ndataset = \"sums\"\ntext = \"{{ q }} = {{ a }}\"\n"
          "window = 8\nstride = 4\nmetrics = [\"assay/perplexity\"]\n");
  EXPECT_EQ(document.at("status"), "complete") << document.at("failures");
  for (const Json& variant : document.at("variants")) {
    EXPECT_EQ(variant.at("tokenization"), "controlled");
    const std::string style = variant.at("name");  // its first letter is in the fingerprint
    const std::string letter = style == "bytes" ? "62" : style == "words" ? "77" : "6c";
    EXPECT_EQ(variant.at("tokenizer_sha256"), "abcd" + letter + std::string(58, '0'));
    EXPECT_EQ(variant.at("chat_template_sha256"), "ef" + std::string(62, '0'));
  }
  // "5 + 7 = 12" and BOS: every byte of the text is scored once.
  for (const char* style : {"bytes", "words", "lower"}) {
    const Json row = rows(style, "p").at(5);
    EXPECT_EQ(row.at("n_bytes"), 10) << style;
    EXPECT_EQ(row.at("n_tokens"), std::string(style) == "words" ? 5 : 10) << style;
  }
  // It says the rendered chat again, from its second token on.
  EXPECT_EQ(rows("bytes", "answers").at(5).at("raw_output"), "user] 5 ");
}

}  // namespace
}  // namespace assay::host
