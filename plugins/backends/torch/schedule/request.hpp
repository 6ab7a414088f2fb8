// What scoring and generating have in common: what is wrong with a request's tokens, how a request
// fails, and when memory ran out.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "decoder/spec.hpp"

namespace assay_torch {

/// What is wrong with a request, or OK and an empty text.
struct Verdict {
  assay_status code = ASSAY_OK;
  std::string text;
};

/// Fails    ASSAY_INVALID_ARGUMENT a token is outside the vocabulary
Verdict check_tokens(const DecoderSpec& spec, const assay_request& request);

/// The request's done, with a failure.
void fail(const assay_result_sink& sink, std::uint64_t id, assay_status code,
          std::string_view text);

/// An allocation failed, libtorch's or another.
bool is_out_of_memory(const std::exception& error);

}  // namespace assay_torch
