#include "decoder/load.hpp"

#include <ATen/ops/any.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cstddef>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decoder/head.hpp"
#include "linear/dense.hpp"

namespace assay_torch {
namespace {

std::span<float> values_of(at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

FloatType float_type_of(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return FloatType::kBfloat16;
  return dtype == at::kHalf ? FloatType::kFloat16 : FloatType::kFloat32;
}

/// Rows that lie as query, key and value of head 0, then of head 1, in the order of all queries,
/// all keys, all values.
at::Tensor sorted_by_head(const at::Tensor& stored, const DecoderSpec& spec) {
  return stored.unflatten(0, {spec.heads, 3, spec.head_dim}).transpose(0, 1).flatten(0, 2);
}

constexpr Slot kBlockSlots[] = {Slot::kQueryKeyValue, Slot::kOutput, Slot::kGateUp, Slot::kDown};

}  // namespace

struct ModelReader::State {
  State(const DecoderSpec& of, const Weights& from, const LinearSettings& as,
        const QuantizedCheckpoint* packed)
      : spec_(of),
        names_(of.names),
        weights_(from),
        quantized_(packed),
        settings_(as),
        options_(as.options),
        root_(find_root()),
        head_(find_head()) {}

  std::string find_root() const;
  std::string find_head() const;
  std::string block_name(std::int64_t layer) const;
  const LinearNames& names_of(Slot slot) const;
  std::string prefix_of(std::int64_t layer, Slot slot) const;
  std::int64_t inputs_of(Slot slot) const;
  std::uint64_t bits_of(const std::string& name) const;
  at::Tensor empty(at::IntArrayRef sizes) const;
  void expect(const Module& module, Layout layout) const;
  void read(const std::string& name, at::Tensor& out);
  at::Tensor stored_rows(const Module& module, Layout layout, at::ScalarType dtype);
  void read_rows(const Module& module, Layout layout, at::Tensor out);
  at::Tensor vector(const std::string& name, std::int64_t size);
  at::Tensor matrix(const std::string& module, std::int64_t rows, std::int64_t columns);
  at::Tensor bias(const std::string& at, const LinearNames& names);
  Norm norm(const std::string& at, const std::string& name, std::int64_t size);
  std::vector<Module> modules(std::int64_t layer, Slot slot) const;
  bool is_quantized(const std::string& module) const;
  ModuleWeight module_weight(const Module& module, Layout layout, at::ScalarType dtype);
  ModuleWeight counted(const Module& module, ModuleWeight weight, Layout layout);
  std::unique_ptr<Linear> made(std::int64_t layer, Slot slot, std::vector<ModuleWeight> weights);
  std::unique_ptr<Linear> projection(const std::string& module, std::int64_t rows,
                                     std::int64_t columns);
  void load_ends(Decoder& decoder);

  const DecoderSpec& spec_;
  const TensorNames& names_;
  const Weights& weights_;
  const QuantizedCheckpoint* const quantized_;
  const LinearSettings settings_;
  const at::TensorOptions options_;
  const std::string root_, head_;
  LinearNames head_names_{{{head_, spec_.vocab}}};
  std::set<std::string> read_;
  std::uint64_t parameters_ = 0, stored_bits_ = 0;
};

/// The first root under which the file has a block, since a tied embedding may be missing.
std::string ModelReader::State::find_root() const {
  for (const std::string& root : names_.roots) {
    if (weights_.holds(root + names_.blocks + "0." + names_.block.attention_norm + ".weight"))
      return root;
  }
  return names_.roots.front();
}

std::string ModelReader::State::find_head() const {
  for (const std::string& head : names_.heads) {
    if (weights_.holds(head + ".weight") || weights_.holds(head + ".qweight") ||
        weights_.holds(head + ".weight_packed")) {
      return head;
    }
  }
  return names_.heads.front();
}

std::string ModelReader::State::block_name(std::int64_t layer) const {
  return root_ + names_.blocks + std::to_string(layer) + ".";
}

/// Names within a block; the head's are whole.
const LinearNames& ModelReader::State::names_of(Slot slot) const {
  switch (slot) {
    case Slot::kQueryKeyValue:
      return names_.block.query_key_value;
    case Slot::kOutput:
      return names_.block.output;
    case Slot::kGateUp:
      return names_.block.gate_up;
    case Slot::kDown:
      return names_.block.down;
    case Slot::kHead:
      break;
  }
  return head_names_;
}

std::string ModelReader::State::prefix_of(std::int64_t layer, Slot slot) const {
  return slot == Slot::kHead ? "" : block_name(layer);
}

std::int64_t ModelReader::State::inputs_of(Slot slot) const {
  if (slot == Slot::kOutput) return spec_.heads * spec_.head_dim;
  if (slot == Slot::kDown) return spec_.intermediate;
  return slot == Slot::kHead ? spec_.embedding_width : spec_.hidden;
}

std::uint64_t ModelReader::State::bits_of(const std::string& name) const {
  return std::min(weights_.stored_bits(name), std::uint64_t{8} * options_.dtype().itemsize());
}

/// In memory of the CPU, for reading into.
at::Tensor ModelReader::State::empty(at::IntArrayRef sizes) const {
  return at::empty(sizes, at::TensorOptions(options_).device(at::kCPU));
}

/// Is the module's matrix in the file, so that memory for it is worth taking?
void ModelReader::State::expect(const Module& module, Layout layout) const {
  const bool is_turned = layout == Layout::kInputsFirst;
  const std::array<std::int64_t, 2> shape = {is_turned ? module.columns : module.rows,
                                             is_turned ? module.rows : module.columns};
  weights_.check_shape(module.name + ".weight", shape);
}

/// Reads a tensor of the file as the shape and the dtype of `out`, which is contiguous.
void ModelReader::State::read(const std::string& name, at::Tensor& out) {
  weights_.read_into(name, out.sizes(), float_type_of(out.scalar_type()),
                     {static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes()});
  read_.insert(name);
  parameters_ += static_cast<std::uint64_t>(out.numel());
}

/// A module's matrix, outputs first, its rows in the file's order.
at::Tensor ModelReader::State::stored_rows(const Module& module, Layout layout,
                                           at::ScalarType dtype) {
  const bool is_turned = layout == Layout::kInputsFirst;
  const std::array<std::int64_t, 2> sizes = {is_turned ? module.columns : module.rows,
                                             is_turned ? module.rows : module.columns};
  auto stored = at::empty(sizes, dtype);
  read(module.name + ".weight", stored);
  return is_turned ? stored.t().contiguous() : stored;
}

/// One module into its rows of a matrix [outputs, inputs].
void ModelReader::State::read_rows(const Module& module, Layout layout, at::Tensor out) {
  const std::string name = module.name + ".weight";
  stored_bits_ += static_cast<std::uint64_t>(out.numel()) * bits_of(name);
  if (layout == Layout::kOutputsFirst) return read(name, out);
  const auto stored = stored_rows(module, layout, out.scalar_type());
  out.copy_(layout == Layout::kByHead ? sorted_by_head(stored, spec_) : stored);
}

at::Tensor ModelReader::State::vector(const std::string& name, std::int64_t size) {
  weights_.check_shape(name, {&size, 1});
  auto out = empty({size});
  read(name, out);
  stored_bits_ += static_cast<std::uint64_t>(size) * bits_of(name);
  return out;
}

at::Tensor ModelReader::State::matrix(const std::string& module, std::int64_t rows,
                                      std::int64_t columns) {
  const Module only{module, rows, columns};
  expect(only, Layout::kOutputsFirst);
  auto out = empty({rows, columns});
  read_rows(only, Layout::kOutputsFirst, out);
  return out.to(options_.device());
}

at::Tensor ModelReader::State::bias(const std::string& at, const LinearNames& names) {
  const auto is_extra = [&](const Projection& part) {
    return is_quantized(at + part.module) && weights_.holds(at + part.module + ".bias");
  };
  if (!names.has_bias && std::none_of(names.parts.begin(), names.parts.end(), is_extra)) return {};
  std::vector<at::Tensor> parts;
  const auto parameters = parameters_, stored_bits = stored_bits_;
  for (const Projection& part : names.parts) {
    parts.push_back(names.has_bias || is_extra(part)
                        ? vector(at + part.module + ".bias", part.outputs)
                        : at::zeros({part.outputs}, at::TensorOptions(options_).device(at::kCPU)));
  }
  const auto out = at::cat(parts);
  if (!names.has_bias && !out.any().item<bool>()) {
    parameters_ = parameters;
    stored_bits_ = stored_bits;
    return {};
  }
  return (names.layout == Layout::kByHead ? sorted_by_head(out, spec_) : out).to(options_.device());
}

std::vector<ModelReader::Module> ModelReader::State::modules(std::int64_t layer, Slot slot) const {
  std::vector<Module> out;
  if (slot == Slot::kHead && spec_.is_tied) return out;
  for (const Projection& part : names_of(slot).parts)
    out.push_back({prefix_of(layer, slot) + part.module, part.outputs, inputs_of(slot)});
  return out;
}

std::unique_ptr<Linear> ModelReader::State::made(std::int64_t layer, Slot slot,
                                                 std::vector<ModuleWeight> weights) {
  auto out =
      make_linear(std::move(weights), bias(prefix_of(layer, slot), names_of(slot)), settings_);
  if (slot == Slot::kHead && spec_.final_softcap != 0)
    out = std::make_unique<CappedHead>(std::move(out), spec_.final_softcap);
  return out;
}

bool ModelReader::State::is_quantized(const std::string& module) const {
  return quantized_ != nullptr && quantized_->holds(weights_, module);
}

/// What the file has of a module, its rows in the file's order; not yet counted.
ModuleWeight ModelReader::State::module_weight(const Module& module, Layout layout,
                                               at::ScalarType dtype) {
  if (is_quantized(module.name)) {
    std::vector<std::string> names;
    auto matrix = quantized_->read(weights_, module.name, module.rows, module.columns, names);
    read_.insert(names.begin(), names.end());
    return {.quantized = std::move(matrix)};
  }
  expect(module, layout);
  const std::uint64_t before = parameters_;
  auto dense = stored_rows(module, layout, dtype);
  parameters_ = before;
  return {.dense = std::move(dense)};
}

/// A module's rows in the decoder's order.
ModuleWeight ModelReader::State::counted(const Module& module, ModuleWeight weight, Layout layout) {
  read_.insert(module.name + ".weight");  // by whoever gave it
  parameters_ += static_cast<std::uint64_t>(module.rows * module.columns);
  stored_bits_ += weight.quantized ? weight.quantized->stored_bits
                                   : static_cast<std::uint64_t>(weight.dense.numel()) *
                                         bits_of(module.name + ".weight");
  if (layout != Layout::kByHead) return weight;
  if (weight.quantized && has_whole_rows(*weight.quantized)) {
    auto order = at::arange(module.rows, at::kLong);
    order = sorted_by_head(order, spec_);
    return {.quantized = take_rows(*weight.quantized, {order.const_data_ptr<std::int64_t>(),
                                                       static_cast<std::size_t>(order.numel())})};
  }
  if (weight.quantized) {
    weight.dense = at::empty({module.rows, module.columns}, at::kFloat);
    dequantize(*weight.quantized, values_of(weight.dense));
  }
  return {.dense = sorted_by_head(weight.dense, spec_)};
}

Norm ModelReader::State::norm(const std::string& at, const std::string& name, std::int64_t size) {
  if (name.empty()) return {};
  Norm norm;
  norm.weight = vector(at + name + ".weight", size).to(options_.device());
  if (spec_.norm.kind == NormKind::kLayer) {
    norm.bias = vector(at + name + ".bias", size).to(options_.device());
  }
  if (spec_.norm.kind == NormKind::kRmsPlusOne) norm.weight = norm.weight.to(at::kFloat).add(1);
  return norm;
}

std::unique_ptr<Linear> ModelReader::State::projection(const std::string& module, std::int64_t rows,
                                                       std::int64_t columns) {
  return std::make_unique<Dense>(matrix(root_ + module, rows, columns),
                                 bias(root_, {{{module, rows}}}));
}

void ModelReader::State::load_ends(Decoder& decoder) {
  const std::int64_t width = spec_.embedding_width;
  const std::string embedding = root_ + names_.embedding;
  if (!spec_.is_tied) {
    decoder.embedding = matrix(embedding, spec_.vocab, width);
  } else {
    // Savers keep one of the two names, and not always the same one.
    const std::string head = head_ + ".weight";
    const bool only_head = !weights_.holds(embedding + ".weight") && weights_.holds(head);
    decoder.embedding = matrix(only_head ? head_ : embedding, spec_.vocab, width);
    decoder.head = std::make_unique<Dense>(decoder.embedding);
    if (spec_.final_softcap != 0)
      decoder.head = std::make_unique<CappedHead>(std::move(decoder.head), spec_.final_softcap);
    read_.insert(head);
  }
  if (!names_.positions.empty())
    decoder.positions = matrix(root_ + names_.positions, spec_.position_rows, spec_.hidden);
  if (!names_.project_in.empty())
    decoder.project_in = projection(names_.project_in, spec_.hidden, width);
  if (!names_.project_out.empty())
    decoder.project_out = projection(names_.project_out, width, spec_.hidden);
  decoder.final_norm = norm(root_, names_.final_norm, spec_.hidden);
}

ModelReader::ModelReader(const DecoderSpec& spec, const Weights& weights,
                         const LinearSettings& settings, const QuantizedCheckpoint* quantized)
    : state_(std::make_unique<State>(spec, weights, settings, quantized)) {}
ModelReader::~ModelReader() = default;

const std::string& ModelReader::root() const { return state_->root_; }
const std::string& ModelReader::head() const { return state_->head_; }
std::uint64_t ModelReader::parameters() const { return state_->parameters_; }
std::uint64_t ModelReader::stored_bits() const { return state_->stored_bits_; }

std::vector<ModelReader::Module> ModelReader::modules(std::int64_t layer, Slot slot) const {
  return state_->modules(layer, slot);
}

at::Tensor ModelReader::weight(Slot slot, const Module& module) {
  auto weight = state_->module_weight(module, state_->names_of(slot).layout, at::kFloat);
  if (!weight.quantized) return weight.dense;
  auto out = at::empty({module.rows, module.columns}, at::kFloat);
  dequantize(*weight.quantized, values_of(out));
  return out;
}

std::unique_ptr<Linear> ModelReader::linear(std::int64_t layer, Slot slot) {
  const auto modules = state_->modules(layer, slot);
  const Layout layout = state_->names_of(slot).layout;
  std::vector<ModuleWeight> weights;
  const auto is_quantized = [&](const Module& module) { return state_->is_quantized(module.name); };
  if (std::any_of(modules.begin(), modules.end(), is_quantized)) {
    const auto dtype = c10::typeMetaToScalarType(state_->options_.dtype());
    for (const Module& module : modules)
      weights.push_back(state_->module_weight(module, layout, dtype));
    return assemble(layer, slot, std::move(weights));
  }
  std::int64_t rows = 0;
  for (const Module& module : modules) {
    state_->expect(module, layout);
    rows += module.rows;
  }
  auto out = state_->empty({rows, state_->inputs_of(slot)});
  std::int64_t row = 0;
  for (const Module& module : modules) {
    state_->read_rows(module, layout, out.narrow(0, row, module.rows));
    row += module.rows;
  }
  weights.push_back({.dense = std::move(out)});
  return state_->made(layer, slot, std::move(weights));
}

std::unique_ptr<Linear> ModelReader::assemble(std::int64_t layer, Slot slot,
                                              std::vector<ModuleWeight> weights) {
  const auto modules = state_->modules(layer, slot);
  const Layout layout = state_->names_of(slot).layout;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    // Whoever gives the weights has read them, through this reader or another.
    state_->read_.insert(modules[i].name + ".weight");
    weights[i] = state_->counted(modules[i], std::move(weights[i]), layout);
  }
  return state_->made(layer, slot, std::move(weights));
}

Block ModelReader::norms(std::int64_t layer) {
  const std::string at = state_->block_name(layer);
  const BlockNames& names = state_->names_.block;
  const std::int64_t hidden = state_->spec_.hidden, head_dim = state_->spec_.head_dim;
  Block out;
  out.attention_norm = state_->norm(at, names.attention_norm, hidden);
  out.attention_exit_norm = state_->norm(at, names.attention_exit_norm, hidden);
  out.mlp_norm = state_->norm(at, names.mlp_norm, hidden);
  out.mlp_exit_norm = state_->norm(at, names.mlp_exit_norm, hidden);
  out.query_norm = state_->norm(at, names.query_norm, head_dim);
  out.key_norm = state_->norm(at, names.key_norm, head_dim);
  return out;
}

Block ModelReader::block(std::int64_t layer) {
  Block out = norms(layer);
  for (const Slot slot : kBlockSlots) linear_of(out, slot) = linear(layer, slot);
  return out;
}

Decoder ModelReader::ends() {
  Decoder decoder;
  decoder.spec = state_->spec_;
  decoder.device = state_->options_.device();
  decoder.dtype = c10::typeMetaToScalarType(state_->options_.dtype());
  state_->load_ends(decoder);
  return decoder;
}

void ModelReader::check_all_read() const {
  const auto& ignored = state_->names_.ignored;
  for (const std::string& name : state_->weights_.names()) {
    const bool is_ignored = std::any_of(ignored.begin(), ignored.end(),
                                        [&](const auto& end) { return name.ends_with(end); });
    if (is_ignored || state_->read_.contains(name)) continue;
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT,
        "the weights hold \"" + name + "\", which architecture " + state_->spec_.architecture +
            " with the settings of config.json does not have; check that both are of one model");
  }
}

std::uint64_t estimated_bytes(const DecoderSpec& spec, const Weights& weights,
                              const LinearSettings& settings,
                              const QuantizedCheckpoint* quantized) {
  const std::uint64_t size = settings.options.dtype().itemsize();
  if (quantized == nullptr) return weights.values() * size;
  const ModelReader reader(spec, weights, settings);
  std::set<std::string> packed;
  std::uint64_t kept = 0, transient = 0;
  const auto count = [&](const ModelReader::Module& module) {
    if (!quantized->holds(weights, module.name)) return;
    packed.insert(module.name);
    const auto values = static_cast<std::uint64_t>(module.rows * module.columns);
    if (!settings.is_packed) kept += values * size;
    transient = std::max(transient, values * 5);  // a float32 and at most a byte of codes
  };
  for (const auto& module : reader.modules(0, Slot::kHead)) count(module);
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    for (const Slot slot : kBlockSlots) {
      for (const auto& module : reader.modules(layer, slot)) count(module);
    }
  }
  for (const std::string& name : weights.names()) {
    // Names of a module's tensors begin with it, and "a.b" is no part of "a.bc.".
    const auto after = packed.upper_bound(name);
    const bool is_part = after != packed.begin() && name.starts_with(*std::prev(after) + ".");
    if (!is_part)
      kept +=
          weights.bytes(name) * 8 / std::max<std::uint64_t>(weights.stored_bits(name), 1) * size;
    if (is_part && settings.is_packed) kept += weights.bytes(name);
  }
  return kept + transient;
}

}  // namespace assay_torch
