// What must be true of every failure of the host. Which calls there are is the targets'.
#pragma once

#include "host/core/result.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace assay_fuzz {

/// The crates' panics and our own bugs come back as ASSAY_INTERNAL.
template <class T>
void check_result(const assay::host::Result<T>& result) {
  if (result) return;
  if (result.error().code == ASSAY_INTERNAL || result.error().text.empty()) {
    found(result.error().text);
  }
}

/// The input up to its first newline, and what follows.
struct HeadAndRest {
  std::string_view head, rest;
  explicit HeadAndRest(std::string_view input)
      : head(input.substr(0, input.find('\n'))),
        rest(input.substr(std::min(head.size() + 1, input.size()))) {}
};

}  // namespace assay_fuzz
