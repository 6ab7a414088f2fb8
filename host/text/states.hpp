// What tokenizers and chat templates of both kinds have in common. How each kind does its work is
// in its own source.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/text/text.hpp"

namespace assay::host {

/// A special token of the model. No id: the model has none.
struct SpecialToken {
  std::optional<std::int32_t> id;
  std::string text;
};

struct Tokenizer::State {
  virtual ~State() = default;
  virtual Result<Encoding> encode(std::string_view text, AddSpecial special) const = 0;
  virtual Result<std::string> decode(std::span<const std::int32_t> ids,
                                     bool skip_special) const = 0;
  virtual std::uint64_t vocabulary() const = 0;

  SpecialToken bos, eos;
  std::vector<std::int32_t> end_tokens;
  std::string fingerprint;
};

struct ChatTemplate::State {
  virtual ~State() = default;
  /// Turns that are there, and UTF-8.
  virtual Result<std::string> render(std::span<const ChatTurn> turns,
                                     bool asks_for_answer) const = 0;

  std::string fingerprint;
};

}  // namespace assay::host
