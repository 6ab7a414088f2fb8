// The host keys of one table, asked for by name and checked as they are taken. Which keys a table
// has is known to the callers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/manifest/manifest.hpp"

namespace assay::host {

/// A key of later work: refused by name, with what to do instead.
struct LaterKey {
  std::string_view key;
  std::string_view instead;
};

/// A key that must be there, and what it says.
struct RequiredKey {
  std::string_view key;
  std::string_view what;
};

/// "x is not supported by this version".
std::string not_supported(std::string_view what);

/// Reads one table. Every error goes into the list it was given.
class Fields {
 public:
  /// `name` is how sentences call the table: "task.faq".
  Fields(const Table& table, std::string name, Place place, std::vector<Diagnostic>& errors)
      : table_(table), name_(std::move(name)), place_(place), errors_(errors) {}

  const std::string& name() const { return name_; }
  const Place& place() const { return place_; }

  /// The value of a host key, or NULL. Taking a key makes it known.
  const Value* take(std::string_view key);
  bool has(std::string_view key) const;
  /// Where the key itself stands; the table's place without it.
  Place key_place(std::string_view key) const;

  /// Each gives `fallback` where the key is absent or wrong.
  Located<std::string> text(std::string_view key, std::string fallback = {});
  Located<std::uint64_t> whole(std::string_view key, std::uint64_t lo, std::uint64_t hi,
                               std::uint64_t fallback = 0);
  /// `range` says in a sentence what `is_inside` tells; infinities and nan are outside of any.
  Located<double> number(std::string_view key, std::string_view range,
                         const std::function<bool(double)>& is_inside, double fallback = 0);
  Located<bool> flag(std::string_view key, bool fallback = false);
  std::vector<Located<std::string>> texts(std::string_view key);

  void require(const std::vector<RequiredKey>& keys);
  void refuse_later(const std::vector<LaterKey>& keys);

  /// Reports every key that was not taken.
  void refuse_unknown(std::string help);
  /// Every key that was not taken.
  Table rest() const;

  void error(const Place& place, std::string text, std::string help = {}) const {
    errors_.push_back({place, std::move(text), std::move(help)});
  }
  /// "window must be a whole number, got the text "512"".
  void wrong_type(std::string_view key, std::string_view expected, const Value& value,
                  std::string help = {}) const;

 private:
  std::vector<std::string> known() const { return {known_.begin(), known_.end()}; }

  const Table& table_;
  std::string name_;
  Place place_;
  std::vector<Diagnostic>& errors_;
  std::set<std::string, std::less<>> known_;
};

/// One value as a text or a list of texts.
std::optional<std::string> text_of(const Fields& fields, std::string_view key, const Value& value);
std::vector<Located<std::string>> texts_of(const Fields& fields, std::string_view key,
                                           const Value& value);

}  // namespace assay::host
