// Backends that bring a tokenizer, a chat template, or no tokens at all, by rule and deterministic,
// for host tests. Written with the authoring layer, as a vendor would.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

/// The sum of the whole numbers in a text.
std::int64_t sum_of(std::string_view text) {
  std::int64_t sum = 0, number = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      number = (10 * number + (c - '0')) % 1'000'000'000;
    } else {
      sum += number;
      number = 0;
    }
  }
  return sum + number;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

/// What is asked: the last line of the prompt, or the last turn of a chat.
std::string_view question_of(const assay::TextRequest& request) {
  std::string_view text =
      request.messages.empty() ? stripped(request.prompt) : stripped(request.messages.back().text);
  const std::size_t line = text.rfind('\n');
  return line == std::string_view::npos ? text : text.substr(line + 1);
}

/// An endpoint: texts in, texts out. It adds the numbers of a question.
struct Endpoint : assay::Backend {
  static constexpr assay::Info info{
      "fake/endpoint", "1.0.0", "Takes texts and answers with the sum of their numbers",
      ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_DETERMINISTIC | ASSAY_CAP_STREAMS};
  static constexpr const char* kRules[] = {"sum", "first", nullptr};
  static constexpr const char* kFaults[] = {"none",     "bytes_left", "bytes_beyond", "gap",
                                            "not_utf8", "too_many",   nullptr};
  static constexpr assay::Option options[] = {
      assay::choice("rule", "\"sum\"", kRules,
                    "What it scores best: the sum, or whatever is asked first of a prompt."),
      assay::flag("counts", "true", "Whether it counts the tokens of an answer."),
      assay::flag("straddles", "false", "Whether its first piece begins in the prompt."),
      assay::integer("off_by", "0", "Added to every sum."),
      assay::choice("fault", "\"none\"", kFaults, "The rule of the text sink that it breaks.")};

  explicit Endpoint(assay::Context context)
      : rule(context.text("rule")),
        fault(context.text("fault")),
        counts(context.flag("counts")),
        straddles(context.flag("straddles")),
        off_by(context.integer("off_by")) {}

  void load(const assay_job&, assay_model_info&) {}

  bool is_best(const assay::TextRequest& request) {
    if (rule == "sum") {
      return stripped(request.continuation) ==
             std::to_string(sum_of(question_of(request)) + off_by);
    }
    const std::string prompt(question_of(request));
    return std::exchange(last_prompt, prompt) != prompt;
  }

  void score_text(const assay::TextRequest& request, assay::TextResults& results) {
    const float each = is_best(request) ? -0.25F : -2.5F;
    // Two pieces, so that they have to be added up.
    const auto n = static_cast<std::int64_t>(request.continuation.size());
    std::vector<std::int64_t> ends{n / 2, n};
    if (fault == "bytes_left") ends = {n / 2, n - 1};
    if (fault == "bytes_beyond") ends = {n / 2, n + 1};
    const std::int64_t begin = fault == "gap" ? 1 : straddles ? -3 : 0;
    results.scores(begin, ends, std::vector<float>{each, each},
                   std::vector<std::uint8_t>{1, static_cast<std::uint8_t>(each > -1 ? 1 : 0)});
  }

  void generate_text(const assay::TextRequest& request, assay::TextResults& results) {
    const std::string answer = std::to_string(sum_of(question_of(request)) + off_by);
    const std::string pieces[] = {" ", answer, ".\n", "What comes next?\n"};
    auto& usage = results.usage();
    usage.seconds = 0.25;
    for (const std::string& piece : pieces) {
      const std::uint64_t given = fault == "too_many" ? 1000 : 1;
      const std::string said = fault == "not_utf8" ? std::string("\xff") : piece;
      if (!results.text(said, counts ? given : 0)) {
        usage.finish = 3;
        break;
      }
    }
  }

  std::string rule, fault, last_prompt;
  bool counts, straddles;
  std::int64_t off_by;
};

constexpr std::int32_t kBos = 0, kEos = 1, kFirst = 2;
constexpr std::string_view kBosText = "<s>";

/// A backend of tokens that has them to itself: bytes, or words with the space before them.
struct OwnTokens : assay::Backend {
  static constexpr assay::Info info{"fake/own-tokens", "1.0.0",
                                    "Brings its own tokenizer and chat template",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_DETERMINISTIC};
  static constexpr const char* kStyles[] = {"bytes", "words", "lower", nullptr};
  static constexpr const char* kRules[] = {"even", "first", nullptr};
  static constexpr const char* kFaults[] = {"none",         "huge",  "grows",        "negative",
                                            "negative_end", "fails", "bad_template", nullptr};
  static constexpr assay::Option options[] = {
      assay::choice("style", "\"bytes\"", kStyles,
                    "bytes, words, or bytes of the text in lower case."),
      assay::choice("rule", "\"even\"", kRules, "even, or the first request of a context is best."),
      assay::choice("fault", "\"none\"", kFaults, "The rule of its tables that it breaks.")};

  explicit OwnTokens(assay::Context context)
      : style(context.text("style")), rule(context.text("rule")), fault(context.text("fault")) {}

  void load(const assay_job&, assay_model_info& info) {
    info.vocab = 1 << 20;
    info.max_context = 4096;
    info.bos = kBos;
    info.eos = kEos;
  }

  std::vector<std::int32_t> encode(std::string_view text, std::uint32_t flags) const {
    if (fault == "fails") throw assay::Error(ASSAY_INTERNAL, "text", "the vocabulary is lost");
    if (fault == "huge") return std::vector<std::int32_t>(1'000'000);
    if (fault == "grows") {
      const std::lock_guard lock(mutex);
      return std::vector<std::int32_t>(longest *= 2);
    }
    std::vector<std::int32_t> tokens;
    if ((flags & ASSAY_ENCODE_ADD_SPECIAL) != 0) tokens.push_back(kBos);
    if ((flags & ASSAY_ENCODE_PARSE_SPECIAL) != 0 && text.starts_with(kBosText)) {
      tokens.push_back(kBos);
      text.remove_prefix(kBosText.size());
    }
    if (style == "words") {
      while (!text.empty()) {
        const std::size_t end = std::min(text.find(' ', 1), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(end);
        // The first word has the space that every other has before it.
        tokens.push_back(
            id_of(word.starts_with(' ') ? std::string(word) : " " + std::string(word)));
      }
    } else {
      for (const char c : text) {
        const char stored =
            style == "lower" ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : c;
        if (style == "lower" && c == '\n') continue;
        tokens.push_back(kFirst + static_cast<unsigned char>(stored));
      }
    }
    if (fault == "negative") tokens.push_back(-5);
    return tokens;
  }

  std::string decode(std::span<const std::int32_t> tokens, std::uint32_t flags) const {
    std::string text;
    for (const std::int32_t token : tokens) {
      if (token < kFirst) {
        if ((flags & ASSAY_ENCODE_PARSE_SPECIAL) != 0) text += token == kBos ? kBosText : "</s>";
      } else if (style == "words") {
        const std::lock_guard lock(mutex);
        const auto place = static_cast<std::size_t>(token - kFirst);
        if (place < words.size()) text += words[place];
      } else {
        text += static_cast<char>(token - kFirst);
      }
    }
    if (style == "words" && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

  std::vector<std::int32_t> end_tokens() const {
    return {kEos, fault == "negative_end" ? -1 : 300};
  }
  assay::Fingerprint tokenizer_fingerprint() const {
    return {0xab, 0xcd, static_cast<std::uint8_t>(style.front())};
  }

  std::string render(const std::vector<assay::Message>& chat, std::string_view,
                     std::uint32_t flags) const {
    if (fault == "bad_template") return "\xff";
    std::string text;
    for (const auto& [role, said] : chat) {
      text += "[" + std::string(role) + "] " + std::string(said) + "\n";
    }
    if ((flags & ASSAY_RENDER_OPEN_REPLY) != 0) text += "[assistant] ";
    return text;
  }
  assay::Fingerprint template_fingerprint() const { return {0xef}; }

  void score(const assay::Request& request, assay::Results results) {
    const auto tokens = assay::tokens_of(request);
    const std::vector<std::int32_t> context(
        tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(request.first));
    const bool is_first = std::exchange(last_context, context) != context;
    const std::size_t n = request.n_tokens - request.first;
    const float each = rule == "first" && is_first ? -0.5F / static_cast<float>(n) : -1.0F;
    results.scores(request.first, std::vector<float>(n, each), std::vector<std::uint8_t>(n, 0));
  }

  /// Says the context again, up to the number of tokens asked for.
  void generate(const assay::Request& request, assay::Results results) {
    const auto tokens = assay::tokens_of(request);
    auto& usage = results.usage();
    for (std::size_t i = 1; i < tokens.size() && usage.new_tokens < request.sampling->max_new;
         ++i) {
      ++usage.new_tokens;
      if (!results.tokens(tokens.subspan(i, 1), {})) {
        usage.finish = 3;
        return;
      }
    }
    usage.finish = 2;
  }

  std::int32_t id_of(const std::string& word) const {
    const std::lock_guard lock(mutex);
    const auto [found, is_new] =
        ids.emplace(word, kFirst + static_cast<std::int32_t>(words.size()));
    if (is_new) words.push_back(word);
    return found->second;
  }

  std::string style, rule, fault;
  std::vector<std::int32_t> last_context;
  mutable std::mutex mutex;  // encode and decode may run at once in several threads
  mutable std::map<std::string, std::int32_t> ids;
  mutable std::size_t longest = 100;
  mutable std::vector<std::string> words;
};

}  // namespace

ASSAY_PLUGIN("fake/text-backends", "1.0.0", "fake", "Apache-2.0", Endpoint, OwnTokens)
