#include "host/worker/remote.hpp"

#include <assay/ext.h>

#include <algorithm>
#include <assay/arrow.hpp>
#include <map>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/worker/wire.hpp"

namespace assay::host {
namespace {

Failure about(const Component& component, Failure failure, const Worker& worker) {
  failure.text = std::string(component.id()) + ": " + failure.text;
  failure.log = worker.last_lines();
  return failure;
}

Failure garbled(const Component& component) {
  return {ASSAY_INTERNAL, std::string(component.id()) +
                              ": misbehaviour: its process gave an answer that cannot be read"};
}

void put_lease(WireWriter& out, const Lease& lease) {
  assay_device device = lease.device;
  if (device.type == 2) device.id = 0;  // the only one its process sees
  out.text(lease.node).put(lease.threads).put(lease.host_bytes).put(device).put(lease.seed);
}

void put_job(WireWriter& out, const assay_job& job) {
  out.put(job.want).text(job.model_dir).put(job.batch).put(job.context).text(job.out_dir);
  out.put<std::uint8_t>(job.layers != nullptr).put<std::uint8_t>(job.calibration != nullptr);
  if (job.calibration != nullptr) put_batch(out, *job.calibration);
}

/// What an answer begins with: a Failure of the host's own code over there, or none.
Result<std::string> ask(Worker& worker, const Component& component, Word word,
                        const std::string& question) {
  auto answer = worker.ask(word, question);
  if (!answer) return about(component, std::move(answer).error(), worker);
  WireReader in(*answer);
  if (in.get<std::uint8_t>() == 0) return get_failure(in);
  if (!in.is_whole()) return garbled(component);
  return std::string(in.rest());
}

/// Passes the events of a run to the host's sink. A non-zero answer goes back as kStop.
class Events {
 public:
  Events(Worker& worker, const assay_result_sink& sink) : worker_(worker), sink_(sink) {}

  void take(Word word, std::string_view payload) {
    WireReader in(payload);
    const auto id = in.get<std::uint64_t>();
    if (word == Word::kScores) {
      const auto first = in.get<std::uint64_t>();
      const auto logprobs = in.array<float>();
      const auto greedy = in.array<std::uint8_t>();
      const auto n = in.get<std::uint64_t>();
      if (!in.is_whole() || (logprobs && logprobs->size() != n) || (greedy && greedy->size() != n))
        return;
      stop_if(id,
              sink_.scores(sink_.ctx, id, first, data_or_null(logprobs), data_or_null(greedy), n));
    } else if (word == Word::kLogits) {
      logits(id, in);
    } else if (word == Word::kTokens) {
      const auto tokens = in.array<std::int32_t>();
      const auto logprobs = in.array<float>();
      if (!in.is_whole() || !tokens || (logprobs && logprobs->size() != tokens->size())) return;
      stop_if(id,
              sink_.tokens(sink_.ctx, id, tokens->data(), data_or_null(logprobs), tokens->size()));
    } else if (word == Word::kDone) {
      const bool has_failure = in.get<std::uint8_t>() != 0;
      const assay_error failure = has_failure ? get_error(in) : assay_error{};
      const bool has_usage = in.get<std::uint8_t>() != 0;
      const auto usage = has_usage ? in.get<assay_usage>() : assay_usage{};
      if (!in.is_whole()) return;
      sink_.done(sink_.ctx, id, has_failure ? &failure : nullptr, has_usage ? &usage : nullptr);
    }
  }

 private:
  /// Rows are read where they lie: they are numbers, and nothing is decided from them twice.
  void logits(std::uint64_t id, WireReader& in) {
    const auto first = in.get<std::uint64_t>();
    const std::int64_t shape[2] = {in.get<std::int64_t>(), in.get<std::int64_t>()};
    const auto code = static_cast<std::uint8_t>(in.get<std::uint64_t>());
    const auto bits = static_cast<std::uint8_t>(in.get<std::uint64_t>());
    const std::string_view bytes = in.rest();
    const std::uint64_t row = static_cast<std::uint64_t>(shape[1]) * bits / 8;
    if (!in.is_whole() || shape[0] < 0 || shape[1] <= 0 || (bits != 16 && bits != 32) ||
        bytes.size() / row != static_cast<std::uint64_t>(shape[0]) || bytes.size() % row != 0) {
      return;
    }
    assay_tensor rows{};
    rows.data = const_cast<char*>(bytes.data());
    rows.device = {1, 0};
    rows.ndim = 2;
    rows.code = code;
    rows.bits = bits;
    rows.lanes = 1;
    rows.shape = shape;
    stop_if(id, sink_.logits(sink_.ctx, id, first, &rows));
  }

  void stop_if(std::uint64_t id, std::int32_t answer) {
    if (answer == 0) return;
    WireWriter out;
    out.put(id);
    worker_.tell(Word::kStop, 0, out.bytes());
  }

  Worker& worker_;
  const assay_result_sink& sink_;
};

/// The tables a reporter asked for, open on this side.
class LentTables {
 public:
  LentTables(Worker& worker, const assay_report& report) : worker_(worker), report_(report) {}

  void take(Word word, std::string_view payload) {
    WireReader in(payload);
    const auto upcall = in.get<std::uint64_t>();
    WireWriter out;
    if (word == Word::kTable) {
      open(in.copy(), out);
    } else if (word == Word::kTableBatch) {
      next(in.get<std::uint64_t>(), out);
    } else if (word == Word::kTableRelease) {
      open_.erase(in.get<std::uint64_t>());
      return;
    } else {
      return;
    }
    worker_.tell(Word::kReply, upcall, out.bytes());
  }

 private:
  struct Open {
    Stream stream;
    Schema schema;
  };

  void open(const std::string& name, WireWriter& out) {
    Open table;
    assay_error error{};
    error.struct_size = sizeof error;
    const assay_status status =
        report_.table(report_.ctx, str_of(name), table.stream.out(), &error);
    out.put(status);
    if (status != ASSAY_OK) return put_error(out, error);
    table.schema = read_schema(table.stream, name);
    const std::uint64_t id = next_++;
    out.put(id);
    put_field(out, read_field(*table.schema));
    open_.emplace(id, std::move(table));
  }

  /// 0 and rows, 0 and nothing at the end, or errno and a text.
  void next(std::uint64_t id, WireWriter& out) {
    const auto found = open_.find(id);
    if (found == open_.end()) {
      out.put<std::int32_t>(EINVAL).text(std::string_view("no such table is open"));
      return;
    }
    Open& table = found->second;
    Array batch;
    const int code = table.stream->get_next(table.stream.get(), batch.out());
    out.put<std::int32_t>(code);
    if (code != 0) {
      const char* text = table.stream->get_last_error(table.stream.get());
      out.text(std::string_view(text != nullptr ? text : ""));
    } else if (out.put<std::uint8_t>(static_cast<bool>(batch)); batch) {
      put_rows(out, *table.schema, *batch);
    }
  }

  Worker& worker_;
  const assay_report& report_;
  std::map<std::uint64_t, Open> open_;
  std::uint64_t next_ = 1;
};

class RemoteInstance final : public Remote {
 public:
  RemoteInstance(std::unique_ptr<Worker> worker, const Component& component, WireReader& in,
                 GiveBack give_back)
      : worker_(std::move(worker)), component_(component), give_back_(std::move(give_back)) {
    // Which slots of the tables are filled over there.
    const auto slots = in.get<std::uint64_t>();
    const auto n = in.get<std::uint64_t>();
    for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
      std::string id = in.copy();
      offer(id, in);
    }
    fill(slots);
  }

  ~RemoteInstance() override {
    const bool is_fine = worker_->ask(Word::kDestroy, {}).has_value();
    if (is_fine && give_back_) give_back_(std::move(worker_));
  }

  void* self() const override { return const_cast<RemoteInstance*>(this); }
  const void* api() const override {
    switch (component_.constants->kind) {
      case ASSAY_BACKEND:
        return &backend_;
      case ASSAY_DATASET:
        return &dataset_;
      case ASSAY_METRIC:
        return &metric_;
      default:
        return &reporter_;
    }
  }
  const void* extension(std::string_view id) const override {
    const auto found = extensions_.find(std::string(id));
    return found == extensions_.end() ? nullptr : found->second;
  }
  std::vector<std::string> last_lines() const override { return worker_->last_lines(); }

  Worker& worker() { return *worker_; }

 private:
  static RemoteInstance& of(void* self) { return *static_cast<RemoteInstance*>(self); }

  /// Asks, fills the caller's error, and lets `take` read what a call that went well gives.
  template <class Take>
  assay_status call(assay_error* error, Word word, const std::string& question,
                    const Worker::OnEvent& on_event, Take&& take) {
    auto answer = worker_->ask(word, question, {}, on_event);
    if (!answer) return put(error, answer.error().code, "", answer.error().text);
    WireReader in(*answer);
    const auto status = in.get<assay_status>();
    if (status != ASSAY_OK) {
      const assay_error theirs = get_error(in);
      return put(error, status, mended_utf8(theirs.where), mended_utf8(theirs.text));
    }
    take(in);
    if (in.is_whole()) return ASSAY_OK;
    return put(error, ASSAY_INTERNAL, "",
               "misbehaviour: its process gave an answer that cannot be read");
  }
  assay_status call(assay_error* error, Word word, const std::string& question,
                    const Worker::OnEvent& on_event = {}) {
    return call(error, word, question, on_event, [](WireReader&) {});
  }

  // ---- backend ----

  static assay_status load(void* self, const assay_job* job, assay_model_info* out,
                           assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      put_job(question, *job);
      return of(self).call(
          error, Word::kLoad, question.bytes(), layers_to(job->layers), [&](WireReader& in) {
            const auto info = in.get<assay_model_info>();
            if (!in.is_whole()) return;
            const std::uint32_t size = out->struct_size;
            std::memcpy(static_cast<void*>(out), &info, std::min<std::size_t>(size, sizeof info));
            out->struct_size = size;
          });
    });
  }

  static Worker::OnEvent layers_to(const assay_layer_sink* layers) {
    return [layers](Word word, std::string_view payload) {
      if (word != Word::kLayer || layers == nullptr) return;
      WireReader in(payload);
      const std::string layer = mended_utf8(in.text()), name = mended_utf8(in.text());
      const auto value = in.get<double>();
      if (in.is_whole()) layers->value(layers->ctx, str_of(layer), name.c_str(), value);
    };
  }

  static assay_status quantize(void* self, const assay_job* job, assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      put_job(question, *job);
      return of(self).call(error, Word::kQuantize, question.bytes(), layers_to(job->layers));
    });
  }

  static assay_status run(void* self, const assay_batch* batch, const assay_result_sink* sink,
                          assay_error* error) noexcept {
    return walled(error, [&] {
      RemoteInstance& remote = of(self);
      WireWriter question;
      put_batch(question, *batch);
      Events events(*remote.worker_, *sink);
      return remote.call(
          error, Word::kRun, question.bytes(),
          [&events](Word word, std::string_view payload) { events.take(word, payload); });
    });
  }

  static assay_status run_text(void* self, const assay_text_batch* batch,
                               const assay_text_sink* sink, assay_error* error) noexcept {
    return walled(error, [&] {
      RemoteInstance& remote = of(self);
      WireWriter question;
      put_text_batch(question, *batch);
      return remote.call(
          error, Word::kRunText, question.bytes(),
          [&](Word word, std::string_view payload) { remote.take_text(word, payload, *sink); });
    });
  }

  void take_text(Word word, std::string_view payload, const assay_text_sink& sink) {
    WireReader in(payload);
    const auto id = in.get<std::uint64_t>();
    std::int32_t told = 0;
    if (word == Word::kText) {
      const std::string piece = in.copy();
      const auto n_tokens = in.get<std::uint64_t>();
      if (in.is_whole()) told = sink.text(sink.ctx, id, str_of(piece), n_tokens);
    } else if (word == Word::kTextScores) {
      const auto begin = in.get<std::int64_t>();
      const auto end = in.array<std::int64_t>();
      const auto logprobs = in.array<float>();
      const auto greedy = in.array<std::uint8_t>();
      if (!in.is_whole() || !end || (logprobs && logprobs->size() != end->size()) ||
          (greedy && greedy->size() != end->size())) {
        return;
      }
      told = sink.scores(sink.ctx, id, begin, end->data(), data_or_null(logprobs),
                         data_or_null(greedy), end->size());
    } else if (word == Word::kTextDone) {
      const bool has_failure = in.get<std::uint8_t>() != 0;
      const assay_error failure = has_failure ? get_error(in) : assay_error{};
      const bool has_usage = in.get<std::uint8_t>() != 0;
      const auto usage = has_usage ? in.get<assay_usage>() : assay_usage{};
      if (!in.is_whole()) return;
      sink.done(sink.ctx, id, has_failure ? &failure : nullptr, has_usage ? &usage : nullptr);
    }
    if (told == 0) return;
    WireWriter out;
    out.put(id);
    worker_->tell(Word::kStop, 0, out.bytes());
  }

  static assay_status read_memory(void* self, std::uint64_t nth, assay_memory* out,
                                  assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.put(nth);
      return of(self).call(error, Word::kReadMemory, question.bytes(), {}, [&](WireReader& in) {
        const auto memory = in.get<assay_memory>();
        if (!in.is_whole()) return;
        const std::uint32_t size = out->struct_size;
        std::memcpy(static_cast<void*>(out), &memory, std::min<std::size_t>(size, sizeof memory));
        out->struct_size = size;
      });
    });
  }
  static assay_status reset_peaks(void* self, assay_error* error) noexcept {
    return walled(error, [&] { return of(self).call(error, Word::kResetPeaks, {}); });
  }

  /// Answers that come in a caller's buffer: whole over there, cut to what fits here.
  template <class T>
  assay_status fill_buffer(Word word, const std::string& question, T* out, std::uint64_t cap,
                           std::uint64_t* n, assay_error* error) {
    return call(error, word, question, {}, [&](WireReader& in) {
      const auto values = in.array<T>().value_or(std::vector<T>());
      if (!in.is_whole()) return;
      *n = values.size();
      if (*n <= cap) std::copy(values.begin(), values.end(), out);
    });
  }

  static assay_status encode(void* self, assay_str text, std::uint32_t flags, std::int32_t* out,
                             std::uint64_t cap, std::uint64_t* n, assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.put(flags).text(text);
      return of(self).fill_buffer(Word::kEncode, question.bytes(), out, cap, n, error);
    });
  }
  static assay_status decode(void* self, const std::int32_t* tokens, std::uint64_t n_tokens,
                             std::uint32_t flags, char* out, std::uint64_t cap, std::uint64_t* n,
                             assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.put(flags).array(n_tokens > 0 ? tokens : nullptr, n_tokens);
      return of(self).fill_buffer(Word::kDecode, question.bytes(), out, cap, n, error);
    });
  }
  static assay_status ends(void* self, std::int32_t* out, std::uint64_t cap, std::uint64_t* n,
                           assay_error* error) noexcept {
    return walled(error, [&] { return of(self).fill_buffer(Word::kEnds, {}, out, cap, n, error); });
  }
  assay_status fingerprint(Word word, std::uint8_t* sha256, assay_error* error) {
    return call(error, word, {}, {}, [&](WireReader& in) {
      const auto digest = in.array<std::uint8_t>();
      if (!digest || digest->size() != 32) return in.break_off();
      std::copy(digest->begin(), digest->end(), sha256);
    });
  }
  static assay_status tokenizer_fingerprint(void* self, std::uint8_t sha256[32],
                                            assay_error* error) noexcept {
    return walled(error,
                  [&] { return of(self).fingerprint(Word::kTokenizerFingerprint, sha256, error); });
  }
  static assay_status template_fingerprint(void* self, std::uint8_t sha256[32],
                                           assay_error* error) noexcept {
    return walled(error,
                  [&] { return of(self).fingerprint(Word::kTemplateFingerprint, sha256, error); });
  }
  static assay_status render(void* self, const assay_messages* messages, assay_str variables,
                             std::uint32_t flags, char* out, std::uint64_t cap, std::uint64_t* n,
                             assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.put(flags).text(variables);
      put_messages(question, *messages);
      return of(self).fill_buffer(Word::kRender, question.bytes(), out, cap, n, error);
    });
  }

  // ---- dataset ----

  static assay_status open(void* self, assay_str split, ArrowArrayStream* out,
                           assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.text(split);
      return of(self).open_stream(Word::kOpenStream, question.bytes(), out, error);
    });
  }
  static assay_status take(void* self, assay_str split, const std::uint64_t* rows, std::uint64_t n,
                           ArrowArrayStream* out, assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      question.text(split).array(n > 0 ? rows : nullptr, n);
      return of(self).open_stream(Word::kTake, question.bytes(), out, error);
    });
  }

  /// A stream whose batches are asked for one by one.
  assay_status open_stream(Word word, const std::string& question, ArrowArrayStream* out,
                           assay_error* error) {
    return call(error, word, question, {}, [&](WireReader& in) {
      const auto id = in.get<std::uint64_t>();
      const auto table = get_field(in);
      if (!table || table->type != Type::kStruct) return in.break_off();
      *out = make_stream(table->children,
                         [this, table = *table, release = Released{this, id}](ArrowArray* batch) {
                           return next(release.id(), table, batch);
                         });
    });
  }

  /// Tells the worker when the stream that holds it is released.
  class Released {
   public:
    Released(RemoteInstance* remote, std::uint64_t id)
        : held_(std::make_shared<Held>(Held{remote, id})) {}
    std::uint64_t id() const { return held_->id; }

   private:
    struct Held {
      RemoteInstance* remote;
      std::uint64_t id;
      Held(RemoteInstance* of, std::uint64_t number) : remote(of), id(number) {}
      Held(Held&& other) noexcept : remote(std::exchange(other.remote, nullptr)), id(other.id) {}
      ~Held() {
        if (remote == nullptr) return;
        WireWriter question;
        question.put(id);
        (void)remote->worker_->ask(Word::kReleaseStream, question.bytes()).has_value();
      }
    };
    std::shared_ptr<Held> held_;
  };

  bool next(std::uint64_t id, const Field& table, ArrowArray* out) {
    WireWriter question;
    question.put(id);
    assay_error error{};
    error.struct_size = sizeof error;
    bool has_batch = false;
    const assay_status status =
        call(&error, Word::kNextBatch, question.bytes(), {}, [&](WireReader& in) {
          has_batch = in.get<std::uint8_t>() != 0;
          if (!has_batch) return;
          auto rows = get_rows(in, table);
          if (!rows) return in.break_off();
          *out = *rows;
        });
    if (status != ASSAY_OK) throw Error(status, error.where, error.text);
    return has_batch;
  }

  static assay_status splits(void* self, const assay_split_sink* sink,
                             assay_error* error) noexcept {
    return walled(error, [&] {
      return of(self).call(error, Word::kSplits, {}, {}, [&](WireReader& in) {
        const auto n = in.get<std::uint64_t>();
        for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
          const std::string name = in.copy();
          const auto rows = in.get<std::uint64_t>();
          if (in.is_whole()) sink->split(sink->ctx, str_of(name), rows);
        }
      });
    });
  }

  // ---- metric ----

  static assay_status update(void* self, const ArrowSchema* schema, const ArrowArray* rows,
                             const assay_value_sink* sink, assay_error* error) noexcept {
    return walled(error, [&] {
      WireWriter question;
      put_field(question, read_field(*schema));
      put_rows(question, *schema, *rows);
      return of(self).call(error, Word::kUpdate, question.bytes(), {},
                           [&](WireReader& in) { take_values(in, *sink); });
    });
  }
  static assay_status finish(void* self, const assay_value_sink* sink,
                             assay_error* error) noexcept {
    return walled(error, [&] {
      return of(self).call(error, Word::kFinish, {}, {},
                           [&](WireReader& in) { take_values(in, *sink); });
    });
  }
  static void take_values(WireReader& in, const assay_value_sink& sink) {
    const auto n_samples = in.get<std::uint64_t>();
    for (std::uint64_t i = 0; i < n_samples && in.is_whole(); ++i) {
      const auto row = in.get<std::uint64_t>();
      const std::string name = in.copy();
      const auto value = in.get<double>();
      if (in.is_whole()) sink.sample(sink.ctx, row, name.c_str(), value);
    }
    const auto n_totals = in.get<std::uint64_t>();
    for (std::uint64_t i = 0; i < n_totals && in.is_whole(); ++i) {
      const std::string name = in.copy();
      const auto value = in.get<double>(), std_error = in.get<double>();
      const auto n = in.get<std::uint64_t>();
      if (in.is_whole()) sink.total(sink.ctx, name.c_str(), value, std_error, n);
    }
  }
  static assay_status totals(void* self, const double* sums, const double* items, std::uint64_t n,
                             double* out, assay_error* error) noexcept {
    return walled(error, [&] {
      RemoteInstance& remote = of(self);
      WireWriter question;
      question.put(n).array(sums, n * remote.sums_.n_terms).array(items, n);
      return remote.call(error, Word::kTotals, question.bytes(), {}, [&](WireReader& in) {
        const auto values = in.array<double>();
        if (!values || values->size() != n * remote.component_.constants->n_outputs) {
          return in.break_off();
        }
        std::copy(values->begin(), values->end(), out);
      });
    });
  }

  // ---- reporter ----

  static assay_status write(void* self, const assay_report* report, assay_error* error) noexcept {
    return walled(error, [&] {
      RemoteInstance& remote = of(self);
      WireWriter question;
      question.text(report->run_json);
      LentTables tables(*remote.worker_, *report);
      return remote.call(
          error, Word::kWrite, question.bytes(),
          [&tables](Word word, std::string_view payload) { tables.take(word, payload); });
    });
  }

  /// Runs a body that gives a status; what it throws ends here.
  template <class Body>
  static assay_status walled(assay_error* error, Body&& body) noexcept {
    assay_status status = ASSAY_OK;
    const assay_status thrown = wall(error, [&] { status = body(); });
    return thrown != ASSAY_OK ? thrown : status;
  }

  /// Takes note of an extension the component has over there.
  void offer(const std::string& id, WireReader& in) {
    const auto slots = in.get<std::uint64_t>();
    if (id == ASSAY_BACKEND_MEMORY_1) {
      extensions_[id] = &memory_;
    } else if (id == ASSAY_BACKEND_TOKENIZER_1) {
      extensions_[id] = &tokenizer_;
    } else if (id == ASSAY_BACKEND_TEMPLATE_1) {
      extensions_[id] = &template_;
    } else if (id == ASSAY_BACKEND_TEXT_1) {
      extensions_[id] = &text_;
    } else if (id == ASSAY_DATASET_ROWS_1) {
      if ((slots & 1) == 0) rows_.take = nullptr;
      extensions_[id] = &rows_;
    } else if (id == ASSAY_METRIC_SUMS_1) {
      for (std::uint64_t i = 0; i < slots && in.is_whole(); ++i) terms_.push_back(in.copy());
      for (const std::string& term : terms_) term_pointers_.push_back(term.c_str());
      sums_.terms = term_pointers_.data();
      sums_.n_terms = term_pointers_.size();
      extensions_[id] = &sums_;
    }
  }

  void fill(std::uint64_t slots) {
    // estimate is asked before there is an instance: see estimate_there().
    if ((slots & 1) != 0) backend_.quantize = quantize;
    if ((slots & 2) != 0) backend_.run = run;
  }

  std::unique_ptr<Worker> worker_;
  Component component_;
  GiveBack give_back_;
  assay_backend_v1 backend_{sizeof(assay_backend_v1), 0, nullptr, load, nullptr, nullptr};
  assay_dataset_v1 dataset_{sizeof(assay_dataset_v1), 0, open};
  assay_metric_v1 metric_{sizeof(assay_metric_v1), 0, update, finish};
  assay_reporter_v1 reporter_{sizeof(assay_reporter_v1), 0, write};
  assay_backend_memory_v1 memory_{sizeof(assay_backend_memory_v1), 0, read_memory, reset_peaks};
  assay_backend_tokenizer_v1 tokenizer_{
      sizeof(assay_backend_tokenizer_v1), 0, encode, decode, ends, tokenizer_fingerprint};
  assay_backend_template_v1 template_{sizeof(assay_backend_template_v1), 0, render,
                                      template_fingerprint};
  assay_backend_text_v1 text_{sizeof(assay_backend_text_v1), 0, run_text};
  assay_dataset_rows_v1 rows_{sizeof(assay_dataset_rows_v1), 0, splits, take};
  std::vector<std::string> terms_;
  std::vector<const char*> term_pointers_;
  assay_metric_sums_v1 sums_{sizeof(assay_metric_sums_v1), 0, nullptr, 0, totals};
  std::map<std::string, const void*> extensions_;
};

}  // namespace

Result<void> open_there(Worker& worker, const Component& component) {
  WireWriter question;
  question.text(component.plugin->path.string()).text(component.id());
  auto answer = ask(worker, component, Word::kOpen, question.bytes());
  if (!answer) return std::move(answer).error();
  return {};
}

Result<std::unique_ptr<Remote>> create_there(std::unique_ptr<Worker> worker,
                                             const Component& component, const Json& options,
                                             const Lease& lease, GiveBack give_back) {
  WireWriter question;
  put_lease(question, lease);
  question.text(options.dump(-1, ' ', false, Json::error_handler_t::replace));
  auto answer = ask(*worker, component, Word::kCreate, question.bytes());
  if (!answer) return std::move(answer).error();
  WireReader in(*answer);
  auto remote =
      std::make_unique<RemoteInstance>(std::move(worker), component, in, std::move(give_back));
  if (!in.is_whole()) return garbled(component);
  return std::unique_ptr<Remote>(std::move(remote));
}

Result<assay_resources> estimate_there(Worker& worker, const Component& component,
                                       const Json& options, const Lease& lease,
                                       const assay_job& job) {
  WireWriter question;
  put_lease(question, lease);
  question.text(options.dump(-1, ' ', false, Json::error_handler_t::replace));
  put_job(question, job);
  auto answer = ask(worker, component, Word::kEstimate, question.bytes());
  if (!answer) return std::move(answer).error();
  WireReader in(*answer);
  assay_resources need{};
  need.struct_size = sizeof need;
  need.threads = in.get<std::uint32_t>();
  need.host_bytes = in.get<std::uint64_t>();
  need.device_bytes = in.get<std::uint64_t>();
  need.n_devices = in.get<std::uint64_t>();
  if (!in.is_whole()) return garbled(component);
  return need;
}

Result<std::vector<ConfigComplaint>> check_there(Worker& worker, const Component& component,
                                                 const Json& options, const Lease& lease) {
  WireWriter question;
  put_lease(question, lease);
  question.text(options.dump(-1, ' ', false, Json::error_handler_t::replace));
  auto answer = ask(worker, component, Word::kCheckConfig, question.bytes());
  if (!answer) return std::move(answer).error();
  WireReader in(*answer);
  std::vector<ConfigComplaint> complaints;
  const auto n = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    ConfigComplaint complaint;
    complaint.is_error = in.get<std::uint8_t>() != 0;
    complaint.key = mended_utf8(in.text());
    complaint.text = mended_utf8(in.text());
    complaints.push_back(std::move(complaint));
  }
  if (!in.is_whole()) return garbled(component);
  return complaints;
}

Result<Json> scan_there(Worker& worker, const std::filesystem::path& plugin) {
  WireWriter question;
  question.text(plugin.string());
  auto answer = worker.ask(Word::kScan, question.bytes());
  if (!answer) return std::move(answer).error();
  WireReader in(*answer);
  if (in.get<std::uint8_t>() == 0) return get_failure(in);
  Json said = Json::parse(in.rest(), nullptr, false);
  if (said.is_discarded()) {
    return Failure{ASSAY_INTERNAL, "gave a description that cannot be read"};
  }
  return said;
}

Worker& worker_of(Remote& remote) { return static_cast<RemoteInstance&>(remote).worker(); }

}  // namespace assay::host
