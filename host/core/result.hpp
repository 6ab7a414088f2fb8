// The one way a host function fails. Values and failures only; no logging, no exceptions.
#pragma once

#include <assay/abi.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace assay::host {

/// Why something did not work: a canonical code and one sentence saying what, where, what was
/// expected and what to do. `where` is the config key, file or item the sentence is about.
struct Failure {
  assay_status code = ASSAY_INTERNAL;
  std::string text;
  std::string where = {};
  std::vector<std::string> log = {};  ///< what a process that ended wrote last
};

/// A T or a Failure, under the names of C++23 std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return *std::get_if<0>(&state_); }
  const T& value() const& { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Failure& error() const& { return *std::get_if<1>(&state_); }
  Failure&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Failure> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : failure_(std::move(failure)) {}

  bool has_value() const { return !failure_; }
  explicit operator bool() const { return has_value(); }
  const Failure& error() const& { return *failure_; }
  Failure&& error() && { return std::move(*failure_); }

 private:
  std::optional<Failure> failure_;
};

}  // namespace assay::host
