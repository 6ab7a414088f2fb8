#include "host/protocol/item.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "host/protocol/protocol.hpp"

namespace assay::host {
namespace {

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

Failure at_record(std::uint64_t index, Failure failure) {
  failure.text = "record " + std::to_string(index) + ": " + failure.text;
  return failure;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json row_head(const TaskSpec& task, std::uint64_t index, const std::string& hash,
              const Json& record) {
  Json groups = Json::object();
  for (const std::string& key : task.group_by) {
    const auto value = record.find(key);
    const bool is_missing = value == record.end() || value->is_null();
    groups[key] = is_missing ? "(missing)" : text_of(*value);
  }
  return Json{{"item", hash},
              {"index", index},
              {"groups", std::move(groups)},
              {"cluster", nullptr},
              {"status", "ok"}};
}

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
  put<std::uint64_t>(bytes, item.texts.size());
  for (const TextSpan& span : item.texts) {
    put<std::uint64_t>(bytes, span.prompt.messages.size());
    for (const ChatTurn& turn : span.prompt.messages) {
      put_text(bytes, turn.role);
      put_text(bytes, turn.text);
    }
    put_text(bytes, span.prompt.prompt);
    put_text(bytes, span.continuation);
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
  item.texts.resize(take<std::uint64_t>(bytes));
  for (TextSpan& span : item.texts) {
    span.prompt.messages.resize(take<std::uint64_t>(bytes));
    for (ChatTurn& turn : span.prompt.messages) {
      turn.role = take_text(bytes);
      turn.text = take_text(bytes);
    }
    span.prompt.prompt = take_text(bytes);
    span.continuation = take_text(bytes);
  }
  return item;
}

}  // namespace assay::host
