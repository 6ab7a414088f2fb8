// What a recipe for quantization says: the method, its settings, and which modules it means. How
// options spell it is options.hpp's, what the methods do is theirs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/matrix.hpp"
#include "quantize/rtn.hpp"

namespace assay_torch {

enum class Method { kRtn, kGptq, kAwq, kNf4, kFp4, kInt8, kW8a8, kFp8 };

/// "rtn", "gptq", ...
const char* to_string(Method method);

struct GptqSettings {
  double damping = 0.01;        ///< share of the mean of the Hessian's diagonal that is added to it
  bool act_order = false;       ///< columns of the largest diagonal first
  bool group_aware = false;     ///< the same, but whole groups one after the other
  bool static_groups = false;   ///< scales from the weights as they were
  bool true_sequential = true;  ///< later layers of a block see the earlier ones quantized
};

struct AwqSettings {
  bool clips = true;        ///< search for a smaller range of each group
  bool duo_scaling = true;  ///< weights take part in the scales, as in AutoAWQ
};

/// How far one scale of FP8 reaches.
enum class Fp8Scope { kTensor, kChannel, kBlock };

inline constexpr std::int64_t kFp8Block = 128;

/// Other settings for the modules that a pattern matches; the first of a list that does counts.
struct Override {
  std::vector<std::string> modules;
  std::optional<int> bits = {};
  std::optional<std::int64_t> group_size = {};
  bool is_kept = false;  ///< left as the file has them
};

struct Recipe {
  Method method = Method::kRtn;
  GridSettings grid = {};  ///< kRtn, kGptq, kAwq
  GptqSettings gptq = {};
  AwqSettings awq = {};
  bool is_nested = false;                ///< kNf4, kFp4: double quantization
  float threshold = 6;                   ///< kInt8: entries of activations left in 16 bits
  std::optional<double> smoothing = {};  ///< kW8a8: SmoothQuant's alpha
  Fp8Scope scope = Fp8Scope::kChannel;   ///< kFp8
  /// Modules left alone, and if given those that alone are not: a pattern with * or ? must match
  /// the whole name, one without is a part of it. "lm_head" means the output layer, whatever the
  /// file calls it.
  std::vector<std::string> skip = {}, only = {};
  std::vector<Override> overrides = {};
  std::string table = "simulate";  ///< the manifest's, for failures
};

/// Does a pattern name a module ("model.layers.0.mlp.up_proj")?
bool matches(std::string_view pattern, std::string_view module);

/// How the module's weights are rounded, or nothing where it is left alone.
std::optional<GridSettings> settings_of(const Recipe& recipe, std::string_view module,
                                        bool is_head);

/// What the modules of a model are called.
struct ModuleNames {
  std::vector<std::string> blocks;  ///< of all blocks
  std::string head, embedding;
  bool is_tied = false;  ///< the head is not a module of its own
};

/// Every pattern matches a module; `skip` may also name what is never quantized.
///
/// Fails    ASSAY_INVALID_ARGUMENT one that does not, with the key
void check_patterns(const Recipe& recipe, const ModuleNames& modules);

/// The method cannot do without activations.
bool needs_calibration(const Recipe& recipe);

/// Methods that change norms and neighbours beside the weights.
bool folds(const Recipe& recipe);

/// The recipe as JSON: equal recipes make equal texts.
std::string to_json(const Recipe& recipe);

}  // namespace assay_torch
