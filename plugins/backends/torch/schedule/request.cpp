#include "schedule/request.hpp"

#include <c10/util/Exception.h>

#include <assay/error.hpp>
#include <new>

namespace assay_torch {

Verdict check_tokens(const DecoderSpec& spec, const assay_request& request) {
  for (std::uint64_t i = 0; i < request.n_tokens; ++i) {
    if (request.tokens[i] >= 0 && request.tokens[i] < spec.vocab) continue;
    return {ASSAY_INVALID_ARGUMENT, "token " + std::to_string(request.tokens[i]) + " at position " +
                                        std::to_string(i) + " is outside the vocabulary of " +
                                        std::to_string(spec.vocab)};
  }
  return {};
}

void fail(const assay_result_sink& sink, std::uint64_t id, assay_status code,
          std::string_view text) {
  assay_error error{};
  error.struct_size = sizeof error;
  assay::put(&error, code, "", text);
  sink.done(sink.ctx, id, &error, nullptr);
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  return torch != nullptr &&
         (dynamic_cast<const c10::OutOfMemoryError*>(torch) != nullptr ||
          std::string_view(torch->what_without_backtrace()).find("can't allocate memory") !=
              std::string_view::npos);
}

}  // namespace assay_torch
