// What a component says about itself: identity, options, columns, outputs, as constants in the C
// layout. No code of a component runs to read any of it.
#pragma once

#include <assay/abi.h>

#include <array>
#include <assay/namespace.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// Who a component is. `id` is "vendor/name"; `summary` one line; `caps` ASSAY_CAP_*.
struct Info {
  const char* id;
  const char* version;
  const char* summary;
  std::uint64_t caps = 0;
};

/// An option of a manifest table. Without a default (nullptr) it is required unless it says
/// otherwise.
struct Option : assay_option {
  constexpr Option(assay_type value_type, const char* key, const char* fallback_toml,
                   const char* sentence, const char* const* choice_list = nullptr)
      : assay_option{sizeof(assay_option),
                     value_type,
                     fallback_toml == nullptr ? std::uint64_t{ASSAY_OPT_REQUIRED} : 0,
                     key,
                     sentence,
                     fallback_toml,
                     choice_list,
                     1,
                     0} {}

  /// Both ends belong to it; an infinity where there is no bound.
  constexpr Option in(double least, double most) const {
    Option changed = *this;
    changed.lo = least;
    changed.hi = most;
    return changed;
  }
  constexpr Option required() const {
    Option changed = with(ASSAY_OPT_REQUIRED);
    changed.fallback = nullptr;
    return changed;
  }
  /// May be absent: ask Context::has() before reading it.
  constexpr Option optional() const {
    Option changed = *this;
    changed.flags &= ~std::uint64_t{ASSAY_OPT_REQUIRED};
    return changed;
  }
  constexpr Option secret() const { return with(ASSAY_OPT_SECRET); }
  constexpr Option deprecated() const { return with(ASSAY_OPT_DEPRECATED); }

 private:
  constexpr Option with(std::uint64_t flag) const {
    Option changed = *this;
    changed.flags |= flag;
    return changed;
  }
};

// Makers, one for each type: key, default spelt as TOML ("8", "\"auto\"", "[]") or nullptr, help.

constexpr Option flag(const char* key, const char* fallback, const char* help) {
  return {ASSAY_BOOL, key, fallback, help};
}
constexpr Option integer(const char* key, const char* fallback, const char* help) {
  return {ASSAY_INT, key, fallback, help};
}
constexpr Option number(const char* key, const char* fallback, const char* help) {
  return {ASSAY_FLOAT, key, fallback, help};
}
constexpr Option text(const char* key, const char* fallback, const char* help) {
  return {ASSAY_TEXT, key, fallback, help};
}
/// `choices`: a static constexpr array of texts that ends with nullptr.
constexpr Option choice(const char* key, const char* fallback, const char* const* choices,
                        const char* help) {
  return {ASSAY_CHOICE, key, fallback, help, choices};
}
constexpr Option path_in(const char* key, const char* fallback, const char* help) {
  return {ASSAY_PATH_IN, key, fallback, help};
}
constexpr Option path_out(const char* key, const char* fallback, const char* help) {
  return {ASSAY_PATH_OUT, key, fallback, help};
}
/// In bytes; written like "4GiB".
constexpr Option size(const char* key, const char* fallback, const char* help) {
  return {ASSAY_SIZE, key, fallback, help};
}
/// In seconds; written like "90s".
constexpr Option duration(const char* key, const char* fallback, const char* help) {
  return {ASSAY_DURATION, key, fallback, help};
}
constexpr Option ints(const char* key, const char* fallback, const char* help) {
  return {ASSAY_INTS, key, fallback, help};
}
constexpr Option floats(const char* key, const char* fallback, const char* help) {
  return {ASSAY_FLOATS, key, fallback, help};
}
constexpr Option texts(const char* key, const char* fallback, const char* help) {
  return {ASSAY_TEXTS, key, fallback, help};
}
/// The name of a [model.x].
constexpr Option model(const char* key, const char* fallback, const char* help) {
  return {ASSAY_MODEL, key, fallback, help};
}

/// A column a dataset gives or a metric reads: ASSAY_BOOL, INT, FLOAT, TEXT, INTS, FLOATS or
/// TEXTS.
struct Column : assay_column {
  constexpr Column(assay_type value_type, const char* column, const char* sentence)
      : assay_column{sizeof(assay_column),
                     value_type,
                     0,
                     column,
                     sentence,
                     nullptr,
                     -std::numeric_limits<double>::infinity(),
                     std::numeric_limits<double>::infinity()} {}

  /// Dataset: rows may have no value. Metric: it does without the column, and without values in
  /// it.
  constexpr Column optional() const {
    Column changed = *this;
    changed.flags |= ASSAY_COL_OPTIONAL;
    return changed;
  }
};

/// A figure a metric gives: for each item (samples) and for all (the total).
struct Output : assay_column {
  constexpr Output(const char* output, const char* sentence, std::uint64_t output_flags)
      : assay_column{sizeof(assay_column),
                     ASSAY_FLOAT,
                     output_flags,
                     output,
                     sentence,
                     nullptr,
                     -std::numeric_limits<double>::infinity(),
                     std::numeric_limits<double>::infinity()} {}

  /// Where every sample lies; both ends belong to it.
  constexpr Output within(double least, double most) const {
    Output changed = *this;
    changed.lo = least;
    changed.hi = most;
    return changed;
  }
  constexpr Output unit(const char* name_of_unit) const {
    Output changed = *this;
    static_cast<assay_column&>(changed).unit = name_of_unit;
    return changed;
  }
  /// The figure that tables and gates mean when they name none.
  constexpr Output primary() const { return with(ASSAY_COL_PRIMARY); }
  constexpr Output less_is_better() const { return with(ASSAY_COL_LESS_IS_BETTER); }

 private:
  constexpr Output with(std::uint64_t flag) const {
    Output changed = *this;
    changed.flags |= flag;
    return changed;
  }
};

/// An output whose total is the mean of its samples; the layer computes it.
constexpr Output mean(const char* name, const char* help) { return {name, help, ASSAY_COL_MEAN}; }
/// An output whose total comes from finish().
constexpr Output total(const char* name, const char* help) { return {name, help, 0}; }

namespace detail {

/// Pointers to the elements, which is how growing arrays cross the boundary.
template <class Base, class Element, std::size_t n>
constexpr std::array<const Base*, n> pointers_to(const Element (&elements)[n]) {
  return [&]<std::size_t... i>(std::index_sequence<i...>) {
    return std::array<const Base*, n>{&elements[i]...};
  }
  (std::make_index_sequence<n>());
}

}  // namespace detail

}  // namespace v1
}  // namespace assay
