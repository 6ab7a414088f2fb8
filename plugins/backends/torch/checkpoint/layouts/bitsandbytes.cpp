// bitsandbytes 0.50: 4 bits (NF4, FP4, block scales plain or quantized again) and LLM.int8.
// Source: functional.py (QuantState), nn/modules.py, backends/default/ops.py.
#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "checkpoint/layouts/layout.hpp"
#include "quantize/table.hpp"

namespace assay_torch {
namespace {

constexpr std::int64_t kNestedBlock = 256;

// Some exporters write an underscore for the dot.
constexpr std::array<std::string_view, 2> kAbsmax = {".weight.absmax", ".weight_absmax"};
constexpr std::array<std::string_view, 2> kTable = {".weight.quant_map", ".weight_quant_map"};
constexpr std::array<std::string_view, 2> kNestedAbsmax = {".weight.nested_absmax",
                                                           ".weight_nested_absmax"};
constexpr std::array<std::string_view, 2> kNestedTable = {".weight.nested_quant_map",
                                                          ".weight_nested_quant_map"};
constexpr std::array<std::string_view, 5> kStates = {
    ".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4",
    ".weight_quant_state.bitsandbytes__nf4", ".weight_quant_state.bitsandbytes__fp4",
    ".weight_quant_state"};
constexpr std::array<std::string_view, 2> kRowScales = {".SCB", ".weight_scb"};
constexpr std::array<std::string_view, 2> kRowFormat = {".weight_format", ".SCB_format"};

class Bitsandbytes final : public QuantizedLayout {
 public:
  explicit Bitsandbytes(const Settings& settings);

  std::string describe() const override {
    return is_8_bit_ ? std::string("bitsandbytes 8 bits")
                     : "bitsandbytes 4 bits, " + type_ + (is_nested_ ? ", nested" : "");
  }
  Claim claim(const std::string& module) const override {
    // A list of its own takes the place of the output layer's exemption.
    return is_in_block(module) ? claim_of_skipped(skipped_, module) : Claim::kSilent;
  }
  bool shows(const Weights& weights, const std::string& module) const override {
    const auto holds = [&](std::string_view suffix) {
      return weights.holds(module + std::string(suffix));
    };
    return std::any_of(kAbsmax.begin(), kAbsmax.end(), holds) ||
           std::any_of(kRowScales.begin(), kRowScales.end(), holds);
  }
  QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                       std::int64_t columns) const override;

 private:
  QuantizedMatrix read_4_bits(ModuleTensors& tensors, std::int64_t rows,
                              std::int64_t columns) const;
  QuantizedMatrix read_8_bits(ModuleTensors& tensors, std::int64_t rows,
                              std::int64_t columns) const;

  bool is_8_bit_ = false, is_nested_ = false;
  std::string type_;
  float threshold_ = 6;
  std::vector<std::string> skipped_;
};

Bitsandbytes::Bitsandbytes(const Settings& settings)
    : skipped_(settings.texts("llm_int8_skip_modules")) {
  const bool is_4_bit = settings.find_flag("load_in_4bit").value_or(false);
  is_8_bit_ = settings.find_flag("load_in_8bit").value_or(false);
  if (is_4_bit == is_8_bit_)
    settings.refuse("load_in_4bit", "expected one of load_in_4bit and load_in_8bit to be true");
  if (settings.find_flag("llm_int8_has_fp16_weight").value_or(false)) {
    settings.refuse_unsupported("llm_int8_has_fp16_weight",
                                "weights in 16 bits beside those in 8 are not supported");
  }
  is_nested_ = settings.find_flag("bnb_4bit_use_double_quant").value_or(false);
  type_ = settings.find_text("bnb_4bit_quant_type").value_or("fp4");
  if (is_4_bit && type_ != "nf4" && type_ != "fp4") {
    settings.refuse_unsupported("bnb_4bit_quant_type",
                                "\"" + type_ + "\" is not supported; supported: \"nf4\", \"fp4\"");
  }
  const double threshold = settings.find_number("llm_int8_threshold").value_or(6);
  if (threshold < 0) settings.refuse("llm_int8_threshold", "expected a number from 0");
  threshold_ =
      threshold == 0 ? std::numeric_limits<float>::infinity() : static_cast<float>(threshold);
}

/// What the tool keeps of a module as JSON, in a tensor of bytes.
struct QuantState {
  std::string type;
  std::int64_t block = 64;
  float nested_offset = 0;
};

QuantState read_state(ModuleTensors& tensors, std::int64_t rows, std::int64_t columns) {
  const std::string_view suffix = tensors.first_held(kStates);
  const auto bytes = tensors.bytes(suffix);
  const std::string where = tensors.weights().file_of(tensors.module() + std::string(suffix)) +
                            ": tensor \"" + tensors.module() + std::string(suffix) + "\"";
  const auto json =
      Settings::parse(where, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  QuantState state;
  state.type = json.find_text("quant_type").value_or("");
  state.block = json.find_integer("blocksize").value_or(64);
  state.nested_offset = static_cast<float>(json.find_number("nested_offset").value_or(0));
  const auto shape = json.integers("shape");
  if (shape != Shape{rows, columns}) {
    json.refuse("shape",
                shape_text(shape) + ", config.json calls for " + shape_text(Shape{rows, columns}));
  }
  if (state.block < 1 || state.block % 2 != 0)
    json.refuse("blocksize", "expected an even number, got " + std::to_string(state.block));
  if (json.find_integer("nested_blocksize").value_or(kNestedBlock) != kNestedBlock)
    json.refuse_unsupported("nested_blocksize", "supported: 256");
  return state;
}

/// Block scales that were quantized in blocks of 256, less an offset.
NestedScales read_nested(ModuleTensors& tensors, float offset, std::int64_t blocks,
                         std::vector<float>& scales) {
  NestedScales nested;
  nested.codes = tensors.bytes(tensors.first_held(kAbsmax), "U8", {blocks});
  nested.absmax =
      tensors.floats(tensors.first_held(kNestedAbsmax), {parts_of(blocks, kNestedBlock)});
  nested.offset = offset;
  const auto table = tensors.floats(tensors.first_held(kNestedTable), {256});
  scales.resize(nested.codes.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    // Rounded before the sum: a fused multiply-add would change the last bit.
    const volatile float product = table[nested.codes[i]] * nested.absmax[i / kNestedBlock];
    scales[i] = product + offset;
  }
  return nested;
}

QuantizedMatrix Bitsandbytes::read(ModuleTensors& tensors, std::int64_t rows,
                                   std::int64_t columns) const {
  const bool has_blocks = tensors.holds(kAbsmax[0]) || tensors.holds(kAbsmax[1]);
  if (has_blocks == is_8_bit_) {
    tensors.refuse(".weight", std::string("is of a layer with ") +
                                  (has_blocks ? "4 bits (absmax)" : "8 bits (SCB)") +
                                  ", config.json says " + (is_8_bit_ ? "8 bits" : "4 bits"));
  }
  QuantizedMatrix matrix =
      is_8_bit_ ? read_8_bits(tensors, rows, columns) : read_4_bits(tensors, rows, columns);
  matrix.stored_bits = tensors.stored_bits();
  return matrix;
}

QuantizedMatrix Bitsandbytes::read_4_bits(ModuleTensors& tensors, std::int64_t rows,
                                          std::int64_t columns) const {
  const QuantState state = read_state(tensors, rows, columns);
  QuantizedMatrix matrix;
  matrix.form = Form::kTable;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.group_size = state.block;
  const std::int64_t blocks = parts_of(rows * columns, state.block);
  if (state.type != type_) {
    tensors.refuse(tensors.first_held(kStates),
                   "says quant_type \"" + state.type + "\", config.json says \"" + type_ + "\"");
  }
  const auto bytes_needed = static_cast<std::uint64_t>(parts_of(rows * columns, 2));
  // Declared as whatever bnb_4bit_quant_storage was: bytes are bytes.
  if (tensors.weights().bytes(tensors.module() + ".weight") != bytes_needed) {
    tensors.refuse(".weight",
                   "has " + std::to_string(tensors.weights().bytes(tensors.module() + ".weight")) +
                       " bytes; two weights a byte make " + std::to_string(bytes_needed));
  }
  matrix.codes = tensors.bytes(".weight");
  const auto table = tensors.floats(tensors.first_held(kTable), {16});
  std::copy(table.begin(), table.end(), matrix.table.begin());
  const std::string_view absmax = tensors.first_held(kAbsmax);
  if (tensors.dtype(absmax) == "U8") {
    matrix.nested = read_nested(tensors, state.nested_offset, blocks, matrix.scales);
  } else {
    matrix.scale_type = tensors.float_type(absmax);
    matrix.scales = tensors.floats(absmax, {blocks});
  }
  return matrix;
}

QuantizedMatrix Bitsandbytes::read_8_bits(ModuleTensors& tensors, std::int64_t rows,
                                          std::int64_t columns) const {
  QuantizedMatrix matrix;
  matrix.form = Form::kInt8;
  matrix.bits = 8;
  matrix.is_per_127 = true;
  matrix.rows = rows;
  matrix.columns = columns;
  const std::string_view format = tensors.first_held(kRowFormat);
  if (tensors.holds(format)) {
    if (tensors.count(format) != 1) tensors.refuse(format, "is not a single number");
    const auto value = tensors.bytes(format, "U8", Shape(tensors.shape(format)));
    if (value[0] != 0) {
      tensors.refuse(format, "is " + std::to_string(value[0]) +
                                 "; supported: 0 (rows). Save it again with bitsandbytes 0.45 or "
                                 "later");
    }
  }
  matrix.codes = tensors.bytes(".weight", "I8", {rows, columns});
  const std::string_view scales = tensors.first_held(kRowScales);
  matrix.scale_type = tensors.float_type(scales);
  matrix.scales = tensors.floats(scales, {rows});
  matrix.activations = {ActivationRule::Kind::kInt8Outliers, threshold_, 1, 0};
  return matrix;
}

bool is_nf4(const QuantizedMatrix& matrix) { return matrix.table[0] == -1; }

std::vector<StoredTensor> tensors_of_4_bits(const std::string& module,
                                            const QuantizedMatrix& matrix) {
  const std::string weight = module + ".weight", type = is_nf4(matrix) ? "nf4" : "fp4";
  const auto blocks = static_cast<std::int64_t>(matrix.scales.size());
  nlohmann::ordered_json state = {{"quant_type", type},
                                  {"blocksize", matrix.group_size},
                                  {"dtype", "float32"},
                                  {"shape", {matrix.rows, matrix.columns}}};
  std::vector<StoredTensor> out = {
      stored(weight, "U8", {static_cast<std::int64_t>(matrix.codes.size()), 1}, matrix.codes),
      stored(weight + ".quant_map", "F32", {16},
             std::vector<float>(matrix.table.begin(), matrix.table.end()))};
  if (matrix.nested) {
    state["nested_blocksize"] = kNestedBlock;
    state["nested_dtype"] = "float32";
    state["nested_offset"] = static_cast<double>(matrix.nested->offset);
    out.push_back(stored(weight + ".absmax", "U8", {blocks}, matrix.nested->codes));
    out.push_back(stored(weight + ".nested_absmax", "F32",
                         {static_cast<std::int64_t>(matrix.nested->absmax.size())},
                         matrix.nested->absmax));
    out.push_back(stored(weight + ".nested_quant_map", "F32", {256},
                         std::vector<float>(dynamic_map().begin(), dynamic_map().end())));
  } else {
    out.push_back(stored(weight + ".absmax", "F32", {blocks}, matrix.scales));
  }
  const std::string text = state.dump();
  out.push_back(stored(weight + ".quant_state.bitsandbytes__" + type, "U8",
                       {static_cast<std::int64_t>(text.size())},
                       std::vector<char>(text.begin(), text.end())));
  return out;
}

}  // namespace

std::unique_ptr<QuantizedLayout> open_bitsandbytes(const Settings& settings) {
  return std::make_unique<Bitsandbytes>(settings);
}

std::vector<StoredTensor> bitsandbytes_tensors(const std::string& module,
                                               const QuantizedMatrix& matrix) {
  if (matrix.form == Form::kTable) return tensors_of_4_bits(module, matrix);
  if (matrix.form != Form::kInt8 || !matrix.is_per_127)
    refuse_to_hold(module, "bitsandbytes", "it holds NF4, FP4 and integers of 8 bits per 127");
  return {stored(module + ".weight", "I8", {matrix.rows, matrix.columns}, matrix.codes),
          stored(module + ".SCB", "F32", {matrix.rows}, matrix.scales),
          stored(module + ".weight_format", "U8", {}, std::vector<std::uint8_t>{0})};
}

}  // namespace assay_torch
