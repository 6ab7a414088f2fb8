// Text to tokens by the host's policy: when BOS is there, and where a context ends and its
// continuation begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/protocol.hpp"
#include "host/text/text.hpp"

namespace assay::host {

/// Encodes under the task's BOS rule. kAuto: the tokenizer's own rule, except that a text which
/// already begins with the text of BOS gets no second one. kAlways puts BOS in front where the
/// text's own tokens do not begin with it; kNever adds nothing.
///
/// Fails    what the tokenizer reports; ASSAY_FAILED_PRECONDITION kAlways without a BOS token
/// Source   scoring.md 6.3
Result<Encoding> encode_text(const Tokenizer& tokenizer, std::string_view text, Bos bos);

/// Bytes of the text up to its trailing white space, as Python's str.rstrip() knows it.
std::size_t bytes_without_trailing_spaces(std::string_view text);

/// What stands before a text without context: BOS, else EOS.
///
/// Fails    ASSAY_FAILED_PRECONDITION the tokenizer names neither
Result<std::int32_t> prefix_token(const Tokenizer& tokenizer);

/// A context and its continuation as tokens.
struct EncodedPair {
  Span span;
  bool boundary_differs = false;  ///< the joint encoding does not begin with the context's own
};

/// Trailing white space of the context moves to the continuation; both are encoded together and cut
/// at the length of the context's own encoding. Context tokens come from the context's encoding,
/// continuation tokens from the joint one. An empty context becomes the prefix token: BOS, else
/// EOS. A continuation without tokens gives span.first == span.tokens.size().
///
/// Source   scoring.md 6 and 18.2
Result<EncodedPair> encode_pair(const Tokenizer& tokenizer, std::string_view context,
                                std::string_view continuation, Bos bos);

/// Why a text of more than kMaxDocumentBytes is not tokenized, and what to do. `what`: "a
/// document".
Failure too_long(std::string_view what, std::uint64_t bytes);

}  // namespace assay::host
