#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "host/protocol/protocol.hpp"
#include "host/protocol/shots.hpp"
#include "host/protocol/windows.hpp"

namespace assay::host {
namespace {

Failure at_record(std::uint64_t index, Failure failure) {
  failure.text = "record " + std::to_string(index) + ": " + failure.text;
  return failure;
}

std::string megabytes(std::uint64_t bytes) {
  const std::uint64_t tenths = (bytes * 10 + 500'000) / 1'000'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

Failure too_long(const std::string& what, std::uint64_t bytes) {
  return Failure{ASSAY_INVALID_ARGUMENT,
                 what + " of " + megabytes(bytes) + " is longer than the " +
                     megabytes(kMaxDocumentBytes) +
                     " one item may have; split the file into one document per line, or name the "
                     "text between documents with separator"};
}

/// Keys every row begins with, in the order they are stored.
Json row_head(const TaskSpec& task, std::uint64_t index, const std::string& hash,
              const Json& record) {
  Json groups = Json::object();
  for (const std::string& key : task.group_by) {
    const Json& value = record.at(key);
    groups[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return Json{{"item", hash},
              {"index", index},
              {"groups", std::move(groups)},
              {"cluster", nullptr},
              {"status", "ok"}};
}

/// The dataset's columns that a metric of the task asks for.
void add_columns(const TaskSpec& task, const Json& record, Json& row) {
  Json columns = Json::object();
  const auto& provided = row_columns(task.protocol);
  for (const MetricSpec& metric : task.metrics) {
    const assay_component& component = *metric.use.component->constants;
    for (std::uint64_t i = 0; i < component.n_columns; ++i) {
      const std::string name = component.columns[i]->name;
      const bool is_ours = std::any_of(provided.begin(), provided.end(),
                                       [&](const RowColumn& c) { return c.name == name; });
      if (!is_ours && record.contains(name)) columns[name] = record.at(name);
    }
  }
  if (!columns.empty()) row["columns"] = std::move(columns);
}

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

  Result<void> joined(Records& items, const ItemSink& sink) {
    std::string text;
    const std::uint64_t n = task_.limit == 0 ? items.size : std::min(items.size, task_.limit);
    for (std::uint64_t i = 0; i < n; ++i) {
      auto record = items.read(i);
      if (!record) return std::move(record).error();
      auto rendered = text_.render(*record);
      if (!rendered) return at_record(i, std::move(rendered).error());
      if (i > 0) text += *task_.perplexity.join;
      text += *rendered;
      if (text.size() > kMaxDocumentBytes) return too_long("a joined text", text.size());
    }
    auto encoded = encode_text(tokenizer_, text, task_.bos);
    if (!encoded) return std::move(encoded).error();
    return blocks(text, *encoded, sink);
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

/// A manifest string that is a bare column name, or a template.
class Source {
 public:
  static Result<Source> make(const std::string& text) {
    auto compiled = Template::compile(text);
    if (!compiled) return std::move(compiled).error();
    return Source(text, std::move(*compiled));
  }

  Result<std::string> text(const Json& record) const {
    const auto column = record.find(name_);
    if (column != record.end() && column->is_string()) return column->get<std::string>();
    return template_.render(record);
  }

  Result<Json> value(const Json& record) const {
    const auto column = record.find(name_);
    if (column != record.end()) return Json(*column);
    return template_.evaluate(record);
  }

 private:
  Source(std::string name, Template compiled)
      : name_(std::move(name)), template_(std::move(compiled)) {}
  std::string name_;
  Template template_;
};

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

class MultipleChoice {
 public:
  static Result<MultipleChoice> make(const TaskSpec& task, const Tokenizer& tokenizer,
                                     Records shots) {
    MultipleChoice made(task, tokenizer, std::move(shots));
    const PromptSpec& spec = task.prompt;
    for (const std::string& prompt : spec.prompts) {
      if (auto ok = add(made.prompts_, prompt); !ok) return std::move(ok).error();
    }
    for (const std::string& choice : task.multiple_choice.choices) {
      if (auto ok = add(made.choices_, choice); !ok) return std::move(ok).error();
    }
    if (auto ok = add(made.target_, spec.target); !ok) return std::move(ok).error();
    if (auto ok = add(made.description_, spec.description); !ok) return std::move(ok).error();
    return made;
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
  /// A record read as a question: contexts, the texts that follow, which of them is right.
  struct Question {
    std::vector<std::string> prompts;
    std::vector<std::string> choices;
    std::uint64_t target = 0;
  };

  MultipleChoice(const TaskSpec& task, const Tokenizer& tokenizer, Records shots)
      : task_(task), tokenizer_(tokenizer), shots_(std::move(shots)) {}

  static Result<void> add(std::vector<Source>& to, const std::string& text) {
    auto source = Source::make(text);
    if (!source) return std::move(source).error();
    to.push_back(std::move(*source));
    return {};
  }

  Result<Question> question(const Json& record) const {
    Question q;
    for (const Source& prompt : prompts_) {
      auto text = prompt.text(record);
      if (!text) return std::move(text).error();
      q.prompts.push_back(std::move(*text));
    }
    if (auto ok = read_choices(record, q); !ok) return std::move(ok).error();
    auto target = target_.front().value(record);
    if (!target) return std::move(target).error();
    auto index = index_of(*target, q);
    if (!index) return std::move(index).error();
    q.target = *index;
    return q;
  }

  Result<void> read_choices(const Json& record, Question& q) const {
    const MultipleChoiceSpec& spec = task_.multiple_choice;
    if (spec.choices_is_list || task_.prompt.has_many_prompts) {
      for (const Source& choice : choices_) {
        auto text = choice.text(record);
        if (!text) return std::move(text).error();
        q.choices.push_back(std::move(*text));
      }
    } else {
      auto list = choices_.front().value(record);
      if (!list) return std::move(list).error();
      if (!list->is_array()) {
        return Failure{ASSAY_INVALID_ARGUMENT, "choices = \"" + spec.choices.front() + "\" gave " +
                                                   list->dump() + ", expected a list of texts"};
      }
      for (const Json& choice : *list) q.choices.push_back(text_of(choice));
    }
    if (count(q) < 2) {
      return Failure{ASSAY_INVALID_ARGUMENT, "a question needs at least 2 choices, this one has " +
                                                 std::to_string(count(q))};
    }
    return {};
  }

  /// How many options there are: contexts, where these differ, else continuations.
  std::uint64_t count(const Question& q) const {
    return task_.prompt.has_many_prompts ? q.prompts.size() : q.choices.size();
  }

  Result<std::uint64_t> index_of(const Json& target, const Question& q) const {
    const std::string text = text_of(target);
    const auto& options = task_.prompt.has_many_prompts ? q.prompts : q.choices;
    if (target.is_string()) {
      const auto same = std::find(options.begin(), options.end(), text);
      if (same != options.end()) return static_cast<std::uint64_t>(same - options.begin());
    }
    const bool is_number = !text.empty() && text.size() < 10 &&
                           text.find_first_not_of("0123456789") == std::string::npos;
    const std::uint64_t index = is_number ? std::stoull(text) : count(q);
    if (index < count(q)) return index;
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "target = \"" + task_.prompt.target + "\" gave " + target.dump() +
                       ", expected the index of a choice (0 to " + std::to_string(count(q) - 1) +
                       ") or the text of one"};
  }

  const std::string& prompt_for(const Question& q, std::uint64_t option) const {
    return q.prompts[task_.prompt.has_many_prompts ? option : 0];
  }
  const std::string& choice_for(const Question& q, std::uint64_t option) const {
    return q.choices[task_.prompt.has_many_prompts ? 0 : option];
  }

  /// Description and examples, as they stand in front of every prompt of the item.
  Result<std::string> head(std::uint64_t index, const std::string& hash, const Json& record) {
    const PromptSpec& spec = task_.prompt;
    auto text = description_.front().text(record);
    if (!text || spec.shots == 0) return text;
    const std::uint64_t excluded = spec.shots_from == task_.dataset ? index : shots_.size;
    for (const std::uint64_t nth :
         draw_shots(shots_.size, spec.shots, excluded, task_.seed, hash)) {
      auto shot = shots_.read(nth);
      if (!shot) return std::move(shot).error();
      auto example = question(*shot);
      if (!example) {
        auto failure = std::move(example).error();
        failure.text = "its example, record " + std::to_string(nth) + ": " + failure.text;
        return failure;
      }
      *text += prompt_for(*example, example->target) + spec.delimiter +
               choice_for(*example, example->target) + spec.separator;
    }
    return text;
  }

  Result<PreparedItem> one(std::uint64_t index, const Json& record) {
    auto q = question(record);
    if (!q) return std::move(q).error();
    const std::string hash = sha256(record.dump());
    auto start = head(index, hash, record);
    if (!start) return std::move(start).error();

    PreparedItem item;
    item.index = index;
    item.row = row_head(task_, index, hash, record);
    std::string contexts;
    for (const std::string& prompt : q->prompts) {
      contexts += (contexts.empty() ? "" : std::string(1, '\0')) + *start + prompt;
    }
    item.row["prompt_sha256"] = sha256(contexts);
    item.row["prompt_tokens"] = 0;
    item.row["truncated_tokens"] = 0;
    std::uint64_t boundaries = 0;
    Json tokens = Json::array(), bytes = Json::array(), chars = Json::array();
    for (std::uint64_t option = 0; option < count(*q); ++option) {
      const std::string context = *start + prompt_for(*q, option);
      const std::string& choice = choice_for(*q, option);
      auto pair = encode_pair(tokenizer_, context, task_.prompt.delimiter + choice, task_.bos);
      if (!pair) return std::move(pair).error();
      boundaries += pair->boundary_differs ? 1U : 0U;
      if (pair->span.first == pair->span.tokens.size()) item.status = "empty_continuation";
      item.row["prompt_tokens"] =
          std::max(item.row["prompt_tokens"].get<std::uint64_t>(), pair->span.first);
      tokens.push_back(pair->span.tokens.size() - pair->span.first);
      bytes.push_back(choice.size());
      chars.push_back(characters(choice));
      item.spans.push_back(std::move(pair->span));
    }
    item.row["boundary_differs"] = boundaries;
    item.row["choice_tokens"] = std::move(tokens);
    item.row["choice_bytes"] = std::move(bytes);
    item.row["choice_chars"] = std::move(chars);
    item.row["choices"] = options_text(*q);
    item.row["target"] = q->target;
    add_columns(task_, record, item.row);
    return item;
  }

  Json options_text(const Question& q) const {
    return Json(task_.prompt.has_many_prompts ? q.prompts : q.choices);
  }

  static std::uint64_t characters(std::string_view text) {
    return static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
  }

  const TaskSpec& task_;
  const Tokenizer& tokenizer_;
  Records shots_;
  std::vector<Source> prompts_, choices_, target_, description_;
};

template <class T>
void put(std::string& to, const T& value) {
  const std::size_t at = to.size();
  to.resize(at + sizeof(T));
  std::memcpy(to.data() + at, &value, sizeof(T));
}

template <class T>
T take(std::string_view& from) {
  T value;
  std::memcpy(&value, from.data(), sizeof(T));
  from.remove_prefix(sizeof(T));
  return value;
}

void put_text(std::string& to, std::string_view text) {
  put<std::uint64_t>(to, text.size());
  to += text;
}

std::string_view take_text(std::string_view& from) {
  const auto size = take<std::uint64_t>(from);
  const std::string_view text = from.substr(0, size);
  from.remove_prefix(size);
  return text;
}

}  // namespace

std::string to_bytes(const PreparedItem& item) {
  std::string bytes;
  put(bytes, item.index);
  put_text(bytes, item.status);
  put_text(bytes, item.row.dump(-1, ' ', false, Json::error_handler_t::replace));
  put<std::uint64_t>(bytes, item.spans.size());
  for (const Span& span : item.spans) {
    put(bytes, span.first);
    put_text(bytes, {reinterpret_cast<const char*>(span.tokens.data()),
                     span.tokens.size() * sizeof(std::int32_t)});
  }
  return bytes;
}

PreparedItem prepared_from_bytes(std::string_view bytes) {
  PreparedItem item;
  item.index = take<std::uint64_t>(bytes);
  item.status = take_text(bytes);
  item.row = Json::parse(take_text(bytes));
  item.spans.resize(take<std::uint64_t>(bytes));
  for (Span& span : item.spans) {
    span.first = take<std::uint64_t>(bytes);
    const std::string_view tokens = take_text(bytes);
    span.tokens.resize(tokens.size() / sizeof(std::int32_t));
    if (!tokens.empty()) std::memcpy(span.tokens.data(), tokens.data(), tokens.size());
  }
  return item;
}

Result<void> prepare(const TaskSpec& task, const Tokenizer& tokenizer, Records items, Records shots,
                     const ItemSink& sink) {
  if (task.protocol == Protocol::kMultipleChoice) {
    auto choice = MultipleChoice::make(task, tokenizer, std::move(shots));
    if (!choice) return std::move(choice).error();
    return choice->run(items, sink);
  }
  auto text = Template::compile(task.perplexity.text);
  if (!text) return std::move(text).error();
  Perplexity perplexity(task, tokenizer, std::move(*text));
  return task.perplexity.join ? perplexity.joined(items, sink) : perplexity.documents(items, sink);
}

}  // namespace assay::host
