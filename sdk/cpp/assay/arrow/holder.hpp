// Owners of the three Arrow structs: released exactly once, moved like values. They know nothing of
// what is inside.
#pragma once

#include <assay/arrow_c.h>

#include <assay/namespace.hpp>
#include <utility>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Owns one Arrow struct, or nothing.
template <class Struct>
class Holder {
 public:
  Holder() = default;
  /// Takes over; `value` is empty afterwards.
  explicit Holder(Struct&& value) noexcept : value_(value) { value.release = nullptr; }
  Holder(Holder&& other) noexcept : Holder(std::move(other.value_)) {}
  Holder& operator=(Holder&& other) noexcept {
    if (this != &other) {
      reset();
      value_ = other.value_;
      other.value_.release = nullptr;
    }
    return *this;
  }
  ~Holder() { reset(); }

  explicit operator bool() const noexcept { return value_.release != nullptr; }
  Struct* get() noexcept { return &value_; }
  const Struct* get() const noexcept { return &value_; }
  Struct* operator->() noexcept { return &value_; }
  const Struct* operator->() const noexcept { return &value_; }
  Struct& operator*() noexcept { return value_; }
  const Struct& operator*() const noexcept { return value_; }

  /// Where a C function may put a new one; the old one is released.
  Struct* out() noexcept {
    reset();
    return &value_;
  }
  /// Gives it away: the caller releases it.
  Struct take() noexcept {
    Struct value = value_;
    value_.release = nullptr;
    return value;
  }
  void reset() noexcept {
    if (value_.release != nullptr) value_.release(&value_);
    value_ = Struct{};
  }

 private:
  Struct value_{};
};

using Schema = Holder<ArrowSchema>;
using Array = Holder<ArrowArray>;
using Stream = Holder<ArrowArrayStream>;

}  // namespace v1
}  // namespace assay
