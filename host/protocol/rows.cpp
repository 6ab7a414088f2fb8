#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "host/core/hash.hpp"
#include "host/protocol/protocol.hpp"

namespace assay::host {
namespace {

/// The double whose shortest spelling is the float's: rows stay small and read back exactly.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value);
  double result = 0;
  std::from_chars(text, end.ptr, result);
  return result;
}

double sum(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0,
                         [](double total, float value) { return total + double{value}; });
}

void finish_perplexity(Json& row, std::span<const Score> scores) {
  Json token_nll = Json::array();
  Json window_nll = Json::array();
  double nll = 0;
  std::uint64_t n_tokens = 0;
  for (const Score& score : scores) {
    for (const float logprob : score.logprobs) token_nll.push_back(shortest(-logprob));
    const double window = -sum(score.logprobs);
    nll += window;
    n_tokens += score.logprobs.size();
    window_nll.push_back(window / static_cast<double>(score.logprobs.size()));
  }
  row["n_tokens"] = n_tokens;
  row["nll"] = nll;
  row["window_nll"] = std::move(window_nll);
  row["token_nll"] = std::move(token_nll);
}

bool is_greedy(const Score& score) {
  return std::all_of(score.greedy.begin(), score.greedy.end(),
                     [](std::uint8_t flag) { return flag != 0; });
}

void finish_multiple_choice(Json& row, std::span<const Score> scores) {
  Json loglikelihoods = Json::array();
  Json greedy = Json::array();
  for (const Score& score : scores) {
    loglikelihoods.push_back(sum(score.logprobs));
    greedy.push_back(is_greedy(score) ? 1 : 0);
  }
  row["choice_loglikelihoods"] = std::move(loglikelihoods);
  row["choice_greedy"] = std::move(greedy);
}

void finish_continuation(Json& row, const Score& score) {
  row["loglikelihood"] = sum(score.logprobs);
  row["greedy"] = is_greedy(score);
}

std::uint64_t seed_of(const PreparedItem& item, const TaskSpec& task) {
  return seed_from(std::to_string(task.seed) + ":" + item.row.at("item").get<std::string>());
}

std::string_view to_string(Finish finish) {
  switch (finish) {
    case Finish::kEnd:
      return "end";
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
  }
  return "";
}

bool is_finite(const Score& score) {
  return std::all_of(score.logprobs.begin(), score.logprobs.end(),
                     [](float value) { return std::isfinite(value); });
}

}  // namespace

std::vector<ScoreRequest> requests_of(PreparedItem& item, Protocol protocol,
                                      std::uint64_t max_context) {
  std::vector<ScoreRequest> requests;
  if (item.status != "ok") return requests;
  std::uint64_t truncated = 0;
  for (Span& span : item.spans) {
    const std::uint64_t longest = protocol == Protocol::kPerplexity ? max_context : max_context + 1;
    const std::uint64_t cut =
        max_context > 0 && span.tokens.size() > longest ? span.tokens.size() - longest : 0;
    if (cut >= span.first) {
      item.status = "too_long";
      return {};
    }
    truncated = std::max(truncated, cut);
    ScoreRequest request;
    request.tokens.assign(span.tokens.begin() + static_cast<std::ptrdiff_t>(cut),
                          span.tokens.end());
    request.first = span.first - cut;
    requests.push_back(std::move(request));
  }
  item.row["truncated_tokens"] = truncated;
  return requests;
}

std::optional<GenerateRequest> generate_request_of(PreparedItem& item, const TaskSpec& task,
                                                   std::uint64_t max_context) {
  if (item.status != "ok") return std::nullopt;
  const std::vector<std::int32_t>& prompt = item.spans.front().tokens;
  const std::uint64_t max_new = task.generate.max_new_tokens;
  if (max_context > 0 && max_new >= max_context) {
    item.status = "too_long";
    return std::nullopt;
  }
  const std::uint64_t longest = max_context > 0 ? max_context - max_new : prompt.size();
  const std::uint64_t cut = prompt.size() > longest ? prompt.size() - longest : 0;
  item.row["truncated_tokens"] = cut;
  GenerateRequest request;
  request.tokens.assign(prompt.begin() + static_cast<std::ptrdiff_t>(cut), prompt.end());
  request.seed = seed_of(item, task);
  return request;
}

std::vector<TextScoreRequest> text_requests_of(const PreparedItem& item) {
  std::vector<TextScoreRequest> requests;
  if (item.status != "ok") return requests;
  for (const TextSpan& span : item.texts) requests.push_back({0, span.prompt, span.continuation});
  return requests;
}

std::optional<TextGenerateRequest> text_generate_request_of(const PreparedItem& item,
                                                            const TaskSpec& task) {
  if (item.status != "ok") return std::nullopt;
  return TextGenerateRequest{0, item.texts.front().prompt, seed_of(item, task)};
}

Decoding decoding_of(const GenerateSpec& spec, std::vector<std::int32_t> end_tokens) {
  Decoding decoding;
  decoding.max_new = static_cast<std::uint32_t>(spec.max_new_tokens);
  decoding.min_new = static_cast<std::uint32_t>(spec.min_new_tokens);
  decoding.top_k = static_cast<std::uint32_t>(spec.top_k);
  decoding.temperature = static_cast<float>(spec.temperature);
  decoding.top_p = static_cast<float>(spec.top_p);
  decoding.end_tokens = std::move(end_tokens);
  decoding.stop = spec.stop;
  return decoding;
}

Result<Json> finish_generation(PreparedItem item, const Filters& filters, const Generation& said) {
  auto output = filters.apply(said.text);
  if (!output) return std::move(output).error();
  Json row = std::move(item.row);
  row["output"] = std::move(*output);
  row["raw_output"] = said.text;
  row["tokens"] = item.texts.empty() ? Json(said.tokens) : Json(nullptr);
  row["n_tokens"] = said.n_tokens ? Json(*said.n_tokens) : Json(nullptr);
  row["finish"] = to_string(said.finish);
  row["first_token_seconds"] =
      said.first_token_seconds ? Json(*said.first_token_seconds) : Json(nullptr);
  row["seconds"] = said.seconds;
  return row;
}

Json finish_row(PreparedItem item, Protocol protocol, std::span<const Score> scores) {
  if (!std::all_of(scores.begin(), scores.end(), is_finite)) {
    return failed_row(std::move(item), "not_finite");
  }
  Json row = std::move(item.row);
  if (!item.texts.empty()) {
    row["straddles"] = std::count_if(scores.begin(), scores.end(),
                                     [](const Score& score) { return score.straddles; });
  }
  if (protocol == Protocol::kPerplexity) {
    finish_perplexity(row, scores);
  } else if (protocol == Protocol::kContinuation) {
    finish_continuation(row, scores.front());
  } else {
    finish_multiple_choice(row, scores);
  }
  return row;
}

Json failed_row(PreparedItem item, std::string status) {
  item.row["status"] = std::move(status);
  return std::move(item.row);
}

}  // namespace assay::host
