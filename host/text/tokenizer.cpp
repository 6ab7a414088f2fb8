#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "host/core/hash.hpp"
#include "host/text/crate_call.hpp"
#include "host/text/model_files.hpp"
#include "host/text/states.hpp"

namespace assay::host {
namespace {

struct Close {
  void operator()(assay_text_tokenizer* tokenizer) const { assay_text_tokenizer_close(tokenizer); }
};
using Handle = std::unique_ptr<assay_text_tokenizer, Close>;

/// The documents beside tokenizer.json that may name special tokens; null where there is no file.
struct Documents {
  std::filesystem::path dir;
  Json tokenizer_config;
  Json special_tokens_map;
  Json config;
  Json generation_config;
};

Result<Documents> read_documents(const std::filesystem::path& dir) {
  Documents documents{dir, {}, {}, {}, {}};
  for (auto [name, document] :
       {std::pair{"tokenizer_config.json", &documents.tokenizer_config},
        std::pair{"special_tokens_map.json", &documents.special_tokens_map},
        std::pair{"config.json", &documents.config},
        std::pair{"generation_config.json", &documents.generation_config}}) {
    auto found = read_model_json(dir / name);
    if (!found) return std::move(found).error();
    *document = std::move(*found);
  }
  return documents;
}

/// "key": "<s>" or "key": {"content": "<s>", ...}, looked up in the vocabulary.
Result<SpecialToken> special_by_text(const assay_text_tokenizer& tokenizer,
                                     const std::filesystem::path& path, const std::string& key,
                                     const Json& value) {
  if (value.is_null()) return SpecialToken{};
  const Json& text = value.is_object() && value.contains("content") ? value["content"] : value;
  if (!text.is_string()) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   path.string() + ": " + key + " must be a text or an object with \"content\"",
                   path.string()};
  }
  SpecialToken special{std::nullopt, text.get<std::string>()};
  const std::int32_t id = assay_text_token_id(&tokenizer, borrowed(special.text));
  if (id < 0) {
    return Failure{
        ASSAY_INVALID_ARGUMENT,
        path.string() + ": " + key + " \"" + special.text +
            "\" is not in the vocabulary of tokenizer.json; correct the name, or add the "
            "token to added_tokens there",
        path.string()};
  }
  special.id = id;
  return special;
}

/// "key": 1 or "key": [1, 2], of which the first counts.
Result<SpecialToken> special_by_id(const assay_text_tokenizer& tokenizer,
                                   const std::filesystem::path& path, const std::string& key,
                                   const Json& value) {
  if (value.is_null()) return SpecialToken{};
  const Json& number = value.is_array() && !value.empty() ? value.front() : value;
  if (!number.is_number_integer()) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   path.string() + ": " + key + " must be a token id or a list of them",
                   path.string()};
  }
  const auto id = number.get<std::int64_t>();
  CrateBuffer text;
  if (id < 0 || id > INT32_MAX ||
      assay_text_token_text(&tokenizer, static_cast<std::uint32_t>(id), text.out()) !=
          ASSAY_TEXT_OK) {
    return Failure{
        ASSAY_INVALID_ARGUMENT,
        path.string() + ": " + key + " " + std::to_string(id) +
            " is not a token of tokenizer.json; correct the number, or name the token in "
            "tokenizer_config.json",
        path.string()};
  }
  return SpecialToken{static_cast<std::int32_t>(id), std::string(text.text())};
}

/// The first document that has the key decides, a null included.
Result<SpecialToken> find_special(const assay_text_tokenizer& tokenizer, const Documents& documents,
                                  const std::string& key) {
  if (documents.tokenizer_config.contains(key)) {
    return special_by_text(tokenizer, documents.dir / "tokenizer_config.json", key,
                           documents.tokenizer_config[key]);
  }
  if (documents.special_tokens_map.contains(key)) {
    return special_by_text(tokenizer, documents.dir / "special_tokens_map.json", key,
                           documents.special_tokens_map[key]);
  }
  const std::string id_key = key + "_id";
  if (documents.config.contains(id_key)) {
    return special_by_id(tokenizer, documents.dir / "config.json", id_key,
                         documents.config[id_key]);
  }
  return SpecialToken{};
}

/// Adds "eos_token_id": 1 or [1, 2]. An id without a token is kept: vocabularies may be padded, and
/// a model may produce what its tokenizer cannot spell.
Result<void> add_end_tokens(const std::filesystem::path& path, const Json& document,
                            std::set<std::int32_t>& ends) {
  const auto found = document.find("eos_token_id");
  if (found == document.end() || found->is_null()) return {};
  const Json listed = found->is_array() ? *found : Json::array({*found});
  for (const Json& id : listed) {
    // A number above the range of the signed type compares as negative, and is refused as well.
    const auto value = id.is_number_integer() ? id.get<std::int64_t>() : -1;
    if (value < 0 || value > INT32_MAX) {
      return Failure{ASSAY_INVALID_ARGUMENT,
                     path.string() + ": eos_token_id must be a token id or a list of them, which " +
                         "are whole numbers from 0 on, but holds " + id.dump(),
                     path.string()};
    }
    ends.insert(static_cast<std::int32_t>(value));
  }
  return {};
}

Result<std::vector<std::int32_t>> find_end_tokens(const Documents& documents,
                                                  const SpecialToken& eos) {
  std::set<std::int32_t> ends;
  if (eos.id) ends.insert(*eos.id);
  auto added = add_end_tokens(documents.dir / "config.json", documents.config, ends);
  if (!added) return std::move(added).error();
  added =
      add_end_tokens(documents.dir / "generation_config.json", documents.generation_config, ends);
  if (!added) return std::move(added).error();
  return std::vector<std::int32_t>(ends.begin(), ends.end());
}

Result<Handle> open_crate(const std::filesystem::path& path, std::string_view bytes) {
  assay_text_tokenizer* tokenizer = nullptr;
  CrateBuffer reason;
  const std::int32_t status = assay_text_tokenizer_open(borrowed(bytes), &tokenizer, reason.out());
  if (status == ASSAY_TEXT_OK) return Handle(tokenizer);
  Failure failure = failure_of(status, reason,
                               path.string() + ": not a tokenizer of the HF tokenizers library: ");
  failure.text += "; save it again with the library that made it";
  failure.where = path.string();
  return failure;
}

std::string fingerprint_of(std::string_view tokenizer_json, const SpecialToken& bos,
                           const SpecialToken& eos) {
  const auto id = [](const SpecialToken& special) { return special.id ? *special.id : -1; };
  return sha256(sha256(tokenizer_json) + " bos " + std::to_string(id(bos)) + " eos " +
                std::to_string(id(eos)));
}

}  // namespace

struct Tokenizer::OfFiles final : State {
  Handle handle;

  Result<Encoding> encode(std::string_view text, AddSpecial special) const override;
  Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const override;
  std::uint64_t vocabulary() const override { return assay_text_vocabulary(handle.get()); }
};

Result<Tokenizer> Tokenizer::open(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "tokenizer.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return Failure{ASSAY_NOT_FOUND,
                   model_dir.string() +
                       ": has no tokenizer.json; copy the one of the model there, or make it with "
                       "transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
                   path.string()};
  }
  auto bytes = read_file(path);
  if (!bytes) return std::move(bytes).error();
  auto handle = open_crate(path, *bytes);
  if (!handle) return std::move(handle).error();
  auto documents = read_documents(model_dir);
  if (!documents) return std::move(documents).error();
  auto bos = find_special(**handle, *documents, "bos_token");
  if (!bos) return std::move(bos).error();
  auto eos = find_special(**handle, *documents, "eos_token");
  if (!eos) return std::move(eos).error();
  auto end_tokens = find_end_tokens(*documents, *eos);
  if (!end_tokens) return std::move(end_tokens).error();
  auto state = std::make_unique<OfFiles>();
  state->fingerprint = fingerprint_of(*bytes, *bos, *eos);
  state->handle = std::move(*handle);
  state->bos = std::move(*bos);
  state->eos = std::move(*eos);
  state->end_tokens = std::move(*end_tokens);
  return Tokenizer(std::move(state));
}

Result<Encoding> Tokenizer::OfFiles::encode(std::string_view text, AddSpecial special) const {
  CrateBuffer out;
  const std::int32_t status = assay_text_encode(handle.get(), borrowed(text),
                                                special == AddSpecial::kByRule ? 1 : 0, out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, "the text cannot be tokenized: ");
  const auto* tokens = static_cast<const assay_text_token*>(out.data());
  const std::size_t count = out.text().size() / sizeof(assay_text_token);
  Encoding encoding;
  encoding.ids.reserve(count);
  encoding.end_bytes.reserve(count);
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // Never back and never past the text: added tokens say 0, and the parts of one character split
    // into bytes all say the character's end.
    end = std::max(end, std::min<std::uint64_t>(tokens[i].end_byte, text.size()));
    encoding.ids.push_back(tokens[i].id);
    encoding.end_bytes.push_back(end);
  }
  return encoding;
}

Result<std::string> Tokenizer::OfFiles::decode(std::span<const std::int32_t> ids,
                                               bool skip_special) const {
  std::vector<std::uint32_t> unsigned_ids;
  unsigned_ids.reserve(ids.size());
  for (const std::int32_t id : ids) unsigned_ids.push_back(static_cast<std::uint32_t>(id));
  CrateBuffer out;
  const std::int32_t status = assay_text_decode(
      handle.get(), unsigned_ids.data(), unsigned_ids.size(), skip_special ? 1 : 0, out.out());
  if (status != ASSAY_TEXT_OK) return failure_of(status, out, "the tokens cannot be decoded: ");
  return std::string(out.text());
}

}  // namespace assay::host
