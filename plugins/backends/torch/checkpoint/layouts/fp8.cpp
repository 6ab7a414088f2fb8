// FP8 (E4M3) checkpoints whose weights keep their name: fine-grained FP8 of DeepSeek-V3 and
// transformers, AutoFP8, FBGEMM, and GPTQModel's own. Source: transformers 5 integrations
// finegrained_fp8.py and fbgemm_fp8.py; vLLM quantization/fp8.py; GPTQModel utils/model_dequant.py.
#include <array>
#include <assay/error.hpp>

#include "checkpoint/layouts/layout.hpp"

namespace assay_torch {
namespace {

constexpr std::array<std::string_view, 2> kScales = {".weight_scale_inv", ".weight_scale"};
constexpr std::array<std::string_view, 2> kActivationScales = {".input_scale", ".activation_scale"};

class Fp8 final : public QuantizedLayout {
 public:
  Fp8(const Settings& settings, const std::string& method);

  std::string describe() const override {
    return method_ + (block_.empty() ? std::string()
                                     : " in blocks of " + std::to_string(block_[0]) + " by " +
                                           std::to_string(block_[1]));
  }
  Claim claim(const std::string& module) const override {
    return is_in_block(module) ? claim_of_skipped(skipped_, module) : Claim::kSilent;
  }
  bool shows(const Weights& weights, const std::string& module) const override {
    const std::string weight = module + ".weight";
    return weights.holds(weight) && weights.dtype(weight).starts_with("F8_");
  }
  QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                       std::int64_t columns) const override;

 private:
  std::string method_;
  std::vector<std::int64_t> block_;
  bool is_static_ = false, divides_ = false;
  std::vector<std::string> skipped_;
};

Fp8::Fp8(const Settings& settings, const std::string& method)
    : method_(method), block_(settings.integers("weight_block_size")) {
  skipped_ = settings.texts("modules_to_not_convert");
  for (auto& name : settings.texts("ignored_layers")) skipped_.push_back(std::move(name));
  if (!block_.empty() && (block_.size() != 2 || block_[0] < 1 || block_[1] < 1))
    settings.refuse("weight_block_size", "expected two numbers above 0");
  const std::string scheme = settings.find_text("activation_scheme").value_or("dynamic");
  if (scheme != "dynamic" && scheme != "static") {
    settings.refuse_unsupported("activation_scheme", "\"" + scheme +
                                                         "\" is not supported; supported: "
                                                         "\"dynamic\", \"static\"");
  }
  is_static_ = scheme == "static";
  const std::string format = settings.find_text("fmt").value_or("e4m3");
  if (format != "e4m3" && format != "float8_e4m3fn")
    settings.refuse_unsupported("fmt", "\"" + format + "\" is not supported; supported: \"e4m3\"");
  divides_ = settings.find_text("weight_scale_semantics").value_or("") == "inverse";
}

QuantizedMatrix Fp8::read(ModuleTensors& tensors, std::int64_t rows, std::int64_t columns) const {
  const std::string_view scale = tensors.first_held(kScales);
  QuantizedMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  if (!block_.empty()) {
    matrix.block_rows = block_[0];
    matrix.block_columns = block_[1];
  } else if (tensors.count(scale) != 1) {
    matrix.block_rows = 1;
  }
  read_fp8(tensors, scale, matrix);
  if (divides_) {
    // One rounding more than the tool's quotient: a weight may differ by one unit in the last
    // place.
    for (float& value : matrix.scales) {
      if (value == 0) tensors.refuse(scale, "holds 0, which weights are divided by");
      value = 1 / value;
    }
    matrix.scale_type = FloatType::kFloat32;
  }
  using Kind = ActivationRule::Kind;
  if (is_static_) {
    matrix.activations.kind = Kind::kFp8PerTensor;
    matrix.activations.scale =
        read_activation_scale(tensors, tensors.first_held(kActivationScales));
  } else {
    matrix.activations.kind = Kind::kFp8PerToken;
    matrix.activations.group_size = block_.empty() ? 0 : block_[1];
  }
  matrix.stored_bits = tensors.stored_bits();
  return matrix;
}

}  // namespace

std::unique_ptr<QuantizedLayout> open_fp8(const Settings& settings, const std::string& method) {
  return std::make_unique<Fp8>(settings, method);
}

std::vector<StoredTensor> fine_grained_fp8_tensors(const std::string& module,
                                                   const QuantizedMatrix& matrix) {
  if (matrix.form != Form::kFp8 || matrix.block_rows < 2 || matrix.block_columns < 2)
    refuse_to_hold(module, "fine-grained FP8", "it holds FP8 in blocks of rows and columns");
  return {stored(module + ".weight", "F8_E4M3", {matrix.rows, matrix.columns}, matrix.codes),
          stored(module + ".weight_scale_inv", "F32",
                 {parts_of(matrix.rows, matrix.block_rows),
                  parts_of(matrix.columns, matrix.block_columns)},
                 matrix.scales)};
}

}  // namespace assay_torch
