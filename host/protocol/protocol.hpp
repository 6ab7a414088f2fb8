// Items to requests, results to rows: what each protocol asks a backend and what it keeps of the
// answer. Tokenization policy, windows and few-shot prompts live here, nowhere else; nothing here
// talks to a backend.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/filters.hpp"
#include "host/text/text.hpp"
#include "host/worker/session.hpp"

namespace assay::host {

/// The longest document, or joined text, that is tokenized in one piece: the tokenizer takes about
/// 120 bytes of memory for each of its bytes, so 2 GB.
constexpr std::uint64_t kMaxDocumentBytes = 16u << 20;

/// What is scored in one go: tokens[first..] given tokens[..first].
struct Span {
  std::vector<std::int32_t> tokens;
  std::uint64_t first = 0;
};

/// What stands before an answer as text, and what is scored after it; "" where one is generated.
struct TextSpan {
  TextPrompt prompt;
  std::string continuation;
};

/// One item ready to be scored by any model that shares its tokenizer.
struct PreparedItem {
  std::uint64_t index = 0;
  std::string status = "ok";  ///< anything else: nothing is sent, and the row says why
  Json row = Json::object();  ///< the part of the row that no model changes
  /// perplexity: windows; continuation: one; multiple_choice: one per choice; generate: the prompt,
  /// with `first` at its end. Empty where the backend takes texts:
  std::vector<Span> spans;
  std::vector<TextSpan> texts;
};

std::string to_bytes(const PreparedItem& item);
PreparedItem prepared_from_bytes(std::string_view bytes);

/// Gives the n-th record of a dataset. Threads  one call at a time
struct Records {
  std::uint64_t size = 0;
  std::function<Result<Json>(std::uint64_t nth)> read;
};

using ItemSink = std::function<Result<void>(PreparedItem item)>;

/// Makes the items of a task. One for each record, or one for each window of a joined text. `chat`
/// may be null where the task does not chat; a chat template writes special tokens itself, so with
/// one bos = "auto" adds none.
///
/// Fails    a record that the templates or the tokenizer cannot use, naming the record; text longer
///          than kMaxDocumentBytes, saying how to split it; what the sink reports
/// Source   scoring.md 3, 6 (context and continuation), 15 (windows)
Result<void> prepare(const TaskSpec& task, const Tokenizer& tokenizer, const ChatTemplate* chat,
                     Records items, Records shots, const ItemSink& sink);

/// The items of a task for a backend of texts alone: the same prompts, not rendered and not
/// tokenized, with the border between context and continuation where prepare() has it. What is
/// counted in tokens is null in their rows. Not for perplexity.
///
/// Fails    as prepare()
Result<void> prepare_texts(const TaskSpec& task, Records items, Records shots,
                           const ItemSink& sink);

/// The requests of one item for a model of this context length, without ids. Truncates contexts on
/// the left: the last max_context + 1 tokens are kept and the last of them is only predicted. Sets
/// status and truncation in the row. A max_context of 0 is not known: nothing is cut.
///
/// Source   scoring.md 7
std::vector<ScoreRequest> requests_of(PreparedItem& item, Protocol protocol,
                                      std::uint64_t max_context);

/// The requests of one item for a backend of texts alone, without ids. Nothing is cut: what its
/// context holds is not known here.
std::vector<TextScoreRequest> text_requests_of(const PreparedItem& item);

/// The request of one item of protocol generate, without its id. The prompt is cut on the left to
/// what the context leaves beside max_new_tokens. The seed follows from the task's seed and the
/// item's hash, so an answer does not depend on order, limits or batches.
///
/// Source   scoring.md 9
std::optional<GenerateRequest> generate_request_of(PreparedItem& item, const TaskSpec& task,
                                                   std::uint64_t max_context);

/// As generate_request_of, for a backend of texts alone.
std::optional<TextGenerateRequest> text_generate_request_of(const PreparedItem& item,
                                                            const TaskSpec& task);

/// How a task's answers are drawn and end for a model with these end tokens.
Decoding decoding_of(const GenerateSpec& spec, std::vector<std::int32_t> end_tokens);

/// Completes the row from the scores of its requests, in request order. Sums are float64. Of texts
/// the row counts as `straddles` the continuations whose first piece begins in the prompt.
Json finish_row(PreparedItem item, Protocol protocol, std::span<const Score> scores);

/// Completes the row from what the model said. With filters the row keeps the text before them as
/// raw_output.
///
/// Fails    a filter that does not end on this text
Result<Json> finish_generation(PreparedItem item, const Filters& filters, const Generation& said);

/// A row whose item could not be scored.
Json failed_row(PreparedItem item, std::string status);

}  // namespace assay::host
