// Tokenizers and templates: those of model directories, the door to the HF tokenizers and minijinja
// crates behind host/text/assay_text.h, and those a backend brings.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/loader/instance.hpp"

namespace assay::host {

/// kByRule: the tokenizer's own post-processor decides (BOS where it adds one). kNone: no special
/// tokens are added. Special tokens spelt out in the text are recognised either way.
enum class AddSpecial { kByRule, kNone };

struct Encoding {
  std::vector<std::int32_t> ids;
  /// End of each token in the text, in bytes; tokens that were added have the end of their
  /// predecessor (0 in front). Never decreases.
  std::vector<std::uint64_t> end_bytes;
};

/// A model's tokenizer: of its directory, tokenizer.json with the special tokens of
/// tokenizer_config.json, or the one its backend brings.
///
/// tokenizer.json is taken as it stands: add_bos_token and other switches of tokenizer_config.json,
/// from which transformers would build another tokenizer, change nothing. Truncation, padding and
/// dropout that the file asks for are off.
///
/// Threads  [any-thread] all const functions may run at once
class Tokenizer {
 public:
  /// Fails    ASSAY_NOT_FOUND no tokenizer.json, saying what to do; ASSAY_INVALID_ARGUMENT a file
  ///          that cannot be understood, or a special token that the vocabulary does not hold
  static Result<Tokenizer> open(const std::filesystem::path& model_dir);

  /// assay.backend.tokenizer/1 of a loaded backend, which must outlive it; bos and eos are those
  /// of its assay_model_info.
  ///
  /// Byte ends are found by decoding tokens, each alone, then after its predecessor, then a few
  /// together, and laying what comes out along the text. Where a tokenizer changes texts so that
  /// this does not fit, they are shares of the text in proportion to what the tokens decode to.
  /// Either way the last of them is the length of the text, so that figures per byte stay right.
  ///
  /// Fails    ASSAY_FAILED_PRECONDITION the backend has no such table; what the backend reports,
  ///          and answers that break its contract, naming it
  static Result<Tokenizer> open(const Instance& backend, std::int32_t bos, std::int32_t eos);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Fails    ASSAY_INVALID_ARGUMENT text that is not UTF-8, naming the byte
  Result<Encoding> encode(std::string_view text, AddSpecial special) const;

  /// An id without a token, such as one of a padded vocabulary, decodes to nothing, and bytes that
  /// are no character to U+FFFD.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT a negative id
  Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// From tokenizer_config.json, else special_tokens_map.json (string or object spelling), else
  /// bos_token_id and eos_token_id of config.json. The first file with the key decides: a null
  /// there means that the model has none.
  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  const std::string& bos_text() const;
  const std::string& eos_text() const;

  /// Tokens that end a text: eos_token_id of config.json and of generation_config.json (each a
  /// number or a list) and eos(). Ascending, each once; empty where the model names none. May hold
  /// ids from vocabulary() on, of a padded vocabulary.
  const std::vector<std::int32_t>& end_tokens() const;

  /// One more than the highest id a text can be encoded to; 0: not known, as of a backend's own.
  std::uint64_t vocabulary() const;

  /// SHA-256 of tokenizer.json and the special tokens, or what the backend says: variants are
  /// compared token by token only when theirs agree.
  const std::string& fingerprint() const;

 private:
  struct State;
  struct OfFiles;
  struct OfBackend;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A compiled Jinja template: strict undefined, trailing newline kept, Python's string methods.
///
/// Values print as Python prints them (True, None, 1e-07, ['a', 1.0]). Differs from Jinja2: no `%`
/// formatting of strings, no include or extends; tuples are lists; `~` writes floats beyond 1e16
/// without an exponent; an undefined part of a list fails instead of printing as Undefined; a
/// filter or test that does not exist is refused at once, and so is what no stack would hold: a tag
/// of more than 4000 parts, more than 1000 elif.
///
/// Source   Jinja2 3.1 through minijinja 2; scoring.md 2
/// Threads  [any-thread] all const functions may run at once
class Template {
 public:
  /// Fails    ASSAY_INVALID_ARGUMENT syntax, or a filter that does not exist, with the line and
  ///          column inside the template
  static Result<Template> compile(std::string_view source);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  /// Fails    ASSAY_INVALID_ARGUMENT an undefined name or a failing filter, saying which; a column
  ///          with text that is not UTF-8, or with a NaN or infinity that the template reads
  Result<std::string> render(const Json& record) const;

  /// The value of a source of the form `{{ expression }}`, or the rendered text of any other. White
  /// space around the braces is text.
  Result<Json> evaluate(const Json& record) const;

  /// Names the template reads and does not define itself.
  const std::set<std::string>& variables() const;

 private:
  struct State;
  explicit Template(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct ChatTurn {
  std::string role;  ///< "system", "user" or "assistant"
  std::string text;
};

/// A model's own chat template. That of a backend is the backend's to render; that of a model
/// directory is rendered as transformers renders it: lenient undefined, blocks
/// trimmed, loop controls, raise_exception, the special tokens the model names (bos_token ...),
/// tools and documents there but none.
///
/// Differs from it: strftime_now is not defined, as a prompt with today's date would give another
/// result every day, so templates that ask for it fall back on the date they hold (Llama 3.1:
/// 26 Jul 2024), and those that do not ask fail; a filter or test that does not exist is refused at
/// once; as Template in the other points. A rendering ends after 500,000 instructions.
///
/// Source   transformers 5.23, utils/chat_template_utils.py
/// Threads  [any-thread] all const functions may run at once
class ChatTemplate {
 public:
  /// chat_template.jinja, else chat_template of tokenizer_config.json: a text, or a list of which
  /// the one named "default" is taken.
  ///
  /// Fails    ASSAY_NOT_FOUND the model has none, saying where it was looked for;
  ///          ASSAY_INVALID_ARGUMENT it does not compile, with line and column
  static Result<ChatTemplate> open(const std::filesystem::path& model_dir);

  /// assay.backend.template/1 of a loaded backend, which must outlive it.
  ///
  /// Fails    as Tokenizer::open
  static Result<ChatTemplate> open(const Instance& backend);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// `asks_for_answer` ends the text where the assistant begins to speak.
  ///
  /// Fails    ASSAY_INVALID_ARGUMENT the template raises or fails, with its own words
  Result<std::string> render(std::span<const ChatTurn> turns, bool asks_for_answer) const;

  /// SHA-256 of the template and the special tokens it is given, or what the backend says.
  const std::string& fingerprint() const;

 private:
  struct State;
  struct OfFiles;
  struct OfBackend;
  explicit ChatTemplate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
