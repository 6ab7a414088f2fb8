#include "quantize/pipeline.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cmath>
#include <cstddef>
#include <span>

#include "quantize/fold.hpp"
#include "quantize/gptq.hpp"
#include "quantize/layout.hpp"
#include "quantize/scaled.hpp"
#include "quantize/table.hpp"

namespace assay_torch {
namespace {

constexpr std::array<Slot, 4> kBlockSlots = {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp,
                                             Slot::kDown};

/// Thrown by an observer that has seen what it wants: the rest of a block costs as much again.
struct SeenEnough {};

std::size_t index_of(Slot slot) { return static_cast<std::size_t>(slot); }

std::span<const float> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

at::Tensor dequantized(const QuantizedMatrix& matrix) {
  auto out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  dequantize(matrix, {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

double trace(const at::Tensor& left, const at::Tensor& hessian) {
  return at::mm(left, hessian).mul_(left).sum(at::kDouble).item<double>();
}

FloatType float_type_of(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return FloatType::kBfloat16;
  return dtype == at::kHalf ? FloatType::kFloat16 : FloatType::kFloat32;
}

/// AutoAWQ leaves the ranges of queries and keys as they are.
bool is_query_or_key(const std::string& module) {
  for (const char* part : {"q_", "k_", "query", "key", "Wqkv"}) {
    if (module.find(part) != std::string::npos) return true;
  }
  return false;
}

/// Sums over all tokens of what a linear layer is given.
struct Sums {
  at::Tensor hessian, absolute, absmax;
  std::int64_t tokens = 0;

  void add(const at::Tensor& input) {
    const auto x = input.to(at::kFloat);
    const auto options = x.options();
    if (!hessian.defined()) {
      hessian = at::zeros({x.size(1), x.size(1)}, options);
      absolute = at::zeros({x.size(1)}, options);
      absmax = at::zeros({x.size(1)}, options);
    }
    at::addmm_out(hessian, hessian, x.t(), x);
    const auto size = x.abs();
    absolute.add_(size.sum({0}));
    absmax = at::maximum(absmax, size.amax({0}));
    tokens += x.size(0);
  }
  InputStatistics take() {
    const auto n = static_cast<double>(tokens);
    InputStatistics out{.hessian = hessian.div_(n).to(at::kCPU),
                        .absmean = absolute.div_(n).to(at::kCPU),
                        .absmax = absmax.to(at::kCPU)};
    *this = {};
    return out;
  }
};

/// Slots in an order in which each sees what those before it made, and those told together.
std::vector<std::vector<Slot>> stages(const Recipe& recipe, const std::vector<Slot>& slots) {
  std::vector<std::vector<Slot>> out;
  if (recipe.method == Method::kGptq && recipe.gptq.true_sequential) {
    for (const Slot slot : slots) out.push_back({slot});
  } else if (!slots.empty()) {
    out.push_back(slots);
  }
  return out;
}

}  // namespace

/// A block in the making: its modules' weights in float32 until they are quantized.
struct Pipeline::Work {
  BlockResult result;
  std::vector<std::optional<GridSettings>> grids;  // of result.modules

  bool has(Slot slot) const {
    for (std::size_t i = 0; i < grids.size(); ++i) {
      if (result.modules[i].slot == slot && grids[i]) return true;
    }
    return false;
  }
  std::vector<ModuleWeight> weights(Slot slot) const {
    std::vector<ModuleWeight> out;
    for (const ModuleResult& module : result.modules) {
      if (module.slot == slot) out.push_back(module.weight);
    }
    return out;
  }
};

void refuse_quantized(const QuantizedCheckpoint& checkpoint, const Recipe& recipe) {
  throw assay::Error(ASSAY_INVALID_ARGUMENT, recipe.table,
                     "the checkpoint is quantized already (" + checkpoint.describe() + "); leave " +
                         recipe.table + " out, or give the unquantized model");
}

Pipeline::Pipeline(const DecoderSpec& spec, const Weights& weights, const Recipe& recipe,
                   const LinearSettings& settings, const Listener& listener)
    : spec_(spec),
      weights_(weights),
      recipe_(recipe),
      listener_(listener),
      scratch_(spec, weights, LinearSettings(settings.options)) {
  ModuleNames names{.blocks = {},
                    .head = scratch_.head(),
                    .embedding = scratch_.root() + spec.names.embedding,
                    .is_tied = spec.is_tied};
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const Slot slot : kBlockSlots) {
      for (const auto& module : scratch_.modules(layer, slot)) names.blocks.push_back(module.name);
    }
  }
  check_patterns(recipe, names);
  if (folds(recipe)) folds_of(spec, recipe.smoothing.has_value());
}

void Pipeline::tell(const std::string& module, const char* name, double value) const {
  if (listener_.value && std::isfinite(value)) listener_.value(module, name, value);
}

at::ScalarType Pipeline::file_type(const std::string& tensor) const {
  const std::string& dtype = weights_.dtype(tensor);
  if (dtype == "BF16") return at::kBFloat16;
  return dtype == "F16" ? at::kHalf : at::kFloat;
}

void Pipeline::require_calibration() const {
  if (!needs_calibration(recipe_) || !chunks_.empty()) return;
  throw assay::Error(
      ASSAY_INVALID_ARGUMENT, recipe_.table + ".method",
      std::string("method ") + to_string(recipe_.method) +
          (recipe_.smoothing ? " with smoothing" : "") +
          " needs activations; give calibration = \"name\" beside it and a [calibration.name]");
}

void Pipeline::enter(const Decoder& ends, const Calibration& calibration,
                     std::int64_t pass_tokens) {
  const auto refuse = [](const std::string& text) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "calibration", text);
  };
  if (calibration.empty()) refuse("the calibration has no sequences; give it samples");
  std::vector<std::int64_t> tokens;
  Chunk chunk;
  const auto flush = [&] {
    if (tokens.empty()) return;
    if (listener_.checkpoint) listener_.checkpoint();
    chunk.x = assay_torch::enter(ends, at::tensor(tokens).to(ends.device), chunk.segments);
    chunks_.push_back(std::move(chunk));
    chunk = {};
    tokens.clear();
  };
  for (std::size_t i = 0; i < calibration.size(); ++i) {
    const auto& sequence = calibration[i];
    const std::string which = "sequence " + std::to_string(i) + " of the calibration ";
    const auto length = static_cast<std::int64_t>(sequence.size());
    if (length == 0) refuse(which + "is empty; leave it out");
    if (length > spec_.max_context) {
      refuse(which + "has " + std::to_string(length) + " tokens, the model takes " +
             std::to_string(spec_.max_context) + "; use a smaller length");
    }
    for (const std::int32_t token : sequence) {
      if (token < 0 || token >= spec_.vocab) {
        refuse(which + "holds token " + std::to_string(token) + ", which is not one of the " +
               std::to_string(spec_.vocab) + " of the vocabulary; use the model's own tokenizer");
      }
    }
    if (static_cast<std::int64_t>(tokens.size()) + length > pass_tokens) flush();
    chunk.segments.push_back({.length = length});
    tokens.insert(tokens.end(), sequence.begin(), sequence.end());
  }
  flush();
}

void Pipeline::observe(const Decoder& ends, std::int64_t layer, const Block& block,
                       const std::vector<Slot>& slots, Inputs& inputs) const {
  std::array<Sums, 5> sums;
  for (const Chunk& chunk : chunks_) {
    if (listener_.checkpoint) listener_.checkpoint();
    auto x = chunk.x.clone();
    try {
      pass_block(ends, block, static_cast<std::size_t>(layer), chunk.segments, x,
                 [&](Slot slot, const at::Tensor& input) {
                   if (std::find(slots.begin(), slots.end(), slot) == slots.end()) return;
                   sums[index_of(slot)].add(input);
                   if (slot == slots.back()) throw SeenEnough{};
                 });
    } catch (const SeenEnough&) {
    }
  }
  for (const Slot slot : slots) {
    InputStatistics statistics = sums[index_of(slot)].take();
    if (!at::isfinite(statistics.hessian.diagonal()).all().item<bool>()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "",
                         scratch_.modules(layer, slot).front().name +
                             ": the calibration's activations in front of it are not finite; "
                             "compute with dtype = \"float32\", or use another calibration");
    }
    inputs[index_of(slot)] = std::move(statistics);
  }
}

/// The norm's weights (and bias) divided by the scales, as the file's dtype holds them.
void Pipeline::fold_norm(const std::string& name, const at::Tensor& scales, Work& work) const {
  const bool is_plus_one = spec_.norm.kind == NormKind::kRmsPlusOne;
  for (const char* end : {".weight", ".bias"}) {
    if (std::string(end) == ".bias" && spec_.norm.kind != NormKind::kLayer) continue;
    auto values = at::empty({spec_.hidden}, at::kFloat);
    weights_.read(name + end, values.sizes(),
                  {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    if (is_plus_one) values.add_(1);
    values.div_(scales);
    if (is_plus_one) values.sub_(1);
    work.result.vectors.emplace_back(name + end, values.to(file_type(name + end)).to(at::kFloat));
  }
}

/// Searches scales for the inputs of each layer that can have them, and takes them out again.
void Pipeline::fold(std::int64_t layer, Work& work, Inputs& inputs) const {
  const std::string at = scratch_.root() + spec_.names.blocks + std::to_string(layer) + ".";
  for (const auto& [slot, producer] : folds_of(spec_, recipe_.smoothing.has_value())) {
    if (!work.has(slot)) continue;
    std::vector<Consumer> consumers;
    for (std::size_t i = 0; i < work.grids.size(); ++i) {
      if (work.result.modules[i].slot == slot && work.grids[i])
        consumers.push_back({work.result.modules[i].weight.dense, *work.grids[i]});
    }
    InputStatistics& seen = *inputs[index_of(slot)];
    ScaleSearch found;
    if (recipe_.smoothing) {
      found = {.scales = smoothing_scales(consumers, seen, *recipe_.smoothing), .ratio = {}};
    } else {
      found = search_scales(consumers, seen, recipe_.awq);
      if (!found.ratio) continue;
    }
    consumers.clear();
    const auto& scales = found.scales;
    for (ModuleResult& module : work.result.modules) {
      if (module.slot != slot) continue;
      module.weight.dense = module.weight.dense * scales;
      module.is_changed = true;
      if (found.ratio) tell(module.module.name, "scale_ratio", *found.ratio);
    }
    seen.hessian.div_(at::outer(scales, scales));
    seen.absmean.div_(scales);
    seen.absmax.div_(scales);
    switch (producer) {
      case Producer::kAttentionNorm:
        fold_norm(at + spec_.names.block.attention_norm, scales, work);
        continue;
      case Producer::kMlpNorm:
        fold_norm(at + spec_.names.block.mlp_norm, scales, work);
        continue;
      case Producer::kValueRows:
      case Producer::kUpRows:
        break;
    }
    const bool is_value = producer == Producer::kValueRows;
    const Slot makes = is_value ? Slot::kQueryKeyValue : Slot::kGateUp;
    const std::int64_t first =
        is_value ? (spec_.heads + spec_.kv_heads) * spec_.head_dim : spec_.intermediate;
    std::int64_t row = 0;
    for (ModuleResult& module : work.result.modules) {
      if (module.slot != makes) continue;
      const std::int64_t rows = module.module.rows;
      const std::int64_t skip = std::max<std::int64_t>(first - row, 0);
      if (skip < rows) {
        module.weight.dense = module.weight.dense.clone();
        module.weight.dense.narrow(0, skip, rows - skip)
            .div_(scales.narrow(0, row + skip - first, rows - skip).unsqueeze(1));
        module.is_changed = true;
      }
      row += rows;
    }
  }
}

void Pipeline::round_module(ModuleResult& module, const GridSettings& grid,
                            const InputStatistics* inputs) const {
  const std::string& name = module.module.name;
  const auto weights = module.weight.dense.contiguous();
  const std::int64_t rows = module.module.rows, columns = module.module.columns;
  const auto values = values_of(weights);
  QuantizedMatrix matrix;
  switch (recipe_.method) {
    case Method::kRtn:
      matrix = rtn_quantize(values, rows, columns, grid);
      break;
    case Method::kGptq: {
      GptqResult result = gptq_quantize(weights, inputs->hessian, recipe_.gptq, grid);
      tell(name, "damping", result.damping);
      tell(name, "damping_attempts", result.attempts);
      tell(name, "dead_columns", static_cast<double>(result.dead_columns));
      matrix = std::move(result.matrix);
      break;
    }
    case Method::kAwq: {
      auto narrowed = weights;
      if (recipe_.awq.clips && !is_query_or_key(name))
        narrowed = clipped({weights, grid}, inputs->hessian);
      tell(name, "clipped_share", narrowed.ne(weights).to(at::kDouble).mean().item<double>());
      matrix = rtn_quantize(values_of(narrowed), rows, columns, grid);
      break;
    }
    case Method::kNf4:
      matrix = table_quantize(kNf4, values, rows, columns, recipe_.is_nested);
      break;
    case Method::kFp4:
      matrix = table_quantize(kFp4, values, rows, columns, recipe_.is_nested);
      break;
    case Method::kInt8:
      matrix = int8_quantize(values, rows, columns, recipe_.threshold);
      break;
    case Method::kW8a8:
      matrix = w8a8_quantize(values, rows, columns, grid.scale_type);
      break;
    case Method::kFp8:
      matrix = fp8_quantize(values, rows, columns, recipe_.scope, grid.scale_type);
      break;
  }
  const auto lost = dequantized(matrix).sub_(weights);
  const double error = lost.norm().item<double>(), size = weights.norm().item<double>();
  tell(name, "weight_error", error / size);
  tell(name, "sqnr_db", 20 * std::log10(size / error));
  const auto bound = weights.square().mean({1}, /*keepdim=*/true).sqrt_().mul_(6);
  tell(name, "outlier_share", weights.abs().gt(bound).to(at::kDouble).mean().item<double>());
  if (inputs != nullptr)
    tell(name, "output_error", trace(lost, inputs->hessian) / trace(weights, inputs->hessian));
  tell(name, "bits", static_cast<double>(matrix.stored_bits) / static_cast<double>(rows * columns));
  tell(name, "bytes", static_cast<double>((matrix.stored_bits + 7) / 8));
  module.weight = {.dense = {}, .quantized = std::move(matrix)};
  module.is_changed = false;
}

void Pipeline::round_slot(Work& work, Slot slot, const Inputs& inputs) const {
  const auto& seen = inputs[index_of(slot)];
  for (std::size_t i = 0; i < work.grids.size(); ++i) {
    ModuleResult& module = work.result.modules[i];
    if (module.slot != slot || !work.grids[i]) continue;
    if (listener_.checkpoint) listener_.checkpoint();
    try {
      round_module(module, *work.grids[i], seen ? &*seen : nullptr);
    } catch (const assay::Error& failure) {
      throw assay::Error(failure.code(), failure.where(),
                         module.module.name + ": " + failure.what());
    }
  }
}

BlockResult Pipeline::quantize(const Decoder& ends, std::int64_t layer) {
  require_calibration();
  Work work;
  std::vector<Slot> slots;
  for (const Slot slot : kBlockSlots) {
    for (const auto& module : scratch_.modules(layer, slot)) {
      auto grid = settings_of(recipe_, module.name, /*is_head=*/false);
      if (grid)
        grid->scale_type =
            scale_type_of(recipe_, float_type_of(file_type(module.name + ".weight")));
      work.grids.push_back(grid);
      work.result.modules.push_back(
          {.slot = slot, .module = module, .weight = {.dense = scratch_.weight(slot, module)}});
    }
    if (work.has(slot)) slots.push_back(slot);
  }
  const auto report = [&](std::size_t nth) {
    if (!listener_.progress) return;
    const double done = static_cast<double>(layer) +
                        static_cast<double>(nth) / static_cast<double>(kBlockSlots.size() + 1);
    listener_.progress(
        done / static_cast<double>(spec_.layers + 1),
        "block " + std::to_string(layer + 1) + " of " + std::to_string(spec_.layers));
  };
  Inputs inputs(5);
  report(0);
  if (chunks_.empty()) {
    for (const Slot slot : slots) round_slot(work, slot, inputs);
    return std::move(work.result);
  }
  Block block = scratch_.norms(layer);
  for (const Slot slot : kBlockSlots)
    linear_of(block, slot) = scratch_.assemble(layer, slot, work.weights(slot));
  std::size_t nth = 0;
  for (const auto& stage : stages(recipe_, slots)) {
    observe(ends, layer, block, stage, inputs);
    if (recipe_.method == Method::kGptq || recipe_.method == Method::kAwq) {
      for (std::size_t i = 0; i < work.grids.size(); ++i) {
        const ModuleResult& module = work.result.modules[i];
        if (!work.grids[i] || std::find(stage.begin(), stage.end(), module.slot) == stage.end())
          continue;
        const auto& weights = module.weight.dense;
        const auto lost = dequantized(rtn_quantize(values_of(weights), module.module.rows,
                                                   module.module.columns, *work.grids[i]))
                              .sub_(weights);
        const auto& hessian = inputs[index_of(module.slot)]->hessian;
        tell(module.module.name, "output_error_rtn",
             trace(lost, hessian) / trace(weights, hessian));
      }
    }
    if (folds(recipe_)) fold(layer, work, inputs);
    for (const Slot slot : stage) {
      round_slot(work, slot, inputs);
      inputs[index_of(slot)].reset();
      report(++nth);
      // What comes next reads what this has become.
      if (stage.size() == 1)
        linear_of(block, slot) = scratch_.assemble(layer, slot, work.weights(slot));
    }
  }
  for (ModuleResult& module : work.result.modules) {
    if (!module.is_changed) continue;
    const std::string tensor = module.module.name + ".weight";
    module.weight.dense = module.weight.dense.to(file_type(tensor)).to(at::kFloat);
  }
  return std::move(work.result);
}

Block Pipeline::assemble(ModelReader& reader, const DecoderSpec& spec, std::int64_t layer,
                         BlockResult result) {
  Block out = reader.norms(layer);
  const std::string at = reader.root() + spec.names.blocks + std::to_string(layer) + ".";
  const auto replace = [&](Norm& norm, const std::string& name) {
    for (const auto& [tensor, values] : result.vectors) {
      if (tensor == at + name + ".bias") norm.bias = values.to(norm.bias.options());
      if (tensor != at + name + ".weight") continue;
      const bool is_plus_one = spec.norm.kind == NormKind::kRmsPlusOne;
      norm.weight = (is_plus_one ? values.add(1) : values).to(norm.weight.options());
    }
  };
  replace(out.attention_norm, spec.names.block.attention_norm);
  replace(out.mlp_norm, spec.names.block.mlp_norm);
  for (const Slot slot : kBlockSlots) {
    std::vector<ModuleWeight> weights;
    for (ModuleResult& module : result.modules) {
      if (module.slot == slot) weights.push_back(std::move(module.weight));
    }
    linear_of(out, slot) = reader.assemble(layer, slot, std::move(weights));
  }
  return out;
}

void Pipeline::pass(const Decoder& ends, std::int64_t layer, const Block& block) {
  const Observer nobody;
  for (Chunk& chunk : chunks_) {
    if (listener_.checkpoint) listener_.checkpoint();
    pass_block(ends, block, static_cast<std::size_t>(layer), chunk.segments, chunk.x, nobody);
  }
}

std::optional<ModuleResult> Pipeline::quantize_head(const Decoder& ends) {
  for (const auto& module : scratch_.modules(0, Slot::kHead)) {
    auto grid = settings_of(recipe_, module.name, /*is_head=*/true);
    if (!grid) return std::nullopt;
    require_calibration();
    grid->scale_type = scale_type_of(recipe_, float_type_of(file_type(module.name + ".weight")));
    Work work;
    work.grids.push_back(grid);
    work.result.modules.push_back({.slot = Slot::kHead,
                                   .module = module,
                                   .weight = {.dense = scratch_.weight(Slot::kHead, module)}});
    Inputs inputs(5);
    if (!chunks_.empty()) {
      Sums sums;
      for (Chunk& chunk : chunks_) sums.add(leave(ends, std::exchange(chunk.x, {})));
      inputs[index_of(Slot::kHead)] = sums.take();
    }
    round_slot(work, Slot::kHead, inputs);
    return std::move(work.result.modules.front());
  }
  return std::nullopt;
}

std::uint64_t working_bytes(const DecoderSpec& spec, const Recipe& recipe,
                            std::uint64_t element_bytes, std::uint64_t calibration_tokens) {
  const std::int64_t attended = spec.heads * spec.head_dim;
  const std::int64_t inputs[] = {spec.hidden, attended, spec.hidden, spec.intermediate};
  const std::int64_t outputs[] = {attended + 2 * spec.kv_heads * spec.head_dim, spec.hidden,
                                  (spec.is_gated ? 2 : 1) * spec.intermediate, spec.hidden};
  std::uint64_t weights = 0, squares = 0, widest = 0, largest = 0;
  for (std::size_t i = 0; i < std::size(inputs); ++i) {
    const auto width = static_cast<std::uint64_t>(inputs[i]);
    const std::uint64_t values = width * static_cast<std::uint64_t>(outputs[i]);
    weights += values;
    squares += width * width;
    widest = std::max(widest, width);
    largest = std::max(largest, values);
  }
  const auto hidden = static_cast<std::uint64_t>(spec.hidden);
  std::uint64_t bytes =
      element_bytes * static_cast<std::uint64_t>(spec.vocab * spec.embedding_width);
  bytes += weights * 4 + largest * 12;  // a matrix, what it lost, its codes
  if (calibration_tokens == 0) return bytes;
  bytes += 2 * weights * element_bytes + calibration_tokens * hidden * element_bytes + 4 * squares;
  if (recipe.method == Method::kGptq) bytes += 16 * widest * widest;
  return bytes;
}

LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Recipe>& recipe, const LinearSettings& settings,
                       const QuantizedCheckpoint* quantized, const Calibration* calibration,
                       std::int64_t pass_tokens, const Listener& listener) {
  if (recipe && quantized != nullptr) refuse_quantized(*quantized, *recipe);
  ModelReader reader(spec, weights, settings, quantized);
  LoadedModel model;
  std::optional<Pipeline> pipeline;
  if (recipe) pipeline.emplace(spec, weights, *recipe, settings, listener);
  model.decoder = reader.ends();
  if (pipeline && calibration != nullptr) pipeline->enter(model.decoder, *calibration, pass_tokens);
  if (!pipeline && !spec.is_tied) model.decoder.head = reader.linear(0, Slot::kHead);
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    if (!pipeline) {
      model.decoder.blocks.push_back(reader.block(layer));
      continue;
    }
    model.decoder.blocks.push_back(
        Pipeline::assemble(reader, spec, layer, pipeline->quantize(model.decoder, layer)));
    pipeline->pass(model.decoder, layer, model.decoder.blocks.back());
  }
  if (pipeline && !spec.is_tied) {
    if (auto head = pipeline->quantize_head(model.decoder)) {
      std::vector<ModuleWeight> only;
      only.push_back(std::move(head->weight));
      model.decoder.head = reader.assemble(0, Slot::kHead, std::move(only));
    } else {
      model.decoder.head = reader.linear(0, Slot::kHead);
    }
  }
  reader.check_all_read();
  model.parameters = reader.parameters();
  model.stored_bits = reader.stored_bits();
  return model;
}

}  // namespace assay_torch
