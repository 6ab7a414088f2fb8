// Which file a recipe is written to, and what that asks of its matrices. How files look is
// checkpoint/'s.
#pragma once

#include "checkpoint/floats.hpp"
#include "checkpoint/quantized.hpp"
#include "quantize/settings.hpp"

namespace assay_torch {

/// rtn and gptq of 2, 3, 4, 8 bits: GPTQ; of others: compressed-tensors. awq of 4 bits: AWQ; of
/// others, or where modules differ: GPTQ. nf4, fp4, int8: bitsandbytes. w8a8, and fp8 but in
/// blocks: compressed-tensors; fp8 in blocks: fine-grained FP8.
FileLayout layout_of(const Recipe& recipe);

/// What scales are rounded to before codes are chosen, so that the file holds them exactly: float16
/// in GPTQ and AWQ files, the type of the weights in compressed-tensors', float32 elsewhere. `rtn`
/// that is simulated keeps float32, whatever a file would hold.
FloatType scale_type_of(const Recipe& recipe, FloatType stored);

/// Fails    ASSAY_INVALID_ARGUMENT no layout holds what the recipe asks for
void check_writable(const Recipe& recipe);

}  // namespace assay_torch
