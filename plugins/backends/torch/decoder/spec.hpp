// The decoder's shape as plain data, the same for every architecture, and the names its tensors
// have in the file. Where the figures come from is the adapters' business, weights are not in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace assay_torch {

enum class NormKind {
  kRms,         ///< x / rms(x), rounded to the compute dtype, times the weight
  kRmsPlusOne,  ///< x / rms(x) times 1 + weight, rounded at the end
  kLayer        ///< (x - mean) / deviation times the weight, plus the bias
};

/// Where a block's norms stand: at the entrance of attention and MLP, behind the sum with the
/// residual, or both at the entrance and at the exit, before the sum.
enum class NormPlacement { kPre, kPost, kSandwich };

struct NormSpec {
  NormKind kind = NormKind::kRms;
  NormPlacement placement = NormPlacement::kPre;
  double eps = 0;
};

enum class Activation { kSilu, kGelu, kGeluTanh, kRelu };

/// Parallel: attention and MLP read the same x, and both are added to it.
enum class Residual { kSequential, kParallel };

enum class RopeScaling { kNone, kLinear, kDynamic, kYarn, kLongrope, kLlama3 };

/// A rotary embedding. The fields of a scaling are set where it is the one.
struct RopeSpec {
  std::int64_t dim = 0;  ///< how many of a head's dimensions turn, from the first
  double theta = 0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;
  double attention_factor = 1;                       ///< cosines and sines are multiplied by it
  std::int64_t original_context = 0;                 ///< positions before the scaling
  double low_freq_factor = 0, high_freq_factor = 0;  ///< Llama 3
  double beta_fast = 0, beta_slow = 0;               ///< YaRN
  bool is_truncated = true;  ///< YaRN: the ramp begins and ends on a dimension
  std::vector<double> short_factors = {}, long_factors = {};  ///< LongRoPE: one for every pair
};

/// How one layer attends.
struct AttentionSpec {
  double scale = 0;
  std::int64_t window = 0;  ///< positions seen, its own included; 0: all
  std::size_t rope = 0;     ///< index into the decoder's ropes
};

/// How a matrix lies in the file. In the decoder it is [outputs, inputs].
enum class Layout {
  kOutputsFirst,  ///< [outputs, inputs]
  kInputsFirst,   ///< [inputs, outputs]
  kByHead         ///< [outputs, inputs]: query, key and value of head 0, then those of head 1 ...
};

struct Projection {
  std::string module;
  std::int64_t outputs = 0;
};

/// A linear layer of the decoder: one module of the file or several, their rows one behind the
/// other.
struct LinearNames {
  std::vector<Projection> parts;
  bool has_bias = false;
  Layout layout = Layout::kOutputsFirst;
};

/// Names behind "<root><blocks><layer>.". An empty one: the block has no such tensor.
struct BlockNames {
  std::string attention_norm, attention_exit_norm, mlp_norm, mlp_exit_norm;
  std::string query_norm, key_norm;
  LinearNames query_key_value, output;
  LinearNames gate_up;  ///< gate, then up; up alone where the MLP is not gated
  LinearNames down;
};

/// What the file calls the tensors, without ".weight" and ".bias". Empty: there is no such tensor.
struct TensorNames {
  std::vector<std::string> roots;  ///< what stands before every name but heads: the first that fits
  std::string embedding, positions, project_in, project_out, blocks, final_norm;
  std::vector<std::string> heads;  ///< the output layer: the first that is there
  BlockNames block;
  std::vector<std::string> ignored;  ///< ends of the names of tensors that follow from config.json
};

struct DecoderSpec {
  std::string architecture;  ///< "llama"
  std::string dtype;         ///< "bfloat16": what config.json says the weights are; may be empty
  std::int64_t vocab = 0;
  std::int64_t hidden = 0;
  std::int64_t embedding_width = 0;  ///< hidden, unless projections lie between
  std::int64_t layers = 0;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t intermediate = 0;
  std::int64_t max_context = 0;
  std::int64_t position_rows = 0;    ///< learned positions; 0: none
  std::int64_t position_offset = 0;  ///< row of position 0
  double embedding_scale = 1;
  double attention_softcap = 0, final_softcap = 0;  ///< cap * tanh(x / cap); 0: none
  NormSpec norm;
  Activation activation = Activation::kSilu;
  bool is_gated = true;
  Residual residual = Residual::kSequential;
  bool is_tied = false;                  ///< one matrix serves as embedding and output
  std::vector<RopeSpec> ropes;           ///< none where positions are learned
  std::vector<AttentionSpec> attention;  ///< one for every layer
  TensorNames names;
  std::int32_t bos = -1, eos = -1;
};

}  // namespace assay_torch
