// Generation from manifest to rows: what the makers of the models measured, batches, seeds, bad
// input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <set>

#include "tests/e2e/assay_process.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kShare = std::string(ASSAY_SOURCE_DIR) + "/share/data";

class Generate : public testing::Test {
 protected:
  Ran run(const std::string& manifest, const std::string& out = "out") {
    return run_assay({"run", folder_.write("m.toml", manifest).string(), "--out",
                      (folder_.path() / out).string(), "--plugin-dir", trusted_fakes()});
  }

  Json document(const std::string& out = "out") const { return run_document(folder_.path() / out); }

  std::vector<Json> rows(const std::string& variant, const std::string& task,
                         const std::string& out = "out") const {
    return rows_in(folder_.path() / out / "rows" / variant / (task + ".jsonl.zst"));
  }

  static std::string model(const std::string& name, const std::string& path,
                           const std::string& rest = "") {
    return "[model." + name + "]\nbackend = \"assay/torch\"\npath = \"" + path + "\"\n" + rest;
  }

  static std::string fake(const std::string& rest) {
    return "[model.m]\nbackend = \"fake/hash\"\npath = \"" + kShare +
           "/ledger/model\"\nvocab = 1280\n" + rest;
  }

  /// A dataset of prompts that have nothing to be compared with.
  std::string prompts(const std::vector<std::string>& texts) {
    std::string lines;
    for (const std::string& text : texts) lines += Json{{"p", text}, {"t", "x"}}.dump() + "\n";
    folder_.write("prompts.jsonl", lines);
    return "[dataset.prompts]\nuse = \"assay/jsonl\"\npath = \"prompts.jsonl\"\n";
  }

  static std::string task(const std::string& rest, const std::string& name = "said") {
    return "[task." + name +
           "]\nprotocol = \"generate\"\ndataset = \"prompts\"\n"
           "prompt = \"{{ p }}\"\ntarget = \"t\"\nmetrics = [\"assay/contains\"]\n" +
           rest;
  }

  TempFolder folder_;
};

/// All 1,000 reviews of the shipped model, answered freely: the makers' figures by category. One
/// item of a category is 0.005; a near-tie may fall either way between two float32 programs.
TEST_F(Generate, LedgerAnswersAgreeWithTheMakersByCategory) {
  const auto rtn = [](int bits, int group) {
    return "simulate = { method = \"rtn\", bits = " + std::to_string(bits) +
           ", group_size = " + std::to_string(group) + " }\n";
  };
  const std::string path = kShare + "/ledger/model";
  const Ran ran =
      run("assay = 1\n" + model("fp32", path) + model("rtn4g64", path, rtn(4, 64)) +
          model("rtn2g32", path, rtn(2, 32)) +
          model("nf4b64", path, "simulate = { method = \"nf4\" }\n") +
          "[dataset.reviews]\nuse = \"assay/jsonl\"\npath = \"" + kShare +
          "/ledger/test.jsonl\"\n[task.reviews]\nprotocol = \"generate\"\ndataset = \"reviews\"\n"
          "prompt = \"{{ input }}\"\ntarget = \"expected_output\"\nmax_new_tokens = 5\n"
          "filters = [\"first_line\"]\ngroup_by = [\"category\"]\n"
          "metrics = [\"assay/contains\", \"assay/exact_match\"]\nprimary = \"contains\"\n");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json run = document();
  const Json figures = Json::parse(text_of(kShare + "/ledger/figures.json"));
  for (const std::string name : {"fp32", "rtn4g64", "rtn2g32", "nf4b64"}) {
    for (const auto& [kind, metric] :
         {std::pair("contains", "contains"), std::pair("exact", "exact_match")}) {
      for (const auto& [category, share] : figures.at(name).at(kind).items()) {
        SCOPED_TRACE(name + " " + kind + " " + category);
        const Json group = category == "overall" ? Json(nullptr) : Json("category=" + category);
        const Json* record = record_of(run, name, "reviews", metric, group);
        ASSERT_NE(record, nullptr);
        EXPECT_NEAR(record->at("value").get<double>(), share.get<double>(),
                    category == "overall" ? 0.0021 : 0.0051);
      }
    }
  }
  EXPECT_NEAR(record_of(run, "fp32", "reviews", "contains")->at("value").get<double>(), 0.862,
              1e-12);
}

TEST_F(Generate, Stories260kTellsThePublishedStory) {
  const Json story = Json::parse(
      text_of(std::string(ASSAY_SOURCE_DIR) + "/tests/data/torch/stories260k_story.json"));
  const Ran ran = run("assay = 1\n" + model("m", kShare + "/stories260k") + prompts({""}) +
                      task("bos = \"always\"\nmax_new_tokens = 256\n"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const Json row = rows("m", "said").at(0);
  const auto ids = story.at("ids").get<std::vector<std::int32_t>>();
  EXPECT_EQ(row.at("tokens"), Json(std::vector<std::int32_t>(ids.begin() + 1, ids.end())));
  EXPECT_EQ(row.at("output"), story.at("text"));
}

struct Tiny {
  const char* name;
  const char* path;
};

class GreedyOracle : public Generate, public testing::WithParamInterface<Tiny> {};

TEST_P(GreedyOracle, EqualsTransformersTokenForToken) {
  const fs::path shared = shared_folder();
  if (shared.empty()) GTEST_SKIP() << "no reference data: set ASSAY_SHARED";
  std::vector<Json> expected;
  std::ifstream file(shared / "reference/oracle" / GetParam().name / "greedy.jsonl");
  for (std::string line; std::getline(file, line);) expected.push_back(Json::parse(line));
  ASSERT_EQ(expected.size(), 10u);
  std::vector<std::string> texts;
  for (const Json& one : expected) texts.push_back(one.at("prompt"));
  const std::string path = (shared / GetParam().path).string();
  const Ran ran = run("assay = 1\n" + model("one", path, "batch_sequences = 1\n") +
                      model("many", path) + prompts(texts) + task("max_new_tokens = 50\n"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const std::string variant : {"one", "many"}) {
    const auto found = rows(variant, "said");
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].at("prompt_tokens"), expected[i].at("prompt_ids").size()) << i;
      EXPECT_EQ(found[i].at("tokens"), expected[i].at("new_ids")) << variant << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GreedyOracle,
                         testing::Values(Tiny{"tinystories-656k", "data/models/tinystories-656k"},
                                         Tiny{"stories260K-hf", "data/models/stories260K-hf"}),
                         [](const auto& tiny) {
                           std::string name = tiny.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

std::vector<std::string> openings(int n) {
  const std::vector<std::string> subjects{"A fox", "The old boat", "Lily", "Two birds", "Once"};
  std::vector<std::string> texts;
  for (int i = 0; i < n; ++i) {
    std::string text =
        subjects[static_cast<std::size_t>(i) % subjects.size()] + " number " + std::to_string(i);
    for (int words = 0; words < i % 7; ++words) text += " and a day";
    texts.push_back(text);
  }
  return texts;
}

std::map<std::string, Json> tokens_by_item(const std::vector<Json>& rows) {
  std::map<std::string, Json> tokens;
  for (const Json& row : rows) tokens[row.at("item")] = row.at("tokens");
  return tokens;
}

TEST_F(Generate, BatchesOfOneAndOf32GiveTheSameTokens) {
  const std::string path = kShare + "/ledger/model";
  const std::string drawn = "temperature = 0.8\ntop_k = 40\ntop_p = 0.95\nmax_new_tokens = 24\n";
  const Ran ran = run("assay = 1\n" + model("one", path, "batch_sequences = 1\n") +
                      model("many", path, "batch_sequences = 32\n") + prompts(openings(40)) +
                      task("max_new_tokens = 24\n") + task(drawn, "drawn"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(tokens_by_item(rows("one", "said")), tokens_by_item(rows("many", "said")));
  EXPECT_EQ(tokens_by_item(rows("one", "drawn")), tokens_by_item(rows("many", "drawn")));
  EXPECT_NE(tokens_by_item(rows("one", "said")), tokens_by_item(rows("one", "drawn")));
}

TEST_F(Generate, SeedsBelongToItemsSoOrderAndLimitChangeNothing) {
  const std::string head = "assay = 1\n" + model("m", kShare + "/ledger/model");
  const std::string drawn = "temperature = 1.0\nmax_new_tokens = 16\n";
  auto texts = openings(12);
  ASSERT_EQ(run(head + prompts(texts) + task(drawn), "forth").exit_code, 0);
  std::reverse(texts.begin(), texts.end());
  ASSERT_EQ(run(head + prompts(texts) + task(drawn + "limit = 6\n"), "back").exit_code, 0);
  ASSERT_EQ(run(head + prompts(texts) + task(drawn + "seed = 7\n"), "seed").exit_code, 0);
  const auto forth = tokens_by_item(rows("m", "said", "forth"));
  const auto back = tokens_by_item(rows("m", "said", "back"));
  ASSERT_EQ(back.size(), 6u);
  for (const auto& [item, tokens] : back) EXPECT_EQ(tokens, forth.at(item));
  EXPECT_NE(tokens_by_item(rows("m", "said", "seed")), forth);
}

TEST_F(Generate, APromptIsCutToWhatTheContextLeavesAndCounted) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += " day";
  const Ran ran = run("assay = 1\n" + model("m", kShare + "/ledger/model") + prompts({text, "A"}) +
                      task("max_new_tokens = 12\nmin_new_tokens = 12\n"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto found = rows("m", "said");
  const auto prompt_tokens = found[0].at("prompt_tokens").get<std::uint64_t>();
  EXPECT_EQ(found[0].at("truncated_tokens"), prompt_tokens - (512 - 12));
  EXPECT_EQ(found[1].at("truncated_tokens"), 0);
  const Json counts = document().at("counts").at(0);
  EXPECT_EQ(counts.at("truncated"), 1);
  EXPECT_EQ(counts.at("reached_max_new"), 2);
}

TEST_F(Generate, MoreNewTokensThanTheContextIsRefused) {
  const Ran ran = run("assay = 1\n" + model("m", kShare + "/ledger/model") + prompts({"A"}) +
                      task("max_new_tokens = 512\n"));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_EQ(document().at("failures").at(0).at("text"),
            "max_new_tokens = 512 leaves no room for a prompt in the context of model.m, 512 "
            "tokens; use fewer");
}

TEST_F(Generate, ATokenizerLargerThanTheEmbeddingIsToldAndItemsThatNeedItFail) {
  const fs::path dir = folder_.path() / "model";
  fs::copy(kShare + "/ledger/model", dir);
  fs::permissions(dir / "tokenizer.json", fs::perms::owner_write, fs::perm_options::add);
  Json tokenizer = Json::parse(text_of(dir / "tokenizer.json"));
  tokenizer["added_tokens"].push_back({{"id", 1280},
                                       {"content", "<new>"},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", true}});
  std::ofstream(dir / "tokenizer.json") << tokenizer.dump();
  const Ran ran = run("assay = 1\n" + model("m", dir.string()) + prompts({"A fox", "A <new> fox"}) +
                      task("max_new_tokens = 4\n"));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(ran.err,
              HasSubstr("model.m: the tokenizer knows 1281 tokens, the embedding has 1280"));
  EXPECT_EQ(rows("m", "said").at(0).at("status"), "ok");
  EXPECT_EQ(rows("m", "said").at(1).at("status"), "failed");
  EXPECT_THAT(document().at("failures").at(0).at("text").get<std::string>(),
              HasSubstr("token 1280 at position"));
}

TEST_F(Generate, AFilterThatNeverEndsFailsItsItemAlone) {
  const Ran ran = run("assay = 1\n" + fake("answer = [67]\n") + prompts({"A"}) +
                      task("max_new_tokens = 2000\nfilters = [{ regex = '^(.+)+\\x00$' }]\n"));
  EXPECT_EQ(ran.exit_code, 4) << ran.err;
  EXPECT_EQ(rows("m", "said").at(0).at("status"), "failed");
}

TEST_F(Generate, StopTextsAndEndTokensAreToldApart) {
  const Ran ran =
      run("assay = 1\n" + model("m", kShare + "/ledger/model") +
          prompts({"card 88 usual 28 | a Miami 16h web 42 | b Atlanta 09h fuel 74 | c Boston 15h "
                   "atm 35\nsum b a",
                   "Once upon a time there was a little girl"}) +
          task("max_new_tokens = 60\nstop = [\".\"]\n"));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto found = rows("m", "said");
  EXPECT_EQ(found[0].at("output"), " 116");
  EXPECT_EQ(found[0].at("finish"), "end");
  EXPECT_EQ(found[0].at("tokens").back(), 1);
  EXPECT_EQ(found[1].at("finish"), "stop");
  EXPECT_EQ(found[1].at("output").get<std::string>().find('.'), std::string::npos);
  EXPECT_GE(found[1].at("first_token_seconds").get<double>(), 0);
  EXPECT_GE(found[1].at("seconds").get<double>(), found[1].at("first_token_seconds").get<double>());
}

TEST_F(Generate, GroupsOfSeveralKeysAreGatedOneByOne) {
  std::string lines;
  for (int i = 0; i < 12; ++i) {
    Json record{{"p", "question " + std::to_string(i)}};
    record["t"] = i % 3 == 0 ? "never" : " ";
    record["year"] = i % 2 == 0 ? 2023 : 2024;
    if (i != 5) record["kind"] = i < 6 ? "fraud" : "other";
    lines += record.dump() + "\n";
  }
  folder_.write("prompts.jsonl", lines);
  const Ran ran = run(
      "assay = 1\n" + fake("answer = [0]\n") +
      "[dataset.prompts]\nuse = \"assay/jsonl\"\npath = \"prompts.jsonl\"\n[task.said]\n"
      "protocol = \"generate\"\ndataset = \"prompts\"\nprompt = \"{{ p }}\"\n"
      "target = \"t\"\nmetrics = [{ use = \"assay/contains\", strip = false }]\n"
      "max_new_tokens = 40\ngroup_by = [\"kind\", \"year\"]\n"
      "[[gate]]\ntask = \"said\"\nmetric = \"contains\"\ngroup = \"kind=fraud,year=2023\"\n"
      "candidates = [\"m\"]\nmin = 0.9\n"
      "[[gate]]\ntask = \"said\"\nmetric = \"contains\"\ngroup = \"*\"\ncandidates = [\"m\"]\nmin "
      "= 0.0\n");
  ASSERT_NE(ran.exit_code, 2) << ran.err;
  const Json run = document();
  std::set<std::string> groups;
  for (const Json& record : run.at("records")) {
    if (record.at("metric") == "contains" && !record.at("group").is_null()) {
      groups.insert(record.at("group"));
    }
  }
  EXPECT_TRUE(groups.contains("kind=(missing)"));
  EXPECT_TRUE(groups.contains("kind=fraud,year=2023"));
  EXPECT_TRUE(groups.contains("year=2024"));
  EXPECT_EQ(run.at("verdicts").at(0).at("group"), "kind=fraud,year=2023");
  EXPECT_EQ(run.at("verdicts").size(), 1 + groups.size());
}

TEST_F(Generate, ABackendThatBreaksItsContractEndsItsVariant) {
  const Ran ran = run("assay = 1\n" + fake("fault = \"foreign_id\"\n") + prompts({"A", "B"}) +
                      task("max_new_tokens = 4\n"));
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(document().at("failures").at(0).at("text").get<std::string>(),
              HasSubstr("finished a request that is not in flight"));
}

TEST_F(Generate, InterruptKeepsTheAnswersThatAreWhole) {
  const std::string manifest = "assay = 1\n" + fake("slow_ms = 20\n") + prompts(openings(3000)) +
                               task("max_new_tokens = 4\n");
  const fs::path out = folder_.path() / "out";
  // The rows have a file of their own from the moment the first answer may come.
  const std::string script =
      shell_quoted(ASSAY_BINARY) + " run -q " + folder_.write("m.toml", manifest).string() +
      " --out " + out.string() + " --plugin-dir " + shell_quoted(trusted_fakes()) +
      " 2>/dev/null & while [ ! -e " + (out / "rows/m/said.jsonl.zst.part").string() +
      " ]; do sleep 0.1; done; sleep 2; kill -INT $!; wait $!";
  const int status = std::system(script.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_EQ(document().at("status"), "partial");
  const auto kept = rows("m", "said");
  EXPECT_GT(kept.size(), 0u);
  EXPECT_LT(kept.size(), 3000u);
  for (const Json& row : kept) EXPECT_EQ(row.at("n_tokens"), 4);
}

}  // namespace
}  // namespace assay::host
