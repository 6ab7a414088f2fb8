#include <algorithm>
#include <string>
#include <utility>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "host/protocol/item.hpp"
#include "host/protocol/perplexity.hpp"
#include "host/protocol/protocol.hpp"
#include "host/protocol/question.hpp"

namespace assay::host {
namespace {

std::uint64_t characters(std::string_view text) {
  return static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

/// Records to items for the three protocols that ask questions. Without a tokenizer they are texts.
class Asking {
 public:
  Asking(const TaskSpec& task, const Tokenizer* tokenizer, Questions questions)
      : task_(task), tokenizer_(tokenizer), questions_(std::move(questions)) {
    // A chat template writes the special tokens itself.
    bos_ = task.prompt.is_chat && task.bos == Bos::kAuto ? Bos::kNever : task.bos;
  }

  Result<void> run(Records& items, const ItemSink& sink) {
    for (std::uint64_t i = 0; i < items.size; ++i) {
      auto record = items.read(i);
      if (!record) return std::move(record).error();
      auto item = one(i, *record);
      if (!item) return at_record(i, std::move(item).error());
      if (auto taken = sink(std::move(*item)); !taken) return taken;
    }
    return {};
  }

 private:
  Result<PreparedItem> one(std::uint64_t index, const Json& record) {
    auto question = questions_.read(record);
    if (!question) return std::move(question).error();
    const std::string hash = sha256(record.dump());
    auto head = questions_.head(index, hash, record);
    if (!head) return std::move(head).error();
    std::vector<TextPrompt> contexts;
    for (const std::string& prompt : question->prompts) {
      auto context = context_of(*head, prompt);
      if (!context) return std::move(context).error();
      contexts.push_back(std::move(*context));
    }

    PreparedItem item;
    item.index = index;
    item.row = row_head(task_, index, hash, record);
    std::string all;
    for (const TextPrompt& context : contexts) {
      all += (all.empty() ? "" : std::string(1, '\0')) + hashed(context);
    }
    item.row["prompt_sha256"] = sha256(all);
    item.row["prompt_tokens"] = count(0);
    item.row["truncated_tokens"] = count(0);
    auto filled = fill(item, *question, contexts);
    if (!filled) return std::move(filled).error();
    add_columns(task_, record, item.row);
    return item;
  }

  /// A chat is rendered by who tokenizes it.
  Result<TextPrompt> context_of(const Questions::Head& head, const std::string& prompt) const {
    TextPrompt made;
    if (tokenizer_ == nullptr && task_.prompt.is_chat) {
      made.messages = questions_.turns(head, prompt);
      return made;
    }
    auto text = questions_.context(head, prompt);
    if (!text) return std::move(text).error();
    made.prompt = std::move(*text);
    return made;
  }

  static std::string hashed(const TextPrompt& context) {
    if (context.messages.empty()) return context.prompt;
    Json turns = Json::array();
    for (const ChatTurn& turn : context.messages) turns.push_back({turn.role, turn.text});
    return turns.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  /// A number of tokens, where tokens are known.
  Json count(std::uint64_t n) const { return tokenizer_ != nullptr ? Json(n) : Json(nullptr); }

  Result<void> fill(PreparedItem& item, const Question& question,
                    const std::vector<TextPrompt>& contexts) {
    switch (task_.protocol) {
      case Protocol::kGenerate:
        return fill_generate(item, question, contexts.front());
      case Protocol::kContinuation:
        return fill_continuation(item, question, contexts.front());
      default:
        return fill_choices(item, question, contexts);
    }
  }

  /// Adds the span of one context and what follows it; 1 where their border is not kept.
  Result<std::uint64_t> add_pair(PreparedItem& item, const TextPrompt& context,
                                 const std::string& answer) {
    const std::string delimiter = task_.prompt.is_chat ? "" : task_.prompt.delimiter;
    if (tokenizer_ == nullptr) {
      TextSpan span{context, ""};
      const std::size_t kept = bytes_without_trailing_spaces(context.prompt);
      span.continuation = context.prompt.substr(kept) + delimiter + answer;
      span.prompt.prompt.resize(kept);
      if (span.continuation.empty()) item.status = "empty_continuation";
      item.texts.push_back(std::move(span));
      return std::uint64_t{0};
    }
    auto pair = encode_pair(*tokenizer_, context.prompt, delimiter + answer, bos_);
    if (!pair) return std::move(pair).error();
    if (pair->span.first == pair->span.tokens.size()) item.status = "empty_continuation";
    item.row["prompt_tokens"] =
        std::max(item.row["prompt_tokens"].get<std::uint64_t>(), pair->span.first);
    item.spans.push_back(std::move(pair->span));
    return std::uint64_t{pair->boundary_differs ? 1U : 0U};
  }

  /// Tokens of the continuation added last.
  Json last_tokens(const PreparedItem& item) const {
    if (tokenizer_ == nullptr) return nullptr;
    return item.spans.back().tokens.size() - item.spans.back().first;
  }

  Result<void> fill_choices(PreparedItem& item, const Question& question,
                            const std::vector<TextPrompt>& contexts) {
    std::uint64_t boundaries = 0;
    Json tokens = Json::array(), bytes = Json::array(), chars = Json::array();
    for (std::uint64_t option = 0; option < questions_.options(question); ++option) {
      const std::string& choice = questions_.answer_of(question, option);
      const auto& context = contexts[task_.prompt.has_many_prompts ? option : 0];
      auto differs = add_pair(item, context, choice);
      if (!differs) return std::move(differs).error();
      boundaries += *differs;
      tokens.push_back(last_tokens(item));
      bytes.push_back(choice.size());
      chars.push_back(characters(choice));
    }
    if (tokenizer_ != nullptr) item.row["boundary_differs"] = boundaries;
    item.row["choice_tokens"] = tokenizer_ != nullptr ? std::move(tokens) : Json(nullptr);
    item.row["choice_bytes"] = std::move(bytes);
    item.row["choice_chars"] = std::move(chars);
    item.row["choices"] = task_.prompt.has_many_prompts ? question.prompts : question.answers;
    item.row["target"] = question.right;
    return {};
  }

  Result<void> fill_continuation(PreparedItem& item, const Question& question,
                                 const TextPrompt& context) {
    const std::string& target = question.answers.front();
    auto differs = add_pair(item, context, target);
    if (!differs) return std::move(differs).error();
    if (tokenizer_ != nullptr) item.row["boundary_differs"] = *differs;
    item.row["n_tokens"] = last_tokens(item);
    item.row["n_bytes"] = target.size();
    item.row["target"] = target;
    return {};
  }

  Result<void> fill_generate(PreparedItem& item, const Question& question,
                             const TextPrompt& context) {
    item.row["target"] = question.answers.front();
    item.row["targets"] = question.answers;
    if (tokenizer_ == nullptr) {
      item.texts.push_back({context, ""});
      return {};
    }
    auto encoded = encode_text(*tokenizer_, context.prompt, bos_);
    if (!encoded) return std::move(encoded).error();
    Span span{std::move(encoded->ids), 0};
    if (span.tokens.empty()) {
      auto prefix = prefix_token(*tokenizer_);
      if (!prefix) return std::move(prefix).error();
      span.tokens.push_back(*prefix);
    }
    span.first = span.tokens.size();
    item.row["prompt_tokens"] = span.first;
    item.spans.push_back(std::move(span));
    return {};
  }

  const TaskSpec& task_;
  const Tokenizer* tokenizer_;
  Questions questions_;
  Bos bos_ = Bos::kAuto;
};

}  // namespace

Result<void> prepare(const TaskSpec& task, const Tokenizer& tokenizer, const ChatTemplate* chat,
                     Records items, Records shots, const ItemSink& sink) {
  if (task.protocol == Protocol::kPerplexity) {
    return prepare_perplexity(task, tokenizer, std::move(items), sink);
  }
  auto questions = Questions::make(task, chat, std::move(shots));
  if (!questions) return std::move(questions).error();
  return Asking(task, &tokenizer, std::move(*questions)).run(items, sink);
}

Result<void> prepare_texts(const TaskSpec& task, Records items, Records shots,
                           const ItemSink& sink) {
  auto questions = Questions::make(task, nullptr, std::move(shots));
  if (!questions) return std::move(questions).error();
  return Asking(task, nullptr, std::move(*questions)).run(items, sink);
}

}  // namespace assay::host
