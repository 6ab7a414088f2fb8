// Tokenizers and chat templates that a backend brings, and what hostile ones are answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "host/text/text.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OfBackend : public testing::Test {
 protected:
  Result<Tokenizer> tokenizer(const std::string& style, const std::string& fault = "none") {
    create(style, fault);
    return Tokenizer::open(*instance_, 0, 1);
  }

  void create(const std::string& style, const std::string& fault) {
    static const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
    const Component* component = registry.find("fake/own-tokens", ASSAY_BACKEND);
    ASSERT_NE(component, nullptr);
    auto made = Instance::create(*component, {{"style", style}, {"rule", "even"}, {"fault", fault}},
                                 Lease{});
    ASSERT_TRUE(made) << made.error().text;
    instance_ = std::move(*made);
    assay_job job{};
    job.struct_size = sizeof(job);
    assay_model_info info{};
    info.struct_size = sizeof(info);
    assay_error error{};
    error.struct_size = sizeof(error);
    ASSERT_EQ(instance_->api<assay_backend_v1>().load(instance_->self(), &job, &info, &error),
              ASSAY_OK)
        << error.text;
  }

  std::optional<Instance> instance_;
};

TEST_F(OfBackend, EncodesAndDecodes) {
  const auto own = tokenizer("words");
  ASSERT_TRUE(own) << own.error().text;
  const auto encoded = own->encode("one two one", AddSpecial::kByRule);
  ASSERT_TRUE(encoded);
  EXPECT_THAT(encoded->ids, ElementsAre(0, 2, 3, 2));
  EXPECT_THAT(encoded->end_bytes, ElementsAre(0, 3, 7, 11));
  EXPECT_THAT(own->encode("one two one", AddSpecial::kNone)->ids, ElementsAre(2, 3, 2));
  EXPECT_EQ(*own->decode(encoded->ids, /*skip_special=*/true), "one two one");
  EXPECT_EQ(*own->decode(encoded->ids, /*skip_special=*/false), "<s> one two one");
  EXPECT_EQ(own->bos(), 0);
  EXPECT_EQ(own->bos_text(), "<s>");
  EXPECT_EQ(own->eos_text(), "</s>");
  EXPECT_THAT(own->end_tokens(), ElementsAre(1, 300));
  EXPECT_EQ(own->fingerprint(), "abcd77" + std::string(58, '0'));
}

TEST_F(OfBackend, ASpecialTokenSpeltOutInTheTextCoversItsBytes) {
  const auto own = tokenizer("bytes");
  const auto encoded = own->encode("<s>ab", AddSpecial::kNone);
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->ids.front(), 0);
  EXPECT_THAT(encoded->end_bytes, ElementsAre(3, 4, 5));
}

TEST_F(OfBackend, BytesOfOneCharacterEndWhereTheTextHasThem) {
  const std::string text = "a\xc3\xa9 \xe2\x82\xac";  // 7 bytes
  const auto own = tokenizer("bytes");
  EXPECT_THAT(own->encode(text, AddSpecial::kNone)->end_bytes, ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(*own->decode(own->encode("\xc3\xa9", AddSpecial::kNone)->ids, true), "\xc3\xa9");
  const auto half = own->decode(std::vector<std::int32_t>{2 + 0xc3}, true);
  EXPECT_EQ(*half, "\xef\xbf\xbd");
}

// The tokenizer writes small letters and drops line ends, so what tokens decode to is not what the
// text has.
TEST_F(OfBackend, WhereDecodedTokensDoNotFitTheyShareTheText) {
  const auto own = tokenizer("lower");
  const std::string text = "One\nTWO\nthree and more\n";
  const auto encoded = own->encode(text, AddSpecial::kByRule);
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->end_bytes.size(), encoded->ids.size());
  EXPECT_TRUE(std::is_sorted(encoded->end_bytes.begin(), encoded->end_bytes.end()));
  EXPECT_EQ(encoded->end_bytes.front(), 0u);
  EXPECT_EQ(encoded->end_bytes.back(), text.size());
}

TEST_F(OfBackend, WhatNoTokenStandsForGoesToTheLast) {
  const auto own = tokenizer("lower");
  EXPECT_THAT(own->encode("ab\n", AddSpecial::kNone)->end_bytes, ElementsAre(1, 3));
}

TEST_F(OfBackend, ATextThatIsNotUtf8NeverReachesIt) {
  const auto own = tokenizer("bytes");
  const auto encoded = own->encode("ab\xff", AddSpecial::kNone);
  ASSERT_FALSE(encoded);
  EXPECT_THAT(encoded.error().text, HasSubstr("not UTF-8 at byte 2"));
  EXPECT_FALSE(own->decode(std::vector<std::int32_t>{-1}, true));
}

TEST_F(OfBackend, HostileAnswersEndInSentences) {
  struct Case {
    const char *fault, *sentence;
  };
  for (const auto& [fault, sentence] :
       {Case{"huge", "fake/own-tokens: misbehaviour: encode asks for room for 1000000 values"},
        Case{"grows", "encode asks for more room when it has what it asked for"},
        Case{"negative", "encode gave the token -5, but ids start at 0"},
        Case{"fails", "fake/own-tokens: the vocabulary is lost"}}) {
    const auto own = tokenizer("bytes", fault);
    ASSERT_TRUE(own) << own.error().text;
    const auto encoded = own->encode("text", AddSpecial::kNone);
    ASSERT_FALSE(encoded) << fault;
    EXPECT_THAT(encoded.error().text, HasSubstr(sentence));
  }
  const auto own = tokenizer("bytes", "negative_end");
  ASSERT_FALSE(own);
  EXPECT_THAT(own.error().text, HasSubstr("ends gave the token -1, but ids start at 0"));
}

TEST_F(OfBackend, RendersChats) {
  create("bytes", "none");
  const auto chat = ChatTemplate::open(*instance_);
  ASSERT_TRUE(chat) << chat.error().text;
  const std::vector<ChatTurn> turns{{"system", "Be short."}, {"user", std::string(5000, 'x')}};
  EXPECT_EQ(*chat->render(turns, false),
            "[system] Be short.\n[user] " + std::string(5000, 'x') + "\n");
  EXPECT_THAT(*chat->render(turns, true), testing::EndsWith("\n[assistant] "));
  EXPECT_EQ(chat->fingerprint(), "ef" + std::string(62, '0'));
  EXPECT_FALSE(chat->render({}, true));

  create("bytes", "bad_template");
  const auto bad = ChatTemplate::open(*instance_)->render(turns, true);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().text, HasSubstr("render gave a text that is not UTF-8"));
}

TEST_F(OfBackend, ABackendWithoutTheTableIsRefused) {
  static const Registry registry = Registry::scan({ASSAY_TEST_FAKES});
  auto made = Instance::create(
      *registry.find("fake/endpoint", ASSAY_BACKEND),
      {{"rule", "sum"}, {"counts", true}, {"straddles", false}, {"off_by", 0}, {"fault", "none"}},
      Lease{});
  ASSERT_TRUE(made) << made.error().text;
  const auto own = Tokenizer::open(*made, -1, -1);
  ASSERT_FALSE(own);
  EXPECT_THAT(own.error().text, HasSubstr("does not offer assay.backend.tokenizer/1"));
}

}  // namespace
}  // namespace assay::host
