#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "host/manifest/sections.hpp"
#include "host/manifest/value.hpp"

namespace assay::host {
namespace {

constexpr auto kMaxSeed = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
constexpr auto kNoLimit = kMaxSeed;
constexpr std::uint64_t kMaxWindow = 1U << 24;  // tokens; no model reads as many at once
constexpr std::uint64_t kMaxShots = 1000;

struct ProtocolKeys {
  Protocol protocol;
  std::vector<std::string> keys;
};

const std::vector<ProtocolKeys> kProtocols = {
    {Protocol::kPerplexity, {"window", "stride", "text", "join"}},
    {Protocol::kContinuation,
     {"prompt", "target", "shots", "shots_from", "description", "delimiter", "separator", "chat"}},
    {Protocol::kMultipleChoice,
     {"prompt", "prompts", "choices", "target", "shots", "shots_from", "description", "delimiter",
      "separator", "chat"}},
    {Protocol::kGenerate,
     {"prompt", "target", "shots", "shots_from", "description", "delimiter", "separator", "chat",
      "max_new_tokens", "min_new_tokens", "stop", "temperature", "top_k", "top_p", "filters"}}};

const std::vector<LaterKey> kLater = {
    {"from", "write the protocol, the dataset and the templates in the task itself"},
    {"data", "name a [dataset.x] with dataset"},
    {"sample", "limit takes the first items of a task"},
    {"shot_sampler", "leave it out: shots are drawn with the task's seed"}};

/// The protocol, or nothing when it is missing, unknown or of later work.
std::optional<Protocol> read_protocol(Fields& fields) {
  const Located<std::string> name = fields.text("protocol");
  if (!name.given()) return std::nullopt;
  std::vector<std::string> names;
  for (const ProtocolKeys& known : kProtocols) {
    names.emplace_back(to_string(known.protocol));
    if (names.back() == name.value) return known.protocol;
  }
  if (name.value == "latency") {
    fields.error(name.place, not_supported("protocol \"latency\""),
                 "use perplexity, continuation, multiple_choice or generate");
  } else if (!name.value.empty()) {
    const std::string near = did_you_mean(name.value, names);
    fields.error(name.place, "unknown protocol " + in_quotes(name.value),
                 near.empty() ? "the protocols are " + joined(names) : near);
  }
  return std::nullopt;
}

void read_task_dataset(Fields& fields, TaskNode& task, std::vector<DatasetNode>& datasets,
                       std::vector<Diagnostic>& errors) {
  const Value* value = fields.take("dataset");
  if (value == nullptr) return;
  const auto* table = get_if<Table>(*value);
  if (table == nullptr) {
    if (const auto* name = get_if<std::string>(*value)) {
      task.dataset = {*name, value->place};
    } else {
      fields.wrong_type("dataset", "the name of a [dataset.x] or a table", *value);
    }
    return;
  }
  const auto is_same = [&](const DatasetNode& other) { return other.name == task.name; };
  if (std::any_of(datasets.begin(), datasets.end(), is_same)) {
    fields.error(value->place,
                 "the dataset of " + fields.name() + " would be called " + in_quotes(task.name) +
                     ", as [dataset." + task.name + "] is",
                 "give one of them another name");
    return;
  }
  Fields own(*table, fields.name() + ".dataset", value->place, errors);
  datasets.push_back(read_dataset(own, task.name));
  task.dataset = {task.name, value->place};
}

void read_metrics(Fields& fields, TaskNode& task, std::vector<Diagnostic>& errors) {
  const Value* value = fields.take("metrics");
  if (value == nullptr) return;
  const auto* list = get_if<std::vector<Value>>(*value);
  if (list == nullptr) {
    fields.wrong_type("metrics", "a list", *value, "write metrics = [\"assay/accuracy\"]");
    return;
  }
  if (list->empty()) {
    fields.error(value->place, "metrics is an empty list",
                 "leave it out to have every metric that fits, or name at least one");
  }
  for (const Value& element : *list) {
    if (const auto* id = get_if<std::string>(element)) {
      task.metrics.push_back({{*id, element.place}, {}});
    } else if (const auto* table = get_if<Table>(element)) {
      Fields own(*table, fields.name() + ".metrics", element.place, errors);
      own.require({{"use", "use: the id of a metric, such as \"assay/accuracy\""}});
      MetricUse metric;
      metric.use = own.text("use");
      metric.options = own.rest();
      task.metrics.push_back(std::move(metric));
    } else {
      fields.wrong_type("each of metrics", "an id or a table { use = ..., ... }", element);
    }
  }
}

void read_bos(Fields& fields, TaskNode& task) {
  const Located<std::string> bos = fields.text("bos");
  if (!bos.given()) return;
  const std::vector<std::string> names = {"auto", "always", "never"};
  const auto found = std::find(names.begin(), names.end(), bos.value);
  if (found != names.end()) {
    task.bos = {static_cast<Bos>(found - names.begin()), bos.place};
  } else if (!bos.value.empty()) {
    fields.error(bos.place, "bos must be one of auto, always, never, got " + in_quotes(bos.value),
                 did_you_mean(bos.value, names));
  }
}

void read_perplexity(Fields& fields, TaskNode& task) {
  task.window = fields.whole("window", 2, kMaxWindow);
  const std::uint64_t most = task.window.given() ? task.window.value : kMaxWindow;
  task.stride = fields.whole("stride", 1, most);
  task.text = fields.text("text", task.text.value);
  if (fields.has("join")) task.join = fields.text("join");
}

void read_prompts(Fields& fields, TaskNode& task) {
  const Located<std::string> prompt = fields.text("prompt");
  task.prompts = fields.texts("prompts");
  if (prompt.given() && fields.has("prompts")) {
    fields.error(fields.key_place("prompts"), "a task has prompt or prompts, not both",
                 "prompts are contexts that differ, before one and the same continuation");
  } else if (task.prompts.size() == 1) {
    fields.error(fields.key_place("prompts"), "prompts must name at least 2 contexts, got 1",
                 "write prompt for a single one");
  }
  if (prompt.given()) task.prompts = {prompt};
}

void read_choices(Fields& fields, TaskNode& task) {
  const Value* value = fields.take("choices");
  if (value == nullptr) return;
  if (const auto* text = get_if<std::string>(*value)) {
    task.choices = {{*text, value->place}};
    return;
  }
  if (get_if<std::vector<Value>>(*value) == nullptr) {
    fields.wrong_type("choices", "a template that gives a list, or a list of templates", *value);
    return;
  }
  task.choices_is_list = true;
  task.choices = texts_of(fields, "choices", *value);
  const bool has_many_prompts = fields.has("prompts");
  if (has_many_prompts && task.choices.size() > 1) {
    fields.error(value->place,
                 "with prompts there is one continuation, choices has " +
                     std::to_string(task.choices.size()),
                 "write choices = \"...\"");
  } else if (!has_many_prompts && task.choices.size() == 1) {
    fields.error(value->place, "choices must name at least 2, got 1");
  }
}

/// The keys that say how a question is put.
void read_prompt(Fields& fields, TaskNode& task, Protocol protocol) {
  if (protocol == Protocol::kMultipleChoice) {
    read_prompts(fields, task);
  } else if (const Located<std::string> prompt = fields.text("prompt"); prompt.given()) {
    task.prompts = {prompt};
  }
  task.target = fields.text("target");
  task.shots = fields.whole("shots", 0, kMaxShots);
  task.shots_from = fields.text("shots_from");
  task.description = fields.text("description");
  task.delimiter = fields.text("delimiter", task.delimiter.value);
  task.separator = fields.text("separator", task.separator.value);
  task.chat = fields.flag("chat");
  if (!task.chat.value) return;
  for (const char* key : {"delimiter", "separator"}) {
    if (!fields.has(key)) continue;
    fields.error(fields.key_place(key),
                 std::string(key) +
                     " has no use with chat = true: the model's chat template "
                     "stands between the texts",
                 "leave " + std::string(key) + " or chat out");
  }
}

/// `protocol "generate"`, `protocols "continuation" and "generate"`.
std::string protocols_with(const std::string& key) {
  std::vector<std::string> owners;
  for (const ProtocolKeys& other : kProtocols) {
    if (std::find(other.keys.begin(), other.keys.end(), key) == other.keys.end()) continue;
    owners.push_back(in_quotes(to_string(other.protocol)));
  }
  if (owners.size() == 1) return "protocol " + owners.front();
  const std::string last = std::move(owners.back());
  owners.pop_back();
  return "protocols " + joined(owners) + " and " + last;
}

/// A key of another protocol is no slip of the pen; it says so.
void refuse_keys_of_others(Fields& fields, const std::vector<std::string>& own) {
  std::set<std::string> seen(own.begin(), own.end());
  for (const ProtocolKeys& other : kProtocols) {
    for (const std::string& key : other.keys) {
      if (!seen.insert(key).second || fields.take(key) == nullptr) continue;
      fields.error(fields.key_place(key), key + " belongs to " + protocols_with(key) + ", " +
                                              fields.name() + " has another");
    }
  }
}

void require_keys(Fields& fields, Protocol protocol) {
  if (protocol == Protocol::kPerplexity) {
    return fields.require(
        {{"window", "window: the most tokens the model sees at once, such as 2048"},
         {"stride", "stride: tokens from one window to the next, such as 512"}});
  }
  const bool is_choice = protocol == Protocol::kMultipleChoice;
  if (!is_choice || !fields.has("prompts")) {
    fields.require(
        {{"prompt", "prompt: the template of the question, such as \"{{ question }}\""}});
  }
  if (is_choice) {
    fields.require({{"choices", "choices: a column that holds a list, or a list of templates"},
                    {"target", "target: the index of the right choice, or its text"}});
  } else if (protocol == Protocol::kContinuation) {
    fields.require({{"target",
                     "target: the text that is scored after the prompt, such as "
                     "\"{{ answer }}\""}});
  } else {
    fields.require({{"target",
                     "target: what is right, such as \"{{ answer }}\", or a column that "
                     "holds a list of it"}});
  }
}

}  // namespace

DatasetNode read_dataset(Fields& fields, std::string name) {
  DatasetNode dataset;
  dataset.name = std::move(name);
  dataset.place = fields.place();
  fields.require({{"use", "use: the id of a dataset component, such as \"assay/jsonl\""}});
  dataset.use = fields.text("use");
  dataset.split = fields.text("split");
  dataset.limit = fields.whole("limit", 1, kNoLimit);
  dataset.options = fields.rest();
  return dataset;
}

TaskNode read_task(Fields& fields, std::string name, std::vector<DatasetNode>& datasets,
                   std::vector<Diagnostic>& errors) {
  TaskNode task;
  task.name = std::move(name);
  task.place = fields.place();
  const bool is_library_task = fields.has("from");
  fields.refuse_later(kLater);
  if (!is_library_task) {
    fields.require(
        {{"protocol", "protocol: perplexity, continuation, multiple_choice or generate"},
         {"dataset", "dataset: the name of a [dataset.x], or a table { use = ..., ... }"}});
  }
  const std::optional<Protocol> protocol = read_protocol(fields);
  read_task_dataset(fields, task, datasets, errors);
  task.models = fields.texts("models");
  task.limit = fields.whole("limit", 1, kNoLimit);
  task.seed = fields.whole("seed", 0, kMaxSeed);
  task.group_by = fields.texts("group_by");
  read_metrics(fields, task, errors);
  task.primary = fields.text("primary");
  read_bos(fields, task);
  if (!protocol) return task;  // which other keys belong here is not known

  task.protocol = {*protocol, fields.take("protocol")->place};
  require_keys(fields, *protocol);
  if (*protocol == Protocol::kPerplexity) {
    read_perplexity(fields, task);
  } else {
    read_prompt(fields, task, *protocol);
  }
  if (*protocol == Protocol::kMultipleChoice) read_choices(fields, task);
  if (*protocol == Protocol::kGenerate) read_generate(fields, task, errors);
  const std::vector<std::string>& own = kProtocols.at(static_cast<std::size_t>(*protocol)).keys;
  refuse_keys_of_others(fields, own);
  fields.refuse_unknown("protocol " + std::string(to_string(*protocol)) + " has the keys " +
                        joined(own));
  return task;
}

}  // namespace assay::host
