// The decoder's shape as plain data, the same for every architecture. Where the figures come from
// is the adapters' business, weights are not in it.
#pragma once

#include <cstdint>
#include <string>

namespace assay_torch {

struct DecoderSpec {
  std::string architecture;  ///< "llama"
  std::int64_t vocab = 0;
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t intermediate = 0;
  std::int64_t max_context = 0;
  double norm_eps = 0;
  double rope_theta = 0;
  bool is_tied = false;  ///< one matrix serves as embedding and output
  std::int32_t bos = -1, eos = -1;
};

}  // namespace assay_torch
