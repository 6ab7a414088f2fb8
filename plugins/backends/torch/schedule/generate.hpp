// Answers a batch of generate requests: many sequences step together, each in a slot of one cache,
// and a sequence that ends makes room for the next. The arithmetic is the decoder's, the choice of
// a token sample.hpp's.
#pragma once

#include <assay/abi.h>

#include <cstdint>

#include "decoder/decoder.hpp"
#include "schedule/schedule.hpp"

namespace assay_torch {

/// What keys and values of one token take.
std::int64_t cache_bytes_per_token(const DecoderSpec& spec, std::int64_t element_bytes);

/// Calls done() once for every request of the batch, all of kind ASSAY_REQ_GENERATE. A step's
/// tokens are pushed when it ends, one a call, with the log-probability that the model itself gives
/// them (temperature 1, nothing cut) where wanted.
///
/// Prompts are read in passes of at most pass_tokens, a longer one alone; then all sequences step
/// together. Every slot has room for the longest prompt and max_new of the batch, and there are as
/// many as cache_bytes holds. Before min_new tokens no stop is looked for and stops of one token
/// are not drawn. A stop lies within the new tokens, and is given out.
///
/// ASSAY_BATCH_ORDERED: results of a request wait until all before it are done.
/// ASSAY_BATCH_TOGETHER: one prefill, then steps, all sequences in each, whatever pass_tokens and
/// sequences say; each step's tokens come in the order of the requests, and nothing waits.
///
/// Units    log-probabilities in nats
/// Fails    per request: ASSAY_INVALID_ARGUMENT bad sampling, token outside the vocabulary, prompt
///          and max_new beyond the context; ASSAY_RESOURCE_EXHAUSTED its keys and values exceed
///          cache_bytes (TOGETHER: those of all), or no memory; ASSAY_CANCELLED before it began;
///          ASSAY_INTERNAL a logit is not finite
void generate(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
              const ScheduleSettings& settings);

}  // namespace assay_torch
