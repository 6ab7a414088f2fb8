#include "quantize/fold.hpp"

#include <assay/error.hpp>

namespace assay_torch {

std::vector<Fold> folds_of(const DecoderSpec& spec, bool is_norms_only) {
  if (spec.norm.placement == NormPlacement::kPost) {
    throw assay::Error(ASSAY_UNIMPLEMENTED, "",
                       "architecture " + spec.architecture +
                           " has its norms behind the residual sum, where scales cannot be taken "
                           "out; use method rtn or gptq, or w8a8 without smoothing");
  }
  const BlockNames& names = spec.names.block;
  std::vector<Fold> out = {{Slot::kQueryKeyValue, Producer::kAttentionNorm},
                           {Slot::kGateUp, Producer::kMlpNorm}};
  if (is_norms_only) return out;
  const LinearNames& first = names.query_key_value;
  if (spec.kv_heads == spec.heads && !first.has_bias && first.layout != Layout::kByHead)
    out.push_back({Slot::kOutput, Producer::kValueRows});
  if (spec.is_gated && !names.gate_up.has_bias) out.push_back({Slot::kDown, Producer::kUpRows});
  return out;
}

}  // namespace assay_torch
