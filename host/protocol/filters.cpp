#include "host/protocol/filters.hpp"

#include <algorithm>
#include <assay/text.hpp>
#include <utility>

namespace assay::host {
namespace {

constexpr std::string_view kNumberPattern =
    "(?:(?<![0-9A-Za-z)])[-+])?"
    "(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\\.[0-9]+)?|\\.[0-9]+)"
    "(?:[eE][-+]?[0-9]+)?";

std::string_view pattern_of(const Filter& filter) {
  return filter.kind == Filter::Kind::kNumber ? kNumberPattern : std::string_view(filter.pattern);
}

bool has_pattern(const Filter& filter) {
  return filter.kind != Filter::Kind::kStrip && filter.kind != Filter::Kind::kFirstLine;
}

}  // namespace

Result<Filters> Filters::compile(std::span<const Filter> filters) {
  Filters made;
  for (const Filter& filter : filters) {
    Step step{filter, nullptr};
    if (has_pattern(filter)) {
      auto regex = Regex::compile(pattern_of(filter));
      if (!regex) return std::move(regex).error();
      step.regex = std::make_shared<const Regex>(std::move(*regex));
    }
    made.steps_.push_back(std::move(step));
  }
  return made;
}

Result<std::string> Filters::apply(std::string text) const {
  for (const Step& step : steps_) {
    auto filtered = apply(step, std::move(text));
    if (!filtered) return filtered;
    text = std::move(*filtered);
  }
  return text;
}

Result<std::string> Filters::apply(const Step& step, std::string text) {
  const Filter& filter = step.filter;
  switch (filter.kind) {
    case Filter::Kind::kStrip:
      return std::string(stripped(text));
    case Filter::Kind::kFirstLine:
      return text.substr(0, text.find_first_of("\r\n"));
    case Filter::Kind::kReplace:
      return step.regex->replace(text, filter.with);
    case Filter::Kind::kNumber:
    case Filter::Kind::kRegex:
      break;
  }
  auto found = step.regex->find_all(text);
  if (!found) return std::move(found).error();
  if (found->empty()) return filter.otherwise;
  std::string taken = filter.takes_last ? found->back() : found->front();
  if (filter.kind == Filter::Kind::kNumber) {
    std::erase(taken, ',');
    return taken;
  }
  return std::string(stripped(taken));
}

}  // namespace assay::host
