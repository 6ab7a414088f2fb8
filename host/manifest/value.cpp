#include "host/manifest/value.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

constexpr std::size_t kMaxShownBytes = 80;

std::string escaped(char letter) {
  if (letter == '\n') return "\\n";
  if (letter == '\t') return "\\t";
  if (letter == '\r') return "\\r";
  const auto byte = static_cast<unsigned char>(letter);
  if (byte >= 0x20 && byte != 0x7f) return std::string(1, letter);
  char code[8];
  std::snprintf(code, sizeof code, "\\u%04X", byte);
  return code;
}

/// The text up to the last whole character within the limit.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMaxShownBytes) return text;
  std::size_t end = kMaxShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

std::string in_quotes(std::string_view text) {
  const std::string_view shown = cut(text);
  std::string line = "\"";
  for (const char letter : mended_utf8(shown)) line += escaped(letter);
  return line + (shown.size() < text.size() ? "..." : "") + "\"";
}

std::string digits(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char text[32];
  // 1048576 rather than 1.048576e+06
  if (number == std::floor(number) && std::fabs(number) < 1e15) {
    return std::to_string(static_cast<long long>(number));
  }
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return std::string(text, end);
}

std::string found(const Value& value) {
  struct Namer {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const {
      return "the whole number " + std::to_string(number);
    }
    std::string operator()(double number) const { return "the number " + digits(number); }
    std::string operator()(const std::string& text) const { return "the text " + in_quotes(text); }
    std::string operator()(const std::vector<Value>& list) const {
      return list.empty() ? "an empty list" : "a list";
    }
    std::string operator()(const Table&) const { return "a table"; }
  };
  return std::visit(Namer{}, value.data);
}

const Value* find(const Table& table, std::string_view key) {
  for (const Entry& entry : table) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  return near.empty() ? "" : "did you mean " + in_quotes(near) + "?";
}

}  // namespace assay::host
