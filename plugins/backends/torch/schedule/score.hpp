// Answers a batch of score requests: checks them, runs them pass by pass, hands out the results.
// The arithmetic is the decoder's, the order schedule.hpp's.
#pragma once

#include <assay/abi.h>

#include "decoder/decoder.hpp"
#include "schedule/schedule.hpp"

namespace assay_torch {

/// Calls done() once for every request of the batch, all of kind ASSAY_REQ_SCORE. The last token of
/// a request is only predicted, never fed, so a request may be one longer than the context. With
/// ASSAY_BATCH_ORDERED requests keep their order; with ASSAY_BATCH_TOGETHER all are one pass,
/// whatever pass_tokens says.
///
/// Units    log-probabilities in nats
/// Fails    per request: ASSAY_INVALID_ARGUMENT bad bounds, token outside the vocabulary, too long;
///          ASSAY_RESOURCE_EXHAUSTED no memory for its pass; ASSAY_CANCELLED; ASSAY_INTERNAL a
///          log-probability is not finite
void score(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
           const ScheduleSettings& settings);

}  // namespace assay_torch
