#include <assay/ext.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "host/graph/build.hpp"
#include "host/manifest/value.hpp"
#include "host/text/regex.hpp"
#include "host/text/text.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

Place place_or(const Place& place, const Place& fallback) {
  return place.line > 0 ? place : fallback;
}

std::string column_list(const KnownColumns& columns) {
  return "(columns: " + joined(columns.names()) + ")";
}

/// The names a template reads, or nothing where it does not compile.
std::optional<std::set<std::string>> variables_of(Building& b, const std::string& owner,
                                                  const std::string& key,
                                                  const Located<std::string>& text,
                                                  const Place& fallback) {
  auto compiled = Template::compile(text.value);
  if (compiled) return compiled->variables();
  b.error(place_or(text.place, fallback), owner + ": " + key + ": " + compiled.error().text);
  return std::nullopt;
}

void check_columns(Building& b, const std::string& owner, const std::string& key,
                   const Located<std::string>& text, const Place& fallback,
                   const std::set<std::string>& names, std::size_t dataset) {
  const KnownColumns& columns = b.columns[dataset];
  if (!columns.is_known) return;
  for (const std::string& name : names) {
    if (columns.find(name) != nullptr) continue;
    b.error(place_or(text.place, fallback),
            owner + ": " + key + " reads " + in_quotes(name) + ", but dataset " +
                b.datasets[dataset] + " has no such column " + column_list(columns),
            did_you_mean(name, columns.names()));
  }
}

/// Builds one task.
class Task {
 public:
  Task(Building& building, const TaskNode& node)
      : b_(building), node_(node), name_("task." + node.name) {}

  TaskSpec run() {
    spec_.name = node_.name;
    spec_.protocol = node_.protocol.value;
    spec_.limit = node_.limit.value;
    spec_.seed = node_.seed.given() ? node_.seed.value : b_.manifest.seed;
    spec_.bos = node_.bos.value;
    find_dataset();
    find_models();
    if (!node_.protocol.given()) return std::move(spec_);
    check_backends();
    if (spec_.protocol == Protocol::kPerplexity) {
      fill_perplexity();
    } else {
      fill_prompt();
    }
    if (spec_.protocol == Protocol::kGenerate) fill_generate();
    group();
    wire_metrics(b_, node_, spec_, columns_);
    return std::move(spec_);
  }

 private:
  void find_dataset() {
    if (!node_.dataset.given()) return;
    const auto found = position(b_, b_.datasets, "dataset", node_.dataset);
    if (!found) return;
    spec_.dataset = *found;
    columns_ = &b_.columns[*found];
  }

  void find_models() {
    std::set<std::size_t> seen;
    for (const auto& name : node_.models) {
      const auto found = position(b_, b_.models, "model", name);
      if (!found) continue;
      if (!seen.insert(*found).second) {
        b_.error(name.place, "model " + in_quotes(name.value) + " is named twice");
      } else {
        spec_.models.push_back(*found);
      }
    }
    if (node_.models.empty()) {
      for (std::size_t i = 0; i < b_.models.size(); ++i) spec_.models.push_back(i);
    }
  }

  void check_backends() {
    const bool is_generate = spec_.protocol == Protocol::kGenerate;
    const std::uint64_t needed = is_generate ? ASSAY_CAP_GENERATE : ASSAY_CAP_SCORE;
    for (const std::size_t model : spec_.models) {
      const Component* backend = b_.graph.models[model].backend.component;
      if (backend == nullptr) continue;
      if (is_text_only(*backend)) refuse_texts(*backend, b_.models[model]);
      if ((backend->constants->caps & needed) != 0) continue;
      b_.error(node_.place,
               name_ + " needs a backend that " +
                   (is_generate ? "generates tokens; " : "scores tokens; ") +
                   std::string(backend->id()) + " of model." + b_.models[model] + " does not",
               "name the models it runs on with models = [...]");
    }
  }

  /// What cannot be had of a backend that tokenizes by itself.
  void refuse_texts(const Component& backend, const std::string& model) {
    const std::string who =
        "; " + std::string(backend.id()) + " of model." + model + " offers text only";
    const std::string help = "name the models it runs on with models = [...]";
    if (spec_.protocol == Protocol::kPerplexity) {
      b_.error(node_.protocol.place, name_ + ": perplexity needs tokens" + who, help);
    }
    if (node_.bos.given()) {
      b_.error(node_.bos.place, name_ + ": bos needs tokens" + who,
               "leave bos out; such a backend decides by itself what stands before a text");
    }
  }

  bool knows_columns() const { return columns_ != nullptr && columns_->is_known; }

  Place place_of(const Place& place) const { return place_or(place, node_.place); }

  std::optional<std::set<std::string>> variables(const std::string& key,
                                                 const Located<std::string>& text) {
    return variables_of(b_, name_, key, text, node_.place);
  }

  void check_columns(const std::string& key, const Located<std::string>& text,
                     const std::set<std::string>& names, std::size_t dataset) {
    host::check_columns(b_, name_, key, text, node_.place, names, dataset);
  }

  /// Checks that a template compiles and reads only columns that are there; of the dataset the
  /// examples come from as well.
  void check_template(const std::string& key, const Located<std::string>& text) {
    const bool is_column = knows_columns() && columns_->find(text.value) != nullptr;
    const auto names = is_column ? std::set{text.value} : variables(key, text);
    if (!names || columns_ == nullptr) return;
    check_columns(key, text, *names, spec_.dataset);
    if (shots_from_ && *shots_from_ != spec_.dataset) {
      check_columns(key, text, *names, *shots_from_);
    }
  }

  /// A text that is neither a column nor a template was meant to be one of them.
  bool is_plain(const Located<std::string>& text) const {
    return text.value.find("{{") == std::string::npos && text.value.find("{%") == std::string::npos;
  }

  /// The parser says what is no text at all, and reads it as "".
  bool is_reported(const Place& place) const {
    return std::any_of(b_.errors.begin(), b_.errors.end(), [&](const Diagnostic& error) {
      return error.place.file == place.file && error.place.line == place.line &&
             error.place.column == place.column;
    });
  }

  void say_neither(std::string_view key, const Located<std::string>& text) {
    if (!knows_columns() || is_reported(text.place)) return;
    b_.error(place_of(text.place),
             name_ + ": " + std::string(key) + " = " + in_quotes(text.value) +
                 " is neither a column of dataset " + b_.datasets[spec_.dataset] +
                 " nor a template " + column_list(*columns_),
             did_you_mean(text.value, columns_->names()));
  }

  void fill_perplexity() {
    PerplexitySpec& spec = spec_.perplexity;
    spec.window = node_.window.value;
    spec.stride = node_.stride.value;
    spec.text = node_.text.value;
    if (node_.join) spec.join = node_.join->value;
    if (columns_ != nullptr) {
      check_text(b_, name_, "text", node_.text, node_.place, spec_.dataset);
    } else {
      (void)variables_of(b_, name_, "text", node_.text, node_.place);
    }
  }

  void fill_prompt() {
    PromptSpec& spec = spec_.prompt;
    find_shots();
    for (const auto& prompt : node_.prompts) {
      spec.prompts.push_back(prompt.value);
      check_template("prompt", prompt);
      refuse_list("prompt", prompt, "a prompt is one text");
      const bool is_column = knows_columns() && columns_->find(prompt.value) != nullptr;
      const bool is_generate = spec_.protocol == Protocol::kGenerate;
      if (is_generate && is_plain(prompt) && !is_column) say_neither("prompt", prompt);
    }
    spec.has_many_prompts = node_.prompts.size() > 1;
    if (spec_.protocol == Protocol::kMultipleChoice) fill_choices();
    fill_target();
    spec.description = node_.description.value;
    if (node_.description.given()) check_description();
    spec.delimiter = node_.delimiter.value;
    spec.separator = node_.separator.value;
    spec.is_chat = node_.chat.value;
    if (spec.is_chat) check_chat_templates();
  }

  void find_shots() {
    spec_.prompt.shots = node_.shots.value;
    spec_.prompt.shots_from = spec_.dataset;
    if (!node_.shots_from.given()) return;
    shots_from_ = position(b_, b_.datasets, "dataset", node_.shots_from);
    if (shots_from_) spec_.prompt.shots_from = *shots_from_;
    if (!node_.shots.given() || node_.shots.value == 0) {
      b_.error(node_.shots_from.place, name_ + " takes no examples, shots_from has no use",
               "write shots = 5, or leave shots_from out");
    }
  }

  void refuse_list(std::string_view key, const Located<std::string>& text, const char* why) {
    const DatasetColumn* column = knows_columns() ? columns_->find(text.value) : nullptr;
    if (column == nullptr || !column->is_nested) return;
    b_.error(place_of(text.place),
             name_ + ": " + std::string(key) + " = " + in_quotes(text.value) +
                 " is a column of lists, " + why,
             "write a template that makes a text of it, such as \"{{ " + text.value +
                 " | join(', ') }}\"");
  }

  /// Every model speaks in its own template. Variants of one directory share theirs.
  void check_chat_templates() {
    std::vector<std::pair<fs::path, std::string>> models;
    for (const std::size_t model : spec_.models) {
      const Component* backend = b_.graph.models[model].backend.component;
      // Of those that bring their own, or render it themselves, there is nothing to look at.
      if (backend != nullptr &&
          (is_text_only(*backend) || offers(*backend, ASSAY_BACKEND_TEMPLATE_1))) {
        continue;
      }
      const fs::path& path = b_.graph.models[model].path;
      const auto same = std::find_if(models.begin(), models.end(),
                                     [&](const auto& other) { return other.first == path; });
      const std::string name = "model." + b_.models[model];
      if (same == models.end()) {
        models.emplace_back(path, name);
      } else {
        same->second += ", " + name;
      }
    }
    for (const auto& [path, names] : models) {
      std::error_code error;
      if (!fs::is_directory(path, error)) continue;  // said of the model itself
      const auto chat = ChatTemplate::open(path);
      if (chat) continue;
      b_.error(node_.chat.place, name_ + ": chat of " + names + ": " + chat.error().text,
               "models = [...] names the models a task runs on, where these cannot chat");
    }
  }

  void fill_generate() {
    GenerateSpec& spec = spec_.generate;
    spec.max_new_tokens = node_.max_new_tokens.value;
    spec.min_new_tokens = node_.min_new_tokens.value;
    for (const auto& stop : node_.stop) spec.stop.push_back(stop.value);
    spec.temperature = node_.temperature.value;
    spec.top_k = node_.top_k.value;
    spec.top_p = node_.top_p.value;
    for (const auto& filter : node_.filters) {
      spec.filters.push_back(filter.value);
      if (filter.value.pattern.empty()) continue;
      const auto regex = Regex::compile(filter.value.pattern);
      if (!regex) b_.error(filter.place, name_ + ": filters: " + regex.error().text);
    }
  }

  void check_description() {
    const auto names = variables("description", node_.description);
    if (names && columns_ != nullptr) {
      check_columns("description", node_.description, *names, spec_.dataset);
    }
  }

  void fill_choices() {
    MultipleChoiceSpec& spec = spec_.multiple_choice;
    spec.choices_is_list = node_.choices_is_list;
    for (const auto& choice : node_.choices) {
      spec.choices.push_back(choice.value);
      check_template("choices", choice);
      const bool gives_list = !spec.choices_is_list && !spec_.prompt.has_many_prompts;
      const bool is_column = knows_columns() && columns_->find(choice.value) != nullptr;
      if (gives_list && is_plain(choice) && !is_column) say_neither("choices", choice);
    }
  }

  void fill_target() {
    spec_.prompt.target = node_.target.value;
    if (!node_.target.given()) return;
    check_template("target", node_.target);
    if (spec_.protocol == Protocol::kContinuation) {
      refuse_list("target", node_.target, "one text is scored");
    }
    const std::string& text = node_.target.value;
    const bool is_column = knows_columns() && columns_->find(text) != nullptr;
    if (is_plain(node_.target) && !is_column && !names_choice(text)) {
      say_neither("target", node_.target);
    }
  }

  /// Is it the index of a choice, or one of the choices themselves?
  bool names_choice(const std::string& text) const {
    if (spec_.protocol != Protocol::kMultipleChoice) return false;
    const bool is_index =
        !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    return is_index || std::any_of(node_.choices.begin(), node_.choices.end(),
                                   [&](const auto& choice) { return choice.value == text; });
  }

  void group() {
    std::set<std::string> seen;
    for (const auto& key : node_.group_by) {
      spec_.group_by.push_back(key.value);
      if (!seen.insert(key.value).second) {
        b_.error(key.place, "group_by names " + in_quotes(key.value) + " twice");
      }
      if (!knows_columns()) continue;
      const DatasetColumn* column = columns_->find(key.value);
      if (column == nullptr) {
        b_.error(key.place,
                 name_ + ": group_by = " + in_quotes(key.value) + ", but dataset " +
                     b_.datasets[spec_.dataset] + " has no such column " + column_list(*columns_),
                 did_you_mean(key.value, columns_->names()));
      } else if (column->is_nested) {
        b_.error(key.place, name_ + ": group_by = " + in_quotes(key.value) +
                                " is a column of lists, groups need one value a record");
      }
    }
    if (node_.join && !node_.group_by.empty()) {
      b_.error(node_.group_by.front().place,
               name_ + " has join and group_by: joined text is one stream and has no groups",
               "leave one of them out");
    }
  }

  Building& b_;
  const TaskNode& node_;
  std::string name_;
  TaskSpec spec_;
  const KnownColumns* columns_ = nullptr;  // NULL: no such dataset
  std::optional<std::size_t> shots_from_;
};

}  // namespace

void check_text(Building& b, const std::string& owner, const std::string& key,
                const Located<std::string>& text, const Place& fallback, std::size_t dataset) {
  const auto names = variables_of(b, owner, key, text, fallback);
  if (!names) return;
  check_columns(b, owner, key, text, fallback, *names, dataset);
  const KnownColumns& columns = b.columns[dataset];
  if (!names->empty() || !columns.is_known) return;
  const bool is_column = columns.find(text.value) != nullptr;
  b.error(place_or(text.place, fallback),
          owner + ": " + key + " = " + in_quotes(text.value) + " reads no column of dataset " +
              b.datasets[dataset] + " " + column_list(columns),
          is_column ? "write " + key + " = \"{{ " + text.value + " }}\"" : "");
}

void wire_tasks(Building& building) {
  for (const TaskNode& node : building.manifest.tasks) {
    building.graph.tasks.push_back(Task(building, node).run());
  }
}

}  // namespace assay::host
