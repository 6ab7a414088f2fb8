// Asking a backend that is at hand: what goes into its tables, and what comes out of them held
// against the contract. Values in, values out, so the same functions serve a session of this
// process and the loop of a worker; which of the two asks is not known here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "host/core/result.hpp"
#include "host/loader/instance.hpp"
#include "host/text/text.hpp"
#include "host/worker/session.hpp"

namespace assay::host {

/// What a backend is wanted for: all that a manifest can ask of it.
///
/// Owns     borrows model_dir
assay_job job_of(const Component& backend, std::string_view model_dir, std::uint64_t max_tokens);

Result<ModelInfo> load_here(const Instance& backend, const assay_job& job,
                            const Rounding& rounding);

/// As Session::quantize.
Result<void> quantize_here(const Instance& backend, std::string_view model_dir,
                           std::string_view out_dir, const Rounding& rounding);

/// The backend's own tokenizer where it brings one, else the model directory's. After load; the
/// instance must outlive it.
Result<Tokenizer> tokenizer_of(const Instance& backend, const ModelInfo& info,
                               const std::filesystem::path& model_dir);

/// The chat template, by the rule of tokenizer_of.
Result<ChatTemplate> chat_template_of(const Instance& backend,
                                      const std::filesystem::path& model_dir);

/// As Session::score, and so on.
Result<void> score_here(const Instance& backend, std::span<const ScoreRequest> requests,
                        const ScoreSink& sink);
Result<void> generate_here(const Instance& backend, std::span<const GenerateRequest> requests,
                           const Decoding& decoding, const Tokenizer& tokenizer,
                           const GenerationSink& sink);
Result<void> score_texts_here(const Instance& backend, std::span<const TextScoreRequest> requests,
                              const ScoreSink& sink);
Result<void> generate_texts_here(const Instance& backend,
                                 std::span<const TextGenerateRequest> requests,
                                 const Decoding& decoding, const GenerationSink& sink);

}  // namespace assay::host
