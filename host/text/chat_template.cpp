#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "host/core/hash.hpp"
#include "host/text/crate_call.hpp"
#include "host/text/model_files.hpp"
#include "host/text/states.hpp"

namespace assay::host {
namespace {

struct Close {
  void operator()(assay_text_template* compiled) const { assay_text_template_close(compiled); }
};
using Handle = std::unique_ptr<assay_text_template, Close>;

/// Source   transformers 5.23, PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES
constexpr std::array kSpecialTokens = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};

/// The source, and where it is written: a file, or a key of one.
struct Found {
  std::string source;
  std::string file;
  std::string place;
};

Failure invalid(const Found& found, const std::string& what) {
  return {ASSAY_INVALID_ARGUMENT, found.place + what, found.file};
}

/// The text of the template called "default" in [{"name": ..., "template": ...}].
Result<std::string> default_of(const Json& list, const Found& found) {
  std::string names;
  for (const Json& entry : list) {
    const auto text = [&entry](const char* key) {
      const auto value = entry.is_object() ? entry.find(key) : entry.end();
      return value != entry.end() && value->is_string() ? &value->get_ref<const std::string&>()
                                                        : nullptr;
    };
    const std::string* name = text("name");
    const std::string* source = text("template");
    if (name == nullptr || source == nullptr) {
      return invalid(found, "must be a list of objects with the texts \"name\" and \"template\"");
    }
    if (*name == "default") return *source;
    names += (names.empty() ? "\"" : ", \"") + *name + "\"";
  }
  return invalid(found, "holds no template named \"default\"" +
                            (names.empty() ? std::string() : ", only " + names) +
                            "; name one so, or put it into chat_template.jinja");
}

Result<Found> find_source(const std::filesystem::path& dir, const Json& tokenizer_config) {
  const std::filesystem::path file = dir / "chat_template.jinja";
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    auto source = read_file(file);
    if (!source) return std::move(source).error();
    return Found{std::move(*source), file.string(), file.string() + ": "};
  }
  const auto config = (dir / "tokenizer_config.json").string();
  Found found{"", config, config + ": chat_template: "};
  const auto given = tokenizer_config.find("chat_template");
  if (given == tokenizer_config.end() || given->is_null()) {
    return Failure{ASSAY_NOT_FOUND,
                   dir.string() +
                       ": the model has no chat template, neither a file chat_template.jinja nor "
                       "chat_template in tokenizer_config.json; write chat = false, or put the "
                       "template its chats were trained with into chat_template.jinja",
                   file.string()};
  }
  if (given->is_string()) {
    found.source = given->get<std::string>();
    return found;
  }
  if (!given->is_array()) {
    return invalid(found, std::string("must be a text or a list of named templates, but is ") +
                              given->type_name());
  }
  auto source = default_of(*given, found);
  if (!source) return std::move(source).error();
  found.source = std::move(*source);
  return found;
}

/// The texts of the special tokens that the model names, as a template sees them: the first
/// document with the key decides, and a null gives none.
Json special_tokens(const Json& tokenizer_config, const Json& special_tokens_map) {
  Json tokens = Json::object();
  for (const char* key : kSpecialTokens) {
    const Json& document = tokenizer_config.contains(key) ? tokenizer_config : special_tokens_map;
    const auto value = document.find(key);
    if (value == document.end()) continue;
    const Json& text =
        value->is_object() && value->contains("content") ? (*value)["content"] : *value;
    if (text.is_string()) tokens[key] = text;
  }
  return tokens;
}

}  // namespace

struct ChatTemplate::OfFiles final : State {
  Handle handle;
  std::string place;
  Json special_tokens;

  Result<std::string> render(std::span<const ChatTurn> turns, bool asks_for_answer) const override;
};

Result<ChatTemplate> ChatTemplate::open(const std::filesystem::path& model_dir) {
  auto tokenizer_config = read_model_json(model_dir / "tokenizer_config.json");
  if (!tokenizer_config) return std::move(tokenizer_config).error();
  auto special_tokens_map = read_model_json(model_dir / "special_tokens_map.json");
  if (!special_tokens_map) return std::move(special_tokens_map).error();
  auto found = find_source(model_dir, *tokenizer_config);
  if (!found) return std::move(found).error();

  assay_text_template* compiled = nullptr;
  CrateBuffer out;
  const std::int32_t status = assay_text_chat_open(borrowed(found->source), &compiled, out.out());
  if (status != ASSAY_TEXT_OK) {
    Failure failure = failure_of(status, out, found->place);
    failure.where = found->file;
    return failure;
  }
  auto state = std::make_unique<OfFiles>();
  state->handle.reset(compiled);
  state->special_tokens = special_tokens(*tokenizer_config, *special_tokens_map);
  state->fingerprint = sha256(sha256(found->source) + state->special_tokens.dump());
  state->place = std::move(found->place);
  return ChatTemplate(std::move(state));
}

Result<std::string> ChatTemplate::OfFiles::render(std::span<const ChatTurn> turns,
                                                  bool asks_for_answer) const {
  Json messages = Json::array();
  for (const ChatTurn& turn : turns) {
    messages.push_back({{"role", turn.role}, {"content", turn.text}});
  }
  // In the order in which transformers passes them; tools and documents are there, and are none.
  Json chat = {{"messages", std::move(messages)},
               {"tools", nullptr},
               {"documents", nullptr},
               {"add_generation_prompt", asks_for_answer}};
  chat.update(special_tokens);
  const std::string given = chat.dump();
  CrateBuffer out;
  const std::int32_t status = assay_text_chat_render(handle.get(), borrowed(given), out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, place);
  return std::string(out.text());
}

}  // namespace assay::host
