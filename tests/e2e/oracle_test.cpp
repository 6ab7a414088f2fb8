// What other tools measured on the same model and text, found again from manifest to run document.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

class Oracle : public testing::Test {
 protected:
  void SetUp() override {
    shared_ = shared_folder();
    if (shared_.empty()) {
      GTEST_SKIP() << "no reference data: set ASSAY_SHARED to the folder that holds data/ and "
                      "reference/";
    }
    model_ = (shared_ / "data/models/tinystories-656k").string();
    oracle_ = shared_ / "reference/oracle/tinystories-656k";
  }

  std::string head() const {
    return "assay = 1\n[model.base]\nbackend = \"assay/torch\"\npath = \"" + model_ + "\"\n";
  }

  Json run(const std::string& manifest) {
    const Ran ran = run_assay({"run", folder_.write("m.toml", manifest).string(), "--out",
                               (folder_.path() / "out").string()});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return run_document(folder_.path() / "out");
  }

  std::vector<Json> rows(const std::string& task) const {
    return rows_in(folder_.path() / "out/rows/base" / (task + ".jsonl.zst"));
  }

  TempFolder folder_;
  std::filesystem::path shared_, oracle_;
  std::string model_;
};

// Overlapping strides are 4.5 million tokens more: minutes, where the rest of the program is slowed
// down by the sanitizers. Preset release runs them all.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kRunsAllStrides = false;
#else
constexpr bool kRunsAllStrides = true;
#endif

struct Expected {
  std::string task, file, stride;
};

void expect_equal_figures(const Json& document, const std::vector<Json>& rows,
                          const Expected& expected, const std::filesystem::path& oracle) {
  SCOPED_TRACE(expected.task);
  const Json figures =
      Json::parse(text_of(oracle / expected.file)).at("strides").at(expected.stride);
  double nll = 0;
  std::uint64_t n_tokens = 0, windows = 0;
  for (const Json& row : rows) {
    if (row.at("status") == "empty") {
      ++windows;
      continue;
    }
    nll += row.at("nll").get<double>();
    n_tokens += row.at("n_tokens").get<std::uint64_t>();
    windows += row.at("window_nll").size();
  }
  EXPECT_EQ(n_tokens, figures.at("scored_tokens").get<std::uint64_t>());
  // A document's last window may score nothing and then has no figure of its own.
  EXPECT_LE(figures.at("windows").get<std::uint64_t>() - windows, 1u);
  const double total = figures.at("total_nll");
  EXPECT_NEAR(nll, total, 1e-5 * total);  // other summation order in float32, 560,000 terms
  const auto value = [&](const char* metric) {
    const Json* record = record_of(document, "base", expected.task, metric);
    return record == nullptr ? std::nan("") : record->at("value").get<double>();
  };
  const auto close = [&](const char* metric, const char* key) {
    const double figure = figures.at(key);
    EXPECT_NEAR(value(metric), figure, 1e-5 * figure) << metric;
  };
  close("perplexity", "ppl_token_weighted");
  close("window_perplexity_unweighted", "ppl_exp_mean_of_window_losses");
  close("mean_window_perplexity", "mean_of_window_ppls");
}

TEST_F(Oracle, StridedPerplexityOfWikiTextEqualsPlainTransformers) {
  const std::string text = (shared_ / "data/text/wikitext-2-raw/wiki.test.raw").string();
  std::string manifest = head() + "[dataset.lines]\nuse = \"assay/text\"\ndocuments = \"lines\"\n" +
                         "path = \"" + text + "\"\n[dataset.raw]\nuse = \"assay/text\"\npath = \"" +
                         text + "\"\n";
  const auto add = [&](const std::string& name, const std::string& dataset, int stride,
                       const std::string& rest) {
    manifest += "[task." + name + "]\nprotocol = \"perplexity\"\ndataset = \"" + dataset +
                "\"\nwindow = 512\nstride = " + std::to_string(stride) + "\n" + rest;
  };
  const std::string join = "join = \"\\n\\n\"\n";
  add("nobos512", "lines", 512, join + "bos = \"never\"\n");
  add("joined512", "lines", 512, join);
  add("raw512", "raw", 512, "");
  if (kRunsAllStrides) {
    add("joined256", "lines", 256, join);
    add("joined128", "lines", 128, join);
    add("raw256", "raw", 256, "");
  }
  const Json document = run(manifest);
  for (const Expected& expected :
       std::vector<Expected>{{"nobos512", "wikitext2-joined-nobos.perplexity.json", "512"},
                             {"joined512", "wikitext2-joined.perplexity.json", "512"},
                             {"joined256", "wikitext2-joined.perplexity.json", "256"},
                             {"joined128", "wikitext2-joined.perplexity.json", "128"},
                             {"raw512", "wikitext2-raw.perplexity.json", "512"},
                             {"raw256", "wikitext2-raw.perplexity.json", "256"}}) {
    if (!kRunsAllStrides && expected.stride != "512") continue;
    expect_equal_figures(document, rows(expected.task), expected, oracle_);
  }
}

/// Items, choices and figures of a task against the samples lm-evaluation-harness wrote.
void expect_equal_items(const std::vector<Json>& rows, const std::vector<Json>& samples) {
  ASSERT_EQ(rows.size(), samples.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    const Json& sample = samples[i];
    SCOPED_TRACE("document " + std::to_string(i));
    EXPECT_EQ(row.at("prompt_sha256").get<std::string>().substr(0, 16), sample.at("ctx_sha"));
    const Json& expected = sample.at("ll");
    const Json& found = row.at("choice_loglikelihoods");
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t c = 0; c < found.size(); ++c) {
      EXPECT_NEAR(found[c].get<double>(), expected[c].get<double>(), 1e-3);
    }
    EXPECT_EQ(row.at("metrics").at("acc").get<double>(), sample.at("acc").get<double>());
    EXPECT_EQ(row.at("metrics").at("acc_norm").get<double>(), sample.at("acc_norm").get<double>());
  }
}

void expect_equal_scores(const Json& document, const std::string& task, const Json& results) {
  for (const std::string metric : {"acc", "acc_norm"}) {
    const Json* record = record_of(document, "base", task, metric);
    ASSERT_NE(record, nullptr);
    EXPECT_NEAR(record->at("value").get<double>(), results.at(metric + ",none").get<double>(),
                1e-12);
    EXPECT_NEAR(record->at("std_error").get<double>(),
                results.at(metric + "_stderr,none").get<double>(), 1e-12);
  }
}

TEST_F(Oracle, ArcEasyEqualsTheHarnessItemByItem) {
  const Json document =
      run(head() + "[dataset.arc]\nuse = \"assay/jsonl\"\npath = \"" +
          (shared_ / "data/benchmarks/arc/arc_easy_test.jsonl").string() +
          "\"\n[task.arc_easy]\nprotocol = \"multiple_choice\"\ndataset = \"arc\"\n"
          "prompt = \"Question: {{ question }}\\nAnswer:\"\nchoices = \"choices\"\n"
          "target = \"gold\"\n");
  expect_equal_items(rows("arc_easy"),
                     gunzipped_lines(oracle_ / "arc_easy-0shot.samples.jsonl.gz"));
  const Json results = Json::parse(text_of(oracle_ / "arc_easy-0shot.results.json"));
  expect_equal_scores(document, "arc_easy", results.at("results").at("arc_easy"));
}

TEST_F(Oracle, PiqaEqualsTheHarnessItemByItem) {
  // The published form keeps questions and labels in two files.
  std::ifstream questions(shared_ / "data/benchmarks/piqa/valid.jsonl");
  std::ifstream labels(shared_ / "data/benchmarks/piqa/valid-labels.lst");
  std::string joined, question, label;
  while (std::getline(questions, question) && std::getline(labels, label)) {
    Json record = Json::parse(question);
    record["label"] = std::stoi(label);
    joined += record.dump() + "\n";
  }
  const std::string path = folder_.write("piqa.jsonl", joined).string();
  const Json document =
      run(head() + "[dataset.piqa]\nuse = \"assay/jsonl\"\npath = \"" + path +
          "\"\n[task.piqa]\nprotocol = \"multiple_choice\"\ndataset = \"piqa\"\n"
          "prompt = \"Question: {{ goal }}\\nAnswer:\"\n"
          "choices = [\"{{ sol1 }}\", \"{{ sol2 }}\"]\ntarget = \"{{ label }}\"\n");
  expect_equal_items(rows("piqa"), gunzipped_lines(oracle_ / "piqa-0shot.samples.jsonl.gz"));
  const Json results = Json::parse(text_of(oracle_ / "piqa-0shot.results.json"));
  expect_equal_scores(document, "piqa", results.at("results").at("piqa"));
}

}  // namespace
}  // namespace assay::host
