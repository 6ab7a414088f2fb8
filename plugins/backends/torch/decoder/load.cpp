#include "decoder/load.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <cstddef>
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

class Loader {
 public:
  Loader(const DecoderSpec& spec, const Weights& weights,
         const std::optional<Simulation>& simulation, const at::TensorOptions& options)
      : spec_(spec),
        names_(spec.names),
        weights_(weights),
        simulation_(simulation),
        options_(options),
        root_(find_root()),
        head_(find_head()) {}

  LoadedModel load();

 private:
  enum class Rounding { kNever, kSimulated };

  std::string find_root() const;
  std::string find_head() const;
  std::string block_name(std::int64_t layer) const;
  bool is_skipped(const std::string& module) const;
  std::uint64_t bits_of(const std::string& name) const;
  at::Tensor empty(at::IntArrayRef sizes) const;
  void expect(const Projection& part, Layout layout, std::int64_t inputs) const;
  void read(const std::string& name, at::Tensor& out);
  void read_rows(const Projection& part, Layout layout, Rounding rounding, at::Tensor out);
  at::Tensor vector(const std::string& name, std::int64_t size);
  at::Tensor matrix(const std::string& module, std::int64_t rows, std::int64_t columns);
  std::unique_ptr<Linear> linear(const std::string& at, const LinearNames& names,
                                 std::int64_t inputs, Rounding rounding = Rounding::kSimulated);
  at::Tensor bias(const std::string& at, const LinearNames& names);
  Norm norm(const std::string& at, const std::string& name, std::int64_t size);
  Block block(std::int64_t layer);
  void load_ends(Decoder& decoder);
  void check_skip() const;
  void check_superfluous() const;

  const DecoderSpec& spec_;
  const TensorNames& names_;
  const Weights& weights_;
  const std::optional<Simulation>& simulation_;
  const at::TensorOptions options_;
  const std::string root_, head_;
  std::set<std::string> read_;
  std::uint64_t parameters_ = 0, stored_bits_ = 0;
};

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

/// The first root under which the file has a block, since a tied embedding may be missing.
std::string Loader::find_root() const {
  for (const std::string& root : names_.roots) {
    if (weights_.holds(root + names_.blocks + "0." + names_.block.attention_norm + ".weight"))
      return root;
  }
  return names_.roots.front();
}

std::string Loader::find_head() const {
  for (const std::string& head : names_.heads) {
    if (weights_.holds(head + ".weight")) return head;
  }
  return names_.heads.front();
}

std::string Loader::block_name(std::int64_t layer) const {
  return root_ + names_.blocks + std::to_string(layer) + ".";
}

/// The pattern lm_head means the output layer, whatever the file calls it.
bool Loader::is_skipped(const std::string& module) const {
  return skipped_by(*simulation_, module).has_value() ||
         (module == head_ && skipped_by(*simulation_, "lm_head").has_value());
}

std::uint64_t Loader::bits_of(const std::string& name) const {
  return std::min(weights_.stored_bits(name), std::uint64_t{8} * options_.dtype().itemsize());
}

/// In memory of the CPU, for reading into.
at::Tensor Loader::empty(at::IntArrayRef sizes) const {
  return at::empty(sizes, at::TensorOptions(options_).device(at::kCPU));
}

/// Is the module's matrix in the file, so that memory for it is worth taking?
void Loader::expect(const Projection& part, Layout layout, std::int64_t inputs) const {
  const bool is_turned = layout == Layout::kInputsFirst;
  const std::array<std::int64_t, 2> shape = {is_turned ? inputs : part.outputs,
                                             is_turned ? part.outputs : inputs};
  weights_.check_shape(part.module + ".weight", shape);
}

/// Reads a tensor of the file as the shape and the dtype of `out`, which is contiguous.
void Loader::read(const std::string& name, at::Tensor& out) {
  weights_.read_into(name, out.sizes(), float_type_of(out.scalar_type()),
                     {static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes()});
  read_.insert(name);
  parameters_ += static_cast<std::uint64_t>(out.numel());
}

/// One module into its rows of a matrix [outputs, inputs]. Rounding works on the values in float32,
/// before they are cast.
void Loader::read_rows(const Projection& part, Layout layout, Rounding rounding, at::Tensor out) {
  const std::string name = part.module + ".weight";
  const std::int64_t rows = out.size(0), columns = out.size(1);
  const bool is_rounded =
      rounding == Rounding::kSimulated && simulation_ && !is_skipped(part.module);
  if (!is_rounded) stored_bits_ += static_cast<std::uint64_t>(out.numel()) * bits_of(name);
  if (!is_rounded && layout == Layout::kOutputsFirst) return read(name, out);
  const bool is_turned = layout == Layout::kInputsFirst;
  const std::array<std::int64_t, 2> sizes = {is_turned ? columns : rows,
                                             is_turned ? rows : columns};
  auto stored = at::empty(sizes, is_rounded ? at::kFloat : out.scalar_type());
  read(name, stored);
  if (is_turned) stored = stored.t().contiguous();
  if (is_rounded) stored_bits_ += round_in_place(*simulation_, values_of(stored), rows, columns);
  out.copy_(layout == Layout::kByHead ? sorted_by_head(stored, spec_) : stored);
}

at::Tensor Loader::vector(const std::string& name, std::int64_t size) {
  weights_.check_shape(name, {&size, 1});
  auto out = empty({size});
  read(name, out);
  stored_bits_ += static_cast<std::uint64_t>(size) * bits_of(name);
  return out;
}

at::Tensor Loader::matrix(const std::string& module, std::int64_t rows, std::int64_t columns) {
  expect({module, rows}, Layout::kOutputsFirst, columns);
  auto out = empty({rows, columns});
  read_rows({module, rows}, Layout::kOutputsFirst, Rounding::kNever, out);
  return out.to(options_.device());
}

at::Tensor Loader::bias(const std::string& at, const LinearNames& names) {
  if (!names.has_bias) return {};
  std::vector<at::Tensor> parts;
  for (const Projection& part : names.parts) {
    parts.push_back(vector(at + part.module + ".bias", part.outputs));
  }
  const auto out = at::cat(parts);
  return (names.layout == Layout::kByHead ? sorted_by_head(out, spec_) : out).to(options_.device());
}

std::unique_ptr<Linear> Loader::linear(const std::string& at, const LinearNames& names,
                                       std::int64_t inputs, Rounding rounding) {
  std::int64_t rows = 0;
  for (const Projection& part : names.parts) {
    expect({at + part.module, part.outputs}, names.layout, inputs);
    rows += part.outputs;
  }
  auto out = empty({rows, inputs});
  std::int64_t row = 0;
  for (const Projection& part : names.parts) {
    read_rows({at + part.module, part.outputs}, names.layout, rounding,
              out.narrow(0, row, part.outputs));
    row += part.outputs;
  }
  return std::make_unique<Dense>(out.to(options_.device()), bias(at, names));
}

Norm Loader::norm(const std::string& at, const std::string& name, std::int64_t size) {
  if (name.empty()) return {};
  Norm norm;
  norm.weight = vector(at + name + ".weight", size).to(options_.device());
  if (spec_.norm.kind == NormKind::kLayer) {
    norm.bias = vector(at + name + ".bias", size).to(options_.device());
  }
  if (spec_.norm.kind == NormKind::kRmsPlusOne) norm.weight = norm.weight.to(at::kFloat).add(1);
  return norm;
}

Block Loader::block(std::int64_t layer) {
  const std::string at = block_name(layer);
  const BlockNames& names = names_.block;
  Block out;
  out.attention_norm = norm(at, names.attention_norm, spec_.hidden);
  out.attention_exit_norm = norm(at, names.attention_exit_norm, spec_.hidden);
  out.mlp_norm = norm(at, names.mlp_norm, spec_.hidden);
  out.mlp_exit_norm = norm(at, names.mlp_exit_norm, spec_.hidden);
  out.query_norm = norm(at, names.query_norm, spec_.head_dim);
  out.key_norm = norm(at, names.key_norm, spec_.head_dim);
  out.query_key_value = linear(at, names.query_key_value, spec_.hidden);
  out.output = linear(at, names.output, spec_.heads * spec_.head_dim);
  out.gate_up = linear(at, names.gate_up, spec_.hidden);
  out.down = linear(at, names.down, spec_.intermediate);
  return out;
}

void Loader::load_ends(Decoder& decoder) {
  const std::int64_t width = spec_.embedding_width;
  const std::string embedding = root_ + names_.embedding;
  if (!spec_.is_tied) {
    decoder.embedding = matrix(embedding, spec_.vocab, width);
    decoder.head = linear("", {{{head_, spec_.vocab}}}, width);
  } else {
    // Savers keep one of the two names, and not always the same one.
    const std::string head = head_ + ".weight";
    const bool only_head = !weights_.holds(embedding + ".weight") && weights_.holds(head);
    decoder.embedding = matrix(only_head ? head_ : embedding, spec_.vocab, width);
    decoder.head = std::make_unique<Dense>(decoder.embedding);
    read_.insert(head);
  }
  if (spec_.final_softcap != 0)
    decoder.head = std::make_unique<CappedHead>(std::move(decoder.head), spec_.final_softcap);
  if (!names_.positions.empty())
    decoder.positions = matrix(root_ + names_.positions, spec_.position_rows, spec_.hidden);
  if (!names_.project_in.empty())
    decoder.project_in =
        linear(root_, {{{names_.project_in, spec_.hidden}}}, width, Rounding::kNever);
  if (!names_.project_out.empty())
    decoder.project_out =
        linear(root_, {{{names_.project_out, width}}}, spec_.hidden, Rounding::kNever);
}

void Loader::check_skip() const {
  if (!simulation_) return;
  std::vector<std::string> modules = {root_ + names_.embedding, head_};
  const BlockNames& block = names_.block;
  for (std::int64_t layer = 0; layer < spec_.layers; ++layer) {
    for (const LinearNames* linear :
         {&block.query_key_value, &block.output, &block.gate_up, &block.down}) {
      for (const Projection& part : linear->parts)
        modules.push_back(block_name(layer) + part.module);
    }
  }
  for (const std::string& pattern : simulation_->skip) {
    const auto hit = [&](const std::string& module) { return matches(pattern, module); };
    if (!hit("lm_head") && std::none_of(modules.begin(), modules.end(), hit)) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "simulate.skip",
                         "\"" + pattern + "\" matches no module; modules are named like " + head_ +
                             ", " + modules[2] + " or " + modules.back());
    }
  }
}

void Loader::check_superfluous() const {
  const auto is_ignored = [&](const std::string& name) {
    return std::any_of(names_.ignored.begin(), names_.ignored.end(),
                       [&](const std::string& end) { return name.ends_with(end); });
  };
  for (const std::string& name : weights_.names()) {
    if (read_.contains(name) || is_ignored(name)) continue;
    throw assay::Error(
        ASSAY_INVALID_ARGUMENT,
        "the weights hold \"" + name + "\", which architecture " + spec_.architecture +
            " with the settings of config.json does not have; check that both are of one model");
  }
}

LoadedModel Loader::load() {
  check_skip();
  LoadedModel model;
  Decoder& decoder = model.decoder;
  decoder.spec = spec_;
  decoder.device = options_.device();
  decoder.dtype = c10::typeMetaToScalarType(options_.dtype());
  load_ends(decoder);
  for (std::int64_t layer = 0; layer < spec_.layers; ++layer)
    decoder.blocks.push_back(block(layer));
  decoder.final_norm = norm(root_, names_.final_norm, spec_.hidden);
  check_superfluous();
  model.parameters = parameters_;
  model.stored_bits = stored_bits_;
  return model;
}

}  // namespace

LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Simulation>& simulation,
                       const at::TensorOptions& options) {
  return Loader(spec, weights, simulation, options).load();
}

}  // namespace assay_torch
