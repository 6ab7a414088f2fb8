#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "host/text/text.hpp"

namespace assay::host {
namespace {

const std::filesystem::path kData = ASSAY_TEST_DATA "/text";
const std::vector<ChatTurn> kHello{{"user", "Hello"}};

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ChatTemplateFiles : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> count = 0;
    dir_ = std::filesystem::temp_directory_path() /
           ("assay_chat_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }

  ChatTemplate opened() const {
    auto chat = ChatTemplate::open(dir_);
    if (!chat) throw std::runtime_error(chat.error().text);
    return std::move(*chat);
  }
  Failure open_failure() const {
    const auto chat = ChatTemplate::open(dir_);
    EXPECT_FALSE(chat);
    return chat ? Failure{} : chat.error();
  }
  /// What chat_template.jinja with this source makes of one turn, "Hello" of the user.
  Result<std::string> rendered(const std::string& source) const {
    write("chat_template.jinja", source);
    return opened().render(kHello, true);
  }
  std::string render_failure(const std::string& source) const {
    const auto text = rendered(source);
    if (text) return "rendered: " + *text;
    EXPECT_EQ(text.error().code, ASSAY_INVALID_ARGUMENT);
    return text.error().text;
  }
  std::filesystem::path dir_;
};

TEST_F(ChatTemplateFiles, AreAJinjaFileFirstThenATextInTokenizerConfig) {
  write("tokenizer_config.json", R"({"chat_template": "config {{ messages[0].content }}"})");
  EXPECT_EQ(*opened().render(kHello, true), "config Hello");
  write("chat_template.jinja", "file {{ messages[0].content }}");
  EXPECT_EQ(*opened().render(kHello, true), "file Hello");
}

TEST_F(ChatTemplateFiles, MayBeAListOfWhichTheDefaultIsTaken) {
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "rag", "template": "no"},
                              {"name": "default", "template": "yes"}]})");
  EXPECT_EQ(*opened().render(kHello, true), "yes");
}

TEST_F(ChatTemplateFiles, GiveTheTemplateTheSpecialTokensTheyName) {
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null})");
  write("special_tokens_map.json", R"({"unk_token": {"content": "<unk>"}, "pad_token": "<pad>"})");
  EXPECT_EQ(*rendered("{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ pad_token is defined }}"),
            "<s></s><unk>False");
}

TEST_F(ChatTemplateFiles, WithoutATemplateSayWhereItWasLookedFor) {
  write("tokenizer_config.json", R"({"chat_template": null})");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.code, ASSAY_NOT_FOUND);
  EXPECT_EQ(failure.text,
            dir_.string() +
                ": the model has no chat template, neither a file chat_template.jinja nor "
                "chat_template in tokenizer_config.json; write chat = false, or put the template "
                "its chats were trained with into chat_template.jinja");
  std::filesystem::remove(dir_ / "tokenizer_config.json");
  EXPECT_EQ(open_failure().text, failure.text);
}

TEST_F(ChatTemplateFiles, RefuseAListWithoutADefaultAndWhatIsNoTemplate) {
  const std::string place = at("tokenizer_config.json") + ": chat_template: ";
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "a"}, {"name": "tool", "template": "b"}]})");
  EXPECT_EQ(open_failure().text,
            place +
                "holds no template named \"default\", only \"rag\", \"tool\"; name one so, or "
                "put it into chat_template.jinja");
  write("tokenizer_config.json", R"({"chat_template": ["a"]})");
  EXPECT_EQ(open_failure().text,
            place + "must be a list of objects with the texts \"name\" and \"template\"");
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_EQ(open_failure().text,
            place + "must be a text or a list of named templates, but is number");
  EXPECT_EQ(open_failure().where, at("tokenizer_config.json"));
}

TEST_F(ChatTemplateFiles, ThatDoNotCompileNameTheirLineAndColumn) {
  write("chat_template.jinja", "a\n{% for m in messages %}");
  const Failure failure = open_failure();
  EXPECT_EQ(failure.code, ASSAY_INVALID_ARGUMENT);
  EXPECT_EQ(failure.text, at("chat_template.jinja") +
                              ": line 2, column 22 of the template: unexpected end of input, "
                              "expected end of block");
  EXPECT_EQ(failure.where, at("chat_template.jinja"));
  write("chat_template.jinja", "{{ messages|nofilter }}");
  EXPECT_EQ(open_failure().text,
            at("chat_template.jinja") +
                ": line 1, column 13 of the template: there is no filter \"nofilter\"");
  write("chat_template.jinja", "{% include 'other' %}");
  EXPECT_EQ(
      open_failure().text,
      at("chat_template.jinja") + ": line 1, column 4 of the template: unknown statement include");
  write("chat_template.jinja", "a\xff");
  EXPECT_EQ(open_failure().text, at("chat_template.jinja") + ": not UTF-8 at byte 1");
}

TEST_F(ChatTemplateFiles, HaveAFingerprintThatFollowsTheTemplateAndTheSpecialTokens) {
  write("chat_template.jinja", "{{ messages }}");
  const std::string plain = opened().fingerprint();
  EXPECT_EQ(plain.size(), 64u);
  EXPECT_EQ(opened().fingerprint(), plain);
  write("tokenizer_config.json", R"({"model_max_length": 5})");
  EXPECT_EQ(opened().fingerprint(), plain);
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_NE(opened().fingerprint(), plain);
}

TEST_F(ChatTemplateFiles, ThatRaiseFailWithTheirOwnWords) {
  EXPECT_EQ(render_failure("\n  {{ raise_exception('Roles must alternate, \"always\"') }}"),
            at("chat_template.jinja") +
                ": line 2, column 6 of the template: it raises \"Roles must alternate, "
                "\"always\"\"");
}

TEST_F(ChatTemplateFiles, ThatUseWhatIsNotThereFailAndQuoteIt) {
  EXPECT_EQ(render_failure("{{ missing.part }}"),
            at("chat_template.jinja") +
                ": line 1, column 4 of the template: \"missing.part\" is undefined; the chat has "
                "\"messages\", \"tools\", \"documents\", \"add_generation_prompt\"");
  EXPECT_EQ(render_failure("{{ messages[0].content + 1 }}"),
            at("chat_template.jinja") +
                ": line 1, column 4 of the template: tried to use + operator on unsupported types "
                "string and number in \"messages[0].content + 1\"");
}

// A prompt must not change from one day to the next.
TEST_F(ChatTemplateFiles, NeverLearnTheDateOfTheDay) {
  EXPECT_EQ(*rendered("{{ strftime_now is defined }}"), "False");
  EXPECT_EQ(render_failure("{{ strftime_now('%d %b %Y') }}"),
            at("chat_template.jinja") +
                ": line 1, column 4 of the template: it asks for today's date with strftime_now, "
                "which would give another prompt every day; write a fixed date into the template");
}

TEST_F(ChatTemplateFiles, ThatDoNotEndAreStopped) {
  EXPECT_THAT(render_failure("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}"
                             "{% endfor %}"),
              testing::EndsWith("of the template: it does not end within its limit of steps"));
  EXPECT_THAT(render_failure("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
              testing::HasSubstr("recursion"));
}

TEST_F(ChatTemplateFiles, OfAnyDepthFailOrRenderAndNeverEndTheProcess) {
  const auto repeated = [](const std::string& part, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += part;
    return all;
  };
  for (const std::string part :
       {"+1", "~x", ".a", "|list", " and x", "**2", " if x else x", "()"}) {
    write("chat_template.jinja", "{{ x" + repeated(part, 100'000) + " }}");
    EXPECT_THAT(open_failure().text,
                testing::HasSubstr("a tag of more than 4000 parts; split it with set"));
  }
  write("chat_template.jinja", "{{ " + repeated("-", 100'000) + "1 }}");
  EXPECT_THAT(open_failure().text, testing::HasSubstr("4000 parts"));
  write("chat_template.jinja", "{% if x %}" + repeated("{% elif x %}", 50'000) + "{% endif %}");
  EXPECT_THAT(open_failure().text, testing::HasSubstr("more than 1000 elif"));
  write("chat_template.jinja", repeated("{% for x in y %}", 50'000));
  EXPECT_THAT(open_failure().text, testing::HasSubstr("recursion"));

  // Values nest as deeply as there are steps to nest them.
  const std::string nest =
      "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = " +
      std::string(60, '[') + "ns.x" + std::string(60, ']') + " %}";
  const auto deep =
      rendered(nest + "{% if i == 1000 %}{% break %}{% endif %}{% endfor %}{{ ns.x }}");
  ASSERT_TRUE(deep) << deep.error().text;
  EXPECT_EQ(deep->size(), 2u * 60 * 1001 + 1);
  EXPECT_THAT(render_failure(nest + "{% endfor %}"), testing::HasSubstr("limit of steps"));
}

// {% generation %} marks what the assistant says, for training; a scope, of which nothing shows.
TEST_F(ChatTemplateFiles, MayMarkWhatTheAssistantSays) {
  EXPECT_EQ(
      *rendered("{% raw %}{% generation %}{% endraw %}a {%- generation -%} b {%- set x = 1 %} "
                "{% endgeneration %}{{ x }}c"),
      "{% generation %}ab c");
}

// The line end after a block goes, and blank space before one at the start of a line.
TEST_F(ChatTemplateFiles, TrimBlocksAndTakeEveryLineEndForANewline) {
  EXPECT_EQ(*rendered("a\r\n  {% if true %}\r\nb\rc {% endif %}\r\n"), "a\nb\nc ");
}

TEST_F(ChatTemplateFiles, WriteJsonAsPythonDoes) {
  EXPECT_EQ(*rendered("{{ messages|tojson }}"), R"([{"role": "user", "content": "Hello"}])");
  EXPECT_EQ(*rendered("{{ {'b': \"<ü'\", 'a': [1, 2.0]}|tojson }}"),
            R"({"b": "<ü'", "a": [1, 2.0]})");
  EXPECT_EQ(*rendered("{{ {'b': 'ü', 'a': []}|tojson(ensure_ascii=true, sort_keys=true) }}"),
            R"({"a": [], "b": "\u00fc"})");
  EXPECT_EQ(*rendered("{{ [1, {'a': 2}]|tojson(separators=(',', ':')) }}"), R"([1,{"a":2}])");
  EXPECT_EQ(*rendered("{{ [1, {'a': 2}]|tojson(indent=2) }}"),
            "[\n  1,\n  {\n    \"a\": 2\n  }\n]");
}

TEST_F(ChatTemplateFiles, RefuseChatsOfNoTurnsAndTextThatIsNotUtf8) {
  write("chat_template.jinja", "{{ messages }}");
  const ChatTemplate chat = opened();
  EXPECT_EQ(chat.render({}, true).error().text, "a chat of no turns has no prompt; give it one");
  const std::vector<ChatTurn> broken{{"user", "fine"}, {"assistant", "ab\xff"}};
  EXPECT_EQ(chat.render(broken, true).error().text, "turn 2 of the chat is not UTF-8 at byte 2");
}

// tests/data/text/chats.json is transformers' answer for the templates beside it.
TEST_F(ChatTemplateFiles, RenderAsTransformersDoesAndRaiseWhereItRaises) {
  const Json golden = Json::parse(contents(kData / "chats.json"));
  ASSERT_GE(golden["cases"].size(), 300u);
  for (const Json& expected : golden["cases"]) {
    const auto name = expected["template"].get<std::string>();
    write("chat_template.jinja", contents(kData / "chat" / (name + ".jinja")));
    write("tokenizer_config.json", golden["special_tokens"][name].dump());
    std::vector<ChatTurn> turns;
    for (const Json& turn : golden["chats"][expected["chat"].get<std::string>()]) {
      turns.push_back({turn["role"].get<std::string>(), turn["content"].get<std::string>()});
    }
    const auto text = opened().render(turns, expected["asks_for_answer"].get<bool>());
    if (expected.contains("raises")) {
      ASSERT_FALSE(text) << expected;
      EXPECT_THAT(text.error().text,
                  testing::EndsWith("it raises \"" + expected["raises"].get<std::string>() + "\""));
      continue;
    }
    ASSERT_TRUE(text) << expected["chat"] << " by " << name << ": " << text.error().text;
    EXPECT_EQ(*text, expected["text"].get<std::string>()) << expected["chat"] << " by " << name;
  }
}

TEST_F(ChatTemplateFiles, MayBeRenderedByManyThreadsAtOnce) {
  write("chat_template.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}");
  const ChatTemplate chat = opened();
  std::vector<std::thread> threads;
  std::atomic<int> differing = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int n = 0; n < 50; ++n) {
        const std::string number = std::to_string(n * 4 + thread);
        const auto text = chat.render(std::vector<ChatTurn>{{"user", number}}, false);
        if (!text || *text != "user: " + number) ++differing;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

}  // namespace
}  // namespace assay::host
