// Overlap of calibration text and task items: words, n-grams, short texts, what an item's text is.
#include "host/protocol/overlap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <set>

#include "host/protocol/encode.hpp"
#include "host/protocol/windows.hpp"
#include "tests/host/protocol/items.hpp"

namespace assay::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kPassage =
    "the quick brown fox jumps over the lazy dog while seven more foxes watch from a hill";  // 17

std::vector<std::string> texts_of(const std::string& text) {
  std::vector<std::string> texts;
  for (const Word& word : words_of(text)) {
    texts.push_back(text.substr(word.begin, word.end - word.begin));
  }
  return texts;
}

bool same_words(const std::string& a, const std::string& b) {
  const auto x = words_of(a), y = words_of(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](const Word& l, const Word& r) { return l.hash == r.hash; });
}

WordGrams grams_of(const std::vector<std::string>& documents) {
  std::vector<std::uint64_t> hashes;
  for (const std::string& document : documents) add_grams(document, hashes);
  return WordGrams(std::move(hashes));
}

Found find(const std::string& text, const std::vector<std::string>& documents) {
  const auto words = words_of(text);
  return grams_of(documents).find(words, 0, words.size());
}

std::vector<std::uint64_t> indices(const TaskOverlap& overlap) {
  std::vector<std::uint64_t> list;
  for (const ItemOverlap& item : overlap.overlapping) list.push_back(item.index);
  return list;
}

TEST(Words, AreWithoutCaseAndPunctuation) {
  EXPECT_TRUE(same_words("Don't \"PANIC\", he_said: 1,000 times!", "dont panic hesaid 1000 times"));
  EXPECT_TRUE(same_words("a -- b\t\nc ...", "a b c"));
  EXPECT_FALSE(same_words("a b", "ab"));
  EXPECT_FALSE(same_words("ab", "ba"));
  EXPECT_THAT(texts_of("  Hello, (big) World.  "), ElementsAre("Hello", "big", "World"));
  EXPECT_THAT(words_of(" -- ... \n"), IsEmpty());
  EXPECT_THAT(words_of(""), IsEmpty());
}

TEST(Words, KnowUnicode) {
  EXPECT_TRUE(same_words("\xC3\x89T\xC3\x89 \xD0\xAF\xD0\xB1\xD0\xBB\xD0\xBE\xD0\xBA\xD0\xBE",
                         "\xC3\xA9t\xC3\xA9 \xD1\x8F\xD0\xB1\xD0\xBB\xD0\xBE\xD0\xBA\xD0\xBE"));
  EXPECT_TRUE(same_words("don\xE2\x80\x99t \xC2\xABgo\xC2\xBB \xE2\x80\x94 now", "don't go now"));
  EXPECT_TRUE(
      same_words("a\xC2\xA0"
                 "b\xE2\x80\x89"
                 "c",
                 "a b c"));                                 // spaces that are not ASCII
  EXPECT_FALSE(same_words("caf\xC3\xA9", "cafe\xCC\x81"));  // no normalisation forms
}

TEST(Words, OfScriptsWithoutSpacesAreTheirLetters) {
  EXPECT_THAT(texts_of("\xE6\x88\x91\xE4\xBB\xAC\xEF\xBC\x8C\xE5\xA5\xBD"),
              ElementsAre("\xE6\x88\x91", "\xE4\xBB\xAC", "\xE5\xA5\xBD"));
  EXPECT_THAT(texts_of("GPT\xE6\xA8\xA1\xE5\x9E\x8B 4"),
              ElementsAre("GPT", "\xE6\xA8\xA1", "\xE5\x9E\x8B", "4"));
  EXPECT_THAT(texts_of("\xED\x95\x9C\xEA\xB5\xAD \xEC\x96\xB4"),  // Hangul has spaces
              ElementsAre("\xED\x95\x9C\xEA\xB5\xAD", "\xEC\x96\xB4"));
}

TEST(Words, BytesThatAreNoCharacterAreNoLetters) {
  EXPECT_TRUE(
      same_words("a\xFF"
                 "b \x80 c",
                 "ab c"));
}

TEST(Overlap, OfAPassageIsEveryGram) {
  const Found found = find(kPassage, {"Once, " + kPassage + ". The end."});
  EXPECT_EQ(found.n_grams, 5u);  // 17 words
  EXPECT_EQ(found.n_found, 5u);
  EXPECT_EQ(found.share(), 1);
  EXPECT_EQ(found.begin, 0u);
  EXPECT_EQ(kPassage.substr(found.begin, found.end - found.begin),
            "the quick brown fox jumps over the lazy dog while seven more foxes");
}

TEST(Overlap, NeedsThirteenWordsInARow) {
  // 12 words shared, then 13
  EXPECT_EQ(
      find("a quick brown fox jumps over the lazy dog while seven more foxes run off", {kPassage})
          .n_found,
      0u);
  const Found found = find(
      "the quick brown fox jumps over the lazy dog while seven more foxes run off", {kPassage});
  EXPECT_EQ(found.n_found, 1u);
  EXPECT_EQ(found.n_grams, 3u);
  EXPECT_EQ(find("quick the brown fox jumps over the lazy dog while seven more foxes", {kPassage})
                .n_found,
            0u);
}

TEST(Overlap, DoesNotRunFromOneDocumentIntoTheNext) {
  EXPECT_EQ(find(kPassage, {kPassage.substr(0, 40), kPassage.substr(40)}).n_found, 0u);
}

TEST(Overlap, OfShortTextsIsByEightWords) {
  const std::string ten = "watch the quick brown fox jumps over the lazy dog";
  const Found found = find(ten, {kPassage});
  EXPECT_EQ(found.n_grams, 3u);
  EXPECT_EQ(found.n_found, 2u);  // "the quick ... lazy", "quick ... dog"
  EXPECT_EQ(find("quick brown fox jumps over the lazy dog", {kPassage}).n_found, 1u);
  EXPECT_EQ(find("quick brown fox jumps over the lazy cat", {kPassage}).n_found, 0u);
}

TEST(Overlap, OfFewerWordsIsAWholeDocument) {
  EXPECT_EQ(find("Quick brown fox!", {kPassage}).n_found, 0u);
  EXPECT_EQ(find("Quick brown fox!", {kPassage, "quick, brown fox"}).n_found, 1u);
  EXPECT_EQ(find("fox", {"fox fox"}).n_found, 0u);
  EXPECT_EQ(find("", {"", "fox"}).n_grams, 0u);
  EXPECT_EQ(find("", {""}).share(), 0);
}

TEST(Overlap, IsThatOfComparingTheWordsThemselves) {
  // Few words, so that n-grams of 8 and 13 of them recur by chance and by copying.
  std::mt19937_64 random(5);
  const auto text = [&](std::size_t n) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < n; ++i) words.push_back(random() % 12 == 0 ? "x" : "y");
    return words;
  };
  const auto joined = [](const std::vector<std::string>& words, std::size_t from, std::size_t n) {
    std::string all;
    for (std::size_t i = from; i < from + n; ++i) all += (i == from ? "" : " ") + words[i];
    return all;
  };
  std::vector<std::string> documents;
  std::set<std::string> known;
  for (int i = 0; i < 8; ++i) {
    const auto words = text(random() % 40);
    documents.push_back(joined(words, 0, words.size()));
    if (words.size() < 8) known.insert(documents.back());
    for (const std::size_t n : {8U, 13U}) {
      for (std::size_t at = 0; at + n <= words.size(); ++at) known.insert(joined(words, at, n));
    }
  }
  const WordGrams grams = grams_of(documents);
  known.erase("");
  EXPECT_EQ(grams.size(), known.size());
  std::uint64_t total = 0;
  for (int i = 0; i < 400; ++i) {
    const auto words = text(random() % 30);
    const std::size_t n = words.size() >= 13 ? 13 : words.size() >= 8 ? 8 : words.size();
    std::uint64_t n_found = 0, n_grams = 0;
    for (std::size_t at = 0; n > 0 && at + n <= words.size(); ++at) {
      ++n_grams;
      n_found += known.count(joined(words, at, n));
    }
    const auto hashed = words_of(joined(words, 0, words.size()));
    const Found found = grams.find(hashed, 0, hashed.size());
    EXPECT_EQ(found.n_found, n_found);
    EXPECT_EQ(found.n_grams, n_grams);
    total += n_found;
  }
  EXPECT_GT(total, 100u);
}

TaskSpec task_of(Protocol protocol) {
  TaskSpec task;
  task.name = "faq";
  task.protocol = protocol;
  task.prompt.prompts = {"{{ q }}"};
  task.prompt.target = "a";
  task.prompt.description = kPassage;
  task.multiple_choice.choices = {"choices"};
  task.perplexity = {16, 16, "{{ text }}", std::nullopt};
  return task;
}

Result<TaskOverlap> overlap(const TaskSpec& task, std::vector<Json> items,
                            const std::vector<std::string>& documents, double max_share = 0) {
  return overlap_of(grams_of(documents), task, &ledger(), records_of(std::move(items)), max_share);
}

const std::string kQuestion = "a b c d e f g h i j k l";  // 12 words: the answer makes 13

TEST(TaskOverlap, OfAQuestionIsWithItsAnswerAndWithoutWhatStandsBeforeIt) {
  for (const Protocol protocol : {Protocol::kContinuation, Protocol::kGenerate}) {
    const auto found =
        overlap(task_of(protocol), {{{"q", kQuestion}, {"a", "m"}}, {{"q", kQuestion}, {"a", "n"}}},
                {kQuestion + " m", kPassage});
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_THAT(indices(*found), ElementsAre(0));
    EXPECT_EQ(found->items, 2u);
    EXPECT_EQ(found->overlapping[0].n_grams, 1u);
    EXPECT_EQ(found->overlapping[0].n_found, 1u);
    EXPECT_EQ(found->overlapping[0].example, kQuestion + " m");
  }
}

TEST(TaskOverlap, OfAChoiceIsWithTheRightOne) {
  const Json right{{"q", kQuestion}, {"choices", {"n", "m"}}, {"a", 1}};
  const Json wrong{{"q", kQuestion}, {"choices", {"n", "m"}}, {"a", 0}};
  const auto found =
      overlap(task_of(Protocol::kMultipleChoice), {wrong, right}, {kQuestion + " m"});
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(indices(*found), ElementsAre(1));
}

TEST(TaskOverlap, OfSeveralAnswersIsThatWhichIsFoundMost) {
  const auto found = overlap(task_of(Protocol::kGenerate),
                             {{{"q", kQuestion}, {"a", {"n", "m", "o"}}}}, {kQuestion + " m"});
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(indices(*found), ElementsAre(0));
  EXPECT_EQ(found->overlapping[0].n_grams, 1u);
}

TEST(TaskOverlap, OfADocumentThatWasCalibratedOnIsWhole) {
  const auto found = overlap(task_of(Protocol::kPerplexity),
                             {{{"text",
                                "A new text of more than thirteen words that nobody has "
                                "ever seen before in any calibration."}},
                              {{"text", kPassage + "\n\nThe end."}}},
                             {"Intro. " + kPassage + " The end."});
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_THAT(indices(*found), ElementsAre(1));
  EXPECT_EQ(found->overlapping[0].n_found, found->overlapping[0].n_grams);
}

TEST(TaskOverlap, CountsFromAboveTheLargestShareAllowed) {
  std::string text = kPassage;  // 17 words, of which 5 n-grams are known
  for (int i = 0; i < 15; ++i) text += " new" + std::to_string(i);
  const std::vector<Json> items{{{"text", text}}};  // 20 n-grams
  const auto at = [&](double share) {
    return overlap(task_of(Protocol::kPerplexity), items, {kPassage}, share)->overlapping.size();
  };
  EXPECT_EQ(at(0), 1u);
  EXPECT_EQ(at(0.24), 1u);
  EXPECT_EQ(at(0.25), 0u);
  EXPECT_EQ(at(1), 0u);
}

TEST(TaskOverlap, CountsItemsThatAreTooShort) {
  const auto found =
      overlap(task_of(Protocol::kContinuation),
              {{{"q", "2 + 2"}, {"a", "4"}}, {{"q", kQuestion}, {"a", "m"}}}, {kPassage});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->too_short, 1u);
  EXPECT_THAT(indices(*found), IsEmpty());
}

TEST(TaskOverlap, StopsAtTheLimitOfTheTask) {
  TaskSpec task = task_of(Protocol::kPerplexity);
  task.limit = 1;
  const auto found = overlap(task, {{{"text", "x"}}, {{"text", kPassage}}}, {kPassage});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->items, 1u);
  EXPECT_THAT(indices(*found), IsEmpty());
}

TEST(TaskOverlap, OfJoinedTextIsTheWindowWhereAGramBegins) {
  TaskSpec task = task_of(Protocol::kPerplexity);
  task.perplexity = {32, 16, "{{ text }}", "\n\n"};
  std::vector<Json> documents;
  std::string text;
  for (int i = 0; i < 6; ++i) {
    std::string document;
    for (int k = 0; k < 30; ++k) document += "w" + std::to_string(30 * i + k) + " ";
    if (i == 3) document += kPassage;
    documents.push_back({{"text", document}});
    text += (i == 0 ? "" : "\n\n") + document;
  }
  const auto found = overlap(task, documents, {kPassage});
  ASSERT_TRUE(found) << found.error().text;

  const auto encoded = encode_text(ledger(), text, Bos::kAuto);
  const auto windows = windows_over(encoded->ids.size(), 32, 16);
  EXPECT_EQ(found->items, windows.size());
  std::set<std::uint64_t> expected;
  std::uint64_t n_found = 0;
  const auto words = words_of(text);
  const auto passage = static_cast<std::size_t>(
      std::find_if(words.begin(), words.end(),
                   [&](const Word& word) { return word.begin == text.find(kPassage); }) -
      words.begin());
  for (std::size_t gram = passage; gram < passage + 5; ++gram) {
    std::uint64_t window = 0;
    while (encoded->end_bytes[windows[window].end - 1] <= words[gram].begin) ++window;
    expected.insert(window);
  }
  for (const ItemOverlap& item : found->overlapping) n_found += item.n_found;
  EXPECT_EQ(indices(*found), std::vector(expected.begin(), expected.end()));
  EXPECT_EQ(n_found, 5u);
}

TEST(TaskOverlap, OfJoinedTextNeedsATokenizer) {
  TaskSpec task = task_of(Protocol::kPerplexity);
  task.perplexity.join = "\n\n";
  const auto found = overlap_of({}, task, nullptr, records_of({{{"text", "x"}}}), 0);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().text,
            "task.faq joins its documents and cuts them into windows of tokens, so its overlap "
            "needs a tokenizer; leave join out");
}

TEST(TaskOverlap, NamesARecordThatCannotBeUsed) {
  const auto found = overlap(task_of(Protocol::kContinuation),
                             {{{"q", "x"}, {"a", "y"}}, {{"q", "x"}, {"a", nullptr}}}, {});
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().text, testing::StartsWith("record 1: target = \"a\" gave null"));
}

TEST(TaskOverlap, OfTheLedgersForCalibrationAndForTestsIsNone) {
  const auto lines = [](const char* name) {
    std::ifstream in(std::string(ASSAY_SOURCE_DIR) + "/share/data/ledger/" + name);
    std::vector<Json> records;
    for (std::string line; std::getline(in, line);) records.push_back(Json::parse(line));
    return records;
  };
  std::vector<std::string> documents;
  for (const Json& record : lines("train.jsonl")) {
    documents.push_back(record.at("input").get<std::string>() + " " +
                        record.at("expected_output").get<std::string>());
  }
  TaskSpec task = task_of(Protocol::kGenerate);
  task.prompt.prompts = {"input"};
  task.prompt.target = "expected_output";
  const auto apart = overlap(task, lines("test.jsonl"), documents);
  ASSERT_TRUE(apart) << apart.error().text;
  EXPECT_EQ(apart->items, 1000u);
  EXPECT_EQ(apart->too_short, 0u);
  EXPECT_THAT(indices(*apart), IsEmpty());
  const auto same = overlap(task, lines("train.jsonl"), documents);
  EXPECT_EQ(same->overlapping.size(), 2000u);
}

}  // namespace
}  // namespace assay::host
