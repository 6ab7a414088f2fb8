#include "host/protocol/question.hpp"

#include <algorithm>
#include <utility>

#include "host/protocol/item.hpp"
#include "host/protocol/shots.hpp"

namespace assay::host {
namespace {

Result<void> add(std::vector<ColumnOrTemplate>& to, const std::string& text) {
  auto source = ColumnOrTemplate::make(text);
  if (!source) return std::move(source).error();
  to.push_back(std::move(*source));
  return {};
}

Result<void> add_all(std::vector<ColumnOrTemplate>& to, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (auto ok = add(to, text); !ok) return ok;
  }
  return {};
}

Result<void> add_texts(const std::vector<ColumnOrTemplate>& sources, const Json& record,
                       std::vector<std::string>& to) {
  for (const ColumnOrTemplate& source : sources) {
    auto text = source.text(record);
    if (!text) return std::move(text).error();
    to.push_back(std::move(*text));
  }
  return {};
}

}  // namespace

ColumnOrTemplate::ColumnOrTemplate(std::string name, Template compiled)
    : name_(std::move(name)), template_(std::move(compiled)) {}

Result<ColumnOrTemplate> ColumnOrTemplate::make(const std::string& text) {
  auto compiled = Template::compile(text);
  if (!compiled) return std::move(compiled).error();
  return ColumnOrTemplate(text, std::move(*compiled));
}

Result<std::string> ColumnOrTemplate::text(const Json& record) const {
  const auto column = record.find(name_);
  if (column == record.end()) return template_.render(record);
  if (!column->is_null()) return text_of(*column);
  return Failure{ASSAY_INVALID_ARGUMENT, "column \"" + name_ + "\" has no value", name_};
}

Result<Json> ColumnOrTemplate::value(const Json& record) const {
  const auto column = record.find(name_);
  if (column != record.end()) return Json(*column);
  return template_.evaluate(record);
}

Questions::Questions(const TaskSpec& task, const ChatTemplate* chat, Records shots)
    : task_(&task), chat_(chat), shots_(std::move(shots)) {}

Result<Questions> Questions::make(const TaskSpec& task, const ChatTemplate* chat, Records shots) {
  Questions made(task, task.prompt.is_chat ? chat : nullptr, std::move(shots));
  for (auto added :
       {add_all(made.prompts_, task.prompt.prompts),
        add_all(made.choices_, task.multiple_choice.choices), add(made.target_, task.prompt.target),
        add(made.description_, task.prompt.description)}) {
    if (!added) return std::move(added).error();
  }
  return made;
}

Result<Question> Questions::read(const Json& record) const {
  Question question;
  if (auto ok = add_texts(prompts_, record, question.prompts); !ok) return std::move(ok).error();
  auto ok = task_->protocol == Protocol::kMultipleChoice ? read_choices(record, question)
                                                         : read_answers(record, question);
  if (!ok) return std::move(ok).error();
  return question;
}

Result<void> Questions::read_choices(const Json& record, Question& question) const {
  const MultipleChoiceSpec& spec = task_->multiple_choice;
  if (spec.choices_is_list || task_->prompt.has_many_prompts) {
    if (auto ok = add_texts(choices_, record, question.answers); !ok) return ok;
  } else {
    auto list = choices_.front().value(record);
    if (!list) return std::move(list).error();
    if (!list->is_array()) {
      return Failure{ASSAY_INVALID_ARGUMENT, "choices = \"" + spec.choices.front() + "\" gave " +
                                                 list->dump() + ", expected a list of texts"};
    }
    for (const Json& choice : *list) question.answers.push_back(text_of(choice));
  }
  if (options(question) < 2) {
    return Failure{ASSAY_INVALID_ARGUMENT, "a question needs at least 2 choices, this one has " +
                                               std::to_string(options(question))};
  }
  auto target = target_.front().value(record);
  if (!target) return std::move(target).error();
  auto index = index_of(*target, question);
  if (!index) return std::move(index).error();
  question.right = *index;
  return {};
}

/// A list holds the answers that are right; continuation scores one.
Result<void> Questions::read_answers(const Json& record, Question& question) const {
  auto target = target_.front().value(record);
  if (!target) return std::move(target).error();
  const Json list = target->is_array() ? *target : Json::array({*target});
  const bool has_one = task_->protocol == Protocol::kContinuation;
  const bool fits = has_one ? list.size() == 1 : !list.empty();
  const bool has_null =
      std::any_of(list.begin(), list.end(), [](const Json& one) { return one.is_null(); });
  if (!fits || has_null) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "target = \"" + task_->prompt.target + "\" gave " + target->dump() +
                       (has_one ? ", expected one text" : ", expected a text or a list of texts")};
  }
  for (const Json& answer : list) question.answers.push_back(text_of(answer));
  return {};
}

std::uint64_t Questions::options(const Question& question) const {
  return task_->prompt.has_many_prompts ? question.prompts.size() : question.answers.size();
}

const std::string& Questions::prompt_of(const Question& question, std::uint64_t option) const {
  return question.prompts[task_->prompt.has_many_prompts ? option : 0];
}

const std::string& Questions::answer_of(const Question& question, std::uint64_t option) const {
  return question.answers[task_->prompt.has_many_prompts ? 0 : option];
}

Result<std::uint64_t> Questions::index_of(const Json& target, const Question& question) const {
  const std::uint64_t count = options(question);
  const std::string text = text_of(target);
  const auto& texts = task_->prompt.has_many_prompts ? question.prompts : question.answers;
  if (target.is_string()) {
    const auto same = std::find(texts.begin(), texts.end(), text);
    if (same != texts.end()) return static_cast<std::uint64_t>(same - texts.begin());
  }
  const bool is_number = !text.empty() && text.size() < 10 &&
                         text.find_first_not_of("0123456789") == std::string::npos;
  const std::uint64_t index = is_number ? std::stoull(text) : count;
  if (index < count) return index;
  return Failure{ASSAY_INVALID_ARGUMENT, "target = \"" + task_->prompt.target + "\" gave " +
                                             target.dump() +
                                             ", expected the index of a choice (0 to " +
                                             std::to_string(count - 1) + ") or the text of one"};
}

Result<Questions::Head> Questions::head(std::uint64_t index, const std::string& hash,
                                        const Json& record) const {
  const PromptSpec& spec = task_->prompt;
  Head head;
  auto description = description_.front().text(record);
  if (!description) return std::move(description).error();
  head.description = std::move(*description);
  if (spec.shots == 0) return head;
  const std::uint64_t excluded = spec.shots_from == task_->dataset ? index : shots_.size;
  for (const std::uint64_t nth : draw_shots(shots_.size, spec.shots, excluded, task_->seed, hash)) {
    auto shot = shots_.read(nth);
    if (!shot) return std::move(shot).error();
    auto example = read(*shot);
    if (!example) {
      auto failure = std::move(example).error();
      failure.text = "its example, record " + std::to_string(nth) + ": " + failure.text;
      return failure;
    }
    head.examples.push_back(std::move(*example));
  }
  return head;
}

Result<std::string> Questions::context(const Head& head, const std::string& prompt) const {
  if (chat_ != nullptr) return chat_->render(turns(head, prompt), /*asks_for_answer=*/true);
  const PromptSpec& spec = task_->prompt;
  std::string text = head.description;
  for (const Question& example : head.examples) {
    text += prompt_of(example, example.right) + spec.delimiter + answer_of(example, example.right) +
            spec.separator;
  }
  return text + prompt;
}

std::vector<ChatTurn> Questions::turns(const Head& head, const std::string& prompt) const {
  std::vector<ChatTurn> turns;
  if (!head.description.empty()) turns.push_back({"system", head.description});
  for (const Question& example : head.examples) {
    turns.push_back({"user", prompt_of(example, example.right)});
    turns.push_back({"assistant", answer_of(example, example.right)});
  }
  turns.push_back({"user", prompt});
  return turns;
}

}  // namespace assay::host
