#include <string>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/text/states.hpp"

namespace assay::host {

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Encoding> Tokenizer::encode(std::string_view text, AddSpecial special) const {
  return state_->encode(text, special);
}

Result<std::string> Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  for (const std::int32_t id : ids) {
    if (id >= 0) continue;
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "token id " + std::to_string(id) + " cannot be decoded: ids start at 0"};
  }
  return state_->decode(ids, skip_special);
}

std::optional<std::int32_t> Tokenizer::bos() const { return state_->bos.id; }
std::optional<std::int32_t> Tokenizer::eos() const { return state_->eos.id; }
const std::string& Tokenizer::bos_text() const { return state_->bos.text; }
const std::string& Tokenizer::eos_text() const { return state_->eos.text; }
const std::vector<std::int32_t>& Tokenizer::end_tokens() const { return state_->end_tokens; }
std::uint64_t Tokenizer::vocabulary() const { return state_->vocabulary(); }
const std::string& Tokenizer::fingerprint() const { return state_->fingerprint; }

ChatTemplate::ChatTemplate(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<std::string> ChatTemplate::render(std::span<const ChatTurn> turns,
                                         bool asks_for_answer) const {
  if (turns.empty()) {
    return Failure{ASSAY_INVALID_ARGUMENT, "a chat of no turns has no prompt; give it one"};
  }
  for (std::size_t i = 0; i < turns.size(); ++i) {
    for (const std::string& text : {turns[i].role, turns[i].text}) {
      if (const auto fault = utf8_fault(text)) {
        return Failure{ASSAY_INVALID_ARGUMENT, "turn " + std::to_string(i + 1) +
                                                   " of the chat is not UTF-8 at byte " +
                                                   std::to_string(*fault)};
      }
    }
  }
  return state_->render(turns, asks_for_answer);
}

const std::string& ChatTemplate::fingerprint() const { return state_->fingerprint; }

}  // namespace assay::host
