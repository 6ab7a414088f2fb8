#include "host/protocol/encode.hpp"

#include <algorithm>
#include <assay/text.hpp>
#include <string>
#include <utility>

namespace assay::host {
namespace {

std::string megabytes(std::uint64_t bytes) {
  const std::uint64_t tenths = (bytes * 10 + 500'000) / 1'000'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

Result<EncodedPair> continuation_alone(const Tokenizer& tokenizer, std::string_view continuation) {
  auto prefix = prefix_token(tokenizer);
  if (!prefix) return std::move(prefix).error();
  auto encoded = tokenizer.encode(continuation, AddSpecial::kNone);
  if (!encoded) return std::move(encoded).error();
  EncodedPair pair;
  pair.span.tokens = std::move(encoded->ids);
  pair.span.first = 1;
  if (pair.span.tokens.empty() || pair.span.tokens.front() != *prefix) {
    pair.span.tokens.insert(pair.span.tokens.begin(), *prefix);
  }
  return pair;
}

}  // namespace

std::size_t bytes_without_trailing_spaces(std::string_view text) {
  while (!text.empty()) {
    const Character last = last_character(text);
    if (!is_white_space(last.code)) break;
    text.remove_suffix(last.bytes.size());
  }
  return text.size();
}

Result<std::int32_t> prefix_token(const Tokenizer& tokenizer) {
  const auto prefix = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  if (prefix) return *prefix;
  return Failure{ASSAY_FAILED_PRECONDITION,
                 "an empty prompt needs a token in front, but the tokenizer has neither BOS nor "
                 "EOS; give the prompt some text"};
}

Result<Encoding> encode_text(const Tokenizer& tokenizer, std::string_view text, Bos bos) {
  if (bos == Bos::kAuto) {
    const bool has_bos = !tokenizer.bos_text().empty() && text.starts_with(tokenizer.bos_text());
    return tokenizer.encode(text, has_bos ? AddSpecial::kNone : AddSpecial::kByRule);
  }
  auto encoded = tokenizer.encode(text, AddSpecial::kNone);
  if (!encoded || bos == Bos::kNever) return encoded;
  if (!tokenizer.bos()) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   "bos = \"always\" needs a BOS token, but the tokenizer names none; use bos = "
                   "\"auto\""};
  }
  if (encoded->ids.empty() || encoded->ids.front() != *tokenizer.bos()) {
    encoded->ids.insert(encoded->ids.begin(), *tokenizer.bos());
    encoded->end_bytes.insert(encoded->end_bytes.begin(), 0);
  }
  return encoded;
}

Result<EncodedPair> encode_pair(const Tokenizer& tokenizer, std::string_view context,
                                std::string_view continuation, Bos bos) {
  const std::string joined = std::string(context) + std::string(continuation);
  const std::size_t kept = bytes_without_trailing_spaces(context);
  if (kept == 0) return continuation_alone(tokenizer, joined);
  auto own = encode_text(tokenizer, context.substr(0, kept), bos);
  if (!own) return std::move(own).error();
  auto whole = encode_text(tokenizer, joined, bos);
  if (!whole) return std::move(whole).error();

  EncodedPair pair;
  const std::size_t cut = std::min(own->ids.size(), whole->ids.size());
  const auto border = whole->ids.begin() + static_cast<std::ptrdiff_t>(cut);
  pair.boundary_differs = !std::equal(own->ids.begin(), own->ids.end(), whole->ids.begin(), border);
  pair.span.tokens = std::move(own->ids);
  pair.span.first = pair.span.tokens.size();
  pair.span.tokens.insert(pair.span.tokens.end(), border, whole->ids.end());
  return pair;
}

Failure too_long(std::string_view what, std::uint64_t bytes) {
  return Failure{ASSAY_INVALID_ARGUMENT,
                 std::string(what) + " of " + megabytes(bytes) + " is longer than the " +
                     megabytes(kMaxDocumentBytes) +
                     " one item may have; split the file into one document per line, or name the "
                     "text between documents with separator"};
}

}  // namespace assay::host
