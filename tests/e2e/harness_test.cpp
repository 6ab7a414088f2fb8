// Generation, continuations and few-shot choices against what lm-evaluation-harness 0.4.13 wrote
// for the same models, item by item. Prompts are rebuilt here, as that tool builds them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "host/core/hash.hpp"
#include "support/random_llama.hpp"
#include "tests/e2e/assay_process.hpp"
#include "tests/e2e/python_random.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

TEST(PythonRandom, DrawsWhatCPythonDraws) {  // scoring.md 4 and 16
  PythonRandom plain(1234);
  EXPECT_EQ(plain.next(), 4150886329u);
  EXPECT_EQ(plain.next(), 3342196574u);
  PythonRandom gsm8k(1234);
  EXPECT_THAT(gsm8k.sample(7473, 5), testing::ElementsAre(6374, 3610, 957, 61, 742));
  EXPECT_THAT(gsm8k.sample(7473, 5), testing::ElementsAre(7462, 6610, 4769, 286, 5501));
  PythonRandom xl(1234);
  EXPECT_THAT(xl.sample(40398, 6), testing::ElementsAre(28883, 7657, 490, 5940, 38156, 2288));
}

std::vector<Json> lines_of(const fs::path& path) {
  std::vector<Json> records;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) records.push_back(Json::parse(line));
  return records;
}

std::string as_jsonl(const std::vector<Json>& records) {
  std::string text;
  for (const Json& record : records) text += record.dump() + "\n";
  return text;
}

/// The two models with reference results. The random one is slower: part of its items is enough
/// where sanitizers slow everything down.
struct Model {
  const char* name;
  std::size_t n_winogrande, n_lambada;
  int max_new_tokens;
};
#ifdef __SANITIZE_ADDRESS__
constexpr Model kModels[] = {{"tinystories-656k", 1267, 5153, 256},
                             {"random-llama-17m", 40, 60, 64}};
#else
constexpr Model kModels[] = {{"tinystories-656k", 1267, 5153, 256},
                             {"random-llama-17m", 300, 500, 64}};
#endif

class Harness : public testing::TestWithParam<Model> {
 protected:
  void SetUp() override {
    shared_ = shared_folder();
    if (shared_.empty()) {
      GTEST_SKIP() << "no reference data: set ASSAY_SHARED to the folder that holds data/ and "
                      "reference/";
    }
    oracle_ = shared_ / "reference/oracle" / GetParam().name;
    benchmarks_ = shared_ / "data/benchmarks";
    model_ = shared_ / "data/models" / GetParam().name;
    if (GetParam().name == std::string("random-llama-17m")) make_random_model();
  }

  void make_random_model() {
    model_ = folder_.path() / "model";
    fs::create_directories(model_);
    assay_torch_test::write_random_llama_17m(model_);
    fs::copy_file(shared_ / "data/tokenizers/gpt-2-hf/tokenizer.json", model_ / "tokenizer.json");
    std::ofstream(model_ / "tokenizer_config.json")
        << R"({"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"})";
  }

  Json run(const std::vector<Json>& records, const std::string& task) {
    const std::string manifest =
        "assay = 1\n[model.base]\nbackend = \"assay/torch\"\npath = \"" + model_.string() +
        "\"\n[dataset.items]\nuse = \"assay/jsonl\"\npath = \"items.jsonl\"\n" + task;
    folder_.write("items.jsonl", as_jsonl(records));
    const auto out = folder_.path() / "out";
    const Ran ran =
        run_assay({"run", folder_.write("m.toml", manifest).string(), "--out", out.string()});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return run_document(out);
  }

  std::vector<Json> rows(const std::string& task) const {
    return rows_in(folder_.path() / "out/rows/base" / (task + ".jsonl.zst"));
  }

  std::vector<Json> samples(const std::string& file) const {
    return gunzipped_lines(oracle_ / (file + ".samples.jsonl.gz"));
  }

  Json results(const std::string& file) const {
    return Json::parse(text_of(oracle_ / (file + ".results.json")));
  }

  TempFolder folder_;
  fs::path shared_, oracle_, benchmarks_, model_;
};

TEST_P(Harness, Gsm8kGeneratesTheSameAnswers) {
  const auto pool = lines_of(benchmarks_ / "gsm8k/train.jsonl");
  auto records = lines_of(benchmarks_ / "gsm8k/test.jsonl");
  records.resize(5);
  PythonRandom random(1234);
  for (Json& record : records) {
    std::string prompt;
    for (const std::uint32_t shot : random.sample(static_cast<std::uint32_t>(pool.size()), 5)) {
      prompt += "Question: " + pool[shot].at("question").get<std::string>() +
                "\nAnswer: " + pool[shot].at("answer").get<std::string>() + "\n\n";
    }
    record["prompt"] =
        prompt + "Question: " + record.at("question").get<std::string>() + "\nAnswer:";
  }
  // The harness adds the text of the end token to the stops.
  const std::string end =
      model_.filename() == "tinystories-656k" ? "<|end_story|>" : "<|endoftext|>";
  const auto task = [&](const std::string& name, const std::string& filter) {
    return "[task." + name +
           "]\nprotocol = \"generate\"\ndataset = \"items\"\nprompt = \"prompt\"\n"
           "target = \"{{ answer.split('#### ')[-1] | replace(',', '') }}\"\nmax_new_tokens = " +
           std::to_string(GetParam().max_new_tokens) +
           "\nstop = [\"Question:\", \"</s>\", \"<|im_end|>\", \"" + end + "\"]\nfilters = [" +
           filter + "]\nmetrics = [{ use = \"assay/exact_match\", ignore_case = true }]\n";
  };
  const std::string tail = ", { replace = '[,$]|\\.$', with = \"\" }";
  const Json document = run(
      records,
      task("strict", "{ regex = '#### (\\-?[0-9\\.\\,]+)' }" + tail) +
          task("flexible", "{ regex = '(-?[$0-9.,]{2,})|(-?[0-9]+)', match = \"last\" }" + tail));
  const auto expected = samples("gsm8k-5shot");  // five of each filter
  ASSERT_EQ(expected.size(), 10u);
  for (const Json& sample : expected) {
    const bool is_strict = sample.at("filter") == "strict-match";
    const auto found = rows(is_strict ? "strict" : "flexible");
    ASSERT_EQ(found.size(), 5u);
    const Json& row = found[sample.at("doc_id").get<std::size_t>()];
    EXPECT_EQ(row.at("prompt_sha256").get<std::string>().substr(0, 16), sample.at("ctx_sha"));
    EXPECT_EQ(row.at("prompt_tokens"), sample.at("n_ctx"));
    EXPECT_EQ(row.at("raw_output"), sample.at("response"));
    std::string filtered = sample.at("filtered").at(0);
    std::erase_if(filtered, [](char c) { return c == ',' || c == '$'; });
    if (filtered.ends_with('.')) filtered.pop_back();
    EXPECT_EQ(row.at("output"), filtered);
    EXPECT_EQ(row.at("metrics").at("exact_match"), sample.at("exact_match"));
  }
}

TEST_P(Harness, LambadaScoresTheSameContinuations) {
  auto records = lines_of(benchmarks_ / "lambada/lambada_openai.jsonl");
  records.resize(std::min(records.size(), GetParam().n_lambada));
  for (Json& record : records) {
    record["text"] = record.at("context").get<std::string>() + " " +
                     record.at("continuation").get<std::string>();
  }
  const Json document =
      run(records,
          "[task.lambada]\nprotocol = \"continuation\"\ndataset = \"items\"\ndelimiter = \"\"\n"
          "prompt = \"{{text.split(' ')[:-1]|join(' ')}}\"\n"
          "target = \"{{' '+text.split(' ')[-1]}}\"\nmetrics = [\"assay/likelihood\"]\n");
  auto expected = samples("lambada_openai-0shot");
  const auto found = rows("lambada");
  ASSERT_EQ(found.size(), records.size());
  std::size_t next = 0, empty = 0;
  for (const Json& row : found) {
    // The harness stops at a continuation without tokens; its makers left those documents out.
    if (row.at("status") == "empty_continuation") {
      ++empty;
      continue;
    }
    ASSERT_LT(next, expected.size());
    const Json& sample = expected[next++];
    SCOPED_TRACE(row.at("index").dump());
    EXPECT_EQ(row.at("prompt_sha256").get<std::string>().substr(0, 16), sample.at("ctx_sha"));
    EXPECT_EQ(row.at("prompt_tokens"), sample.at("n_ctx"));
    EXPECT_EQ(row.at("n_tokens"), sample.at("n_cont"));
    EXPECT_NEAR(row.at("loglikelihood").get<double>(), sample.at("ll").at(0).get<double>(), 1e-3);
    EXPECT_EQ(row.at("greedy").get<bool>() ? 1 : 0, sample.at("acc").get<int>());
  }
  const Json figures = results("lambada_openai-0shot").at("results").at("lambada_openai");
  if (next != expected.size()) return;  // a part of the items has figures of its own
  EXPECT_EQ(next + empty, records.size());
  const Json* perplexity = record_of(document, "base", "lambada", "perplexity");
  ASSERT_NE(perplexity, nullptr);
  const double figure = figures.at("perplexity,none");
  // Log-likelihoods near -22 with float32 sums: 1e-5 of each is 2e-4 of the perplexity at most.
  EXPECT_NEAR(perplexity->at("value").get<double>(), figure, 2e-4 * figure);
  const Json* acc = record_of(document, "base", "lambada", "acc");
  ASSERT_NE(acc, nullptr);
  EXPECT_NEAR(acc->at("value").get<double>(), figures.at("acc,none").get<double>(), 1e-12);
}

/// A WinoGrande sentence with one of its names in the gap, up to there; and what follows.
std::string with_option(const Json& record, const std::string& option) {
  const std::string sentence = record.at("sentence");
  return sentence.substr(0, sentence.find('_')) + record.at("option" + option).get<std::string>();
}
std::string after_gap(const Json& record) {
  const std::string sentence = record.at("sentence");
  const std::string rest = sentence.substr(sentence.find('_') + 1);
  const auto first = rest.find_first_not_of(" \t\n");
  return first == std::string::npos
             ? ""
             : rest.substr(first, rest.find_last_not_of(" \t\n") + 1 - first);
}

/// k + 1 drawn, those equal to the document dropped, k kept.
std::vector<const Json*> shots_for(const Json& record, const std::vector<Json>& pool,
                                   PythonRandom& random, std::size_t k) {
  std::vector<const Json*> shots;
  const auto same = [&](const Json& other) {
    return other.at("sentence") == record.at("sentence") &&
           other.at("option1") == record.at("option1") &&
           other.at("option2") == record.at("option2") && other.at("answer") == record.at("answer");
  };
  for (const std::uint32_t nth :
       random.sample(static_cast<std::uint32_t>(pool.size()), static_cast<std::uint32_t>(k + 1))) {
    if (!same(pool[nth]) && shots.size() < k) shots.push_back(&pool[nth]);
  }
  return shots;
}

TEST_P(Harness, WinograndeScoresTheSameContexts) {
  const auto pool = lines_of(benchmarks_ / "winogrande/train_m.jsonl");
  auto records = lines_of(benchmarks_ / "winogrande/dev.jsonl");
  records.resize(GetParam().n_winogrande);
  PythonRandom random(1234);
  for (Json& record : records) {
    std::string shots;
    for (const Json* shot : shots_for(record, pool, random, 5)) {
      shots += with_option(*shot, shot->at("answer")) + " " + after_gap(*shot) + "\n\n";
    }
    record["first"] = shots + with_option(record, "1");
    record["second"] = shots + with_option(record, "2");
    record["rest"] = after_gap(record);
    record["gold"] = record.at("answer") == "2" ? 1 : 0;
  }
  const Json document =
      run(records,
          "[task.winogrande]\nprotocol = \"multiple_choice\"\ndataset = \"items\"\n"
          "prompts = [\"{{ first }}\", \"{{ second }}\"]\nchoices = \"{{ rest }}\"\n"
          "target = \"gold\"\nmetrics = [\"assay/accuracy\"]\n");
  const auto expected = samples("winogrande-5shot");
  const auto found = rows("winogrande");
  ASSERT_EQ(found.size(), records.size());
  std::size_t empty = 0;
  double hits = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    const Json& row = found[i];
    const Json& sample = expected[i];
    hits += sample.at("acc").get<double>();
    if (row.at("status") == "empty_continuation") {
      ++empty;  // the harness scored it 0.0
      hits -= sample.at("acc").get<double>();
      continue;
    }
    const Json contexts = sample.at("ctx_sha");
    EXPECT_EQ(sha256(records[i].at("first").get<std::string>()).substr(0, 16), contexts.at(0));
    EXPECT_EQ(sha256(records[i].at("second").get<std::string>()).substr(0, 16), contexts.at(1));
    for (std::size_t c = 0; c < 2; ++c) {
      EXPECT_NEAR(row.at("choice_loglikelihoods").at(c).get<double>(),
                  sample.at("ll").at(c).get<double>(), 1e-3);
    }
    EXPECT_EQ(row.at("metrics").at("acc").get<double>(), sample.at("acc").get<double>());
  }
  EXPECT_LE(empty, 1u);
  const Json* acc = record_of(document, "base", "winogrande", "acc");
  ASSERT_NE(acc, nullptr);
  EXPECT_NEAR(acc->at("value").get<double>(), hits / static_cast<double>(found.size() - empty),
              1e-12);
}

INSTANTIATE_TEST_SUITE_P(Models, Harness, testing::ValuesIn(kModels), [](const auto& model) {
  std::string name = model.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace assay::host
