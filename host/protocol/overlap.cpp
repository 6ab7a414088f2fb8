#include "host/protocol/overlap.hpp"

#include <algorithm>
#include <assay/text.hpp>
#include <optional>
#include <utility>

#include "host/protocol/encode.hpp"
#include "host/protocol/item.hpp"
#include "host/protocol/perplexity.hpp"
#include "host/protocol/question.hpp"
#include "host/protocol/windows.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kMaxExampleCharacters = 200;

// FNV-1a, 64 bits (Fowler, Noll, Vo 1991).
constexpr std::uint64_t kFnvOffset = 0xCBF29CE484222325;
constexpr std::uint64_t kFnvPrime = 0x100000001B3;

std::uint64_t with_bytes(std::uint64_t hash, std::string_view bytes) {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * kFnvPrime;
  return hash;
}

/// Spreads every bit over the whole. Source   Steele, Lea and Flood 2014, SplitMix64's finalizer
std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}

std::uint64_t hash_of(std::span<const Word> words) {
  std::uint64_t hash = words.size();
  for (const Word& word : words) hash = mixed(hash ^ word.hash);
  return hash;
}

/// Is a letter of a script that puts no spaces between words?
bool stands_alone(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kRanges[] = {
      {0x0E00, 0x0EFF},    // Thai, Lao
      {0x1000, 0x109F},    // Myanmar
      {0x1780, 0x17FF},    // Khmer
      {0x2E80, 0x31FF},    // radicals, kana, Bopomofo
      {0x3400, 0x9FFF},    // Han
      {0xF900, 0xFAFF},    // Han, compatibility
      {0x20000, 0x3FFFF},  // Han, further planes
  };
  return std::any_of(std::begin(kRanges), std::end(kRanges), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

/// How many words an n-gram has by which a text of so many words is looked for.
std::size_t gram_words(std::size_t n_words) {
  if (n_words >= kGramWords) return kGramWords;
  return n_words >= kShortGramWords ? kShortGramWords : n_words;
}

/// As the text spells it, on one line and not without end.
std::string shown(std::string_view text) {
  std::string line;
  for (std::size_t n = 0; !text.empty(); ++n) {
    if (n == kMaxExampleCharacters) return line + "...";
    const Character character = take_character(text);
    line += is_white_space(character.code) ? std::string_view(" ") : character.bytes;
  }
  return line;
}

/// Looks at one item after the other.
class Looking {
 public:
  Looking(const WordGrams& calibration, double max_share)
      : calibration_(calibration), max_share_(max_share) {}

  /// An item with several answers has a text for each: that which is found most counts.
  void item(std::uint64_t index, const std::vector<std::string>& texts) {
    Found most;
    std::string_view text;
    bool is_too_short = true;
    for (const std::string& each : texts) {
      const std::vector<Word> words = words_of(each);
      is_too_short = is_too_short && words.size() < kShortGramWords;
      const Found found = calibration_.find(words, 0, words.size());
      if (found.share() <= most.share()) continue;
      most = found;
      text = each;
    }
    add(index, most, text);
    if (is_too_short) ++result_.too_short;
  }

  void add(std::uint64_t index, const Found& found, std::string_view text) {
    ++result_.items;
    if (found.share() <= max_share_) return;
    result_.overlapping.push_back({index, found.n_grams, found.n_found,
                                   shown(text.substr(found.begin, found.end - found.begin))});
  }

  TaskOverlap result() && { return std::move(result_); }

 private:
  const WordGrams& calibration_;
  double max_share_;
  TaskOverlap result_;
};

Result<void> look_at_windows(const TaskSpec& task, const Template& document,
                             const Tokenizer& tokenizer, const Records& items,
                             const WordGrams& calibration, Looking& looking) {
  const auto text = joined_text(task, document, items);
  if (!text) return text.error();
  const auto encoded = encode_text(tokenizer, *text, task.bos);
  if (!encoded) return encoded.error();
  const std::vector<Word> words = words_of(*text);
  std::size_t first = 0;
  std::uint64_t index = 0;
  for (const Window& window :
       windows_over(encoded->ids.size(), task.perplexity.window, task.perplexity.stride)) {
    const std::uint64_t end_byte = encoded->end_bytes[window.end - 1];
    std::size_t last = first;
    while (last < words.size() && words[last].begin < end_byte) ++last;
    looking.add(index++, calibration.find(words, first, last), *text);
    first = last;
  }
  return {};
}

/// Gives the text of a record, or why there is none.
using TextOf = std::function<Result<std::vector<std::string>>(const Json& record)>;

Result<void> look_at_records(const TaskSpec& task, const Records& items, const TextOf& texts,
                             Looking& looking) {
  const std::uint64_t n = task.limit == 0 ? items.size : std::min(items.size, task.limit);
  for (std::uint64_t i = 0; i < n; ++i) {
    auto record = items.read(i);
    if (!record) return std::move(record).error();
    auto read = texts(*record);
    if (!read) return at_record(i, std::move(read).error());
    looking.item(i, *read);
  }
  return {};
}

/// The question with its answer, of several answers one text for each.
Result<std::vector<std::string>> texts_of(const Questions& questions, Protocol protocol,
                                          const Json& record) {
  const auto question = questions.read(record);
  if (!question) return question.error();
  if (protocol == Protocol::kMultipleChoice) {
    return std::vector<std::string>{questions.prompt_of(*question, question->right) + " " +
                                    questions.answer_of(*question, question->right)};
  }
  std::vector<std::string> texts;
  for (const std::string& answer : question->answers) {
    texts.push_back(question->prompts.front() + " " + answer);
  }
  return texts;
}

}  // namespace

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  Word word;
  bool is_open = false;
  const auto end_word = [&] {
    if (is_open) words.push_back(word);
    is_open = false;
  };
  const char* const begin = text.data();
  while (!text.empty()) {
    const Character character = take_character(text);
    if (is_white_space(character.code)) {
      end_word();
      continue;
    }
    if (character.code == U'_' || !is_word_character(character.code)) continue;
    const bool is_alone = stands_alone(character.code);
    if (is_alone) end_word();
    const auto at = static_cast<std::size_t>(character.bytes.data() - begin);
    if (!is_open) word = {kFnvOffset, at, at};
    is_open = true;
    word.hash = with_bytes(word.hash, lower(character.bytes));
    word.end = at + character.bytes.size();
    if (is_alone) end_word();
  }
  end_word();
  return words;
}

void add_grams(std::string_view document, std::vector<std::uint64_t>& hashes) {
  const std::vector<Word> words = words_of(document);
  const std::span<const Word> all(words);
  if (words.empty()) return;
  if (words.size() < kShortGramWords) hashes.push_back(hash_of(all));
  for (const std::uint64_t n : {kShortGramWords, kGramWords}) {
    for (std::size_t i = 0; i + n <= words.size(); ++i)
      hashes.push_back(hash_of(all.subspan(i, n)));
  }
}

WordGrams::WordGrams(std::vector<std::uint64_t> hashes) : hashes_(std::move(hashes)) {
  std::sort(hashes_.begin(), hashes_.end());
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  hashes_.shrink_to_fit();
}

Found WordGrams::find(std::span<const Word> words, std::size_t first, std::size_t last) const {
  Found found;
  const std::size_t n = gram_words(words.size());
  if (n == 0) return found;
  for (std::size_t i = first; i < last && i + n <= words.size(); ++i) {
    ++found.n_grams;
    if (!std::binary_search(hashes_.begin(), hashes_.end(), hash_of(words.subspan(i, n)))) continue;
    if (found.n_found++ == 0) {
      found.begin = words[i].begin;
      found.end = words[i + n - 1].end;
    }
  }
  return found;
}

Result<TaskOverlap> overlap_of(const WordGrams& calibration, const TaskSpec& task,
                               const Tokenizer* tokenizer, Records items, double max_share) {
  Looking looking(calibration, max_share);
  Result<void> done;
  if (task.protocol == Protocol::kPerplexity) {
    const auto document = Template::compile(task.perplexity.text);
    if (!document) return document.error();
    if (task.perplexity.join) {
      if (tokenizer == nullptr) {
        return Failure{ASSAY_FAILED_PRECONDITION,
                       "task." + task.name +
                           " joins its documents and cuts them into windows of "
                           "tokens, so its overlap needs a tokenizer; leave join out",
                       "task." + task.name};
      }
      done = look_at_windows(task, *document, *tokenizer, items, calibration, looking);
    } else {
      done = look_at_records(
          task, items,
          [&](const Json& record) -> Result<std::vector<std::string>> {
            auto text = document->render(record);
            if (!text) return std::move(text).error();
            return std::vector<std::string>{std::move(*text)};
          },
          looking);
    }
  } else {
    const auto questions = Questions::make(task, nullptr, {});
    if (!questions) return questions.error();
    done = look_at_records(
        task, items,
        [&](const Json& record) { return texts_of(*questions, task.protocol, record); }, looking);
  }
  if (!done) return done.error();
  return std::move(looking).result();
}

}  // namespace assay::host
