#include "host/worker/far_answers.hpp"

#include <set>
#include <utility>

#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

void put_decoding(WireWriter& out, const Decoding& decoding) {
  out.put(decoding.max_new).put(decoding.min_new).put(decoding.top_k).put(decoding.temperature);
  out.put(decoding.top_p).array(decoding.end_tokens.data(), decoding.end_tokens.size());
  out.put<std::uint64_t>(decoding.stop.size());
  for (const std::string& stop : decoding.stop) out.text(std::string_view(stop));
}

void put_prompt(WireWriter& out, const TextPrompt& prompt) {
  out.text(std::string_view(prompt.prompt)).put<std::uint64_t>(prompt.messages.size());
  for (const ChatTurn& turn : prompt.messages) {
    out.text(std::string_view(turn.role)).text(std::string_view(turn.text));
  }
}

/// Nothing where bytes are missing.
std::optional<Result<Generation>> get_generation(WireReader& in) {
  if (in.get<std::uint8_t>() == 0) {
    Failure failure = get_failure(in);
    if (!in.is_whole()) return std::nullopt;
    return failure;
  }
  Generation said;
  said.tokens = in.array<std::int32_t>().value_or(std::vector<std::int32_t>());
  const bool is_counted = in.get<std::uint8_t>() != 0;
  const auto n_tokens = in.get<std::uint64_t>();
  if (is_counted) said.n_tokens = n_tokens;
  said.text = mended_utf8(in.text());
  const auto finish = in.get<std::uint8_t>();
  const bool has_first = in.get<std::uint8_t>() != 0;
  const auto first_token_seconds = in.get<double>();
  if (has_first) said.first_token_seconds = first_token_seconds;
  said.seconds = in.get<double>();
  if (!in.is_whole() || finish > static_cast<std::uint8_t>(Finish::kLength)) return std::nullopt;
  said.finish = static_cast<Finish>(finish);
  return said;
}

/// Asks, and hands on the answers of requests that are open, each once.
template <class Request>
Result<void> ask(Worker& worker, const Component& component, Word word, const WireWriter& question,
                 std::span<const Request> requests, const GenerationSink& sink) {
  const std::string who = std::string(component.id()) + ": ";
  std::set<std::uint64_t> open;
  for (const Request& request : requests) open.insert(request.id);
  bool is_garbled = false;
  auto answer = worker.ask(word, question.bytes(), {}, [&](Word event, std::string_view payload) {
    WireReader in(payload);
    const auto id = in.get<std::uint64_t>();
    auto said = get_generation(in);
    is_garbled = is_garbled || event != Word::kGeneration || !said || open.erase(id) == 0;
    if (!is_garbled) sink(id, std::move(*said));
  });
  Result<void> ended;
  if (!answer) {
    Failure failure = std::move(answer).error();
    failure.text = who + failure.text;
    failure.log = worker.last_lines();
    ended = std::move(failure);
  } else {
    WireReader in(*answer);
    if (in.get<std::uint8_t>() == 0) {
      ended = get_failure(in);
    } else if (is_garbled) {
      ended = Failure{ASSAY_INTERNAL, who +
                                          "misbehaviour: its process gave answers that were not "
                                          "asked for or cannot be read"};
    }
  }
  if (!ended) {
    for (const std::uint64_t id : open) sink(id, ended.error());
  }
  return ended;
}

}  // namespace

Result<void> generate_there(Worker& worker, const Component& component,
                            std::span<const GenerateRequest> requests, const Decoding& decoding,
                            const GenerationSink& sink) {
  WireWriter question;
  put_decoding(question, decoding);
  question.put<std::uint64_t>(requests.size());
  for (const GenerateRequest& request : requests) {
    question.put(request.id).put(request.seed);
    question.array(request.tokens.data(), request.tokens.size());
  }
  return ask(worker, component, Word::kGenerate, question, requests, sink);
}

Result<void> generate_texts_there(Worker& worker, const Component& component,
                                  std::span<const TextGenerateRequest> requests,
                                  const Decoding& decoding, const GenerationSink& sink) {
  WireWriter question;
  put_decoding(question, decoding);
  question.put<std::uint64_t>(requests.size());
  for (const TextGenerateRequest& request : requests) {
    question.put(request.id).put(request.seed);
    put_prompt(question, request.prompt);
  }
  return ask(worker, component, Word::kGenerateTexts, question, requests, sink);
}

Decoding get_decoding(WireReader& in) {
  Decoding decoding;
  decoding.max_new = in.get<std::uint32_t>();
  decoding.min_new = in.get<std::uint32_t>();
  decoding.top_k = in.get<std::uint32_t>();
  decoding.temperature = in.get<float>();
  decoding.top_p = in.get<float>();
  decoding.end_tokens = in.array<std::int32_t>().value_or(std::vector<std::int32_t>());
  const auto n = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) decoding.stop.push_back(in.copy());
  return decoding;
}

std::vector<GenerateRequest> get_generate_requests(WireReader& in) {
  std::vector<GenerateRequest> requests;
  const auto n = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    GenerateRequest request;
    request.id = in.get<std::uint64_t>();
    request.seed = in.get<std::uint64_t>();
    request.tokens = in.array<std::int32_t>().value_or(std::vector<std::int32_t>());
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<TextGenerateRequest> get_text_generate_requests(WireReader& in) {
  std::vector<TextGenerateRequest> requests;
  const auto n = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < n && in.is_whole(); ++i) {
    TextGenerateRequest request;
    request.id = in.get<std::uint64_t>();
    request.seed = in.get<std::uint64_t>();
    request.prompt.prompt = in.copy();
    const auto turns = in.get<std::uint64_t>();
    for (std::uint64_t k = 0; k < turns && in.is_whole(); ++k) {
      std::string role = in.copy();
      request.prompt.messages.push_back({std::move(role), in.copy()});
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

void put_generation(WireWriter& out, std::uint64_t id, const Result<Generation>& generation) {
  out.put(id).put<std::uint8_t>(generation.has_value());
  if (!generation) return put_failure(out, generation.error());
  out.array(generation->tokens.data(), generation->tokens.size());
  out.put<std::uint8_t>(generation->n_tokens.has_value()).put(generation->n_tokens.value_or(0));
  out.text(std::string_view(generation->text));
  out.put(static_cast<std::uint8_t>(generation->finish));
  out.put<std::uint8_t>(generation->first_token_seconds.has_value());
  out.put(generation->first_token_seconds.value_or(0)).put(generation->seconds);
}

}  // namespace assay::host
