#include "host/run/score.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>

#include "host/log/log.hpp"
#include "host/protocol/filters.hpp"
#include "host/protocol/protocol.hpp"
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
  return n;
}

/// A full disk under the output folder: after it no other task or variant can be written either.
bool ends_the_run(const Failure& failure, const std::filesystem::path& out) {
  return failure.code == ASSAY_RESOURCE_EXHAUSTED && failure.where.starts_with(out.string());
}

void count(const Json& row, ItemCounts& counts) {
  const std::string status = row.at("status");
  const auto truncated = row.at("truncated_tokens").get<std::uint64_t>();
  counts.truncated += truncated > 0 ? 1 : 0;
  counts.truncated_tokens += truncated;
  counts.boundary_differs += row.value("boundary_differs", std::uint64_t{0});
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
struct Scoring::Variant {
  const ModelSpec* model;
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat;  ///< where one of its tasks chats
  std::unique_ptr<Session> session;
  ModelInfo info;
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
  const TaskSpec& task;
  std::uint64_t max_context;
  std::vector<Slot> slots = {};
  std::vector<ScoreRequest> to_score = {};
  std::vector<GenerateRequest> to_generate = {};
  std::vector<std::pair<std::size_t, std::size_t>> owner = {};  // by request id: slot, span

  void add(PreparedItem item) {
    Slot slot;
    if (task.protocol == Protocol::kGenerate) {
      if (auto made = generate_request_of(item, task, max_context, owner.size())) {
        to_generate.push_back(std::move(*made));
        slot.open = 1;
      }
    } else {
      auto made = requests_of(item, task.protocol, max_context, owner.size());
      slot.open = made.size();
      std::move(made.begin(), made.end(), std::back_inserter(to_score));
    }
    slot.scores.resize(slot.open);
    for (std::size_t span = 0; span < slot.open; ++span) owner.emplace_back(slots.size(), span);
    slot.item = std::move(item);
    slots.push_back(std::move(slot));
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
    Slot& slot = slots[owner[id].first];
    if (score) {
      slot.scores[owner[id].second] = std::move(*score);
    } else {
      slot.failure = std::move(score).error();
    }
    return --slot.open == 0;
  }
  bool take(std::uint64_t id, Result<Generation> said) {
    Slot& slot = slots[owner[id].first];
    if (said) {
      slot.said = std::move(*said);
    } else {
      slot.failure = std::move(said).error();
    }
    return --slot.open == 0;
  }

  Result<void> run(Variant& variant, Progress& progress) {
    const auto sink = [&](std::uint64_t id, auto answer) {
      if (take(id, std::move(answer))) progress.advance();
    };
    if (task.protocol != Protocol::kGenerate) return variant.session->score(to_score, sink);
    return variant.session->generate(to_generate, decoding_of(task.generate, variant.tokenizer),
                                     sink);
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

Scoring::Scoring(const Graph& graph, std::filesystem::path out, ProgressStyle progress,
                 const std::atomic<bool>& cancelled)
    : graph_(graph),
      out_(std::move(out)),
      progress_(progress),
      cancelled_(cancelled),
      sources_(graph, out_, progress, cancelled) {}

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

Result<Scoring::Variant> Scoring::open(std::size_t index) {
  const ModelSpec& model = graph_.models[index];
  auto tokenizer = Tokenizer::open(model.path);
  if (!tokenizer) return std::move(tokenizer).error();
  std::uint64_t longest = 0;
  bool chats = false;
  for (const TaskSpec& task : graph_.tasks) {
    longest = std::max(longest, task.perplexity.window);
    chats = chats || (task.prompt.is_chat && runs_on(task, index));
  }
  std::optional<ChatTemplate> chat;
  if (chats) {
    auto opened = ChatTemplate::open(model.path);
    if (!opened) return std::move(opened).error();
    chat = std::move(*opened);
  }
  auto session = open_in_process(model, graph_.seed, cancelled_);
  if (!session) return std::move(session).error();
  const Stopwatch loading;
  auto info = (*session)->load(longest);
  if (!info) return std::move(info).error();
  if (info->vocab > 0 && tokenizer->vocabulary() > info->vocab) {
    log(LogLevel::kWarn, "model." + model.name + ": the tokenizer knows " +
                             std::to_string(tokenizer->vocabulary()) +
                             " tokens, the embedding has " + std::to_string(info->vocab) +
                             "; items that need the others fail");
  }
  return Variant{&model, std::move(*tokenizer), std::move(chat), std::move(*session),
                 *info,  loading.seconds()};
}

Result<VariantOutcome> Scoring::variant(std::size_t index) {
  const ModelSpec& model = graph_.models[index];
  VariantOutcome outcome;
  auto opened = open(index);
  if (!opened) {
    note(model, "", std::move(opened).error());
    return outcome;
  }
  Variant& variant = *opened;
  outcome.load_seconds = variant.load_seconds;
  outcome.info = variant.info;
  outcome.tokenizer_fingerprint = variant.tokenizer.fingerprint();
  if (variant.chat) outcome.chat_fingerprint = variant.chat->fingerprint();
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
  const ChatTemplate* chat = variant.chat ? &*variant.chat : nullptr;
  const bool chats = spec.prompt.is_chat && chat != nullptr;
  const auto key =
      std::pair(index, variant.tokenizer.fingerprint() + (chats ? chat->fingerprint() : ""));
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
    Progress progress(progress_, "tokenizing " + spec.name, items->size);
    auto done = prepare(
        spec, variant.tokenizer, chat, *items, shots, [&](PreparedItem item) -> Result<void> {
          if (cancelled_)
            return Failure{ASSAY_CANCELLED, "interrupted while tokenizing " + spec.name};
          progress.advance();
          return spool->append(to_bytes(item));
        });
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
  if (context == 0) return {};
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
    Unit unit{spec, variant.info.max_context};
    for (std::uint64_t tokens = 0;
         next < outcome.counts.items && tokens < kUnitTokens && unit.slots.size() < kUnitItems;) {
      auto bytes = (*items)->spool.read(next++);
      if (!bytes) return std::move(bytes).error();
      PreparedItem item = prepared_from_bytes(*bytes);
      tokens += tokens_of(item, spec);
      unit.add(std::move(item));
    }
    auto ran = unit.run(variant, progress);
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
