// Answers a batch of any requests: sends each kind to who answers it. The work itself is
// score.hpp's and generate.hpp's.
#pragma once

#include <assay/abi.h>

#include "decoder/decoder.hpp"
#include "schedule/schedule.hpp"

namespace assay_torch {

/// Calls done() once for every request: score requests first, then generate requests; with
/// ASSAY_BATCH_ORDERED in the given order.
///
/// Fails    per request: as score() and generate(); ASSAY_UNIMPLEMENTED another kind, or both kinds
///          in a batch with ASSAY_BATCH_TOGETHER
void answer(const Decoder& decoder, const assay_batch& batch, const assay_result_sink& sink,
            const ScheduleSettings& settings);

}  // namespace assay_torch
