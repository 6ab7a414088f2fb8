#include "host/protocol/perplexity.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "host/protocol/item.hpp"
#include "host/protocol/windows.hpp"

namespace assay::host {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/// Words (runs of other than white space) whose first byte lies in [begin, end).
std::uint64_t count_words(std::string_view text, std::uint64_t begin, std::uint64_t end) {
  std::uint64_t words = 0;
  for (std::uint64_t i = begin; i < end; ++i) {
    if (!is_space(text[i]) && (i == 0 || is_space(text[i - 1]))) ++words;
  }
  return words;
}

/// Bytes and words of the text that tokens [first, end) stand for.
struct Covered {
  std::uint64_t bytes = 0, words = 0;
};

Covered covered(std::string_view text, const Encoding& encoded, std::uint64_t first,
                std::uint64_t end) {
  if (first >= end) return {};
  const std::uint64_t from = first == 0 ? 0 : encoded.end_bytes[first - 1];
  const std::uint64_t to = encoded.end_bytes[end - 1];
  return {to - from, count_words(text, from, to)};
}

Span span_of(const Encoding& encoded, const Window& window) {
  const auto at = [&](std::uint64_t i) {
    return encoded.ids.begin() + static_cast<std::ptrdiff_t>(i);
  };
  return {{at(window.begin), at(window.end)}, window.first - window.begin};
}

class Perplexity {
 public:
  Perplexity(const TaskSpec& task, const Tokenizer& tokenizer, Template text)
      : task_(task), tokenizer_(tokenizer), text_(std::move(text)) {}

  Result<void> documents(Records& items, const ItemSink& sink) {
    for (std::uint64_t i = 0; i < items.size; ++i) {
      auto record = items.read(i);
      if (!record) return std::move(record).error();
      auto item = document(i, *record);
      if (!item) return at_record(i, std::move(item).error());
      if (auto taken = sink(std::move(*item)); !taken) return taken;
    }
    return {};
  }

  Result<void> joined(const Records& items, const ItemSink& sink) {
    const auto text = joined_text(task_, text_, items);
    if (!text) return text.error();
    auto encoded = encode_text(tokenizer_, *text, task_.bos);
    if (!encoded) return std::move(encoded).error();
    return blocks(*text, *encoded, sink);
  }

 private:
  Result<PreparedItem> document(std::uint64_t index, const Json& record) {
    auto text = text_.render(record);
    if (!text) return std::move(text).error();
    if (text->size() > kMaxDocumentBytes) return too_long("a document", text->size());
    auto encoded = encode_text(tokenizer_, *text, task_.bos);
    if (!encoded) return std::move(encoded).error();

    PreparedItem item;
    item.index = index;
    item.row = row_head(task_, index, sha256(record.dump()), record);
    item.row["prompt_sha256"] = sha256(*text);
    item.row["prompt_tokens"] = encoded->ids.size();
    item.row["truncated_tokens"] = 0;
    std::uint64_t first = encoded->ids.size();
    Covered total;
    for (const Window& window :
         windows_over(encoded->ids.size(), task_.perplexity.window, task_.perplexity.stride)) {
      if (window.first >= window.end) continue;
      first = std::min(first, window.first);
      item.spans.push_back(span_of(*encoded, window));
      const Covered part = covered(*text, *encoded, window.first, window.end);
      total.bytes += part.bytes;
      total.words += part.words;
    }
    finish(item, first, total);
    add_columns(task_, record, item.row);
    return item;
  }

  /// One item per window: the stream has no other borders.
  Result<void> blocks(std::string_view text, const Encoding& encoded, const ItemSink& sink) {
    const std::string stream = sha256(text);
    std::uint64_t index = 0;
    for (const Window& window :
         windows_over(encoded.ids.size(), task_.perplexity.window, task_.perplexity.stride)) {
      PreparedItem item;
      item.index = index++;
      const std::string name =
          stream + ":" + std::to_string(window.begin) + ":" + std::to_string(window.end);
      item.row = row_head(task_, item.index, sha256(name), Json::object());
      item.row["prompt_sha256"] = stream;
      item.row["prompt_tokens"] = window.end - window.begin;
      item.row["truncated_tokens"] = 0;
      if (window.first < window.end) item.spans.push_back(span_of(encoded, window));
      finish(item, window.first, covered(text, encoded, window.first, window.end));
      if (auto taken = sink(std::move(item)); !taken) return taken;
    }
    return {};
  }

  static void finish(PreparedItem& item, std::uint64_t first, const Covered& total) {
    item.row["first_token"] = first;
    item.row["n_bytes"] = total.bytes;
    item.row["n_words"] = total.words;
    if (item.spans.empty()) item.status = "empty";
  }

  const TaskSpec& task_;
  const Tokenizer& tokenizer_;
  Template text_;
};

}  // namespace

Result<std::string> joined_text(const TaskSpec& task, const Template& document,
                                const Records& items) {
  std::string text;
  const std::uint64_t n = task.limit == 0 ? items.size : std::min(items.size, task.limit);
  for (std::uint64_t i = 0; i < n; ++i) {
    auto record = items.read(i);
    if (!record) return std::move(record).error();
    auto rendered = document.render(*record);
    if (!rendered) return at_record(i, std::move(rendered).error());
    if (i > 0) text += *task.perplexity.join;
    text += *rendered;
    if (text.size() > kMaxDocumentBytes) return too_long("a joined text", text.size());
  }
  return text;
}

Result<void> prepare_perplexity(const TaskSpec& task, const Tokenizer& tokenizer, Records items,
                                const ItemSink& sink) {
  auto text = Template::compile(task.perplexity.text);
  if (!text) return std::move(text).error();
  Perplexity perplexity(task, tokenizer, std::move(*text));
  return task.perplexity.join ? perplexity.joined(items, sink) : perplexity.documents(items, sink);
}

}  // namespace assay::host
