// Looking at values: typed access, and how a value is named in a sentence. Nothing of what it is
// for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/manifest/manifest.hpp"

namespace assay::host {

template <class T>
const T* get_if(const Value& value) {
  return std::get_if<T>(&value.data);
}

/// A text in quotes on one line: control characters escaped, cut after 80 characters.
std::string in_quotes(std::string_view text);

/// What stands there, for "expected ..., got ...": `the text "5"`, `the number 0.5`, `a table`.
std::string found(const Value& value);

/// The shortest decimal digits that read back as the same number.
std::string digits(double number);

/// The entry of a key, or NULL.
const Value* find(const Table& table, std::string_view key);

/// "a, b, c".
std::string joined(const std::vector<std::string>& names);

/// `did you mean "x"?`, or "" when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace assay::host
