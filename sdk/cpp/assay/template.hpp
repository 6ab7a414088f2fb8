// For authors of assay.backend.template/1: a backend renders chats in the model's own form. Chats
// that are not rendered are in text_backend.hpp.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <algorithm>
#include <array>
#include <assay/backend.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// One turn of a chat: who speaks, "system", "user" or "assistant", and what. Owns borrowed
struct Message {
  std::string_view role, text;
};

/// The turns of a chat, walked by the host's stride. Owns borrowed until the call returns
inline std::vector<Message> messages_of(const assay_messages& chat) {
  std::vector<Message> messages;
  const char* place = reinterpret_cast<const char*>(chat.data);
  for (std::uint64_t i = 0; i < chat.n; ++i, place += chat.stride) {
    const auto* message = reinterpret_cast<const assay_message*>(place);
    messages.push_back({view_of(message->role), view_of(message->text)});
  }
  return messages;
}

/// A SHA-256.
using Fingerprint = std::array<std::uint8_t, 32>;

namespace detail {

/// The instance of a call that has sense only for a loaded model.
template <class T>
const T& loaded(void* self, const char* call) {
  const auto& backend = *static_cast<const BackendInstance<T>*>(self);
  require_stage(backend.stage, Stage::kLoaded, call);
  return backend.component;
}

/// Gives values by the rule "*n is what is needed; more than cap means too small".
template <class Values, class Value>
void give(const Values& values, Value* out, std::uint64_t cap, std::uint64_t* n) {
  *n = values.size();
  if (values.size() <= cap) std::copy(values.begin(), values.end(), out);
}

/// A backend with
///   std::string render(const std::vector<assay::Message>&, std::string_view variables_json,
///                      std::uint32_t flags) const;               flags: ASSAY_RENDER_*
///   assay::Fingerprint template_fingerprint() const;             of template and special tokens
/// both [any-thread].
template <class T>
struct BackendTemplateEntry {
  static constexpr bool kIsOffered =
      requires(const T& backend, const std::vector<Message>& chat, std::string_view variables) {
    { backend.render(chat, variables, std::uint32_t{}) } -> std::convertible_to<std::string>;
    { backend.template_fingerprint() } -> std::convertible_to<Fingerprint>;
  };
  static constexpr const char* kId = ASSAY_BACKEND_TEMPLATE_1;

  static assay_status render(void* self, const assay_messages* chat, assay_str variables,
                             std::uint32_t flags, char* out, std::uint64_t cap, std::uint64_t* n,
                             assay_error* error) noexcept {
    return wall(error, [&] {
      const std::string text =
          loaded<T>(self, "render").render(messages_of(*chat), view_of(variables), flags);
      give(text, out, cap, n);
    });
  }
  static assay_status fingerprint(void* self, std::uint8_t* sha256, assay_error* error) noexcept {
    return wall(error, [&] {
      const Fingerprint digest = loaded<T>(self, "fingerprint").template_fingerprint();
      std::copy(digest.begin(), digest.end(), sha256);
    });
  }
  static constexpr assay_backend_template_v1 kApi{sizeof(assay_backend_template_v1), 0, render,
                                                  fingerprint};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
