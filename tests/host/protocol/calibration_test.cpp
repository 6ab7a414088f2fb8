// Calibrations: shares, order, cutting, digests, and every way to have too little text.
#include "host/protocol/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "tests/host/protocol/items.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kLedger = std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger";

std::vector<Json> numbered(const std::string& word, int n) {
  std::vector<Json> records;
  for (int i = 0; i < n; ++i) {
    records.push_back({{"text", "The " + word + " no. " + std::to_string(i) + " went home. "}});
  }
  return records;
}

CalibrationText source(const std::string& name, std::vector<Json> records, double share = 1) {
  return {name, records_of(std::move(records)), share};
}

Result<Calibration> made(std::vector<CalibrationText> sources, CalibrationSettings settings,
                         const ChatTemplate* chat = nullptr) {
  return make_calibration(std::move(sources), settings, ledger(), chat);
}

std::vector<std::uint64_t> counts(const Calibration& calibration) {
  std::vector<std::uint64_t> counts;
  for (const CalibrationShare& share : calibration.sources) counts.push_back(share.samples);
  return counts;
}

std::vector<Json> stories() {
  std::ifstream in(kLedger + "/stories_heldout.txt");
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  const std::string end = "<|endoftext|>\n";
  std::vector<Json> records;
  for (std::size_t from = 0, to; (to = all.find(end, from)) != std::string::npos;
       from = to + end.size()) {
    records.push_back({{"text", all.substr(from, to - from)}});
  }
  return records;
}

std::vector<Json> reviews() {
  std::ifstream in(kLedger + "/train.jsonl");
  std::vector<Json> records;
  for (std::string line; std::getline(in, line);) records.push_back(Json::parse(line));
  return records;
}

TEST(Calibration, IsTheOneThatTheRuleWrittenAgainMakes) {
  // Source: tests/golden/calibration.py
  CalibrationText questions{"train", records_of(reviews()), 0.3,
                            "{{ input }} {{ expected_output }}"};
  const auto calibration = made({source("stories", stories(), 0.7), questions}, {10, 96, 42, true});
  ASSERT_TRUE(calibration) << calibration.error().text;
  EXPECT_THAT(counts(*calibration), ElementsAre(7, 3));
  EXPECT_EQ(calibration->sources[0].documents, 3u);
  EXPECT_EQ(calibration->sources[1].documents, 7u);
  const auto& first = calibration->samples[0].tokens;
  EXPECT_THAT(std::vector(first.begin(), first.begin() + 8),
              ElementsAre(222, 23, 26, 429, 222, 18, 24, 319));
  EXPECT_EQ(calibration->digest,
            "dd9dec1ee77e9136c1c80e3bf54629bb040570c3c4d76c138b1cdf928f5a3ce7");
}

TEST(Calibration, CutsTheEncodedDocumentsWhereASampleIsFull) {
  const std::vector<Json> records = numbered("fox", 20);
  const auto calibration = made({source("foxes", records)}, {5, 16, 1, false});
  ASSERT_TRUE(calibration) << calibration.error().text;
  std::vector<std::int32_t> stream;
  std::uint64_t documents = 0;
  for (const Json& record : records) {
    if (stream.size() >= 80) break;
    const auto encoded = encode_text(ledger(), record.at("text").get<std::string>(), Bos::kAuto);
    stream.insert(stream.end(), encoded->ids.begin(), encoded->ids.end());
    ++documents;
  }
  ASSERT_EQ(calibration->samples.size(), 5u);
  std::vector<std::int32_t> given;
  for (const CalibrationSample& sample : calibration->samples) {
    EXPECT_EQ(sample.tokens.size(), 16u);
    EXPECT_EQ(sample.source, 0u);
    given.insert(given.end(), sample.tokens.begin(), sample.tokens.end());
  }
  stream.resize(80);
  EXPECT_EQ(given, stream);
  EXPECT_EQ(given[0], *ledger().bos());
  EXPECT_EQ(calibration->tokens, 80u);
  EXPECT_EQ(calibration->sources[0].documents, documents);
}

TEST(Calibration, ReadsNoMoreRecordsThanItNeeds) {
  std::uint64_t reads = 0;
  Records records{1000, [&](std::uint64_t nth) -> Result<Json> {
                    ++reads;
                    return Json{{"text", "A long walk no. " + std::to_string(nth)}};
                  }};
  const auto calibration = made({{"walks", records}}, {2, 32, 1, true});
  ASSERT_TRUE(calibration);
  EXPECT_LT(reads, 20u);
  EXPECT_EQ(reads, calibration->sources[0].documents);
}

TEST(Calibration, DependsOnSeedAndOrderAlone) {
  const auto digest = [](std::uint64_t seed, bool is_shuffled) {
    const auto calibration =
        made({source("foxes", numbered("fox", 50))}, {4, 16, seed, is_shuffled});
    return calibration ? calibration->digest : calibration.error().text;
  };
  EXPECT_EQ(digest(7, true), digest(7, true));
  EXPECT_NE(digest(7, true), digest(8, true));
  EXPECT_NE(digest(7, true), digest(7, false));
  EXPECT_EQ(digest(7, false), digest(8, false));
}

TEST(Calibration, DigestIsOfLengthsAndIds) {
  const auto calibration = made({source("foxes", numbered("fox", 2))}, {1, 3, 1, false});
  ASSERT_TRUE(calibration);
  std::string bytes("\3\0\0\0\0\0\0\0", 8);
  for (const std::int32_t id : calibration->samples[0].tokens) {
    bytes += {static_cast<char>(id & 255), static_cast<char>(id >> 8), 0, 0};
  }
  EXPECT_EQ(calibration->digest, sha256(bytes));
}

TEST(Calibration, SamplesOfAllSourcesAreMixed) {
  const auto calibration =
      made({source("a", numbered("fox", 80)), source("b", numbered("cow", 80))}, {32, 16, 3, true});
  ASSERT_TRUE(calibration);
  std::uint64_t among_first_half = 0;
  for (std::size_t i = 0; i < 16; ++i) among_first_half += calibration->samples[i].source;
  EXPECT_GT(among_first_half, 3u);  // hypergeometric, 8 +- 1.4
  EXPECT_LT(among_first_half, 13u);
  std::uint64_t all = 0;
  for (const CalibrationSample& sample : calibration->samples) all += sample.source;
  EXPECT_EQ(all, 16u);
}

TEST(CalibrationShares, AreRoundedByLargestRemainder) {
  const auto split = [](std::vector<double> shares, std::uint64_t samples) {
    std::vector<CalibrationText> sources;
    for (const double share : shares) sources.push_back(source("s", numbered("fox", 200), share));
    const auto calibration = made(std::move(sources), {samples, 8, 1, true});
    EXPECT_TRUE(calibration) << calibration.error().text;
    return calibration ? counts(*calibration) : std::vector<std::uint64_t>{};
  };
  EXPECT_THAT(split({0.7, 0.3}, 128), ElementsAre(90, 38));         // 89.6, 38.4
  EXPECT_THAT(split({70, 30}, 128), ElementsAre(90, 38));           // shares of any sum
  EXPECT_THAT(split({1, 1, 1}, 8), ElementsAre(3, 3, 2));           // equal remainders: the earlier
  EXPECT_THAT(split({0.6, 0.25, 0.15}, 10), ElementsAre(6, 3, 1));  // 6, 2.5, 1.5
  EXPECT_THAT(split({1}, 3), ElementsAre(3));
}

TEST(CalibrationShares, SayWhatEachIsOfTheWhole) {
  const auto calibration = made(
      {source("a", numbered("fox", 50), 3), source("b", numbered("cow", 50), 1)}, {4, 8, 1, true});
  ASSERT_TRUE(calibration);
  EXPECT_EQ(calibration->sources[0].name, "a");
  EXPECT_DOUBLE_EQ(calibration->sources[0].share, 0.75);
  EXPECT_DOUBLE_EQ(calibration->sources[1].share, 0.25);
}

TEST(CalibrationShares, ThatGiveNothingAreRefused) {
  const auto none =
      made({source("a", numbered("fox", 50), 0.99), source("b", numbered("cow", 50), 0.01)},
           {16, 8, 1, true});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().text,
            "dataset.b: a share of 1 % of 16 samples is none; raise samples or the share");
  EXPECT_EQ(none.error().where, "dataset.b");
  for (const double share : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    const auto wrong = made({source("a", numbered("fox", 9), share)}, {1, 8, 1, true});
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().text, "dataset.a: its share must be a number above 0");
  }
  EXPECT_FALSE(made({}, {1, 8, 1, true}));
}

TEST(Calibration, TooLittleTextSaysHowMuchThereIsAndWhatToDo) {
  const auto calibration =
      made({source("long", numbered("fox", 200), 0.5), source("few", numbered("cow", 4), 0.5)},
           {20, 32, 1, true});
  ASSERT_FALSE(calibration);
  EXPECT_EQ(calibration.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(calibration.error().where, "dataset.few");
  EXPECT_EQ(calibration.error().text,
            "dataset.few: its text gives 1 sample of 32 tokens, its share of 50 % needs 10; add "
            "text, or lower samples, length or the share");
}

TEST(Calibration, PassesOverDocumentsOfNothing) {
  std::vector<Json> records{{{"text", ""}}};
  for (Json& record : numbered("fox", 9)) records.push_back(std::move(record));
  const auto calibration = made({source("foxes", records)}, {1, 8, 1, false});
  ASSERT_TRUE(calibration);
  EXPECT_NE(calibration->samples[0].tokens[1], *ledger().bos());
}

TEST(Calibration, RecordsThatCannotBeUsedAreNamed) {
  const auto calibration = made({source("foxes", {{{"body", "x"}}})}, {1, 8, 1, false});
  ASSERT_FALSE(calibration);
  EXPECT_THAT(calibration.error().text, HasSubstr("dataset.foxes: record 0: "));
  const auto huge =
      made({source("huge", {{{"text", std::string(20'000'000, 'x')}}})}, {1, 8, 1, false});
  ASSERT_FALSE(huge);
  EXPECT_THAT(huge.error().text, HasSubstr("dataset.huge: record 0: a document of 20.0 MB"));
}

TEST(Calibration, GramsAreOfTheTextThatWasTakenAndNoMore) {
  std::string text = "one two three four five six seven eight nine ten eleven twelve thirteen";
  for (int i = 0; i < 200; ++i) text += " w" + std::to_string(i);
  const auto calibration = made({source("long", {{{"text", text}}})}, {1, 100, 1, false});
  ASSERT_TRUE(calibration);
  const auto found = [&](const std::string& passage) {
    const auto words = words_of(passage);
    return calibration->grams.find(words, 0, words.size()).n_found;
  };
  EXPECT_EQ(found(text.substr(0, text.find(" w0 "))), 1u);
  EXPECT_EQ(found(text.substr(text.size() - 100)), 0u);
}

/// A model folder with nothing but a chat template.
class CalibrationChat : public testing::Test {
 protected:
  CalibrationChat() {
    fs::create_directories(dir_);
    std::ofstream(dir_ / "chat_template.jinja")
        << "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}";
    std::ofstream(dir_ / "tokenizer_config.json") << R"({"bos_token": "<s>", "eos_token": "</s>"})";
    fs::copy_file(kLedger + "/model/tokenizer.json", dir_ / "tokenizer.json");
    auto chat = ChatTemplate::open(dir_);
    EXPECT_TRUE(chat) << chat.error().text;
    chat_.emplace(std::move(*chat));
  }
  ~CalibrationChat() override { fs::remove_all(dir_); }

  const fs::path dir_ =
      fs::path(testing::TempDir()) / ("assay-calibration-" + std::to_string(getpid()));
  std::optional<ChatTemplate> chat_;
};

TEST_F(CalibrationChat, ATextIsATurnOfTheUser) {
  const auto calibration = made({source("foxes", numbered("fox", 9))}, {1, 40, 1, false}, &*chat_);
  ASSERT_TRUE(calibration) << calibration.error().text;
  const auto& tokens = calibration->samples[0].tokens;
  EXPECT_THAT(*ledger().decode(tokens, false),
              testing::StartsWith("<s>[user] The fox no. 0 went home. \n<s>[user] The fox no. 1"));
}

TEST_F(CalibrationChat, AListIsAConversation) {
  const Json record{{"q", "How many foxes?"}, {"a", "Two, or three."}};
  const CalibrationText asked{"faq", records_of({record, record, record}), 1,
                              "{{ [{'role': 'user', 'content': q}, {'role': 'assistant', "
                              "'content': a}] }}"};
  const auto calibration = made({asked}, {1, 30, 1, false}, &*chat_);
  ASSERT_TRUE(calibration) << calibration.error().text;
  EXPECT_THAT(*ledger().decode(calibration->samples[0].tokens, false),
              testing::StartsWith("<s>[user] How many foxes?\n[assistant] Two, or three.\n"));
  const auto words = words_of("How many foxes? Two, or three.");  // the roles are not in between
  EXPECT_EQ(calibration->grams.find(words, 0, words.size()).n_found, 1u);
}

TEST_F(CalibrationChat, WhatIsNoTurnIsNamed) {
  const CalibrationText wrong{"faq", records_of({{{"turns", {"hello"}}}}), 1, "{{ turns }}"};
  const auto calibration = made({wrong}, {1, 30, 1, false}, &*chat_);
  ASSERT_FALSE(calibration);
  EXPECT_EQ(calibration.error().text,
            "dataset.faq: record 0: the template gave \"hello\" in its list, expected turns such "
            "as {\"role\": \"user\", \"content\": \"...\"}");
}

}  // namespace
}  // namespace assay::host
