// Tokenizers and templates. The door to the HF tokenizers and minijinja crates, behind
// host/text/assay_text.h.
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

/// A model directory's tokenizer.json with the special tokens of tokenizer_config.json.
///
/// Threads  [any-thread] all const functions may run at once
class Tokenizer {
 public:
  /// Fails    ASSAY_NOT_FOUND no tokenizer.json, saying what to do; ASSAY_INVALID_ARGUMENT a file
  ///          that cannot be understood
  static Result<Tokenizer> open(const std::filesystem::path& model_dir);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  Result<Encoding> encode(std::string_view text, AddSpecial special) const;
  Result<std::string> decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// From tokenizer_config.json (string or object spelling), looked up in the vocabulary.
  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  const std::string& bos_text() const;
  const std::string& eos_text() const;

  /// SHA-256 of tokenizer.json and the special tokens: variants are compared token by token only
  /// when theirs agree.
  const std::string& fingerprint() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A compiled Jinja template: strict undefined, trailing newline kept, Python's string methods.
///
/// Threads  [any-thread] all const functions may run at once
class Template {
 public:
  /// Fails    ASSAY_INVALID_ARGUMENT syntax, with the line and column inside the template
  static Result<Template> compile(std::string_view source);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  /// Fails    ASSAY_INVALID_ARGUMENT an undefined name or a failing filter, saying which
  Result<std::string> render(const Json& record) const;

  /// The value of a source of the form `{{ expression }}`, or the rendered text of any other.
  Result<Json> evaluate(const Json& record) const;

  /// Names the template reads and does not define itself.
  const std::set<std::string>& variables() const;

 private:
  struct State;
  explicit Template(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::host
