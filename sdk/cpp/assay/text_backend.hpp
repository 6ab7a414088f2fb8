// For authors of assay.backend.text/1: a backend that takes texts and gives texts, such as an
// endpoint that cuts them into tokens by itself. Its figures are marked "tokenization not
// controlled".
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/backend.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <assay/template.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// A request in texts: `prompt`, or where `messages` is not empty a chat; then for SCORE the
/// continuation, for GENERATE how to draw and where to end. Owns borrowed until the call returns
struct TextRequest {
  explicit TextRequest(const assay_text_request& raw)
      : id(raw.id),
        kind(raw.kind),
        messages(messages_of(raw.messages)),
        prompt(view_of(raw.prompt)),
        continuation(view_of(raw.continuation)),
        sampling(raw.sampling) {
    for (std::uint64_t i = 0; i < raw.n_stops; ++i) stops.push_back(view_of(raw.stops[i]));
  }

  std::uint64_t id;
  std::int32_t kind;
  std::vector<Message> messages;
  std::string_view prompt, continuation;
  const assay_sampling* sampling;
  std::vector<std::string_view> stops;
};

/// Where score_text() and generate_text() put the results of their one request. The layer calls
/// done().
class TextResults {
 public:
  TextResults(const assay_text_sink& sink, std::uint64_t id, assay_usage& usage)
      : sink_(&sink), id_(id), usage_(&usage) {}

  // False: no more of this request.

  /// The next whole characters of an answer. n_tokens 0: count not known.
  bool text(std::string_view piece, std::uint64_t n_tokens = 0) {
    return sink_->text(sink_->ctx, id_, str_of(piece), n_tokens) == 0;
  }
  /// Pieces of the continuation in order: piece i is its bytes [i ? end[i-1] : begin, end[i]).
  /// begin < 0: the first one begins in the prompt.
  ///
  /// Units    log-probabilities in nats
  bool scores(std::int64_t begin, std::span<const std::int64_t> end,
              std::span<const float> logprobs, std::span<const std::uint8_t> greedy) {
    if (logprobs.size() != end.size() || greedy.size() != end.size()) {
      throw Error(ASSAY_INTERNAL, std::to_string(id_),
                  std::to_string(end.size()) + " pieces have " + std::to_string(logprobs.size()) +
                      " log-probabilities and " + std::to_string(greedy.size()) + " greedy flags");
    }
    return sink_->scores(sink_->ctx, id_, begin, end.data(), logprobs.data(), greedy.data(),
                         end.size()) == 0;
  }
  /// What done() reports; zeros unless written.
  assay_usage& usage() { return *usage_; }

 private:
  const assay_text_sink* sink_;
  std::uint64_t id_;
  assay_usage* usage_;
};

namespace detail {

/// A backend with
///   void score_text(const assay::TextRequest&, assay::TextResults&);
///   void generate_text(const assay::TextRequest&, assay::TextResults&);
/// either, or both.
template <class T>
struct BackendTextEntry {
  static constexpr bool kIsOffered = ScoresTexts<T> || GeneratesTexts<T>;
  static constexpr const char* kId = ASSAY_BACKEND_TEXT_1;

  static assay_status run(void* self, const assay_text_batch* batch, const assay_text_sink* sink,
                          assay_error* error) noexcept {
    auto& backend = *static_cast<BackendInstance<T>*>(self);
    return backend.step(error, "run", Stage::kLoaded, Stage::kLoaded, [&] {
      const char* place = reinterpret_cast<const char*>(batch->requests);
      for (std::uint64_t i = 0; i < batch->n; ++i, place += batch->stride) {
        answer(backend, *reinterpret_cast<const assay_text_request*>(place), *sink);
      }
    });
  }

  static void answer(BackendInstance<T>& backend, const assay_text_request& request,
                     const assay_text_sink& sink) noexcept {
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    assay_error failure{};
    failure.struct_size = sizeof failure;
    const assay_status status = wall(&failure, [&] {
      backend.context.checkpoint();
      TextResults results(sink, request.id, usage);
      dispatch(backend.component, TextRequest(request), results);
    });
    if (status == ASSAY_OK) return sink.done(sink.ctx, request.id, nullptr, &usage);
    sink.done(sink.ctx, request.id, &failure, nullptr);
  }

  static void dispatch(T& component, const TextRequest& request, TextResults& results) {
    if constexpr (ScoresTexts<T>) {
      if (request.kind == ASSAY_REQ_SCORE) return component.score_text(request, results);
    }
    if constexpr (GeneratesTexts<T>) {
      if (request.kind == ASSAY_REQ_GENERATE) return component.generate_text(request, results);
    }
    throw Error(ASSAY_UNIMPLEMENTED, "kind",
                std::string(T::info.id) + " does not answer requests of kind " +
                    std::to_string(request.kind));
  }

  static constexpr assay_backend_text_v1 kApi{sizeof(assay_backend_text_v1), 0, run};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
