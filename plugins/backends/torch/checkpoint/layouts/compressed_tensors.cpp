// compressed-tensors 0.19 (llm-compressor): pack-quantized, int-quantized, float-quantized.
// Source: compressors/, quantization/quant_args.py, quantization/quant_scheme.py, utils/match.py.
#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cstring>

#include "checkpoint/layouts/layout.hpp"

namespace assay_torch {
namespace {

enum class Packing { kPacked, kBytes, kFloat };
enum class Strategy { kTensor, kChannel, kGroup, kBlock };

struct Scheme {
  std::vector<std::string> targets;
  Packing packing = Packing::kPacked;
  Strategy strategy = Strategy::kChannel;
  int bits = 8;
  bool is_symmetric = true;
  std::int64_t group_size = 0;
  std::vector<std::int64_t> block;
  ActivationRule activations;
  bool has_input_scale = false;
};

bool is_supported(const std::string& format) {
  return format == "pack-quantized" || format == "int-quantized" || format == "float-quantized" ||
         format == "naive-quantized";
}

Strategy strategy_of(const Settings& weights) {
  const std::string name =
      weights.find_text("strategy").value_or(weights.has("group_size") ? "group" : "tensor");
  if (name == "tensor") return Strategy::kTensor;
  if (name == "channel") return Strategy::kChannel;
  if (name == "group") return Strategy::kGroup;
  if (name == "block") return Strategy::kBlock;
  weights.refuse_unsupported("strategy", "\"" + name +
                                             "\" is not supported; supported: \"tensor\", "
                                             "\"channel\", \"group\", \"block\"");
}

/// Does `dynamic` say so? "local" means something of its own.
bool is_dynamic(const Settings& inputs) { return inputs.find_flag("dynamic").value_or(false); }

void read_activations(const Settings& inputs, Scheme& scheme) {
  using Kind = ActivationRule::Kind;
  const std::string type = inputs.find_text("type").value_or("int");
  const std::string strategy = inputs.find_text("strategy").value_or("tensor");
  const bool is_float = type == "float", is_token = strategy == "token";
  const bool is_group = strategy == "group" && inputs.find_integer("group_size").value_or(0) > 0;
  if (inputs.find_integer("num_bits").value_or(8) == 8 &&
      inputs.find_flag("symmetric").value_or(true)) {
    if (is_dynamic(inputs) && is_token) {
      scheme.activations.kind = is_float ? Kind::kFp8PerToken : Kind::kInt8PerToken;
      return;
    }
    if (is_dynamic(inputs) && is_float && is_group) {
      scheme.activations.kind = Kind::kFp8PerToken;
      scheme.activations.group_size = *inputs.find_integer("group_size");
      return;
    }
    if (!is_dynamic(inputs) && is_float && strategy == "tensor") {
      scheme.activations.kind = Kind::kFp8PerTensor;
      scheme.has_input_scale = true;
      return;
    }
  }
  inputs.refuse_unsupported("strategy",
                            "these activations are not supported; supported: symmetric, 8 bits, "
                            "dynamic by token (int, float) or group (float), or static for the "
                            "tensor (float)");
}

Scheme read_scheme(const Settings& group, const std::string& format_of_all) {
  Scheme scheme;
  scheme.targets = group.texts("targets");
  const std::string format = group.find_text("format").value_or(format_of_all);
  if (!is_supported(format)) {
    group.refuse_unsupported("format", "\"" + format +
                                           "\" is not supported; supported: \"pack-quantized\", "
                                           "\"int-quantized\", \"float-quantized\", "
                                           "\"naive-quantized\"");
  }
  const auto weights = group.table("weights");
  if (!weights) group.refuse("weights", "is missing; a group without weights is not supported");
  const std::string type = weights->find_text("type").value_or("int");
  const bool is_float = type == "float";
  if (type != "int" && !is_float)
    weights->refuse("type", "expected \"int\" or \"float\", got \"" + type + "\"");
  const std::int64_t bits = weights->find_integer("num_bits").value_or(8);
  if (bits < 1 || bits > 8 || (is_float && bits != 8)) {
    weights->refuse_unsupported("num_bits", std::to_string(bits) +
                                                " is not supported; supported: 1 to 8, and 8 for "
                                                "\"float\"");
  }
  const bool is_packed = format == "pack-quantized";
  if ((is_packed && is_float) || (format == "int-quantized" && is_float) ||
      (format == "float-quantized" && !is_float)) {
    group.refuse("format", "\"" + format + "\" contradicts weights of type \"" + type + "\"");
  }
  scheme.bits = static_cast<int>(bits);
  scheme.packing = is_packed ? Packing::kPacked : is_float ? Packing::kFloat : Packing::kBytes;
  scheme.strategy = strategy_of(*weights);
  scheme.is_symmetric = weights->find_flag("symmetric").value_or(true);
  if (is_float && !scheme.is_symmetric)
    weights->refuse_unsupported("symmetric", "FP8 with zero points is not supported");
  if (scheme.strategy == Strategy::kGroup) {
    scheme.group_size = weights->find_integer("group_size").value_or(0);
    if (scheme.group_size < 1) weights->refuse("group_size", "expected a number above 0");
  }
  if (scheme.strategy == Strategy::kBlock) {
    scheme.block = weights->integers("block_structure");
    if (scheme.block.size() != 2 || scheme.block[0] < 1 || scheme.block[1] < 1)
      weights->refuse("block_structure", "expected two numbers above 0");
    if (!is_float) weights->refuse_unsupported("strategy", "integers in blocks are not supported");
  }
  if (const auto inputs = group.table("input_activations")) read_activations(*inputs, scheme);
  if (!group.is_empty("output_activations"))
    group.refuse_unsupported("output_activations", "is not supported");
  return scheme;
}

class CompressedTensors final : public QuantizedLayout {
 public:
  explicit CompressedTensors(const Settings& settings);

  std::string describe() const override;
  Claim claim(const std::string& module) const override {
    return scheme_of(module) == nullptr ? Claim::kPlain : Claim::kQuantized;
  }
  bool shows(const Weights& weights, const std::string& module) const override {
    const std::string weight = module + ".weight";
    return weights.holds(module + ".weight_packed") ||
           (weights.holds(weight) &&
            (weights.dtype(weight) == "I8" || weights.dtype(weight).starts_with("F8_")));
  }
  QuantizedMatrix read(ModuleTensors& tensors, std::int64_t rows,
                       std::int64_t columns) const override;

 private:
  bool is_target(const std::string& target, const std::string& module) const;
  const Scheme* scheme_of(const std::string& module) const;

  Settings settings_;
  std::string format_;
  std::vector<std::string> ignored_;
  std::vector<Scheme> schemes_;
};

CompressedTensors::CompressedTensors(const Settings& settings)
    : settings_(settings),
      format_(settings.find_text("format").value_or("")),
      ignored_(settings.texts("ignore")) {
  for (const char* key : {"kv_cache_scheme", "sparsity_config", "transform_config"}) {
    // "dense" sparsity is none.
    if (settings.is_empty(key)) continue;
    const auto table = settings.table(key);
    if (table->find_text("format").value_or("") == "dense") continue;
    settings.refuse_unsupported(key, "is not supported: it changes what the model computes");
  }
  const auto groups = settings.table("config_groups");
  if (!groups || groups->keys().empty())
    settings.refuse("config_groups", "is missing; expected a table of groups");
  const bool is_mixed = format_ == "mixed-precision";
  if (!is_mixed && !is_supported(format_)) {
    settings.refuse_unsupported("format", "\"" + format_ +
                                              "\" is not supported; supported: \"pack-quantized\", "
                                              "\"int-quantized\", \"float-quantized\", "
                                              "\"naive-quantized\", \"mixed-precision\"");
  }
  for (const std::string& name : groups->keys()) {
    const auto group = groups->table(name);
    if (group) schemes_.push_back(read_scheme(*group, format_));
  }
  for (const std::string& name : ignored_) is_target(name, "");  // are they expressions?
  for (const Scheme& scheme : schemes_) {
    for (const std::string& name : scheme.targets) is_target(name, "");
  }
}

std::string CompressedTensors::describe() const {
  std::string out = "compressed-tensors " + format_;
  for (const Scheme& scheme : schemes_) {
    out += ", " + std::to_string(scheme.bits) + " bits";
    if (scheme.strategy == Strategy::kGroup)
      out += " in groups of " + std::to_string(scheme.group_size);
  }
  return out;
}

/// A name, an expression behind "re:"; classes are asked for apart.
bool CompressedTensors::is_target(const std::string& target, const std::string& module) const {
  if (target.starts_with("re:"))
    return starts_with_match(settings_, "config_groups", std::string_view(target).substr(3),
                             module);
  return target == module;
}

/// Names first, then expressions, then the class, which of every layer here is Linear.
const Scheme* CompressedTensors::scheme_of(const std::string& module) const {
  const auto names_it = [&](const std::string& target) { return is_target(target, module); };
  if (std::any_of(ignored_.begin(), ignored_.end(), names_it)) return nullptr;
  const auto found = [&](const auto& fits) -> const Scheme* {
    for (const Scheme& scheme : schemes_) {
      if (std::any_of(scheme.targets.begin(), scheme.targets.end(), fits)) return &scheme;
    }
    return nullptr;
  };
  if (const Scheme* exact = found([&](const std::string& target) { return target == module; }))
    return exact;
  if (const Scheme* expression = found(names_it)) return expression;
  return found([](const std::string& target) { return target == "Linear"; });
}

/// Scales, zeros and group indices of integers; the codes are there already.
void read_groups(ModuleTensors& tensors, const Scheme& scheme, QuantizedMatrix& matrix) {
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  matrix.group_size =
      scheme.strategy == Strategy::kGroup ? std::min(scheme.group_size, columns) : columns;
  const std::int64_t groups = parts_of(columns, matrix.group_size);
  const auto middle = static_cast<std::uint16_t>(1U << (matrix.bits - 1));
  matrix.scale_type = tensors.float_type(".weight_scale");
  if (scheme.strategy == Strategy::kTensor) {
    const auto scale = tensors.floats(".weight_scale", {1});
    matrix.scales.assign(static_cast<std::size_t>(rows), scale[0]);
  } else {
    matrix.scales = tensors.floats(".weight_scale", {rows, groups});
  }
  matrix.zeros.assign(static_cast<std::size_t>(rows * groups), middle);
  if (!scheme.is_symmetric && tensors.dtype(".weight_zero_point") == "I8") {
    const auto zeros =
        tensors.bytes(".weight_zero_point", "I8",
                      scheme.strategy == Strategy::kTensor ? Shape{1} : Shape{rows, groups});
    for (std::size_t i = 0; i < matrix.zeros.size(); ++i) {
      const int zero = static_cast<std::int8_t>(zeros[i % zeros.size()]) + middle;
      if (zero < 0 || zero >> matrix.bits != 0)
        tensors.refuse(".weight_zero_point",
                       "holds a zero point beyond " + std::to_string(matrix.bits) + " bits");
      matrix.zeros[i] = static_cast<std::uint16_t>(zero);
    }
  } else if (!scheme.is_symmetric) {
    const std::int64_t width = words_per_row(rows, matrix.bits);
    const auto words = turned(tensors.words(".weight_zero_point", {width, groups}), width, groups);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t group = 0; group < groups; ++group)
        matrix.zeros[static_cast<std::size_t>(row * groups + group)] =
            field_of(words.data() + group * width, row, matrix.bits);
    }
  }
  if (tensors.holds(".weight_g_idx"))
    matrix.group_of = group_indices(tensors, ".weight_g_idx", columns, matrix.group_size, groups);
}

void read_packed(ModuleTensors& tensors, const Scheme& scheme, QuantizedMatrix& matrix) {
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  const auto shape = tensors.longs(".weight_shape", {2});
  if (shape != Shape{rows, columns}) {
    tensors.refuse(".weight_shape", "holds " + shape_text(shape) + ", config.json calls for " +
                                        shape_text(Shape{rows, columns}));
  }
  matrix.bits = scheme.bits;
  const std::int64_t words = words_per_row(columns, matrix.bits);
  const std::int64_t codes_per_word = 32 / matrix.bits;
  const std::int64_t loose_words = parts_of(columns, codes_per_word);
  matrix.codes.resize(static_cast<std::size_t>(rows * words * 4));
  const bool is_loose =
      loose_words != words && tensors.shape(".weight_packed") == Shape{rows, loose_words};
  std::vector<std::uint16_t> codes(is_loose ? static_cast<std::size_t>(columns) : 0);
  const auto put = [&](std::int64_t first, std::span<const std::uint32_t> piece) {
    if (!is_loose) {
      std::memcpy(matrix.codes.data() + first * words * 4, piece.data(), piece.size_bytes());
      return;
    }
    // Until 2026 a code did not cross words, and bits that were left over stayed empty.
    for (std::size_t row = 0; row * static_cast<std::size_t>(loose_words) < piece.size(); ++row) {
      for (std::int64_t k = 0; k < columns; ++k) {
        codes[static_cast<std::size_t>(k)] =
            field_of(&piece[row * static_cast<std::size_t>(loose_words) +
                            static_cast<std::size_t>(k / codes_per_word)],
                     k % codes_per_word, matrix.bits);
      }
      write_codes(matrix, first + static_cast<std::int64_t>(row), codes);
    }
  };
  tensors.words_by_rows(".weight_packed", {rows, is_loose ? loose_words : words}, put);
  read_groups(tensors, scheme, matrix);
}

void read_int8(ModuleTensors& tensors, const Scheme& scheme, QuantizedMatrix& matrix) {
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  matrix.bits = 8;
  auto codes = tensors.bytes(".weight", "I8", {rows, columns});
  if (scheme.strategy != Strategy::kGroup && scheme.is_symmetric) {
    matrix.form = Form::kInt8;
    matrix.codes = std::move(codes);
    matrix.scale_type = tensors.float_type(".weight_scale");
    if (scheme.strategy == Strategy::kChannel) {
      matrix.scales = tensors.floats(".weight_scale", {rows, 1});
    } else {
      const auto scale = tensors.floats(".weight_scale", {1});
      matrix.scales.assign(static_cast<std::size_t>(rows), scale[0]);
    }
    return;
  }
  const std::int64_t row_bytes = words_per_row(columns, 8) * 4;
  matrix.codes.resize(static_cast<std::size_t>(rows * row_bytes));
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    // Signed codes become those around 128.
    matrix.codes[static_cast<std::size_t>(i / columns * row_bytes + i % columns)] =
        static_cast<std::uint8_t>(codes[static_cast<std::size_t>(i)] ^ 0x80U);
  }
  read_groups(tensors, scheme, matrix);
}

QuantizedMatrix CompressedTensors::read(ModuleTensors& tensors, std::int64_t rows,
                                        std::int64_t columns) const {
  const Scheme& scheme = *scheme_of(tensors.module());
  QuantizedMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.activations = scheme.activations;
  if (scheme.packing == Packing::kPacked) read_packed(tensors, scheme, matrix);
  if (scheme.packing == Packing::kBytes) read_int8(tensors, scheme, matrix);
  if (scheme.packing == Packing::kFloat) {
    if (scheme.strategy != Strategy::kTensor) matrix.block_rows = 1;
    if (scheme.strategy == Strategy::kGroup) matrix.block_columns = scheme.group_size;
    if (scheme.strategy == Strategy::kBlock) {
      matrix.block_rows = scheme.block[0];
      matrix.block_columns = scheme.block[1];
    }
    read_fp8(tensors, ".weight_scale", matrix);
  }
  if (scheme.has_input_scale)
    matrix.activations.scale = read_activation_scale(tensors, ".input_scale");
  matrix.stored_bits = tensors.stored_bits();
  return matrix;
}

std::vector<StoredTensor> packed_tensors(const std::string& module, const QuantizedMatrix& matrix) {
  const std::int64_t rows = matrix.rows, columns = matrix.columns;
  const std::int64_t groups = groups_per_row(matrix);
  if (matrix.bits < 1 || matrix.bits > 8)
    refuse_to_hold(module, "compressed-tensors", "it holds integers of 1 to 8 bits");
  std::vector<StoredTensor> out = {
      stored(module + ".weight_packed", "I32", {rows, words_per_row(columns, matrix.bits)},
             matrix.codes),
      stored_scales(module + ".weight_scale", {rows, groups}, matrix.scale_type, matrix.scales),
      stored(module + ".weight_shape", "I64", {2}, Shape{rows, columns})};
  if (!is_symmetric(matrix)) {
    const std::int64_t width = words_per_row(rows, matrix.bits);
    std::vector<std::uint32_t> words(static_cast<std::size_t>(groups * width));
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t group = 0; group < groups; ++group) {
        const std::uint16_t zero = matrix.zeros[static_cast<std::size_t>(row * groups + group)];
        if (zero >> matrix.bits != 0)
          refuse_to_hold(module, "compressed-tensors", "a zero point does not fit its bits");
        add_field(words.data() + group * width, row, matrix.bits, zero);
      }
    }
    out.push_back(stored(module + ".weight_zero_point", "I32", {width, groups},
                         turned(words, groups, width)));
  }
  if (!matrix.group_of.empty())
    out.push_back(stored(module + ".weight_g_idx", "I32", {columns}, matrix.group_of));
  return out;
}

}  // namespace

std::unique_ptr<QuantizedLayout> open_compressed_tensors(const Settings& settings) {
  return std::make_unique<CompressedTensors>(settings);
}

std::vector<StoredTensor> compressed_tensors_of(const std::string& module,
                                                const QuantizedMatrix& matrix) {
  const std::string weight = module + ".weight", scale = module + ".weight_scale";
  const Shape shape = {matrix.rows, matrix.columns};
  std::vector<StoredTensor> out;
  if (matrix.form == Form::kInteger) {
    out = packed_tensors(module, matrix);
  } else if (matrix.form == Form::kInt8 && !matrix.is_per_127) {
    out = {stored(weight, "I8", shape, matrix.codes),
           stored_scales(scale, {matrix.rows, 1}, matrix.scale_type, matrix.scales)};
  } else if (matrix.form == Form::kFp8) {
    const std::int64_t height = matrix.block_rows == 0 ? matrix.rows : matrix.block_rows;
    const std::int64_t width = matrix.block_columns == 0 ? matrix.columns : matrix.block_columns;
    const bool is_tensor = matrix.block_rows == 0 && matrix.block_columns == 0;
    out = {stored(weight, "F8_E4M3", shape, matrix.codes),
           stored_scales(
               scale,
               is_tensor ? Shape{1}
                         : Shape{parts_of(matrix.rows, height), parts_of(matrix.columns, width)},
               matrix.scale_type, matrix.scales)};
  } else {
    refuse_to_hold(module, "compressed-tensors",
                   "it holds integers, 8-bit integers per row, and FP8");
  }
  if (matrix.activations.kind == ActivationRule::Kind::kFp8PerTensor) {
    out.push_back(
        stored(module + ".input_scale", "F32", {1}, std::vector<float>{matrix.activations.scale}));
  }
  return out;
}

}  // namespace assay_torch
