#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "host/text/text.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;

const std::filesystem::path kSource = ASSAY_SOURCE_DIR;
const std::filesystem::path kLedger = kSource / "share/data/ledger/model";
const std::filesystem::path kStories = kSource / "share/data/stories260k";

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Data too large or not free to commit; it may be absent.
std::filesystem::path shared() {
  const char* given = std::getenv("ASSAY_SHARED");
  return given != nullptr ? std::filesystem::path(given) : kSource / "../shared";
}

Tokenizer opened(const std::filesystem::path& dir) {
  auto tokenizer = Tokenizer::open(dir);
  if (!tokenizer) throw std::runtime_error(tokenizer.error().text);
  return std::move(*tokenizer);
}

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text,
                                 AddSpecial special = AddSpecial::kNone) {
  auto encoding = tokenizer.encode(text, special);
  EXPECT_TRUE(encoding) << encoding.error().text;
  return encoding ? encoding->ids : std::vector<std::int32_t>{};
}

// Merges a with b, then ab with c. Small enough to do by hand.
constexpr char kByHand[] = R"({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true}],
  "normalizer": null, "pre_tokenizer": null, "decoder": {"type": "Fuse"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
  "model": {"type": "BPE", "dropout": null, "unk_token": "?", "fuse_unk": false,
    "continuing_subword_prefix": null, "end_of_word_suffix": null, "byte_fallback": false,
    "vocab": {"?": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "c": 5, "ab": 6, "abc": 7},
    "merges": ["a b", "ab c"]}
})";

class TokenizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> count = 0;
    dir_ = std::filesystem::temp_directory_path() /
           ("assay_tokenizer_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(dir_);
    write("tokenizer.json", kByHand);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  /// The document above after a change to it.
  void write_changed(const std::function<void(Json&)>& change) const {
    Json document = Json::parse(kByHand);
    change(document);
    write("tokenizer.json", document.dump());
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }
  Failure open_failure() const {
    auto tokenizer = Tokenizer::open(dir_);
    EXPECT_FALSE(tokenizer);
    return tokenizer ? Failure{} : tokenizer.error();
  }
  std::filesystem::path dir_;
};

TEST_F(TokenizerFiles, MergesAsDoneByHand) {
  const Tokenizer tokenizer = opened(dir_);
  const auto encoding = tokenizer.encode("abcabba", AddSpecial::kNone);
  ASSERT_TRUE(encoding);
  EXPECT_THAT(encoding->ids, ElementsAre(7, 6, 4, 3));
  EXPECT_THAT(encoding->end_bytes, ElementsAre(3, 5, 6, 7));
}

TEST_F(TokenizerFiles, AddsBosByItsOwnRuleOnlyWhenAsked) {
  const Tokenizer tokenizer = opened(dir_);
  const auto by_rule = tokenizer.encode("ab", AddSpecial::kByRule);
  ASSERT_TRUE(by_rule);
  EXPECT_THAT(by_rule->ids, ElementsAre(1, 6));
  EXPECT_THAT(by_rule->end_bytes, ElementsAre(0, 2));
  EXPECT_THAT(ids_of(tokenizer, "ab"), ElementsAre(6));
}

TEST_F(TokenizerFiles, RecognisesSpecialTokensSpeltOutEitherWay) {
  const Tokenizer tokenizer = opened(dir_);
  const auto encoding = tokenizer.encode("a<s>b</s>", AddSpecial::kNone);
  ASSERT_TRUE(encoding);
  EXPECT_THAT(encoding->ids, ElementsAre(3, 1, 4, 2));
  EXPECT_THAT(encoding->end_bytes, ElementsAre(1, 4, 5, 9));
  EXPECT_THAT(ids_of(tokenizer, "<s>a", AddSpecial::kByRule), ElementsAre(1, 1, 3));
}

TEST_F(TokenizerFiles, DecodesWithAndWithoutSpecialTokens) {
  const Tokenizer tokenizer = opened(dir_);
  const std::vector<std::int32_t> ids{1, 7, 2};
  EXPECT_EQ(*tokenizer.decode(ids, false), "<s>abc</s>");
  EXPECT_EQ(*tokenizer.decode(ids, true), "abc");
  EXPECT_EQ(*tokenizer.decode({}, false), "");
}

TEST_F(TokenizerFiles, DecodesAnIdWithoutATokenToNothing) {
  const std::vector<std::int32_t> ids{3, 5000, 4};
  EXPECT_EQ(*opened(dir_).decode(ids, false), "ab");
}

TEST_F(TokenizerFiles, RefusesToDecodeANegativeId) {
  const std::vector<std::int32_t> ids{3, -1};
  const auto text = opened(dir_).decode(ids, false);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(text.error().text, "token id -1 cannot be decoded: ids start at 0");
}

TEST_F(TokenizerFiles, RefusesTextThatIsNotUtf8AndNamesTheByte) {
  const auto encoding = opened(dir_).encode("ab\xff", AddSpecial::kNone);
  ASSERT_FALSE(encoding);
  EXPECT_EQ(encoding.error().code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(encoding.error().text, "the text cannot be tokenized: not UTF-8 at byte 2");
}

TEST_F(TokenizerFiles, TakesAnUnknownCharacterForTheUnknownToken) {
  const auto encoding = opened(dir_).encode("aüb", AddSpecial::kNone);
  ASSERT_TRUE(encoding);
  EXPECT_THAT(encoding->ids, ElementsAre(3, 0, 4));
  EXPECT_THAT(encoding->end_bytes, ElementsAre(1, 3, 4));
}

TEST_F(TokenizerFiles, SwitchesOffTruncationAndPaddingOfTheFile) {
  write_changed([](Json& document) {
    document["truncation"] = {
        {"max_length", 2}, {"stride", 0}, {"strategy", "LongestFirst"}, {"direction", "Right"}};
    document["padding"] = {{"strategy", {{"Fixed", 20}}},
                           {"direction", "Right"},
                           {"pad_to_multiple_of", nullptr},
                           {"pad_id", 0},
                           {"pad_type_id", 0},
                           {"pad_token", "?"}};
  });
  EXPECT_THAT(ids_of(opened(dir_), "ccccc"), ElementsAre(5, 5, 5, 5, 5));
}

TEST_F(TokenizerFiles, SwitchesOffDropoutWhichWouldDrawAnotherSplitEachTime) {
  write_changed([](Json& document) { document["model"]["dropout"] = 1.0; });
  EXPECT_THAT(ids_of(opened(dir_), "abc"), ElementsAre(7));
}

TEST_F(TokenizerFiles, KeepsWhiteSpaceInTheEndsThoughThePostProcessorTrims) {
  Json document = Json::parse(contents(kLedger / "tokenizer.json"));
  document["post_processor"] = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  write("tokenizer.json", document.dump());
  const auto encoding = opened(dir_).encode("a  b \n\n", AddSpecial::kByRule);
  ASSERT_TRUE(encoding);
  EXPECT_EQ(encoding->end_bytes, opened(kLedger).encode("a  b \n\n", AddSpecial::kNone)->end_bytes);
  EXPECT_EQ(encoding->end_bytes.back(), 7u);
}

TEST_F(TokenizerFiles, FindsSpecialTokensAsTextOrObjectInTokenizerConfig) {
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}})");
  const Tokenizer tokenizer = opened(dir_);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.bos_text(), "<s>");
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_EQ(tokenizer.eos_text(), "</s>");
}

TEST_F(TokenizerFiles, LooksIntoSpecialTokensMapThenConfigForWhatTokenizerConfigDoesNotSay) {
  write("tokenizer_config.json", R"({"model_max_length": 1024})");
  write("special_tokens_map.json", R"({"bos_token": "<s>"})");
  write("config.json", R"({"bos_token_id": 5, "eos_token_id": [2, 3]})");
  const Tokenizer tokenizer = opened(dir_);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_EQ(tokenizer.eos_text(), "</s>");
}

TEST_F(TokenizerFiles, TakesANullForTheAnswerThatThereIsNone) {
  write("tokenizer_config.json", R"({"bos_token": null, "eos_token": "</s>"})");
  write("config.json", R"({"bos_token_id": 1})");
  const Tokenizer tokenizer = opened(dir_);
  EXPECT_EQ(tokenizer.bos(), std::nullopt);
  EXPECT_EQ(tokenizer.bos_text(), "");
}

TEST_F(TokenizerFiles, HasNoSpecialTokensWhereNoFileNamesAny) {
  const Tokenizer tokenizer = opened(dir_);
  EXPECT_EQ(tokenizer.bos(), std::nullopt);
  EXPECT_EQ(tokenizer.eos(), std::nullopt);
}

TEST_F(TokenizerFiles, HaveOneMoreIdThanTheHighestOfTheVocabularyAndTheAddedTokens) {
  EXPECT_EQ(opened(dir_).vocabulary(), 8u);
  write_changed([](Json& document) {
    document["added_tokens"].push_back({{"id", 11},
                                        {"content", "<sep>"},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"normalized", false},
                                        {"special", true}});
  });
  const Tokenizer tokenizer = opened(dir_);
  const auto ids = ids_of(tokenizer, "a<sep>");
  EXPECT_EQ(tokenizer.vocabulary(), static_cast<std::uint64_t>(ids.back()) + 1);
}

TEST_F(TokenizerFiles, NameNoEndTokensWhereNoFileDoes) {
  write("config.json", R"({"eos_token_id": null})");
  write("generation_config.json", R"({"eos_token_id": []})");
  EXPECT_THAT(opened(dir_).end_tokens(), ElementsAre());
}

TEST_F(TokenizerFiles, CollectEndTokensFromAllFilesAndKeepThoseOfAPaddedVocabulary) {
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_THAT(opened(dir_).end_tokens(), ElementsAre(2));
  write("config.json", R"({"eos_token_id": 7})");
  EXPECT_THAT(opened(dir_).end_tokens(), ElementsAre(2, 7));
  write("generation_config.json", R"({"eos_token_id": [128009, 7, 0]})");
  const Tokenizer tokenizer = opened(dir_);
  EXPECT_THAT(tokenizer.end_tokens(), ElementsAre(0, 2, 7, 128009));
  EXPECT_EQ(tokenizer.eos(), 2);
}

TEST_F(TokenizerFiles, KeepTheirFingerprintWhateverEndsAText) {
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  const std::string plain = opened(dir_).fingerprint();
  write("generation_config.json", R"({"eos_token_id": [2, 5]})");
  EXPECT_EQ(opened(dir_).fingerprint(), plain);
}

TEST_F(TokenizerFiles, RefuseAnEndTokenThatIsNoId) {
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  const auto refused = [&](const std::string& name, const std::string& value) {
    write(name, "{\"eos_token_id\": " + value + "}");
    const Failure failure = open_failure();
    EXPECT_EQ(failure.code, ASSAY_INVALID_ARGUMENT);
    EXPECT_EQ(failure.where, at(name));
    return failure.text;
  };
  const std::string expected =
      ": eos_token_id must be a token id or a list of them, which are whole numbers from 0 on, but "
      "holds ";
  EXPECT_EQ(refused("generation_config.json", "[2, -1]"),
            at("generation_config.json") + expected + "-1");
  for (const std::string value :
       {"-1", "2.0", "true", "\"</s>\"", "{}", "4294967296", "18446744073709551615"}) {
    EXPECT_EQ(refused("config.json", value), at("config.json") + expected + value);
  }
  EXPECT_EQ(refused("config.json", "[[2]]"), at("config.json") + expected + "[2]");
}

TEST_F(TokenizerFiles, RefuseAGenerationConfigThatIsNotJson) {
  write("generation_config.json", "[]");
  EXPECT_EQ(open_failure().text,
            at("generation_config.json") + ": must hold a JSON object, but holds array");
}

TEST_F(TokenizerFiles, HaveAFingerprintThatFollowsTheTokensAndTheSpecialOnes) {
  const std::string plain = opened(dir_).fingerprint();
  EXPECT_EQ(plain.size(), 64u);
  EXPECT_EQ(opened(dir_).fingerprint(), plain);
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  const std::string with_bos = opened(dir_).fingerprint();
  EXPECT_NE(with_bos, plain);
  write_changed([](Json& document) { document["model"]["merges"] = Json::array({"a b"}); });
  EXPECT_NE(opened(dir_).fingerprint(), with_bos);
}

TEST_F(TokenizerFiles, WithoutTokenizerJsonSaysHowToMakeIt) {
  std::filesystem::remove(dir_ / "tokenizer.json");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.code, ASSAY_NOT_FOUND);
  EXPECT_EQ(failure.text,
            dir_.string() +
                ": has no tokenizer.json; copy the one of the model there, or make it with "
                "transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
  EXPECT_EQ(failure.where, at("tokenizer.json"));
}

TEST_F(TokenizerFiles, ThatAreNotJsonSayWhereTheParserStopped) {
  write("tokenizer.json", "{\"version\": \"1.0\",");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(failure.text,
            at("tokenizer.json") +
                ": not a tokenizer of the HF tokenizers library: EOF while parsing a "
                "value at line 1 column 18; save it again with the library that made it");
}

TEST_F(TokenizerFiles, ThatHoldSomethingElseSayWhatTheLibraryMissed) {
  write("tokenizer.json", R"({"version": "1.0"})");
  EXPECT_EQ(open_failure().text, at("tokenizer.json") +
                                     ": not a tokenizer of the HF tokenizers library: Model "
                                     "missing. at line 1 column 18; save it again with "
                                     "the library that made it");
}

TEST_F(TokenizerFiles, RefuseASpecialTokenThatTheVocabularyDoesNotHold) {
  write("tokenizer_config.json", R"({"bos_token": "<bos>"})");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(failure.text, at("tokenizer_config.json") +
                              ": bos_token \"<bos>\" is not in the vocabulary of tokenizer.json; "
                              "correct the name, or add the token to added_tokens there");
  EXPECT_EQ(failure.where, at("tokenizer_config.json"));
}

TEST_F(TokenizerFiles, RefuseASpecialTokenThatIsNeitherTextNorObject) {
  write("tokenizer_config.json", R"({"eos_token": 2})");
  EXPECT_EQ(open_failure().text, at("tokenizer_config.json") +
                                     ": eos_token must be a text or an object with \"content\"");
}

TEST_F(TokenizerFiles, RefuseASpecialTokenIdOutsideTheVocabulary) {
  write("config.json", R"({"bos_token_id": 50256})");
  EXPECT_EQ(open_failure().text,
            at("config.json") +
                ": bos_token_id 50256 is not a token of tokenizer.json; correct "
                "the number, or name the token in tokenizer_config.json");
  write("config.json", R"({"bos_token_id": "one"})");
  EXPECT_EQ(open_failure().text,
            at("config.json") + ": bos_token_id must be a token id or a list of them");
}

TEST_F(TokenizerFiles, RefuseATokenizerConfigThatIsNoObject) {
  write("tokenizer_config.json", "[]");
  EXPECT_EQ(open_failure().text,
            at("tokenizer_config.json") + ": must hold a JSON object, but holds array");
}

TEST_F(TokenizerFiles, RefuseATokenizerConfigThatIsNotJson) {
  write("tokenizer_config.json", "{");
  EXPECT_EQ(
      open_failure().text,
      at("tokenizer_config.json") +
          ": not valid JSON: [json.exception.parse_error.101] parse error at line 1, column 2: "
          "syntax error while parsing object key - unexpected end of input; expected string "
          "literal");
}

// tests/data/text/tokens.json is Python's tokenizers' answer for both models of share/data.
class GoldenTokens : public testing::TestWithParam<const char*> {};

TEST_P(GoldenTokens, AreThoseOfPythonsTokenizers) {
  const Json golden = Json::parse(contents(ASSAY_TEST_DATA "/text/tokens.json"))[GetParam()];
  const Tokenizer tokenizer = opened(kSource / golden["folder"].get<std::string>());
  ASSERT_FALSE(golden["cases"].empty());
  for (const Json& expected : golden["cases"]) {
    const auto text = expected["text"].get<std::string>();
    const auto by_rule = tokenizer.encode(text, AddSpecial::kByRule);
    const auto plain = tokenizer.encode(text, AddSpecial::kNone);
    ASSERT_TRUE(by_rule && plain) << expected["text"];
    EXPECT_EQ(by_rule->ids, expected["by_rule"].get<std::vector<std::int32_t>>())
        << expected["text"];
    EXPECT_EQ(plain->ids, expected["none"].get<std::vector<std::int32_t>>()) << expected["text"];
    EXPECT_EQ(plain->end_bytes, expected["end_bytes"].get<std::vector<std::uint64_t>>())
        << expected["text"];
    EXPECT_EQ(*tokenizer.decode(by_rule->ids, false), expected["decoded"].get<std::string>());
    EXPECT_EQ(*tokenizer.decode(by_rule->ids, true),
              expected["decoded_without_special"].get<std::string>());
  }
}

TEST_P(GoldenTokens, EndWhereTheTextEndsAndNeverGoBack) {
  const Json golden = Json::parse(contents(ASSAY_TEST_DATA "/text/tokens.json"))[GetParam()];
  const Tokenizer tokenizer = opened(kSource / golden["folder"].get<std::string>());
  for (const Json& expected : golden["cases"]) {
    const auto text = expected["text"].get<std::string>();
    const auto encoding = tokenizer.encode(text, AddSpecial::kByRule);
    ASSERT_TRUE(encoding);
    ASSERT_EQ(encoding->ids.size(), encoding->end_bytes.size());
    EXPECT_TRUE(std::is_sorted(encoding->end_bytes.begin(), encoding->end_bytes.end()));
    const std::uint64_t end = encoding->end_bytes.empty() ? 0 : encoding->end_bytes.back();
    EXPECT_EQ(end, text.size()) << expected["text"];
  }
}

INSTANTIATE_TEST_SUITE_P(OfBothModels, GoldenTokens, testing::Values("ledger", "stories260k"));

const std::string kUnknown = "\xef\xbf\xbd";  // U+FFFD

// A model may stop inside a character, or string bytes together that are none. Ids of 🦙 in
// bytes.
TEST(LedgerTokenizer, DecodesBytesThatAreNoCharacterToTheSignForThem) {
  const Tokenizer tokenizer = opened(kLedger);
  const auto llama = ids_of(tokenizer, "a🦙");
  ASSERT_EQ(llama.size(), 5u);
  const std::span<const std::int32_t> ids(llama);
  EXPECT_EQ(*tokenizer.decode(ids, true), "a🦙");
  EXPECT_EQ(*tokenizer.decode(ids.first(4), true), "a" + kUnknown);
  EXPECT_EQ(*tokenizer.decode(ids.first(2), true), "a" + kUnknown);
  EXPECT_EQ(*tokenizer.decode(ids.last(1), true), kUnknown);
  const std::vector<std::int32_t> twice{ids[1], ids[0], ids[1]};
  EXPECT_EQ(*tokenizer.decode(twice, true), kUnknown + "a" + kUnknown);
}

TEST(StoriesTokenizer, DecodesFallenBackBytesThatAreNoCharacterToTheSignForThem) {
  const Tokenizer tokenizer = opened(kStories);
  const auto llama = ids_of(tokenizer, "a🦙");
  ASSERT_GE(llama.size(), 5u);
  const std::span<const std::int32_t> ids(llama);
  EXPECT_EQ(*tokenizer.decode(ids, true), "a🦙");
  // One sign for each byte of a broken run: tokenizers' ByteFallback decoder.
  EXPECT_EQ(*tokenizer.decode(ids.first(ids.size() - 1), true),
            "a" + kUnknown + kUnknown + kUnknown);
  EXPECT_EQ(*tokenizer.decode(ids.last(1), true), kUnknown);
}

TEST(LedgerTokenizer, LeavesOutSpecialTokensOnlyWhenAsked) {
  const Tokenizer tokenizer = opened(kLedger);
  const auto ids = ids_of(tokenizer, "<s>a</s> b", AddSpecial::kNone);
  EXPECT_EQ(*tokenizer.decode(ids, false), "<s>a</s> b");
  EXPECT_EQ(*tokenizer.decode(ids, true), "a b");
}

TEST(ModelsOfShareData, EndWithTheTokenTheyName) {
  EXPECT_THAT(opened(kLedger).end_tokens(), ElementsAre(1));
  EXPECT_THAT(opened(kStories).end_tokens(), ElementsAre(2));
  EXPECT_EQ(opened(kStories).vocabulary(), 512u);
}

// llama.cpp's own expectations: texts between separator lines, one line of ids for each.
struct GgmlCase {
  const char* vocabulary;
  const char* folder;
};
class GgmlExpectations : public testing::TestWithParam<GgmlCase> {};

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at; (at = text.find(separator, from)) != std::string::npos;) {
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

TEST_P(GgmlExpectations, AllHold) {
  const auto tokenizers = shared() / "data/tokenizers";
  if (!std::filesystem::exists(tokenizers)) {
    GTEST_SKIP() << "no reference data: set ASSAY_SHARED to the folder that holds data/tokenizers";
  }
  const std::string name = std::string("ggml-vocab/ggml-vocab-") + GetParam().vocabulary + ".gguf";
  const auto texts = split(contents(tokenizers / (name + ".inp")), "\n__ggml_vocab_test__\n");
  const auto lines = split(contents(tokenizers / (name + ".out")), "\n");
  const Tokenizer tokenizer = opened(tokenizers / GetParam().folder);
  ASSERT_EQ(texts.size(), 47u);
  ASSERT_GE(lines.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::istringstream numbers(lines[i]);
    const std::vector<std::int32_t> expected{std::istream_iterator<std::int32_t>(numbers), {}};
    EXPECT_EQ(ids_of(tokenizer, texts[i]), expected) << "text " << i << ": " << Json(texts[i]);
    EXPECT_EQ(expected.empty(), texts[i].empty()) << "text " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(OfLlamaCpp, GgmlExpectations,
                         testing::Values(GgmlCase{"gpt-2", "gpt-2-hf"},
                                         GgmlCase{"llama-spm", "llama-2"},
                                         GgmlCase{"llama-bpe", "llama-3-hf"},
                                         GgmlCase{"qwen2", "qwen2-hf"}));

// The model's special tokens are marked "normalized", so they are looked for in the normalised
// text. Ids from the reference's README, surprise 8.
TEST(TinyStoriesTokenizer, FindsNormalizedSpecialTokensOnlyAtTheStartOrAfterASpace) {
  const auto dir = shared() / "data/models/tinystories-656k";
  if (!std::filesystem::exists(dir)) {
    GTEST_SKIP() << "no reference data: set ASSAY_SHARED to the folder that holds data/models";
  }
  const Tokenizer tokenizer = opened(dir);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos_text(), "<|end_story|>");
  EXPECT_THAT(ids_of(tokenizer, "a <|end_story|> b"), testing::Contains(2));
  const auto joined = ids_of(tokenizer, "a<|end_story|>b");
  EXPECT_THAT(joined, testing::Not(testing::Contains(2)));
  const std::vector<std::int32_t> spelt{208, 183, 209, 210};
  EXPECT_NE(std::search(joined.begin(), joined.end(), spelt.begin(), spelt.end()), joined.end());
  EXPECT_THAT(ids_of(tokenizer, "“"), testing::Contains(0));
}

// One merge queue for the whole text where nothing splits it first: long texts are the hard case.
TEST(StoriesTokenizer, EncodesTwoMegabytesAtOnce) {
  std::string text;
  while (text.size() < 2'000'000) text += "Once upon a time, there was a little girl named Lily. ";
  const Tokenizer tokenizer = opened(kStories);
  const auto encoding = tokenizer.encode(text, AddSpecial::kNone);
  ASSERT_TRUE(encoding);
  EXPECT_EQ(encoding->end_bytes.back(), text.size());
  EXPECT_EQ(*tokenizer.decode(encoding->ids, false), text);
}

TEST(LedgerTokenizer, MayBeUsedByManyThreadsAtOnce) {
  const Tokenizer tokenizer = opened(kLedger);
  const Json golden = Json::parse(contents(ASSAY_TEST_DATA "/text/tokens.json"))["ledger"]["cases"];
  std::vector<std::thread> threads;
  std::atomic<int> differing = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        for (const Json& expected : golden) {
          const auto encoding =
              tokenizer.encode(expected["text"].get<std::string>(), AddSpecial::kByRule);
          if (!encoding || encoding->ids != expected["by_rule"].get<std::vector<std::int32_t>>() ||
              *tokenizer.decode(encoding->ids, false) != expected["decoded"].get<std::string>()) {
            ++differing;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

}  // namespace
}  // namespace assay::host
