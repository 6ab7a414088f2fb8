#include "checkpoint/settings.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace assay_torch {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 100;

[[noreturn]] void refuse_file(const std::string& where, const std::string& text) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, where + ": " + text);
}

std::shared_ptr<const Json> parsed(const std::string& where, std::string_view text) {
  // Values are shown in errors, and nlohmann::json recurses over what it writes.
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth)
      refuse_file(where, "nests deeper than " + std::to_string(kMaxDepth) + " levels");
    return true;
  };
  try {
    auto document = std::make_shared<const Json>(Json::parse(text, watch_depth));
    if (!document->is_object()) refuse_file(where, "not a JSON object");
    return document;
  } catch (const Json::parse_error& error) {
    refuse_file(where, "not valid JSON at byte " + std::to_string(error.byte));
  } catch (const Json::out_of_range&) {
    refuse_file(where, "holds a number beyond every double");
  }
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw assay::Error(ASSAY_NOT_FOUND, path + ": cannot be opened");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Settings::Settings(const std::string& path)
    : document_(parsed(path, contents(path))), table_(document_.get()), where_(path + ": ") {}

Settings::Settings(std::shared_ptr<const Json> document, const Json* table, std::string where)
    : document_(std::move(document)), table_(table), where_(std::move(where)) {}

Settings Settings::parse(const std::string& where, std::string_view json) {
  auto document = parsed(where, json);
  const Json* table = document.get();
  return {std::move(document), table, where + ": "};
}

const Json* Settings::find(std::string_view key) const {
  const auto found = table_->find(std::string(key));
  return found == table_->end() || found->is_null() ? nullptr : &*found;
}

std::optional<Settings> Settings::table(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) refuse_type(key, "a table");
  return Settings(document_, value, where_ + std::string(key) + ".");
}

std::vector<std::string> Settings::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : table_->items()) out.push_back(key);
  return out;
}

bool Settings::has(std::string_view key) const { return find(key) != nullptr; }

bool Settings::is_empty(std::string_view key) const {
  const Json* value = find(key);
  return value == nullptr || (value->is_structured() && value->empty());
}

bool Settings::is_list(std::string_view key) const {
  const Json* value = find(key);
  return value != nullptr && value->is_array();
}

std::optional<std::int64_t> Settings::find_integer(std::string_view key) const {
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() || *value < -kLargest || *value > kLargest)
    refuse_type(key, "a whole number");
  return value->get<std::int64_t>();
}

std::optional<double> Settings::find_number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) refuse_type(key, "a number");
  return value->get<double>();
}

std::optional<bool> Settings::find_flag(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse_type(key, "true or false");
  return value->get<bool>();
}

std::optional<std::string> Settings::find_text(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse_type(key, "a text");
  return value->get<std::string>();
}

std::vector<std::int64_t> Settings::integers(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  const auto is_integer = [](const Json& element) { return element.is_number_integer(); };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_integer))
    refuse_type(key, "a list of whole numbers");
  return value->get<std::vector<std::int64_t>>();
}

std::vector<std::string> Settings::texts(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) refuse_type(key, "a list of texts");
  std::vector<std::string> out;
  const auto add = [&](const Json& element) {
    if (!element.is_string()) refuse_type(key, "a list of texts");
    out.push_back(element.get<std::string>());
  };
  for (const Json& element : *value) {
    if (!element.is_array()) {
      add(element);
    } else {
      std::for_each(element.begin(), element.end(), add);
    }
  }
  return out;
}

std::optional<std::string> Settings::find_text(std::string_view key,
                                               std::string_view or_key) const {
  const auto first = find_text(key), second = find_text(or_key);
  if (first && second && *first != *second)
    refuse(key, "\"" + *first + "\" contradicts " + std::string(or_key) + " \"" + *second + "\"");
  return first ? first : second;
}

std::optional<std::int64_t> Settings::find_integer(std::string_view key,
                                                   std::string_view or_key) const {
  const auto first = find_integer(key), second = find_integer(or_key);
  if (first && second && *first != *second) {
    refuse(key, std::to_string(*first) + " contradicts " + std::string(or_key) + " " +
                    std::to_string(*second));
  }
  return first ? first : second;
}

void Settings::refuse(std::string_view key, const std::string& text) const {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, where_ + std::string(key) + ": " + text);
}

void Settings::refuse_unsupported(std::string_view key, const std::string& text) const {
  throw assay::Error(ASSAY_UNIMPLEMENTED, where_ + std::string(key) + ": " + text);
}

void Settings::refuse_type(std::string_view key, const char* expected) const {
  refuse(key, std::string("expected ") + expected + ", got " + find(key)->dump());
}

}  // namespace assay_torch
