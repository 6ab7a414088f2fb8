#include "host/worker/serve.hpp"

#include <assay/ext.h>
#include <unistd.h>

#include <algorithm>
#include <assay/arrow.hpp>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/loader/dataset.hpp"
#include "host/loader/instance.hpp"
#include "host/loader/registry.hpp"
#include "host/loader/scan.hpp"
#include "host/worker/answers.hpp"
#include "host/worker/far_answers.hpp"
#include "host/worker/messages.hpp"
#include "host/worker/wire.hpp"
#include "host/worker/worker.hpp"

namespace assay::host {
namespace {

constexpr std::chrono::milliseconds kTick{20};
constexpr std::uint64_t kLogitsPiece = 2u
                                       << 20;  // bytes sent at once, so that they arrive in place

/// Ends this process and whatever the plugin started.
[[noreturn]] void end_group() {
  ::kill(0, SIGKILL);
  ::_exit(1);
}

/// A question as it is worked on: everything in it is its own.
struct Question {
  Word word;
  std::uint64_t call;
  std::string payload;
};

assay_error fresh_error() {
  assay_error error{};
  error.struct_size = sizeof error;
  return error;
}

Lease get_lease(WireReader& in) {
  Lease lease;
  lease.node = in.copy();
  lease.threads = in.get<std::uint32_t>();
  lease.host_bytes = in.get<std::uint64_t>();
  lease.device = in.get<assay_device>();
  lease.seed = in.get<std::uint64_t>();
  return lease;
}

/// A job and what it points at.
struct Job {
  assay_job job{};
  std::string model_dir, out_dir;
  std::optional<WireBatch> calibration;
  bool wants_layers = false;
};

std::unique_ptr<Job> get_job(WireReader& in) {
  auto made = std::make_unique<Job>();
  assay_job& job = made->job;
  job.struct_size = sizeof job;
  job.want = in.get<std::uint32_t>();
  made->model_dir = in.copy();
  job.batch = in.get<std::uint64_t>();
  job.context = in.get<std::uint64_t>();
  made->out_dir = in.copy();
  made->wants_layers = in.get<std::uint8_t>() != 0;
  if (in.get<std::uint8_t>() != 0) made->calibration = get_batch(in);
  job.model_dir = str_of(made->model_dir);
  job.out_dir = str_of(made->out_dir);
  if (made->calibration) job.calibration = &made->calibration->batch;
  return made;
}

/// What a metric gave during one call.
struct Values {
  struct SampleOf {
    std::uint64_t row;
    std::string name;
    double value;
  };
  struct TotalOf {
    std::string name;
    double value, std_error;
    std::uint64_t n;
  };
  std::mutex lock;
  std::vector<SampleOf> samples;
  std::vector<TotalOf> totals;

  const assay_value_sink sink{
      sizeof(assay_value_sink), 0, this,
      [](void* ctx, std::uint64_t row, const char* name, double value) noexcept {
        auto& values = *static_cast<Values*>(ctx);
        const std::scoped_lock hold(values.lock);
        values.samples.push_back({row, name, value});
      },
      [](void* ctx, const char* name, double value, double std_error, std::uint64_t n) noexcept {
        auto& values = *static_cast<Values*>(ctx);
        const std::scoped_lock hold(values.lock);
        values.totals.push_back({name, value, std_error, n});
      }};

  void put(WireWriter& out) const {
    out.put<std::uint64_t>(samples.size());
    for (const SampleOf& one : samples) out.put(one.row).text(one.name).put(one.value);
    out.put<std::uint64_t>(totals.size());
    for (const TotalOf& one : totals) {
      out.text(one.name).put(one.value).put(one.std_error).put(one.n);
    }
  }
};

class Server {
 public:
  explicit Server(Channel& channel) : channel_(channel) {
    worker_ = std::thread([this] { work(); });
    worker_.detach();
  }

  /// The line itself, on the main thread: calls that may overlap are answered here, the others go
  /// to the one thread that calls the instance.
  [[noreturn]] void listen() {
    for (;;) {
      auto message = channel_.receive(kTick);
      if (!message && message.error().code == ASSAY_ABORTED) end_group();
      if (!message) ::_exit(kLineClosed);
      if (channel_.is_cancelled()) is_cancelled_ = true;
      if (!*message) continue;
      const auto word = static_cast<Word>((*message)->type);
      Question question{word, (*message)->call, std::string((*message)->payload)};
      if (word == Word::kStop) {
        stop(question);
      } else if (word == Word::kReply) {
        const std::scoped_lock hold(lock_);
        replies_[question.call] = std::move(question.payload);
        changed_.notify_all();
      } else if (may_overlap(word)) {
        answer(question);
      } else {
        const std::scoped_lock hold(lock_);
        questions_.push_back(std::move(question));
        changed_.notify_all();
      }
    }
  }

 private:
  static bool may_overlap(Word word) {
    switch (word) {
      case Word::kEncode:
      case Word::kDecode:
      case Word::kEnds:
      case Word::kTokenizerFingerprint:
      case Word::kRender:
      case Word::kTemplateFingerprint:
      case Word::kReadMemory:
        return true;
      default:
        return false;
    }
  }

  void work() {
    for (;;) {
      std::unique_lock hold(lock_);
      changed_.wait(hold, [&] { return !questions_.empty(); });
      const Question question = std::move(questions_.front());
      questions_.pop_front();
      hold.unlock();
      answer(question);
    }
  }

  void send(Word word, std::uint64_t call, std::string_view head, std::string_view body = {}) {
    // A host that is gone is noticed by listen().
    (void)channel_.send(static_cast<std::uint32_t>(word), call, head, body).has_value();
  }

  void stop(const Question& question) {
    WireReader in(question.payload);
    const std::scoped_lock hold(lock_);
    stopped_.insert(in.get<std::uint64_t>());
  }
  std::int32_t no_more_of(std::uint64_t id) {
    if (is_cancelled_) return 1;
    const std::scoped_lock hold(lock_);
    return stopped_.contains(id) ? 1 : 0;
  }

  void answer(const Question& question) {
    WireWriter out;
    WireReader in(question.payload);
    switch (question.word) {
      case Word::kScan:
        scan(in, out);
        break;
      case Word::kOpen:
        open(in, out);
        break;
      case Word::kCheckConfig:
        check_config(in, out);
        break;
      case Word::kEstimate:
        estimate(in, out);
        break;
      case Word::kCreate:
        create(in, out);
        break;
      case Word::kDestroy:
        streams_.clear();
        tokenizer_.reset();
        instance_.reset();
        break;
      case Word::kGenerate:
      case Word::kGenerateTexts:
        generate(question, in, out);
        break;
      default:
        if (instance_) {
          call(question, in, out);
        } else {
          status(out, ASSAY_FAILED_PRECONDITION, fresh_error());
        }
    }
    send(Word::kAnswer, question.call, out.bytes());
  }

  // ---- before there is an instance: 1 and what is given, or 0 and a Failure ----

  static void refuse(WireWriter& out, const Failure& failure) {
    out.put<std::uint8_t>(0);
    put_failure(out, failure);
  }

  static void scan(WireReader& in, WireWriter& out) {
    auto said = scan_plugin(in.copy());
    if (!said) return refuse(out, said.error());
    out.put<std::uint8_t>(1);
    out.raw(said->dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  void open(WireReader& in, WireWriter& out) {
    const std::string path = in.copy(), id = in.copy();
    if (!plugin_) {
      auto opened = open_plugin(path, Into::kWorker);
      if (!opened) return refuse(out, opened.error());
      plugin_ = std::move(*opened);
    }
    for (std::uint64_t i = 0; i < plugin_->constants->n_components; ++i) {
      const assay_component* one = plugin_->constants->components[i];
      if (one->id == id) component_ = {one, &*plugin_};
    }
    if (component_.constants == nullptr) {
      return refuse(out, {ASSAY_NOT_FOUND, path + " no longer holds " + id});
    }
    out.put<std::uint8_t>(1);
  }

  /// What a component is lent here: its words go over the line.
  Lease lease_from(WireReader& in) {
    Lease lease = get_lease(in);
    lease.cancelled = &is_cancelled_;
    lease.on_poll = [this] { channel_.beat(); };
    lease.on_log = [this](assay_level level, std::string_view line) {
      WireWriter out;
      out.put(level).text(line);
      send(Word::kLog, 0, out.bytes());
    };
    lease.on_progress = [this](double fraction, std::string_view what) {
      WireWriter out;
      out.put(fraction).text(what);
      send(Word::kProgress, 0, out.bytes());
    };
    return lease;
  }

  static Json options_from(WireReader& in) { return Json::parse(in.text(), nullptr, false); }

  void check_config(WireReader& in, WireWriter& out) {
    const Lease lease = lease_from(in);
    const auto complaints = Instance::check(component_, options_from(in), lease);
    if (!complaints) return refuse(out, complaints.error());
    out.put<std::uint8_t>(1).put<std::uint64_t>(complaints->size());
    for (const ConfigComplaint& one : *complaints) {
      out.put<std::uint8_t>(one.is_error).text(one.key).text(one.text);
    }
  }

  void estimate(WireReader& in, WireWriter& out) {
    const Lease lease = lease_from(in);
    const Json options = options_from(in);
    const auto job = get_job(in);
    const auto need = Instance::estimate(component_, options, lease, job->job);
    if (!need) return refuse(out, need.error());
    out.put<std::uint8_t>(1).put(need->threads).put(need->host_bytes).put(need->device_bytes);
    out.put(need->n_devices);
  }

  void create(WireReader& in, WireWriter& out) {
    const Lease lease = lease_from(in);
    auto made = Instance::create(component_, options_from(in), lease);
    if (!made) return refuse(out, made.error());
    instance_.emplace(std::move(*made));
    out.put<std::uint8_t>(1);
    std::uint64_t slots = 0;
    if (component_.constants->kind == ASSAY_BACKEND) {
      const auto& api = instance_->api<assay_backend_v1>();
      if (api.quantize != nullptr) slots |= 1;
      if (api.run != nullptr) slots |= 2;
    }
    out.put(slots).put(component_.constants->n_extensions);
    for (std::uint64_t i = 0; i < component_.constants->n_extensions; ++i) {
      put_extension(out, component_.constants->extensions[i]);
    }
  }

  static void put_extension(WireWriter& out, const assay_extension& extension) {
    const std::string_view id = extension.id;
    out.text(id);
    if (id == ASSAY_METRIC_SUMS_1) {
      const auto& sums = *static_cast<const assay_metric_sums_v1*>(extension.api);
      out.put(sums.n_terms);
      for (std::uint64_t i = 0; i < sums.n_terms; ++i) out.text(std::string_view(sums.terms[i]));
    } else if (id == ASSAY_DATASET_ROWS_1) {
      const auto& rows = *static_cast<const assay_dataset_rows_v1*>(extension.api);
      out.put<std::uint64_t>(rows.take != nullptr ? 1 : 0);
    } else {
      out.put<std::uint64_t>(0);
    }
  }

  /// The host puts the component's id in front again.
  std::string_view without_id(std::string_view text) const {
    const std::string prefix = std::string(component_.id()) + ": ";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  }

  // ---- calls of the instance: the status and what is given, or the status and an error ----

  static void status(WireWriter& out, assay_status status, const assay_error& error) {
    out.put(status);
    put_error(out, error);
  }

  void call(const Question& question, WireReader& in, WireWriter& out) {
    assay_error error = fresh_error();
    WireWriter given;
    assay_status code = ASSAY_INTERNAL;
    if (may_overlap(question.word)) {
      code = call(question, in, given, error);
    } else {
      const auto ran =
          instance_->watch(doing(question.word), [&] { code = call(question, in, given, error); });
      if (!ran)
        code = put(&error, ran.error().code, ran.error().where, without_id(ran.error().text));
    }
    if (code != ASSAY_OK) return status(out, code, error);
    out.put(code).raw(given.bytes());
  }

  assay_status call(const Question& question, WireReader& in, WireWriter& out, assay_error& error) {
    switch (question.word) {
      case Word::kLoad: {
        const auto job = get_job(in);
        const LentLayers layers(*this, question.call, *job);
        assay_model_info info{};
        info.struct_size = sizeof info;
        info.bos = info.eos = -1;
        const assay_status code =
            instance_->api<assay_backend_v1>().load(instance_->self(), &job->job, &info, &error);
        out.put(info);
        model_dir_ = job->model_dir;
        info_ = {info.vocab,           info.max_context, info.weight_bytes,
                 info.bits_per_weight, info.bos,         info.eos};
        return code;
      }
      case Word::kQuantize:
        return quantize(question, in, error);
      case Word::kRun:
        return run(question, in, error);
      case Word::kRunText:
        return run_text(question, in, error);
      case Word::kOpenStream:
      case Word::kTake:
        return open_stream(question, in, out, error);
      case Word::kNextBatch:
        return next_batch(in, out, error);
      case Word::kReleaseStream:
        streams_.erase(in.get<std::uint64_t>());
        return ASSAY_OK;
      case Word::kSplits:
        return splits(out, error);
      case Word::kUpdate:
        return update(in, out, error);
      case Word::kFinish: {
        Values values;
        const assay_status code =
            instance_->api<assay_metric_v1>().finish(instance_->self(), &values.sink, &error);
        values.put(out);
        return code;
      }
      case Word::kTotals:
        return totals(in, out, error);
      case Word::kWrite:
        return write(question, in, error);
      case Word::kReadMemory: {
        assay_memory memory{};
        memory.struct_size = sizeof memory;
        const auto& api = *instance_->extension<assay_backend_memory_v1>(ASSAY_BACKEND_MEMORY_1);
        const assay_status code =
            api.read(instance_->self(), in.get<std::uint64_t>(), &memory, &error);
        out.put(memory);
        return code;
      }
      case Word::kResetPeaks:
        return instance_->extension<assay_backend_memory_v1>(ASSAY_BACKEND_MEMORY_1)
            ->reset_peaks(instance_->self(), &error);
      case Word::kEncode:
      case Word::kDecode:
      case Word::kEnds:
      case Word::kTokenizerFingerprint:
        return tokenize(question.word, in, out, error);
      case Word::kRender:
      case Word::kTemplateFingerprint:
        return render(question.word, in, out, error);
      default:
        return put(&error, ASSAY_UNIMPLEMENTED, "", "the worker does not know this question");
    }
  }

  // ---- backend ----

  /// The host's layer sink as a backend meets it here, where the host wants one.
  class LentLayers {
   public:
    LentLayers(Server& server, std::uint64_t call, Job& job) : server_(server), call_(call) {
      if (job.wants_layers) job.job.layers = &sink_;
    }
    LentLayers(const LentLayers&) = delete;
    LentLayers& operator=(const LentLayers&) = delete;

   private:
    static void value(void* ctx, assay_str layer, const char* name, double value) noexcept {
      const auto& to = *static_cast<const LentLayers*>(ctx);
      if (name == nullptr) return;
      WireWriter out;
      out.text(layer).text(std::string_view(name)).put(value);
      to.server_.send(Word::kLayer, to.call_, out.bytes());
    }

    Server& server_;
    std::uint64_t call_;
    const assay_layer_sink sink_{sizeof(assay_layer_sink), 0, this, value};
  };

  assay_status quantize(const Question& question, WireReader& in, assay_error& error) {
    const auto job = get_job(in);
    const LentLayers layers(*this, question.call, *job);
    return instance_->api<assay_backend_v1>().quantize(instance_->self(), &job->job, &error);
  }

  /// The host's sinks as a backend meets them here.
  struct Sink {
    Server* server;
    std::uint64_t call;

    static Sink& of(void* ctx) { return *static_cast<Sink*>(ctx); }

    static std::int32_t scores(void* ctx, std::uint64_t id, std::uint64_t first,
                               const float* logprobs, const std::uint8_t* greedy,
                               std::uint64_t n) noexcept {
      WireWriter out;
      out.put(id).put(first).array(logprobs, n).array(greedy, n).put(n);
      of(ctx).server->send(Word::kScores, of(ctx).call, out.bytes());
      return of(ctx).server->no_more_of(id);
    }

    /// In pieces of whole rows. Rows with strides are made compact.
    static std::int32_t logits(void* ctx, std::uint64_t id, std::uint64_t first,
                               const assay_tensor* rows) noexcept {
      const std::int64_t n = rows->shape[0], vocab = rows->shape[1];
      const std::uint64_t row_bytes = static_cast<std::uint64_t>(vocab) * rows->bits / 8;
      if (n <= 0 || row_bytes == 0) return of(ctx).server->no_more_of(id);
      const char* data = static_cast<const char*>(rows->data) + rows->byte_offset;
      const std::int64_t stride = rows->strides != nullptr ? rows->strides[0] : vocab;
      const bool is_compact =
          rows->strides == nullptr || (rows->strides[1] == 1 && rows->strides[0] == vocab);
      const auto per_piece =
          static_cast<std::int64_t>(std::max<std::uint64_t>(1, kLogitsPiece / row_bytes));
      for (std::int64_t row = 0; row < n; row += per_piece) {
        const std::int64_t count = std::min(per_piece, n - row);
        WireWriter head;
        head.put(id).put(first + static_cast<std::uint64_t>(row)).put(count).put(vocab);
        head.put<std::uint64_t>(rows->code).put<std::uint64_t>(rows->bits);
        const std::uint64_t bytes = static_cast<std::uint64_t>(count) * row_bytes;
        if (is_compact) {
          of(ctx).server->send(Word::kLogits, of(ctx).call, head.bytes(),
                               {data + static_cast<std::uint64_t>(row) * row_bytes, bytes});
          continue;
        }
        std::string compact;
        for (std::int64_t i = row; i < row + count; ++i) {
          const std::int64_t at = rows->strides[1] == 1 ? i * stride : -1;
          if (at < 0) return 1;  // by contract rows are row-major
          compact.append(data + at * rows->bits / 8, row_bytes);
        }
        of(ctx).server->send(Word::kLogits, of(ctx).call, head.bytes(), compact);
      }
      return of(ctx).server->no_more_of(id);
    }

    static std::int32_t tokens(void* ctx, std::uint64_t id, const std::int32_t* tokens,
                               const float* logprobs, std::uint64_t n) noexcept {
      WireWriter out;
      out.put(id).array(tokens, n).array(logprobs, n);
      of(ctx).server->send(Word::kTokens, of(ctx).call, out.bytes());
      return of(ctx).server->no_more_of(id);
    }

    static void done(void* ctx, std::uint64_t id, const assay_error* failure,
                     const assay_usage* usage) noexcept {
      of(ctx).send_done(Word::kDone, id, failure, usage);
    }

    void send_done(Word word, std::uint64_t id, const assay_error* failure,
                   const assay_usage* usage) const {
      WireWriter out;
      out.put(id).put<std::uint8_t>(failure != nullptr);
      if (failure != nullptr) put_error(out, *failure);
      out.put<std::uint8_t>(usage != nullptr);
      if (usage != nullptr) out.put(known_part(*usage));
      server->send(word, call, out.bytes());
    }

    static assay_usage known_part(const assay_usage& usage) {
      assay_usage known{};
      std::memcpy(&known, &usage, std::min<std::size_t>(usage.struct_size, sizeof known));
      known.struct_size = sizeof known;
      return known;
    }

    static std::int32_t text(void* ctx, std::uint64_t id, assay_str piece,
                             std::uint64_t n_tokens) noexcept {
      WireWriter out;
      out.put(id).text(piece).put(n_tokens);
      of(ctx).server->send(Word::kText, of(ctx).call, out.bytes());
      return of(ctx).server->no_more_of(id);
    }

    static std::int32_t text_scores(void* ctx, std::uint64_t id, std::int64_t begin,
                                    const std::int64_t* end, const float* logprobs,
                                    const std::uint8_t* greedy, std::uint64_t n) noexcept {
      WireWriter out;
      out.put(id).put(begin).array(end, n).array(logprobs, n).array(greedy, n);
      of(ctx).server->send(Word::kTextScores, of(ctx).call, out.bytes());
      return of(ctx).server->no_more_of(id);
    }

    static void text_done(void* ctx, std::uint64_t id, const assay_error* failure,
                          const assay_usage* usage) noexcept {
      of(ctx).send_done(Word::kTextDone, id, failure, usage);
    }
  };

  void begin_run() {
    const std::scoped_lock hold(lock_);
    stopped_.clear();
  }

  assay_status run(const Question& question, WireReader& in, assay_error& error) {
    begin_run();
    const auto batch = get_batch(in);
    if (!batch) return put(&error, ASSAY_INTERNAL, "", "the batch cannot be read");
    Sink sink{this, question.call};
    const assay_result_sink table{
        sizeof(assay_result_sink), 0, &sink, Sink::scores, Sink::logits, Sink::tokens, Sink::done};
    return instance_->api<assay_backend_v1>().run(instance_->self(), &batch->batch, &table, &error);
  }

  assay_status run_text(const Question& question, WireReader& in, assay_error& error) {
    begin_run();
    const auto batch = get_text_batch(in);
    if (!batch) return put(&error, ASSAY_INTERNAL, "", "the batch cannot be read");
    Sink sink{this, question.call};
    const assay_text_sink table{sizeof(assay_text_sink), 0, &sink, Sink::text, Sink::text_scores,
                                Sink::text_done};
    return instance_->extension<assay_backend_text_v1>(ASSAY_BACKEND_TEXT_1)
        ->run(instance_->self(), &batch->batch, &table, &error);
  }

  /// Whole answers: what decides that one is over, and when it came, belongs beside the backend.
  void generate(const Question& question, WireReader& in, WireWriter& out) {
    const Decoding decoding = get_decoding(in);
    const auto sink = [&](std::uint64_t id, Result<Generation> said) {
      WireWriter event;
      put_generation(event, id, said);
      send(Word::kGeneration, question.call, event.bytes());
    };
    Result<void> done;
    if (!instance_) {
      done = Failure{ASSAY_FAILED_PRECONDITION, "there is no instance"};
    } else if (question.word == Word::kGenerateTexts) {
      done = generate_texts_here(*instance_, get_text_generate_requests(in), decoding, sink);
    } else {
      if (!tokenizer_) {
        auto opened = tokenizer_of(*instance_, info_, model_dir_);
        if (!opened) return refuse(out, opened.error());
        tokenizer_ = std::move(*opened);
      }
      done = generate_here(*instance_, get_generate_requests(in), decoding, *tokenizer_, sink);
    }
    if (!done) return refuse(out, done.error());
    out.put<std::uint8_t>(1);
  }

  /// Calls a function that fills a buffer until the buffer is large enough.
  template <class T, class Call>
  static assay_status whole(WireWriter& out, assay_error& error, Call&& call) {
    constexpr std::uint64_t kMost = 1u << 28;
    std::vector<T> buffer(256);
    for (int tries = 0; tries < 3; ++tries) {
      std::uint64_t n = 0;
      const assay_status code = call(buffer.data(), buffer.size(), &n);
      if (code != ASSAY_OK) return code;
      if (n <= buffer.size()) {
        out.array(buffer.data(), n);
        return ASSAY_OK;
      }
      if (n > kMost) break;
      buffer.resize(n);
    }
    return put(&error, ASSAY_INTERNAL, "",
               "misbehaviour: it does not say how large a buffer it needs");
  }

  assay_status tokenize(Word word, WireReader& in, WireWriter& out, assay_error& error) {
    const auto& api = *instance_->extension<assay_backend_tokenizer_v1>(ASSAY_BACKEND_TOKENIZER_1);
    void* self = instance_->self();
    if (word == Word::kEnds) {
      return whole<std::int32_t>(out, error,
                                 [&](std::int32_t* to, std::uint64_t cap, std::uint64_t* n) {
                                   return api.ends(self, to, cap, n, &error);
                                 });
    }
    if (word == Word::kTokenizerFingerprint) {
      std::uint8_t digest[32] = {};
      const assay_status code = api.fingerprint(self, digest, &error);
      out.array(digest, sizeof digest);
      return code;
    }
    const auto flags = in.get<std::uint32_t>();
    if (word == Word::kEncode) {
      const std::string text = in.copy();
      return whole<std::int32_t>(out, error,
                                 [&](std::int32_t* to, std::uint64_t cap, std::uint64_t* n) {
                                   return api.encode(self, str_of(text), flags, to, cap, n, &error);
                                 });
    }
    const auto tokens = in.array<std::int32_t>().value_or(std::vector<std::int32_t>());
    return whole<char>(out, error, [&](char* to, std::uint64_t cap, std::uint64_t* n) {
      return api.decode(self, tokens.data(), tokens.size(), flags, to, cap, n, &error);
    });
  }

  assay_status render(Word word, WireReader& in, WireWriter& out, assay_error& error) {
    const auto& api = *instance_->extension<assay_backend_template_v1>(ASSAY_BACKEND_TEMPLATE_1);
    void* self = instance_->self();
    if (word == Word::kTemplateFingerprint) {
      std::uint8_t digest[32] = {};
      const assay_status code = api.fingerprint(self, digest, &error);
      out.array(digest, sizeof digest);
      return code;
    }
    const auto flags = in.get<std::uint32_t>();
    const std::string variables = in.copy();
    const auto turns = get_messages(in);
    const assay_messages messages{turns.data(), turns.size(), sizeof(assay_message)};
    return whole<char>(out, error, [&](char* to, std::uint64_t cap, std::uint64_t* n) {
      return api.render(self, &messages, str_of(variables), flags, to, cap, n, &error);
    });
  }

  // ---- dataset ----

  struct OpenStream {
    Stream stream;
    Schema schema;
  };

  assay_status open_stream(const Question& question, WireReader& in, WireWriter& out,
                           assay_error& error) {
    OpenStream open;
    const std::string split = in.copy();
    assay_status code = ASSAY_OK;
    if (question.word == Word::kOpenStream) {
      code = instance_->api<assay_dataset_v1>().open(instance_->self(), str_of(split),
                                                     open.stream.out(), &error);
    } else {
      const auto rows = in.array<std::uint64_t>().value_or(std::vector<std::uint64_t>());
      const auto& api = *instance_->extension<assay_dataset_rows_v1>(ASSAY_DATASET_ROWS_1);
      code = api.take(instance_->self(), str_of(split), rows.data(), rows.size(), open.stream.out(),
                      &error);
    }
    if (code != ASSAY_OK) {
      open.stream.take();  // on failure the plugin's affair
      return code;
    }
    return wall(&error, [&] {
      if (!open.stream || open.stream->get_schema == nullptr || open.stream->get_next == nullptr) {
        throw Error(ASSAY_INTERNAL, "misbehaviour: open answered OK and gave no stream");
      }
      open.schema = read_schema(open.stream, "");
      const std::uint64_t id = next_stream_++;
      out.put(id);
      put_field(out, read_field(*open.schema));
      streams_.emplace(id, std::move(open));
    });
  }

  assay_status next_batch(WireReader& in, WireWriter& out, assay_error& error) {
    const auto found = streams_.find(in.get<std::uint64_t>());
    if (found == streams_.end()) {
      return put(&error, ASSAY_FAILED_PRECONDITION, "", "no such stream is open");
    }
    return wall(&error, [&] {
      OpenStream& open = found->second;
      const auto batch = read_batch(open.stream, "");
      out.put<std::uint8_t>(batch.has_value());
      if (!batch) return;
      if (const auto fault = batch_error(*open.schema, *batch->get())) {
        throw Error(ASSAY_INVALID_ARGUMENT, *fault);
      }
      put_rows(out, *open.schema, *batch->get());
    });
  }

  assay_status splits(WireWriter& out, assay_error& error) {
    struct Splits {
      std::mutex lock;
      WireWriter out;
      std::uint64_t n = 0;
    } splits;
    const assay_split_sink sink{sizeof(assay_split_sink), 0, &splits,
                                [](void* ctx, assay_str name, std::uint64_t rows) noexcept {
                                  auto& to = *static_cast<Splits*>(ctx);
                                  const std::scoped_lock hold(to.lock);
                                  to.out.text(name).put(rows);
                                  ++to.n;
                                }};
    const assay_status code = instance_->extension<assay_dataset_rows_v1>(ASSAY_DATASET_ROWS_1)
                                  ->splits(instance_->self(), &sink, &error);
    out.put(splits.n).raw(splits.out.bytes());
    return code;
  }

  // ---- metric ----

  assay_status update(WireReader& in, WireWriter& out, assay_error& error) {
    const auto table = get_field(in);
    std::optional<ArrowArray> given;
    if (table) given = get_rows(in, *table);
    if (!given) return put(&error, ASSAY_INTERNAL, "", "the rows cannot be read");
    const Array rows(std::move(*given));
    const Schema schema(make_schema(*table));
    Values values;
    const assay_status code = instance_->api<assay_metric_v1>().update(
        instance_->self(), schema.get(), rows.get(), &values.sink, &error);
    values.put(out);
    return code;
  }

  assay_status totals(WireReader& in, WireWriter& out, assay_error& error) {
    const auto n = in.get<std::uint64_t>();
    const auto sums = in.array<double>().value_or(std::vector<double>());
    const auto items = in.array<double>().value_or(std::vector<double>());
    if (!in.is_whole() || items.size() != n) {
      return put(&error, ASSAY_INTERNAL, "", "the sums cannot be read");
    }
    std::vector<double> values(n * component_.constants->n_outputs);
    const assay_status code =
        instance_->extension<assay_metric_sums_v1>(ASSAY_METRIC_SUMS_1)
            ->totals(instance_->self(), sums.data(), items.data(), n, values.data(), &error);
    out.array(values.data(), values.size());
    return code;
  }

  // ---- reporter ----

  /// Asks the host something while it waits for us.
  std::string ask(Word word, std::uint64_t call, WireWriter& question) {
    std::uint64_t upcall = 0;
    {
      const std::scoped_lock hold(lock_);
      upcall = next_upcall_++;
    }
    WireWriter out;
    out.put(upcall).raw(question.bytes());
    send(word, call, out.bytes());
    std::unique_lock hold(lock_);
    changed_.wait(hold, [&] { return replies_.contains(upcall); });
    std::string reply = std::move(replies_[upcall]);
    replies_.erase(upcall);
    return reply;
  }

  struct Lent {
    Server* server;
    std::uint64_t call;
  };

  assay_status write(const Question& question, WireReader& in, assay_error& error) {
    const std::string document = in.copy();
    Lent lent{this, question.call};
    assay_report report{};
    report.struct_size = sizeof report;
    report.ctx = &lent;
    report.run_json = str_of(document);
    report.table = [](void* ctx, assay_str name, ArrowArrayStream* out,
                      assay_error* err) noexcept -> assay_status {
      const auto& from = *static_cast<const Lent*>(ctx);
      assay_status code = ASSAY_OK;
      const assay_status thrown =
          wall(err, [&] { code = from.server->open_table(from.call, view_of(name), out, err); });
      return thrown != ASSAY_OK ? thrown : code;
    };
    return instance_->api<assay_reporter_v1>().write(instance_->self(), &report, &error);
  }

  assay_status open_table(std::uint64_t call, std::string_view name, ArrowArrayStream* out,
                          assay_error* error) {
    WireWriter question;
    question.text(name);
    const std::string reply = ask(Word::kTable, call, question);
    WireReader in(reply);
    const auto code = in.get<assay_status>();
    if (code != ASSAY_OK) {
      const assay_error theirs = get_error(in);
      return put(error, code, theirs.where, theirs.text);
    }
    const auto id = in.get<std::uint64_t>();
    const auto table = get_field(in);
    if (!table) return put(error, ASSAY_INTERNAL, "", "the table cannot be read");
    const std::shared_ptr<void> release(nullptr, [this, call, id](void*) {
      WireWriter told;
      told.put<std::uint64_t>(0).put(id);
      send(Word::kTableRelease, call, told.bytes());
    });
    *out =
        make_stream(table->children, [this, call, id, release, table = *table](ArrowArray* batch) {
          return next_of_table(call, id, table, batch);
        });
    return ASSAY_OK;
  }

  bool next_of_table(std::uint64_t call, std::uint64_t id, const Field& table, ArrowArray* batch) {
    WireWriter question;
    question.put(id);
    const std::string reply = ask(Word::kTableBatch, call, question);
    WireReader in(reply);
    const auto code = in.get<std::int32_t>();
    if (code != 0) throw Error(status_of_errno(code), in.copy());
    if (in.get<std::uint8_t>() == 0) return false;
    auto rows = get_rows(in, table);
    if (!rows) throw Error(ASSAY_INTERNAL, "the rows cannot be read");
    *batch = *rows;
    return true;
  }

  Channel& channel_;
  std::thread worker_;
  std::atomic<bool> is_cancelled_ = false;

  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<Question> questions_;
  std::map<std::uint64_t, std::string> replies_;
  std::set<std::uint64_t> stopped_;  // requests the host wants no more of
  std::uint64_t next_upcall_ = 1;

  // The calling thread's own, but for calls that may overlap, which only read.
  std::optional<Plugin> plugin_;
  Component component_;
  std::optional<Instance> instance_;
  std::string model_dir_;
  ModelInfo info_;
  std::optional<Tokenizer> tokenizer_;  // of answers; made when first needed
  std::map<std::uint64_t, OpenStream> streams_;
  std::uint64_t next_stream_ = 1;
};

}  // namespace

void serve(WorkerEnd end) {
  auto channel = Channel::adopt(end);
  if (!channel) {
    const std::string text = "worker: " + channel.error().text + "\n";
    [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(1);
  }
  Server(**channel).listen();
}

}  // namespace assay::host
