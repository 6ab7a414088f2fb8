// Answers of a backend in a worker, where stop texts, decoding and time stamps belong beside it:
// whole answers cross the border, not tokens. What is done with them over there is in answers.hpp.
#pragma once

#include <span>

#include "host/core/result.hpp"
#include "host/worker/session.hpp"
#include "host/worker/wire.hpp"
#include "host/worker/worker.hpp"

namespace assay::host {

/// As Session::generate and Session::generate_texts.
Result<void> generate_there(Worker& worker, const Component& component,
                            std::span<const GenerateRequest> requests, const Decoding& decoding,
                            const GenerationSink& sink);
Result<void> generate_texts_there(Worker& worker, const Component& component,
                                  std::span<const TextGenerateRequest> requests,
                                  const Decoding& decoding, const GenerationSink& sink);

// The same questions as the worker reads them, and its answers.
Decoding get_decoding(WireReader& in);
std::vector<GenerateRequest> get_generate_requests(WireReader& in);
std::vector<TextGenerateRequest> get_text_generate_requests(WireReader& in);
void put_generation(WireWriter& out, std::uint64_t id, const Result<Generation>& generation);

}  // namespace assay::host
