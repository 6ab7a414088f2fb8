#include "host/protocol/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "host/core/hash.hpp"
#include "host/protocol/encode.hpp"
#include "host/protocol/item.hpp"
#include "host/protocol/shots.hpp"

namespace assay::host {
namespace {

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g %%", 100 * share);
  return text;
}

Failure in_source(const CalibrationText& source, Failure failure) {
  failure.text = "dataset." + source.name + ": " + failure.text;
  if (failure.where.empty()) failure.where = "dataset." + source.name;
  return failure;
}

/// The shares of the whole, and how many samples each source gives.
Result<std::vector<CalibrationShare>> shares_of(const std::vector<CalibrationText>& sources,
                                                std::uint64_t samples) {
  double sum = 0;
  for (const CalibrationText& source : sources) {
    if (!(source.share > 0) || !std::isfinite(source.share)) {
      return in_source(source, {ASSAY_INVALID_ARGUMENT, "its share must be a number above 0"});
    }
    sum += source.share;
  }
  std::vector<CalibrationShare> shares;
  std::vector<double> remainders;
  std::uint64_t given = 0;
  for (const CalibrationText& source : sources) {
    const double exact = static_cast<double>(samples) * (source.share / sum);
    const double whole = std::floor(exact);
    shares.push_back({source.name, source.share / sum, static_cast<std::uint64_t>(whole), 0});
    remainders.push_back(exact - whole);
    given += shares.back().samples;
  }
  std::vector<std::size_t> order(sources.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; given < samples; ++i, ++given) ++shares[order[i % order.size()]].samples;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (shares[i].samples > 0) continue;
    return in_source(sources[i],
                     {ASSAY_INVALID_ARGUMENT, "a share of " + percent(shares[i].share) + " of " +
                                                  std::to_string(samples) +
                                                  " samples is none; raise samples or the share"});
  }
  return shares;
}

/// A record as the model reads it, and what of it is compared with the tasks.
struct Document {
  std::string text;
  std::string said;  ///< of a conversation, its turns without what the chat template writes
};

Result<std::vector<ChatTurn>> turns_of(const Json& value) {
  if (!value.is_array()) return std::vector<ChatTurn>{{"user", text_of(value)}};
  std::vector<ChatTurn> turns;
  for (const Json& turn : value) {
    const bool is_turn = turn.is_object() && turn.contains("role") && turn["role"].is_string() &&
                         turn.contains("content") && turn["content"].is_string();
    if (!is_turn) {
      return Failure{ASSAY_INVALID_ARGUMENT,
                     "the template gave " +
                         turn.dump(-1, ' ', false, Json::error_handler_t::replace) +
                         " in its list, expected turns such as "
                         "{\"role\": \"user\", \"content\": \"...\"}"};
    }
    turns.push_back({turn["role"].get<std::string>(), turn["content"].get<std::string>()});
  }
  return turns;
}

/// Reads documents of one source and encodes them.
class Reading {
 public:
  Reading(const Tokenizer& tokenizer, const ChatTemplate* chat, Template text)
      : tokenizer_(tokenizer), chat_(chat), text_(std::move(text)) {}

  Result<Document> document(const Json& record) const {
    if (chat_ == nullptr) {
      auto text = text_.render(record);
      if (!text) return std::move(text).error();
      return Document{std::move(*text), ""};
    }
    const auto value = text_.evaluate(record);
    if (!value) return value.error();
    const auto turns = turns_of(*value);
    if (!turns) return turns.error();
    Document made;
    for (const ChatTurn& turn : *turns) made.said += turn.text + "\n";
    if (made.said.find_first_not_of('\n') == std::string::npos) return Document{};
    auto text = chat_->render(*turns, /*asks_for_answer=*/false);
    if (!text) return std::move(text).error();
    made.text = std::move(*text);
    return made;
  }

  Result<Encoding> encode(const Document& document) const {
    if (document.text.size() > kMaxDocumentBytes) {
      return too_long("a document", document.text.size());
    }
    return encode_text(tokenizer_, document.text, chat_ == nullptr ? Bos::kAuto : Bos::kNever);
  }

  /// The text that the first `n_tokens` tokens of a document stand for.
  std::string_view text_taken(const Document& document, const Encoding& encoded,
                              std::uint64_t n_tokens) const {
    if (chat_ != nullptr) return document.said;
    if (n_tokens == encoded.ids.size()) return document.text;
    return std::string_view(document.text).substr(0, encoded.end_bytes[n_tokens - 1]);
  }

 private:
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_;
  Template text_;
};

/// The tokens of a source's documents behind one another until there are `wanted`, or all there
/// are.
Result<std::vector<std::int32_t>> stream_of(const CalibrationText& source, const Reading& reading,
                                            std::span<const std::uint64_t> order,
                                            std::uint64_t wanted, CalibrationShare& share,
                                            std::vector<std::uint64_t>& grams) {
  std::vector<std::int32_t> stream;
  for (const std::uint64_t nth : order) {
    if (stream.size() == wanted) break;
    const auto record = source.records.read(nth);
    if (!record) return record.error();
    const auto document = reading.document(*record);
    if (!document) return in_source(source, at_record(nth, document.error()));
    if (document->text.empty()) continue;
    const auto encoded = reading.encode(*document);
    if (!encoded) return in_source(source, at_record(nth, encoded.error()));
    const std::uint64_t n = std::min<std::uint64_t>(encoded->ids.size(), wanted - stream.size());
    if (n == 0) continue;
    stream.insert(stream.end(), encoded->ids.begin(),
                  encoded->ids.begin() + static_cast<std::ptrdiff_t>(n));
    add_grams(reading.text_taken(*document, *encoded, n), grams);
    ++share.documents;
  }
  return stream;
}

std::vector<std::uint64_t> order_of(std::uint64_t n, const CalibrationSettings& settings,
                                    const std::string& name) {
  if (settings.is_shuffled) return shuffled(n, settings.seed, name);
  std::vector<std::uint64_t> order(n);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  return order;
}

Failure too_little(const CalibrationText& source, const CalibrationShare& share,
                   std::uint64_t n_tokens, std::uint64_t length) {
  const std::string given = std::to_string(n_tokens / length);
  return in_source(
      source,
      {ASSAY_INVALID_ARGUMENT,
       "its text gives " + given + (given == "1" ? " sample of " : " samples of ") +
           std::to_string(length) + " tokens, its share of " + percent(share.share) + " needs " +
           std::to_string(share.samples) + "; add text, or lower samples, length or the share"});
}

void put_little_end(std::string& to, std::uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFFU);
}

std::string digest_of(const std::vector<CalibrationSample>& samples) {
  std::string bytes;
  for (const CalibrationSample& sample : samples) {
    put_little_end(bytes, sample.tokens.size(), 8);
    for (const std::int32_t id : sample.tokens) {
      put_little_end(bytes, static_cast<std::uint32_t>(id), 4);
    }
  }
  return sha256(bytes);
}

}  // namespace

Result<Calibration> make_calibration(std::vector<CalibrationText> sources,
                                     const CalibrationSettings& settings,
                                     const Tokenizer& tokenizer, const ChatTemplate* chat) {
  if (sources.empty() || settings.samples == 0 || settings.length == 0) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "a calibration needs sources, and samples and length of at least 1"};
  }
  auto shares = shares_of(sources, settings.samples);
  if (!shares) return std::move(shares).error();
  Calibration made;
  made.sources = std::move(*shares);
  std::vector<CalibrationSample> samples;
  std::vector<std::uint64_t> grams;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const CalibrationText& source = sources[i];
    CalibrationShare& share = made.sources[i];
    auto text = Template::compile(source.text);
    if (!text) return in_source(source, std::move(text).error());
    const Reading reading(tokenizer, chat, std::move(*text));
    const auto order = order_of(source.records.size, settings, "source " + std::to_string(i));
    const std::uint64_t wanted = share.samples * settings.length;
    const auto stream = stream_of(source, reading, order, wanted, share, grams);
    if (!stream) return stream.error();
    if (stream->size() < wanted) return too_little(source, share, stream->size(), settings.length);
    for (auto at = stream->begin(); at != stream->end();) {
      const auto end = at + static_cast<std::ptrdiff_t>(settings.length);
      samples.push_back({{at, end}, i});
      at = end;
    }
  }
  for (const std::uint64_t nth : order_of(samples.size(), settings, "samples")) {
    made.samples.push_back(std::move(samples[nth]));
  }
  made.tokens = settings.samples * settings.length;
  made.digest = digest_of(made.samples);
  made.grams = WordGrams(std::move(grams));
  return made;
}

}  // namespace assay::host
