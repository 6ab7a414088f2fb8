// What the author of a backend writes and the calls the layer makes of it: order of calls, one
// answer for each request. Tokenization, windows and averages are the host's.
#pragma once

#include <assay/declare.hpp>
#include <assay/instance.hpp>
#include <assay/namespace.hpp>
#include <assay/requests.hpp>
#include <atomic>
#include <cstdint>
#include <string>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Base of every backend, which has
///   static constexpr Info info;  static constexpr Option options[] (if any);
///   explicit T(Context);
///   void load(const assay_job&, assay_model_info&);
/// and, one request at a time, which was found to fit what load() told,
///   void score(const Request&, Results);     void generate(const Request&, Results);
/// or, batching as it likes and calling done() or fail() itself,
///   void run(const Batch&, Sink&);
/// and, if it can,
///   void quantize(const assay_job&);
///   static void estimate(Context, const assay_job&, assay_resources& need);
///   Memory memory(std::uint64_t nth);        void reset_memory_peaks();
/// A tokenizer and a chat template of its own: tokenizer.hpp, template.hpp. Texts instead of
/// tokens: text_backend.hpp.
struct Backend {};

struct TextRequest;
class TextResults;

namespace detail {

template <class T>
concept ScoresTexts = requires(T& backend, const TextRequest& request, TextResults& results) {
  backend.score_text(request, results);
};
template <class T>
concept GeneratesTexts = requires(T& backend, const TextRequest& request, TextResults& results) {
  backend.generate_text(request, results);
};

template <class T>
concept RunsBatches = requires(T& backend, const Batch& batch, Sink& sink) {
  backend.run(batch, sink);
};
template <class T>
concept ScoresRequests = requires(T& backend, const Request& request, Results results) {
  backend.score(request, results);
};
template <class T>
concept GeneratesOnRequest = requires(T& backend, const Request& request, Results results) {
  backend.generate(request, results);
};
template <class T>
concept Quantizes = requires(T& backend, const assay_job& job) {
  backend.quantize(job);
};
template <class T>
concept Estimates = requires(const Context& context, const assay_job& job, assay_resources& need) {
  T::estimate(context, job, need);
};

enum class Stage { kCreated, kLoaded, kQuantized, kUnusable };

inline void require_stage(Stage stage, Stage expected, const char* call) {
  switch (stage) {
    case Stage::kUnusable:
      return require_order(false, call, "on an instance that failed before; only destroy is left");
    case Stage::kCreated:
      return require_order(expected == Stage::kCreated, call, "before load");
    case Stage::kLoaded:
      return require_order(expected == Stage::kLoaded, call, "after load");
    case Stage::kQuantized:
      return require_order(false, call, "after quantize");
  }
}

/// Bounds of a score request. Source   abi-1.0.md 15
inline void check_bounds(const Request& request) {
  if (request.first == 0 || request.first > request.n_tokens) {
    throw Error(ASSAY_INVALID_ARGUMENT, std::to_string(request.id),
                "first is " + std::to_string(request.first) + " in a request of " +
                    std::to_string(request.n_tokens) + " tokens; expected 1 to " +
                    std::to_string(request.n_tokens));
  }
}

template <class T>
struct BackendInstance : Instance<T> {
  using Instance<T>::Instance;

  /// Runs load, quantize or run; a failure makes the instance unusable.
  template <class Body>
  assay_status step(assay_error* error, const char* call, Stage expected, Stage next,
                    Body&& body) noexcept {
    bool is_in_order = false;
    const assay_status status = wall(error, [&] {
      const bool may_overlap = expected == Stage::kLoaded && T::info.caps & ASSAY_CAP_CONCURRENT;
      std::atomic<int> alone = 0;
      const Turn turn(may_overlap ? alone : this->calls, this->context.host_table(), call);
      require_stage(stage, expected, call);
      is_in_order = true;
      body();
      if (next != expected) stage = next;
    });
    if (status != ASSAY_OK && is_in_order) stage = Stage::kUnusable;
    return status;
  }

  void run(const assay_batch& raw_batch, const assay_result_sink& host_sink) {
    const Batch batch(raw_batch);
    Sink sink(batch, host_sink, this->context.host_table());
    if constexpr (RunsBatches<T>) {
      this->component.run(batch, sink);
    } else {
      for (const Request& request : batch) answer(request, sink);
    }
    sink.answer_the_rest(batch);
    if (kIsChecked && sink.n_broken() > 0) {
      throw Error(ASSAY_FAILED_PRECONDITION, "run",
                  "rules of the result sink were broken " + std::to_string(sink.n_broken()) +
                      " times; the log names them");
    }
  }

  void answer(const Request& request, Sink& sink) {
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    assay_error error{};
    error.struct_size = sizeof error;
    const assay_status status = wall(&error, [&] {
      this->context.checkpoint();
      dispatch(request, Results(sink, request, usage));
    });
    if (status == ASSAY_OK) return sink.done(request.id, usage);
    sink.fail(request.id, status, error.text);
  }

  /// Refuses what the loaded model has no room or no rows for, as far as load() told.
  void check_fits(const Request& request) const {
    // The last token of a request to score is only predicted.
    const std::uint64_t room = max_context + (request.kind == ASSAY_REQ_SCORE ? 1 : 0);
    if (max_context > 0 && request.n_tokens > room) {
      throw Error(ASSAY_RESOURCE_EXHAUSTED, std::to_string(request.id),
                  "a request of " + std::to_string(request.n_tokens) +
                      " tokens is longer than the context of " + std::to_string(max_context));
    }
    if (vocab == 0) return;
    for (std::uint64_t i = 0; i < request.n_tokens; ++i) {
      if (request.tokens[i] >= 0 && static_cast<std::uint32_t>(request.tokens[i]) < vocab) continue;
      throw Error(ASSAY_INVALID_ARGUMENT, std::to_string(request.id),
                  "token " + std::to_string(request.tokens[i]) + " at place " + std::to_string(i) +
                      " is not one of the " + std::to_string(vocab) + " of the vocabulary");
    }
  }

  void dispatch(const Request& request, Results results) {
    check_fits(request);
    if (request.kind == ASSAY_REQ_SCORE) {
      if constexpr (ScoresRequests<T>) {
        check_bounds(request);
        if (request.first < request.n_tokens) this->component.score(request, results);
        return;
      }
    }
    if (request.kind == ASSAY_REQ_GENERATE) {
      if constexpr (GeneratesOnRequest<T>) {
        this->component.generate(request, results);
        return;
      }
    }
    throw Error(ASSAY_UNIMPLEMENTED, "kind",
                std::string(T::info.id) + " does not answer requests of kind " +
                    std::to_string(request.kind));
  }

  std::atomic<Stage> stage = Stage::kCreated;
  std::uint32_t vocab = 0;  // as load() told; 0: not known
  std::uint64_t max_context = 0;
};

template <class T>
struct BackendEntry {
  using Self = BackendInstance<T>;
  static constexpr bool kRuns = RunsBatches<T> || ScoresRequests<T> || GeneratesOnRequest<T>;
  static constexpr auto has_cap(std::uint64_t cap) { return (T::info.caps & cap) != 0; }
  static_assert(
      requires(T & t, const assay_job& job, assay_model_info& info) { t.load(job, info); },
      "a backend needs: void load(const assay_job&, assay_model_info&)");
  static_assert(!has_cap(ASSAY_CAP_SCORE) || RunsBatches<T> || ScoresRequests<T> || ScoresTexts<T>,
                "ASSAY_CAP_SCORE needs: void score(const assay::Request&, assay::Results), or void "
                "run(const assay::Batch&, assay::Sink&), or void score_text(const "
                "assay::TextRequest&, assay::TextResults&)");
  static_assert(!has_cap(ASSAY_CAP_GENERATE) || RunsBatches<T> || GeneratesOnRequest<T> ||
                    GeneratesTexts<T>,
                "ASSAY_CAP_GENERATE needs: void generate(const assay::Request&, assay::Results), "
                "or void run(const assay::Batch&, assay::Sink&), or void generate_text(const "
                "assay::TextRequest&, assay::TextResults&)");
  static_assert(has_cap(ASSAY_CAP_QUANTIZE) == Quantizes<T>,
                "ASSAY_CAP_QUANTIZE and void quantize(const assay_job&) go together");

  static assay_status estimate(const assay_host* host, const assay_config* config,
                               const assay_job* job, assay_resources* out,
                               assay_error* error) noexcept {
    return wall(error, [&] {
      assay_resources need{};
      need.struct_size = sizeof need;
      const Context context(host, config, nullptr);
      if constexpr (Estimates<T>) T::estimate(context, *job, need);
      context.end_of_options();
      out->threads = need.threads;
      out->host_bytes = need.host_bytes;
      out->device_bytes = need.device_bytes;
      if (ASSAY_HAS(assay_resources, out, n_devices)) out->n_devices = need.n_devices;
    });
  }
  static assay_status load(void* self, const assay_job* job, assay_model_info* out,
                           assay_error* error) noexcept {
    auto& backend = *static_cast<Self*>(self);
    return backend.step(error, "load", Stage::kCreated, Stage::kLoaded, [&] {
      assay_model_info info{};
      info.bos = info.eos = -1;
      info.struct_size = sizeof info;
      backend.component.load(*job, info);
      backend.vocab = info.vocab;
      backend.max_context = info.max_context;
      copy_known(info, *out);
    });
  }
  static assay_status quantize(void* self, const assay_job* job, assay_error* error) noexcept {
    auto& backend = *static_cast<Self*>(self);
    return backend.step(error, "quantize", Stage::kCreated, Stage::kQuantized, [&] {
      if constexpr (Quantizes<T>) backend.component.quantize(*job);
    });
  }
  static assay_status run(void* self, const assay_batch* batch, const assay_result_sink* sink,
                          assay_error* error) noexcept {
    auto& backend = *static_cast<Self*>(self);
    return backend.step(error, "run", Stage::kLoaded, Stage::kLoaded,
                        [&] { backend.run(*batch, *sink); });
  }

  static constexpr assay_backend_v1 kApi{sizeof(assay_backend_v1),          0,
                                         Estimates<T> ? estimate : nullptr, load,
                                         Quantizes<T> ? quantize : nullptr, kRuns ? run : nullptr};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
