// A record read as a question: what is asked, what may follow, and everything that stands before it
// (description, examples, chat turns). Tokens are not made here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/result.hpp"
#include "host/graph/graph.hpp"
#include "host/protocol/protocol.hpp"
#include "host/text/text.hpp"

namespace assay::host {

/// Multiple choice: the options are the prompts where contexts differ, else the answers. Otherwise
/// one prompt, and every answer that would be right.
struct Question {
  std::vector<std::string> prompts;
  std::vector<std::string> answers;
  std::uint64_t right = 0;  ///< the option that is the target; answers[0] otherwise
};

/// A manifest string that is a bare column name, or a template.
class ColumnOrTemplate {
 public:
  static Result<ColumnOrTemplate> make(const std::string& text);

  Result<std::string> text(const Json& record) const;
  Result<Json> value(const Json& record) const;

 private:
  ColumnOrTemplate(std::string name, Template compiled);
  std::string name_;
  Template template_;
};

/// Reads records of one task as questions.
class Questions {
 public:
  /// `chat` may be null where the task does not chat; it must outlive this.
  ///
  /// Fails    a template that does not compile
  static Result<Questions> make(const TaskSpec& task, const ChatTemplate* chat, Records shots);

  /// Fails    a record that the templates cannot use
  Result<Question> read(const Json& record) const;

  /// How many options there are to score.
  std::uint64_t options(const Question& question) const;
  const std::string& prompt_of(const Question& question, std::uint64_t option) const;
  const std::string& answer_of(const Question& question, std::uint64_t option) const;

  /// Description and examples of an item, drawn by the hash of its record.
  struct Head {
    std::string description;
    std::vector<Question> examples;
  };
  Result<Head> head(std::uint64_t index, const std::string& hash, const Json& record) const;

  /// The whole text before what is scored or generated.
  ///
  /// Source   scoring.md 3; with a chat template: description as system text, examples as turns
  Result<std::string> context(const Head& head, const std::string& prompt) const;

  /// The same as turns of a chat, for who renders it elsewhere.
  std::vector<ChatTurn> turns(const Head& head, const std::string& prompt) const;

 private:
  Questions(const TaskSpec& task, const ChatTemplate* chat, Records shots);
  Result<void> read_choices(const Json& record, Question& question) const;
  Result<void> read_answers(const Json& record, Question& question) const;
  Result<std::uint64_t> index_of(const Json& target, const Question& question) const;

  const TaskSpec* task_;
  const ChatTemplate* chat_;
  Records shots_;
  std::vector<ColumnOrTemplate> prompts_, choices_, target_, description_;
};

}  // namespace assay::host
