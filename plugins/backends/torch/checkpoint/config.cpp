#include "checkpoint/config.hpp"

#include <algorithm>
#include <assay/error.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace assay_torch {
namespace {

constexpr int kMaxDepth = 100;

}  // namespace

struct Config::Document {
  nlohmann::json root;

  /// The value, null too; nothing where the key is missing.
  const nlohmann::json* find_given(std::string_view key) const {
    const nlohmann::json* at = &root;
    while (true) {
      const auto dot = key.find('.');
      if (!at->is_object()) return nullptr;
      const auto found = at->find(std::string(key.substr(0, dot)));
      if (found == at->end()) return nullptr;
      at = &*found;
      if (dot == std::string_view::npos) return at;
      key.remove_prefix(dot + 1);
    }
  }

  const nlohmann::json* find(std::string_view key) const {
    const nlohmann::json* value = find_given(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
};

Config::Config(const std::string& path) : path_(path), document_(std::make_unique<Document>()) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw assay::Error(ASSAY_NOT_FOUND, path + ": cannot be opened");
  // Values are shown in errors, and nlohmann::json recurses over what it writes.
  const auto watch_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth <= kMaxDepth) return true;
    throw assay::Error(ASSAY_INVALID_ARGUMENT,
                       path + ": nests deeper than " + std::to_string(kMaxDepth) + " levels");
  };
  try {
    document_->root = nlohmann::json::parse(file, watch_depth);
  } catch (const nlohmann::json::parse_error& error) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT,
                       path + ": not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, path + ": holds a number beyond every double");
  }
  if (!document_->root.is_object())
    throw assay::Error(ASSAY_INVALID_ARGUMENT, path + ": not a JSON object");
}

Config::Config(Config&&) noexcept = default;
Config::~Config() = default;

void Config::refuse(std::string_view key, const std::string& text) const {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, path_ + ": " + std::string(key) + ": " + text);
}

const Config::Document& Config::reading(std::string_view key) const {
  read_.emplace(key);
  return *document_;
}

bool Config::has(std::string_view key) const { return document_->find(key) != nullptr; }

bool Config::is_given(std::string_view key) const { return document_->find_given(key) != nullptr; }

bool Config::is_off(std::string_view key, double neutral) const {
  const auto* value = document_->find(key);
  if (value == nullptr || *value == false) return true;
  return value->is_number() ? value->get<double>() == neutral
                            : value->is_structured() && value->empty();
}

bool Config::was_read(std::string_view key) const { return read_.contains(key); }

std::int64_t Config::count(std::string_view key) const {
  if (const auto value = find_count(key)) return *value;
  refuse(key, "is missing; expected a whole number from 1");
}

std::optional<std::int64_t> Config::find_count(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() || *value < 1 ||
      *value > std::numeric_limits<std::int32_t>::max()) {
    refuse(key, "expected a whole number from 1, got " + value->dump());
  }
  return value->get<std::int64_t>();
}

std::optional<double> Config::find_number(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    refuse(key, "expected a number, got " + value->dump());
  return value->get<double>();
}

std::vector<double> Config::positives(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return {};
  const auto is_positive = [](const nlohmann::json& element) {
    return element.is_number() && element.get<double>() > 0 && std::isfinite(element.get<double>());
  };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_positive))
    refuse(key, "expected a list of numbers above 0, got " + value->dump());
  return value->get<std::vector<double>>();
}

std::optional<double> Config::find_positive(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !(value->get<double>() > 0) || !std::isfinite(value->get<double>())) {
    refuse(key, "expected a number above 0, got " + value->dump());
  }
  return value->get<double>();
}

std::optional<bool> Config::find_flag(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(key, "expected true or false, got " + value->dump());
  return value->get<bool>();
}

std::optional<std::string> Config::find_text(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(key, "expected a text, got " + value->dump());
  return value->get<std::string>();
}

std::vector<std::string> Config::texts(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return {};
  std::vector<std::string> out;
  if (!value->is_array()) refuse(key, "expected a list of texts, got " + value->dump());
  for (const auto& element : *value) {
    if (!element.is_string()) refuse(key, "expected a list of texts, got " + value->dump());
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::optional<std::int32_t> Config::find_token(std::string_view key) const {
  const auto* value = reading(key).find(key);
  if (value == nullptr) return std::nullopt;
  const auto* token = value->is_array() && !value->empty() ? &value->front() : value;
  if (!token->is_number_integer() || *token < 0 ||
      *token > std::numeric_limits<std::int32_t>::max()) {
    refuse(key, "expected a token id or a list of them, got " + value->dump());
  }
  return token->get<std::int32_t>();
}

std::map<std::string, std::string> Config::text_table(std::string_view key) const {
  const auto* value = reading(key).find(key);
  std::map<std::string, std::string> out;
  if (value == nullptr || !value->is_object()) refuse(key, "expected a table of texts");
  for (const auto& [name, text] : value->items()) {
    if (!text.is_string()) refuse(key, "expected a text for \"" + name + "\", got " + text.dump());
    out[name] = text.get<std::string>();
  }
  return out;
}

std::vector<std::string> Config::keys(std::string_view table) const {
  const auto* value = reading(table).find(table);
  if (value == nullptr) return {};
  if (!value->is_object()) refuse(table, "expected a table, got " + value->dump());
  std::vector<std::string> out;
  for (const auto& [name, element] : value->items()) {
    if (!element.is_null()) out.push_back(name);
  }
  return out;
}

}  // namespace assay_torch
