#include "host/run/calibrations.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "host/manifest/value.hpp"
#include "host/text/text.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kItemsTold = 5;
constexpr std::size_t kExamplesKept = 20;

std::string percent_text(double share) { return digits(100 * share) + " %"; }

/// "item 4 (\"the words they share\"), item 9 and 12 more".
std::string items_text(const std::vector<ItemOverlap>& overlapping) {
  std::string text;
  for (std::size_t i = 0; i < std::min(overlapping.size(), kItemsTold); ++i) {
    text += (i == 0 ? "item " : ", item ") + std::to_string(overlapping[i].index);
    if (i == 0) text += " (" + in_quotes(overlapping[i].example) + ")";
  }
  if (overlapping.size() > kItemsTold) {
    text += " and " + std::to_string(overlapping.size() - kItemsTold) + " more";
  }
  return text;
}

Json overlap_json(const TaskSpec& task, const TaskOverlap& overlap) {
  Json examples = Json::array();
  for (const ItemOverlap& item : overlap.overlapping) {
    if (examples.size() == kExamplesKept) break;
    examples.push_back({{"item", item.index},
                        {"ngram", item.example},
                        {"ngrams", item.n_grams},
                        {"found", item.n_found}});
  }
  return {{"task", task.name},
          {"items", overlap.items},
          {"too_short", overlap.too_short},
          {"overlapping", overlap.overlapping.size()},
          {"examples", std::move(examples)}};
}

}  // namespace

std::vector<ScoreRequest> calibration_requests(std::vector<CalibrationSample> samples) {
  std::vector<ScoreRequest> requests;
  requests.reserve(samples.size());
  for (CalibrationSample& sample : samples) {
    ScoreRequest request;
    request.id = requests.size() + 1;
    request.tokens = std::move(sample.tokens);
    request.first = 1;
    requests.push_back(std::move(request));
  }
  return requests;
}

Result<std::optional<ChatTemplate>> chat_of(const CalibrationSpec& spec, const ModelSpec& model) {
  if (!spec.is_chat) return std::optional<ChatTemplate>();
  auto opened = ChatTemplate::open(model.path);
  if (!opened) return std::move(opened).error();
  return std::optional<ChatTemplate>(std::move(*opened));
}

void Calibrations::prepare(const std::vector<std::size_t>& models) {
  for (const std::size_t model : models) {
    if (!graph_.models[model].calibration) continue;
    of_models_.insert_or_assign(model, make(model));
  }
}

Result<const MadeCalibration*> Calibrations::of(std::size_t model) const {
  const auto found = of_models_.find(model);
  if (found == of_models_.end()) return nullptr;
  if (!found->second) return found->second.error();
  return &made_[*found->second];
}

Result<std::size_t> Calibrations::make(std::size_t model) {
  const std::size_t index = *graph_.models[model].calibration;
  const CalibrationSpec& spec = graph_.calibrations[index];
  const auto tokenizer = Tokenizer::open(graph_.models[model].path);
  if (!tokenizer) return tokenizer.error();
  const auto opened = chat_of(spec, graph_.models[model]);
  if (!opened) return opened.error();
  const std::optional<ChatTemplate>& chat = *opened;
  const std::string chat_fingerprint = chat ? chat->fingerprint() : "";
  for (std::size_t i = 0; i < made_.size(); ++i) {
    if (made_[i].spec != index || made_[i].tokenizer_fingerprint != tokenizer->fingerprint() ||
        made_[i].chat_fingerprint != chat_fingerprint) {
      continue;
    }
    made_[i].models.push_back(model);
    return i;
  }
  auto calibration =
      drawn(graph_, sources_, spec, spec.samples, *tokenizer, chat ? &*chat : nullptr, cancelled_);
  if (!calibration) return std::move(calibration).error();
  MadeCalibration made;
  made.spec = index;
  made.tokenizer_fingerprint = tokenizer->fingerprint();
  made.chat_fingerprint = chat_fingerprint;
  made.models = {model};
  made.digest = calibration->digest;
  made.sources = std::move(calibration->sources);
  made.tokens = calibration->tokens;
  made.requests = calibration_requests(std::move(calibration->samples));
  if (auto looked = look_into_tasks(spec, calibration->grams, *tokenizer, made); !looked) {
    return std::move(looked).error();
  }
  made_.push_back(std::move(made));
  return made_.size() - 1;
}

Result<Calibration> drawn(const Graph& graph, Sources& sources, const CalibrationSpec& spec,
                          std::uint64_t samples, const Tokenizer& tokenizer,
                          const ChatTemplate* chat, const std::atomic<bool>& cancelled) {
  std::vector<CalibrationText> texts;
  for (const CalibrationSpec::Source& source : spec.sources) {
    auto records = sources.records(source.dataset);
    if (!records) return std::move(records).error();
    // Reading is the one part of the work that goes step by step.
    auto read = [&, inner = records->read](std::uint64_t nth) -> Result<Json> {
      if (cancelled) return Failure{ASSAY_CANCELLED, "interrupted while making " + spec.name};
      return inner(nth);
    };
    texts.push_back({graph.datasets[source.dataset].name,
                     {records->size, std::move(read)},
                     source.share,
                     source.text});
  }
  auto made = make_calibration(
      std::move(texts), {samples, spec.length, spec.seed, spec.is_shuffled}, tokenizer, chat);
  if (!made && made.error().code != ASSAY_CANCELLED) {
    Failure failure = std::move(made).error();
    failure.text = "calibration." + spec.name + ": " + failure.text;
    return failure;
  }
  return made;
}

Result<void> Calibrations::look_into_tasks(const CalibrationSpec& spec, const WordGrams& grams,
                                           const Tokenizer& tokenizer, MadeCalibration& made) {
  std::vector<Records> tasks;
  std::uint64_t n = 0;
  for (const TaskSpec& task : graph_.tasks) {
    auto records = sources_.records(task.dataset);
    if (!records) return std::move(records).error();
    n += records->size;
    tasks.push_back(std::move(*records));
  }
  Progress progress(progress_, "looking for the text of " + spec.name + " in all tasks", n);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    auto read = [&, inner = tasks[i].read](std::uint64_t nth) -> Result<Json> {
      if (cancelled_) return Failure{ASSAY_CANCELLED, "interrupted while looking for overlap"};
      progress.advance();
      return inner(nth);
    };
    auto overlap = overlap_of(grams, graph_.tasks[i], &tokenizer, {tasks[i].size, std::move(read)},
                              spec.max_overlap);
    if (!overlap) return std::move(overlap).error();
    made.overlaps.push_back(std::move(*overlap));
  }
  return {};
}

std::vector<Calibrations::Leak> Calibrations::leaks() const {
  std::vector<Leak> leaks;
  for (const MadeCalibration& made : made_) {
    const CalibrationSpec& spec = graph_.calibrations[made.spec];
    for (std::size_t task = 0; task < made.overlaps.size(); ++task) {
      const TaskOverlap& overlap = made.overlaps[task];
      if (overlap.overlapping.empty()) continue;
      Leak leak{made.spec, task, spec.allows_overlap, ""};
      leak.text =
          "calibration." + spec.name + " holds " +
          (spec.max_overlap > 0 ? "more than " + percent_text(spec.max_overlap) + " of the " : "") +
          "text of " + std::to_string(overlap.overlapping.size()) + " of " +
          std::to_string(overlap.items) + " items of task." + graph_.tasks[task].name + ": " +
          items_text(overlap.overlapping);
      if (!leak.is_allowed) {
        leak.text +=
            "; calibrate on other text, or write allow_overlap = true to go on and have "
            "it said in every report";
      }
      // What two tokenizers make of one calibration holds the same text.
      const bool is_said = std::any_of(leaks.begin(), leaks.end(),
                                       [&](const Leak& other) { return other.text == leak.text; });
      if (!is_said) leaks.push_back(std::move(leak));
    }
  }
  return leaks;
}

Json Calibrations::entries() const {
  Json list = Json::array();
  for (const MadeCalibration& made : made_) {
    const CalibrationSpec& spec = graph_.calibrations[made.spec];
    Json entry = calibration_json(graph_, &made);
    entry["tokenizer_sha256"] = made.tokenizer_fingerprint;
    Json& models = entry["models"] = Json::array();
    for (const std::size_t model : made.models) models.push_back(graph_.models[model].name);
    entry["max_overlap"] = spec.max_overlap;
    entry["allowed"] = spec.allows_overlap;
    Json& overlaps = entry["overlap"] = Json::array();
    for (std::size_t task = 0; task < made.overlaps.size(); ++task) {
      overlaps.push_back(overlap_json(graph_.tasks[task], made.overlaps[task]));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json calibration_json(const Graph& graph, const MadeCalibration* made) {
  if (made == nullptr) return nullptr;
  const CalibrationSpec& spec = graph.calibrations[made->spec];
  Json sources = Json::array();
  for (const CalibrationShare& source : made->sources) {
    sources.push_back({{"dataset", source.name},
                       {"share", source.share},
                       {"samples", source.samples},
                       {"documents", source.documents}});
  }
  return {{"name", spec.name},
          {"digest", made->digest},
          {"samples", spec.samples},
          {"length", spec.length},
          {"tokens", made->tokens},
          {"seed", spec.seed},
          {"sources", std::move(sources)}};
}

}  // namespace assay::host
