// How the extensions of a component become the list of its constants: each is a struct that says
// whether the component has what it takes. What one extension does is in its own header.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <array>
#include <assay/namespace.hpp>
#include <cstddef>
#include <iterator>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace detail {

/// Each of `Entries` has
///   static constexpr bool kIsOffered       does the component have the members?
///   static constexpr const char* kId       "assay.backend.memory/1"
///   static constexpr Table kApi            made only where it is offered
/// Extensions of the author's own, `static constexpr assay_extension extensions[]`, come last.
template <class T, class... Entries>
struct Extensions {
  static constexpr std::size_t n_own() {
    if constexpr (requires { T::extensions[0]; }) {
      return std::size(T::extensions);
    } else {
      return 0;
    }
  }

  static constexpr std::size_t kSize = (n_own() + ... + (Entries::kIsOffered ? 1U : 0U));

  template <class Entry>
  static constexpr void put(assay_extension*& place) {
    if constexpr (Entry::kIsOffered) *place++ = {Entry::kId, &Entry::kApi};
  }

  static constexpr std::array<assay_extension, kSize> list() {
    std::array<assay_extension, kSize> all{};
    [[maybe_unused]] assay_extension* place = all.data();
    (put<Entries>(place), ...);
    if constexpr (n_own() > 0) {
      for (const assay_extension& own : T::extensions) *place++ = own;
    }
    return all;
  }
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
