#include "host/run/score.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <unordered_map>

#include "host/core/hash.hpp"
#include "host/log/log.hpp"
#include "host/protocol/filters.hpp"
#include "host/protocol/protocol.hpp"
#include "host/protocol/shots.hpp"
#include "host/stats/measure.hpp"
#include "host/store/files.hpp"
#include "host/store/rows.hpp"
#include "host/text/text.hpp"

namespace assay::host {
namespace {

// A unit is scored in one call, so that the backend can order and pack it, and held in memory.
constexpr std::uint64_t kUnitTokens = 1 << 18;
constexpr std::uint64_t kUnitItems = 2048;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

bool runs_on(const TaskSpec& task, std::size_t model) {
  return std::find(task.models.begin(), task.models.end(), model) != task.models.end();
}

/// Tokens an item makes a backend work on.
std::uint64_t tokens_of(const PreparedItem& item, const TaskSpec& task) {
  std::uint64_t n = task.protocol == Protocol::kGenerate ? task.generate.max_new_tokens : 0;
  for (const Span& span : item.spans) n += span.tokens.size();
  // Bytes stand for tokens that are not known: a unit may be smaller than it had to be.
  for (const TextSpan& text : item.texts) {
    n += text.prompt.prompt.size() + text.continuation.size();
    for (const ChatTurn& turn : text.prompt.messages) n += turn.text.size();
  }
  return n;
}

/// The n requests of one item, in the order in which they are sent: which of several choices is
/// which cannot be told from their order.
std::vector<std::uint64_t> order_of(const PreparedItem& item, std::uint64_t n, std::uint64_t seed) {
  return draw_shots(n, n, n, seed, item.row.at("item").get_ref<const std::string&>());
}

/// A full disk under the output folder: after it no other task or variant can be written either.
bool ends_the_run(const Failure& failure, const std::filesystem::path& out) {
  return failure.code == ASSAY_RESOURCE_EXHAUSTED && failure.where.starts_with(out.string());
}

void count(const Json& row, ItemCounts& counts) {
  const std::string status = row.at("status");
  const Json& cut = row.at("truncated_tokens");
  const auto truncated = cut.is_null() ? 0 : cut.get<std::uint64_t>();
  counts.truncated += truncated > 0 ? 1 : 0;
  counts.truncated_tokens += truncated;
  counts.boundary_differs += row.value("boundary_differs", std::uint64_t{0});
  counts.straddles += row.value("straddles", std::uint64_t{0});
  counts.reached_max_new += row.value("finish", "") == "length" ? 1U : 0U;
  if (status == "ok") {
    ++counts.scored;
  } else if (status.starts_with("empty")) {
    ++counts.empty;
  } else {
    ++counts.failed;
  }
}

std::string sentence_for(const std::string& status) {
  if (status == "too_long") return "what is to be scored is longer than the model's context";
  if (status == "not_finite") return "the backend gave a log-probability that is not finite";
  return status;
}

/// Writes each metric's samples of these rows into them.
void add_samples(const TaskSpec& task, std::vector<Json>& rows, std::uint64_t seed) {
  RowTable table(task);
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (table.add(rows[i])) positions.push_back(i);
    rows[i]["metrics"] = Json::object();
  }
  for (const MetricSpec& metric : task.metrics) {
    // A metric that fails is told once, when its figures are made from the rows.
    const auto measured = measure(metric, table, all_rows(table), seed);
    if (!measured) continue;
    for (std::size_t output = 0; output < metric.outputs.size(); ++output) {
      const auto& samples = measured->samples[output];
      for (std::size_t i = 0; i < samples.size(); ++i) {
        if (samples[i] == samples[i]) {
          rows[positions[i]]["metrics"][metric.outputs[output].name] = samples[i];
        }
      }
    }
  }
}

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::kComplete:
      return "complete";
    case Status::kPartial:
      return "partial";
    case Status::kFailed:
      return "failed";
  }
  return "";
}

std::filesystem::path rows_path(const std::filesystem::path& out, const std::string& variant,
                                const std::string& task) {
  return out / "rows" / variant / (task + ".jsonl.zst");
}

/// One variant at work: its tokenizer, its templates, its backend.
std::map<std::size_t, std::vector<std::uint64_t>> overlapping_items(const MadeCalibration& made) {
  std::map<std::size_t, std::vector<std::uint64_t>> items;
  for (std::size_t task = 0; task < made.overlaps.size(); ++task) {
    for (const ItemOverlap& item : made.overlaps[task].overlapping) {
      items[task].push_back(item.index);
    }
  }
  return items;
}

/// The Meter of a load that takes long; the session it belongs to lives on.
class LoadMeter {
 public:
  void begin(ProgressStyle style, std::string what) { meter_.emplace(style, std::move(what)); }
  void reach(double fraction, std::string_view what) {
    const std::scoped_lock hold(mutex_);
    if (meter_) meter_->reach(fraction, what);
  }
  void end() {
    const std::scoped_lock hold(mutex_);
    meter_.reset();
  }

 private:
  std::mutex mutex_;
  std::optional<Meter> meter_;
};

struct Scoring::Variant {
  const ModelSpec* model;
  std::unique_ptr<Session> session;
  ModelInfo info;
  const Tokenizer* tokenizer;  ///< the session's; NULL: its backend takes texts
  const ChatTemplate* chat;    ///< where one of its tasks chats and the backend takes tokens
  double load_seconds = 0;
};

/// Items worked on in one call: their requests, and the answers as they come.
struct Scoring::Unit {
  struct Slot {
    PreparedItem item;
    std::vector<Score> scores;
    std::optional<Generation> said;
    std::uint64_t open = 0;
    std::optional<Failure> failure;
  };
  struct Owner {
    std::size_t slot, span;
  };
  const TaskSpec& task;
  const Variant& variant;
  std::uint64_t order_seed;
  RequestIds& ids;
  std::vector<Slot> slots = {};
  std::vector<ScoreRequest> to_score = {};
  std::vector<GenerateRequest> to_generate = {};
  std::vector<TextScoreRequest> to_score_texts = {};
  std::vector<TextGenerateRequest> to_generate_texts = {};
  std::unordered_map<std::uint64_t, Owner> owners = {};  // by request id

  void add(PreparedItem item) {
    slots.emplace_back();
    if (task.protocol == Protocol::kGenerate) {
      if (variant.tokenizer == nullptr) {
        ask(text_generate_request_of(item, task), to_generate_texts);
      } else {
        ask(generate_request_of(item, task, variant.info.max_context), to_generate);
      }
    } else if (variant.tokenizer == nullptr) {
      ask_all(item, text_requests_of(item), to_score_texts);
    } else {
      ask_all(item, requests_of(item, task.protocol, variant.info.max_context), to_score);
    }
    slots.back().scores.resize(slots.back().open);
    slots.back().item = std::move(item);
  }

  template <class Request>
  void ask(std::optional<Request> request, std::vector<Request>& to) {
    if (request) ask_one(std::move(*request), 0, to);
  }

  /// Windows of a document keep their order, which every reader of the text knows.
  template <class Request>
  void ask_all(const PreparedItem& item, std::vector<Request> requests, std::vector<Request>& to) {
    if (task.protocol != Protocol::kMultipleChoice) {
      for (std::size_t i = 0; i < requests.size(); ++i) ask_one(std::move(requests[i]), i, to);
      return;
    }
    for (const std::uint64_t i : order_of(item, requests.size(), order_seed)) {
      ask_one(std::move(requests[i]), i, to);
    }
  }

  template <class Request>
  void ask_one(Request request, std::size_t span, std::vector<Request>& to) {
    request.id = ids.next();
    owners.emplace(request.id, Owner{slots.size() - 1, span});
    ++slots.back().open;
    to.push_back(std::move(request));
  }

  /// The first of the items that failed with the call, as the others of it were answered before.
  std::vector<std::uint64_t> open_items() const {
    std::vector<std::uint64_t> items;
    for (const Slot& slot : slots) {
      if (slot.failure && items.size() < kMaxItemFailures) items.push_back(slot.item.index);
    }
    return items;
  }

  // Whether this was the last open request of its item.
  bool take(std::uint64_t id, Result<Score> score) {
    const Owner& owner = owners.at(id);
    Slot& slot = slots[owner.slot];
    if (score) {
      slot.scores[owner.span] = std::move(*score);
    } else {
      slot.failure = std::move(score).error();
    }
    return --slot.open == 0;
  }
  bool take(std::uint64_t id, Result<Generation> said) {
    Slot& slot = slots[owners.at(id).slot];
    if (said) {
      slot.said = std::move(*said);
    } else {
      slot.failure = std::move(said).error();
    }
    return --slot.open == 0;
  }

  Result<void> run(Progress& progress) {
    const auto sink = [&](std::uint64_t id, auto answer) {
      if (take(id, std::move(answer))) progress.advance();
    };
    Session& session = *variant.session;
    const bool generates = task.protocol == Protocol::kGenerate;
    if (variant.tokenizer == nullptr) {
      if (!generates) return session.score_texts(to_score_texts, sink);
      return session.generate_texts(to_generate_texts, decoding_of(task.generate, {}), sink);
    }
    if (!generates) return session.score(to_score, sink);
    return session.generate(to_generate,
                            decoding_of(task.generate, variant.tokenizer->end_tokens()), sink);
  }

  /// The row of an answered item; notes in its slot why it has no figures.
  Json row(Slot& slot, const Filters& filters) const {
    if (slot.failure) return failed_row(std::move(slot.item), "failed");
    if (slot.item.status != "ok") {
      std::string status = slot.item.status;
      return failed_row(std::move(slot.item), std::move(status));
    }
    if (!slot.said) return finish_row(std::move(slot.item), task.protocol, slot.scores);
    auto finished = finish_generation(slot.item, filters, *slot.said);
    if (finished) return std::move(*finished);
    slot.failure = std::move(finished).error();
    return failed_row(std::move(slot.item), "failed");
  }
};

Scoring::Scoring(const Graph& graph, std::filesystem::path out, Sources& sources,
                 const Calibrations& calibrations, QuantizeOptions options)
    : graph_(graph),
      out_(std::move(out)),
      sources_(sources),
      calibrations_(calibrations),
      options_(std::move(options)),
      progress_(options_.progress),
      cancelled_(*options_.cancelled),
      request_order_seed_(seed_from("request order:" + std::to_string(graph.seed))),
      request_ids_(seed_from("request ids:" + std::to_string(graph.seed))) {}

void Scoring::note(const ModelSpec& model, const std::string& task, Failure failure) {
  failures_.push_back({model.name, task, std::nullopt, std::move(failure)});
}

/// What is kept now, and peaks that begin anew. Figures that cannot be had are not known, which the
/// log explains; they are no reason to give a variant up.
std::vector<DeviceMemory> Scoring::memory_of(Variant& variant) const {
  auto memory = variant.session->memory();
  const auto reset = memory ? variant.session->reset_memory_peaks() : Result<void>(memory.error());
  if (memory && reset) return std::move(*memory);
  log(LogLevel::kWarn,
      "model." + variant.model->name + ": its memory is not known: " + reset.error().text);
  return {};
}

/// Loads a model. One that is simulated may look at a calibration and tell of its layers.
Result<ModelInfo> Scoring::load(const ModelSpec& model, Session& session, std::uint64_t longest,
                                const MadeCalibration* calibration, VariantOutcome& outcome) {
  if (!model.is_simulated) return session.load(longest);
  LayerTable layers;
  Rounding rounding;
  rounding.layers = [&layers](std::string_view layer, std::string_view name, double value) {
    layers.add(layer, name, value);
  };
  if (calibration != nullptr) rounding.calibration = calibration->requests;
  auto info = session.load(longest, rounding);
  if (info) {
    outcome.quantization =
        QuantizedForm{true, "", {}, calibration_json(graph_, calibration), layers.take()};
  }
  return info;
}

Result<Scoring::Variant> Scoring::open(std::size_t index, VariantOutcome& outcome) {
  const ModelSpec& model = graph_.models[index];
  const Component& backend = *model.backend.component;
  const bool takes_tokens = !is_text_only(backend);
  std::uint64_t longest = 0;
  bool chats = false;
  for (const TaskSpec& task : graph_.tasks) {
    longest = std::max(longest, task.perplexity.window);
    chats = chats || (takes_tokens && task.prompt.is_chat && runs_on(task, index));
  }
  const auto calibration = calibrations_.of(index);
  if (!calibration) return calibration.error();
  if (*calibration != nullptr) outcome.overlapping = overlapping_items(**calibration);
  ModelSpec loaded = model;
  if (model.is_quantized) {
    auto form = quantize(graph_, index, *calibration, options_);
    if (!form) return std::move(form).error();
    loaded = model_of(model, *form);
    outcome.quantization = std::move(*form);
  }
  const auto meter = std::make_shared<LoadMeter>();
  if (model.is_simulated && *calibration != nullptr) {
    meter->begin(progress_, "simulating " + model.name);
  }
  auto session = open_session(
      loaded, graph_.seed, cancelled_,
      [meter](double fraction, std::string_view what) { meter->reach(fraction, what); });
  if (!session) return std::move(session).error();
  Variant variant{&model, std::move(*session), {}, nullptr, nullptr};
  const auto find_tokenizer = [&]() -> Result<void> {
    auto found = variant.session->tokenizer();
    if (!found) return std::move(found).error();
    variant.tokenizer = *found;
    return {};
  };
  const auto find_template = [&]() -> Result<void> {
    auto found = variant.session->chat_template();
    if (!found) return std::move(found).error();
    variant.chat = *found;
    return {};
  };
  // What is not the backend's to know is looked at first: loading may take minutes.
  const bool brings_tokenizer = offers(backend, ASSAY_BACKEND_TOKENIZER_1);
  const bool brings_template = offers(backend, ASSAY_BACKEND_TEMPLATE_1);
  if (takes_tokens && !brings_tokenizer) {
    if (auto found = find_tokenizer(); !found) return std::move(found).error();
  }
  if (chats && !brings_template) {
    if (auto found = find_template(); !found) return std::move(found).error();
  }
  const Stopwatch loading;
  auto info = load(model, *variant.session, longest, *calibration, outcome);
  meter->end();
  if (!info) return std::move(info).error();
  variant.load_seconds = loading.seconds();
  variant.info = *info;
  if (takes_tokens && brings_tokenizer) {
    if (auto found = find_tokenizer(); !found) return std::move(found).error();
  }
  if (chats && brings_template) {
    if (auto found = find_template(); !found) return std::move(found).error();
  }
  if (takes_tokens && info->vocab > 0 && variant.tokenizer->vocabulary() > info->vocab) {
    log(LogLevel::kWarn, "model." + model.name + ": the tokenizer knows " +
                             std::to_string(variant.tokenizer->vocabulary()) +
                             " tokens, the embedding has " + std::to_string(info->vocab) +
                             "; items that need the others fail");
  }
  return variant;
}

Result<VariantOutcome> Scoring::variant(std::size_t index) {
  const ModelSpec& model = graph_.models[index];
  VariantOutcome outcome;
  auto opened = open(index, outcome);
  if (!opened) {
    note(model, "", std::move(opened).error());
    return outcome;
  }
  Variant& variant = *opened;
  outcome.load_seconds = variant.load_seconds;
  outcome.info = variant.info;
  if (variant.tokenizer != nullptr) {
    outcome.tokenizer_fingerprint = variant.tokenizer->fingerprint();
  }
  if (variant.chat != nullptr) outcome.chat_fingerprint = variant.chat->fingerprint();
  outcome.memory = memory_of(variant);

  outcome.status = Status::kComplete;
  for (std::size_t t = 0; t < graph_.tasks.size(); ++t) {
    if (!runs_on(graph_.tasks[t], index)) continue;
    if (cancelled_) {
      outcome.status = Status::kPartial;
      break;
    }
    auto scored = task(t, variant);
    if (!scored && scored.error().code != ASSAY_CANCELLED) {
      if (ends_the_run(scored.error(), out_)) return std::move(scored).error();
      note(model, graph_.tasks[t].name, std::move(scored).error());
      outcome.status = Status::kFailed;
      continue;
    }
    if (scored && scored->status != Status::kFailed) scored->memory = memory_of(variant);
    if (scored) outcome.tasks[t] = *scored;
    const bool is_partial = !scored || scored->status == Status::kPartial;
    if (is_partial && outcome.status == Status::kComplete) outcome.status = Status::kPartial;
    if (scored && scored->status == Status::kFailed) {
      outcome.status = Status::kFailed;
      break;
    }
  }
  return outcome;
}

Result<Scoring::Prepared*> Scoring::prepared(std::size_t index, const Variant& variant) {
  const TaskSpec& spec = graph_.tasks[index];
  const Tokenizer* tokenizer = variant.tokenizer;
  const bool chats = spec.prompt.is_chat && variant.chat != nullptr;
  const auto key = std::pair(index, (tokenizer != nullptr ? tokenizer->fingerprint() : "texts") +
                                        (chats ? variant.chat->fingerprint() : ""));
  if (const auto found = prepared_.find(key); found != prepared_.end()) return &found->second;
  auto items = sources_.records(spec.dataset);
  if (!items) return std::move(items).error();
  auto shots = *items;
  if (spec.prompt.shots > 0) {
    auto pool = sources_.records(spec.prompt.shots_from);
    if (!pool) return std::move(pool).error();
    shots = *pool;
  }
  auto spool = Spool::create(out_);
  if (!spool) return std::move(spool).error();
  {
    const std::string what =
        (tokenizer != nullptr ? "tokenizing " : "writing the prompts of ") + spec.name;
    Progress progress(progress_, what, items->size);
    const ItemSink sink = [&](PreparedItem item) -> Result<void> {
      if (cancelled_) return Failure{ASSAY_CANCELLED, "interrupted while " + what};
      progress.advance();
      return spool->append(to_bytes(item));
    };
    auto done = tokenizer != nullptr ? prepare(spec, *tokenizer, variant.chat, *items, shots, sink)
                                     : prepare_texts(spec, *items, shots, sink);
    if (!done) return std::move(done).error();
  }
  // With `join` the limit has already cut the documents that were joined.
  const bool is_joined = spec.protocol == Protocol::kPerplexity && spec.perplexity.join;
  const std::uint64_t n = spool->size();
  const std::uint64_t to_score = spec.limit == 0 || is_joined ? n : std::min(n, spec.limit);
  return &prepared_.emplace(key, Prepared{std::move(*spool), to_score}).first->second;
}

Result<void> Scoring::check_lengths(const TaskSpec& task, const Variant& variant) const {
  const std::uint64_t context = variant.info.max_context;
  if (context == 0 || variant.tokenizer == nullptr) return {};
  const std::string of_model =
      " the context of model." + variant.model->name + ", " + std::to_string(context) + " tokens; ";
  if (task.protocol == Protocol::kPerplexity && task.perplexity.window > context) {
    return Failure{ASSAY_FAILED_PRECONDITION, "window = " + std::to_string(task.perplexity.window) +
                                                  " is longer than" + of_model +
                                                  "use a window of at most that"};
  }
  if (task.protocol == Protocol::kGenerate && task.generate.max_new_tokens >= context) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   "max_new_tokens = " + std::to_string(task.generate.max_new_tokens) +
                       " leaves no room for a prompt in" + of_model + "use fewer"};
  }
  return {};
}

Result<TaskOutcome> Scoring::task(std::size_t index, Variant& variant) {
  const TaskSpec& spec = graph_.tasks[index];
  const ModelSpec& model = *variant.model;
  if (auto fits = check_lengths(spec, variant); !fits) return std::move(fits).error();
  auto filters = Filters::compile(spec.generate.filters);
  if (!filters) return std::move(filters).error();
  auto items = prepared(index, variant);
  if (!items) return std::move(items).error();
  const std::filesystem::path path = rows_path(out_, model.name, spec.name);
  if (auto made = make_folder(path.parent_path()); !made) return std::move(made).error();
  auto writer = RowWriter::create(path);
  if (!writer) return std::move(writer).error();

  TaskOutcome outcome;
  outcome.status = Status::kComplete;
  outcome.counts.items = (*items)->to_score;
  const Stopwatch scoring;
  Progress progress(progress_,
                    (spec.protocol == Protocol::kGenerate ? "generating " : "scoring ") +
                        model.name + " on " + spec.name,
                    outcome.counts.items);
  std::uint64_t next = 0;
  while (next < outcome.counts.items && outcome.status == Status::kComplete) {
    Unit unit{spec, variant, request_order_seed_, request_ids_};
    for (std::uint64_t tokens = 0;
         next < outcome.counts.items && tokens < kUnitTokens && unit.slots.size() < kUnitItems;) {
      auto bytes = (*items)->spool.read(next++);
      if (!bytes) return std::move(bytes).error();
      PreparedItem item = prepared_from_bytes(*bytes);
      tokens += tokens_of(item, spec);
      unit.add(std::move(item));
    }
    auto ran = unit.run(progress);
    if (!ran && ran.error().code != ASSAY_CANCELLED) {
      note(model, spec.name, ran.error());
      failures_.back().items_in_flight = unit.open_items();
      outcome.status = Status::kFailed;
    }

    std::vector<Json> rows;
    for (Unit::Slot& slot : unit.slots) {
      if (slot.failure && (slot.failure->code == ASSAY_CANCELLED || !ran)) {
        if (outcome.status == Status::kComplete) outcome.status = Status::kPartial;
        continue;
      }
      const std::uint64_t item = slot.item.index;
      Json row = unit.row(slot, *filters);
      count(row, outcome.counts);
      const std::string ended = row.at("status");
      if (ended != "ok" && !ended.starts_with("empty") &&
          outcome.counts.failed <= kMaxItemFailures) {
        Failure failure = slot.failure.value_or(Failure{ASSAY_INTERNAL, sentence_for(ended)});
        failures_.push_back({model.name, spec.name, item, std::move(failure)});
      }
      rows.push_back(std::move(row));
    }
    add_samples(spec, rows, spec.seed);
    for (const Json& row : rows) {
      if (auto written = writer->write(row); !written) return std::move(written).error();
    }
    if (cancelled_ && next < outcome.counts.items && outcome.status == Status::kComplete) {
      outcome.status = Status::kPartial;
    }
  }
  outcome.score_seconds = scoring.seconds();
  if (auto closed = writer->close(); !closed) return std::move(closed).error();
  return outcome;
}

}  // namespace assay::host
