#include <assay/ext.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "host/core/utf8.hpp"
#include "host/text/states.hpp"

namespace assay::host {
namespace {

// What no honest answer is longer than, beside a share of what it is made from: an answer is
// refused before memory is taken for it.
constexpr std::uint64_t kMostBytes = 1u << 30;
constexpr std::uint64_t kMostEnds = 1u << 16;

// Tokens that are decoded together before their border is given up: a character has at most four
// bytes, and one that is made of several characters seldom more than sixteen.
constexpr std::size_t kLongestRun = 16;

assay_str borrowed(std::string_view text) { return {text.data(), text.size()}; }

Failure misbehaviour(const Component& backend, const std::string& what) {
  return Failure{ASSAY_INTERNAL, std::string(backend.id()) + ": misbehaviour: " + what};
}

/// A table that is there whole, or why not.
template <class Api>
Result<const Api*> table_of(const Instance& backend, const char* id) {
  const auto* api = backend.extension<Api>(id);
  if (api == nullptr) {
    return Failure{ASSAY_FAILED_PRECONDITION,
                   std::string(backend.component().id()) + " does not offer " + id};
  }
  if (api->struct_size < sizeof(Api)) {
    return misbehaviour(backend.component(), std::string("its table ") + id + " is too short");
  }
  return api;
}

/// Calls until the room given is enough. `call` is given the room and says what is needed.
template <class Values>
Result<Values> grown(
    const Component& backend, const std::string& function, std::uint64_t room, std::uint64_t most,
    const std::function<assay_status(Values& out, std::uint64_t* n, assay_error*)>& call) {
  Values out;
  for (int attempt = 0; attempt < 2; ++attempt) {
    out.resize(room);
    std::uint64_t n = 0;
    assay_error error{};
    error.struct_size = sizeof(error);
    const assay_status status = call(out, &n, &error);
    if (status != ASSAY_OK) return failure_from(backend, status, error);
    if (n <= room) {
      out.resize(n);
      return out;
    }
    if (n > most) {
      return misbehaviour(backend, function + " asks for room for " + std::to_string(n) +
                                       " values, more than the " + std::to_string(most) +
                                       " it can need here");
    }
    room = n;
  }
  return misbehaviour(backend, function + " asks for more room when it has what it asked for");
}

using DigestCall = assay_status (*)(void*, std::uint8_t*, assay_error*);

Result<std::string> fingerprint_of(const Instance& backend, DigestCall call) {
  std::uint8_t digest[32] = {};
  assay_error error{};
  error.struct_size = sizeof(error);
  const assay_status status = call(backend.self(), digest, &error);
  if (status != ASSAY_OK) return failure_from(backend.component(), status, error);
  std::string text;
  for (const std::uint8_t byte : digest) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

}  // namespace

struct Tokenizer::OfBackend final : State {
  OfBackend(const Instance& of, const assay_backend_tokenizer_v1& table)
      : component(of.component()), self(of.self()), api(table) {}

  Result<Encoding> encode(std::string_view text, AddSpecial special) const override;
  Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    auto bytes = raw(ids, skip_special ? 0 : std::uint32_t{ASSAY_ENCODE_PARSE_SPECIAL});
    if (!bytes) return bytes;
    return mended_utf8(*bytes);
  }
  std::uint64_t vocabulary() const override { return 0; }

  Result<std::string> raw(std::span<const std::int32_t> ids, std::uint32_t flags) const {
    const std::uint64_t most = std::min(kMostBytes, 4096 * (ids.size() + 1));
    return grown<std::string>(component, "decode", 16 * (ids.size() + 1), most,
                              [&](std::string& out, std::uint64_t* n, assay_error* error) {
                                return api.decode(self, ids.data(), ids.size(), flags, out.data(),
                                                  out.size(), n, error);
                              });
  }

  /// What one token decodes to.
  struct Piece {
    std::string plain, spelt;  ///< special tokens left out, and written out
  };
  Result<Piece> piece(std::int32_t id) const {
    {
      const std::lock_guard lock(mutex);
      if (const auto known = pieces.find(id); known != pieces.end()) return known->second;
    }
    auto plain = raw({&id, 1}, 0);
    if (!plain) return std::move(plain).error();
    auto spelt = raw({&id, 1}, ASSAY_ENCODE_PARSE_SPECIAL);
    if (!spelt) return std::move(spelt).error();
    Piece found{std::move(*plain), std::move(*spelt)};
    const std::lock_guard lock(mutex);
    return pieces.emplace(id, std::move(found)).first->second;
  }

  Result<std::vector<std::uint64_t>> ends_of(std::string_view text,
                                             std::span<const std::int32_t> ids) const;

  Component component;
  void* self;
  assay_backend_tokenizer_v1 api;
  mutable std::mutex mutex;  // of pieces: encode may run at once in several threads
  mutable std::unordered_map<std::int32_t, Piece> pieces;
};

/// Where each token ends in the text. A run of tokens that only fit together, as the bytes of one
/// character do, all end where it ends.
Result<std::vector<std::uint64_t>> Tokenizer::OfBackend::ends_of(
    std::string_view text, std::span<const std::int32_t> ids) const {
  std::vector<std::uint64_t> ends(ids.size(), text.size()), shares;
  std::uint64_t at = 0, share = 0;
  bool fits = true;
  std::size_t begin = 0;  // of the tokens that are not placed yet
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto alone = piece(ids[i]);
    if (!alone) return std::move(alone).error();
    const std::string_view rest = text.substr(at);
    const std::string& shown = alone->plain.empty() ? alone->spelt : alone->plain;
    // A special token that the text does not spell out was added, and covers nothing.
    const bool is_added = alone->plain.empty() && !rest.starts_with(shown);
    share += is_added ? 0 : shown.size();
    shares.push_back(share);
    if (!fits) continue;
    std::optional<std::uint64_t> length;
    if (begin == i && is_added) {
      length = 0;
    } else if (begin == i && !shown.empty() && rest.starts_with(shown)) {
      length = shown.size();
    } else if (begin == i && !shown.empty() && rest.starts_with(" " + shown)) {
      length = shown.size() + 1;  // decoded alone, a token that begins a word loses its space
    } else {
      const std::size_t from = begin > 0 ? begin - 1 : 0;
      auto before = begin > from ? raw(ids.subspan(from, 1), 0) : Result<std::string>("");
      if (!before) return std::move(before).error();
      auto with = raw(ids.subspan(from, i + 1 - from), 0);
      if (!with) return std::move(with).error();
      if (with->starts_with(*before)) {
        const std::string_view own = std::string_view(*with).substr(before->size());
        if (!own.empty() && rest.starts_with(own)) length = own.size();
      }
    }
    if (length) {
      at += *length;
      std::fill(ends.begin() + static_cast<std::ptrdiff_t>(begin),
                ends.begin() + static_cast<std::ptrdiff_t>(i + 1), at);
      begin = i + 1;
    }
    fits = i + 1 - begin < kLongestRun;
  }
  fits = fits && begin == ids.size();
  if (!fits) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ends[i] = share == 0 ? text.size()
                           : static_cast<std::uint64_t>(static_cast<double>(shares[i]) /
                                                        static_cast<double>(share) *
                                                        static_cast<double>(text.size()));
    }
  }
  // What no token stands for, such as white space cut off at the end, goes to the last of them.
  const auto last = std::find_if(ends.rbegin(), ends.rend(),
                                 [&](std::uint64_t end) { return end != ends.back(); });
  std::fill(last.base(), ends.end(), text.size());
  return ends;
}

Result<Encoding> Tokenizer::OfBackend::encode(std::string_view text, AddSpecial special) const {
  if (const auto fault = utf8_fault(text)) {
    return Failure{
        ASSAY_INVALID_ARGUMENT,
        "the text cannot be tokenized: it is not UTF-8 at byte " + std::to_string(*fault)};
  }
  const std::uint32_t flags =
      ASSAY_ENCODE_PARSE_SPECIAL |
      (special == AddSpecial::kByRule ? std::uint32_t{ASSAY_ENCODE_ADD_SPECIAL} : 0u);
  const std::uint64_t most = std::min(kMostBytes / sizeof(std::int32_t), 64 * (text.size() + 64));
  auto ids = grown<std::vector<std::int32_t>>(
      component, "encode", text.size() / 2 + 16, most,
      [&](std::vector<std::int32_t>& out, std::uint64_t* n, assay_error* error) {
        return api.encode(self, borrowed(text), flags, out.data(), out.size(), n, error);
      });
  if (!ids) return std::move(ids).error();
  for (const std::int32_t id : *ids) {
    if (id < 0) {
      return misbehaviour(component,
                          "encode gave the token " + std::to_string(id) + ", but ids start at 0");
    }
  }
  auto ends = ends_of(text, *ids);
  if (!ends) return std::move(ends).error();
  return Encoding{std::move(*ids), std::move(*ends)};
}

Result<Tokenizer> Tokenizer::open(const Instance& backend, std::int32_t bos, std::int32_t eos) {
  const auto api = table_of<assay_backend_tokenizer_v1>(backend, ASSAY_BACKEND_TOKENIZER_1);
  if (!api) return api.error();
  const assay_backend_tokenizer_v1& table = **api;
  if (table.encode == nullptr || table.decode == nullptr || table.ends == nullptr ||
      table.fingerprint == nullptr) {
    return misbehaviour(backend.component(),
                        "its table " ASSAY_BACKEND_TOKENIZER_1 " has an empty slot");
  }
  auto state = std::make_unique<OfBackend>(backend, table);
  auto fingerprint = fingerprint_of(backend, table.fingerprint);
  if (!fingerprint) return std::move(fingerprint).error();
  state->fingerprint = std::move(*fingerprint);
  for (const auto& [id, special] : {std::pair{bos, &state->bos}, std::pair{eos, &state->eos}}) {
    if (id < 0) continue;
    auto text = state->decode({&id, 1}, /*skip_special=*/false);
    if (!text) return std::move(text).error();
    *special = {id, std::move(*text)};
  }
  auto ends = grown<std::vector<std::int32_t>>(
      backend.component(), "ends", 16, kMostEnds,
      [&](std::vector<std::int32_t>& out, std::uint64_t* n, assay_error* error) {
        return table.ends(backend.self(), out.data(), out.size(), n, error);
      });
  if (!ends) return std::move(ends).error();
  std::set<std::int32_t> sorted(ends->begin(), ends->end());
  if (eos >= 0) sorted.insert(eos);
  if (!sorted.empty() && *sorted.begin() < 0) {
    return misbehaviour(
        backend.component(),
        "ends gave the token " + std::to_string(*sorted.begin()) + ", but ids start at 0");
  }
  state->end_tokens.assign(sorted.begin(), sorted.end());
  return Tokenizer(std::move(state));
}

struct ChatTemplate::OfBackend final : State {
  OfBackend(const Instance& of, const assay_backend_template_v1& table)
      : component(of.component()), self(of.self()), api(table) {}

  Result<std::string> render(std::span<const ChatTurn> turns, bool asks_for_answer) const override {
    std::vector<assay_message> messages;
    std::uint64_t bytes = 0;
    for (const ChatTurn& turn : turns) {
      messages.push_back({borrowed(turn.role), borrowed(turn.text)});
      bytes += turn.role.size() + turn.text.size();
    }
    const assay_messages chat{messages.data(), messages.size(), sizeof(assay_message)};
    const std::uint32_t flags = asks_for_answer ? std::uint32_t{ASSAY_RENDER_OPEN_REPLY} : 0u;
    const std::uint64_t most = std::min(kMostBytes, 64 * bytes + (1u << 20));
    auto text = grown<std::string>(
        component, "render", bytes + 256, most,
        [&](std::string& out, std::uint64_t* n, assay_error* error) {
          return api.render(self, &chat, assay_str{"", 0}, flags, out.data(), out.size(), n, error);
        });
    if (!text) return text;
    if (utf8_fault(*text)) return misbehaviour(component, "render gave a text that is not UTF-8");
    return text;
  }

  Component component;
  void* self;
  assay_backend_template_v1 api;
};

Result<ChatTemplate> ChatTemplate::open(const Instance& backend) {
  const auto api = table_of<assay_backend_template_v1>(backend, ASSAY_BACKEND_TEMPLATE_1);
  if (!api) return api.error();
  const assay_backend_template_v1& table = **api;
  if (table.render == nullptr || table.fingerprint == nullptr) {
    return misbehaviour(backend.component(),
                        "its table " ASSAY_BACKEND_TEMPLATE_1 " has an empty slot");
  }
  auto fingerprint = fingerprint_of(backend, table.fingerprint);
  if (!fingerprint) return std::move(fingerprint).error();
  auto state = std::make_unique<OfBackend>(backend, table);
  state->fingerprint = std::move(*fingerprint);
  return ChatTemplate(std::move(state));
}

}  // namespace assay::host
