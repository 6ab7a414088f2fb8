#include "decoder/load.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <assay/error.hpp>
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
  void read(const std::string& name, std::span<const std::int64_t> shape, std::span<float> out);
  void read_whole(const std::string& module, at::Tensor out);
  void round(const std::string& module, std::int64_t rows, std::int64_t columns,
             std::span<float> values, Rounding rounding);
  void read_rows(const Projection& part, std::int64_t inputs, Layout layout, std::span<float> out,
                 Rounding rounding);
  at::Tensor cast(const at::Tensor& values, const std::string& module) const;
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

FloatType float_type(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return FloatType::kBfloat16;
  return dtype == at::kHalf ? FloatType::kFloat16 : FloatType::kFloat32;
}

void transpose(std::span<const float> from, std::int64_t rows, std::int64_t columns,
               std::span<float> to) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      to[static_cast<std::size_t>(column * rows + row)] =
          from[static_cast<std::size_t>(row * columns + column)];
    }
  }
}

/// Brings rows that lie as query, key and value of head 0, then of head 1, into the order of all
/// queries, all keys, all values.
void sort_by_head(std::span<const float> from, const DecoderSpec& spec, std::int64_t columns,
                  std::span<float> to) {
  const std::int64_t size = spec.head_dim * columns;
  for (std::int64_t head = 0; head < spec.heads; ++head) {
    for (std::int64_t kind = 0; kind < 3; ++kind) {
      std::copy_n(from.begin() + (head * 3 + kind) * size, size,
                  to.begin() + (kind * spec.heads + head) * size);
    }
  }
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

void Loader::read(const std::string& name, std::span<const std::int64_t> shape,
                  std::span<float> out) {
  weights_.read(name, shape, out);
  read_.insert(name);
  parameters_ += out.size();
}

/// Fills `out`, rows of a matrix on the CPU, in its own dtype: nothing is widened on the way.
void Loader::read_whole(const std::string& module, at::Tensor out) {
  const std::string name = module + ".weight";
  weights_.read_into(name, out.sizes(), float_type(out.scalar_type()),
                     {static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes()});
  read_.insert(name);
  parameters_ += static_cast<std::uint64_t>(out.numel());
  stored_bits_ += static_cast<std::uint64_t>(out.numel()) * bits_of(name);
}

/// Rounds what a simulation asks for, and counts the bits of what is stored.
void Loader::round(const std::string& module, std::int64_t rows, std::int64_t columns,
                   std::span<float> values, Rounding rounding) {
  const bool is_rounded = rounding == Rounding::kSimulated && simulation_ && !is_skipped(module);
  stored_bits_ += is_rounded ? round_in_place(*simulation_, values, rows, columns)
                             : values.size() * bits_of(module + ".weight");
}

/// One module as rows of [outputs, inputs].
void Loader::read_rows(const Projection& part, std::int64_t inputs, Layout layout,
                       std::span<float> out, Rounding rounding) {
  const std::string name = part.module + ".weight";
  const std::int64_t shape[] = {part.outputs, inputs}, turned[] = {inputs, part.outputs};
  if (layout == Layout::kOutputsFirst) {
    read(name, shape, out);
    return round(part.module, part.outputs, inputs, out, rounding);
  }
  std::vector<float> stored(out.size());
  if (layout == Layout::kInputsFirst) {
    read(name, turned, stored);
    transpose(stored, inputs, part.outputs, out);
    return round(part.module, part.outputs, inputs, out, rounding);
  }
  read(name, shape, stored);
  round(part.module, part.outputs, inputs, stored, rounding);
  sort_by_head(stored, spec_, inputs, out);
}

at::Tensor Loader::cast(const at::Tensor& values, const std::string& module) const {
  auto out = values.to(options_);
  // Only float16 has less range than the files.
  if (out.scalar_type() == at::kHalf && !at::isfinite(out).all().item<bool>()) {
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "dtype",
                       "the weights of " + module +
                           " exceed the range of float16; use \"bfloat16\" or \"float32\"");
  }
  return out;
}

at::Tensor Loader::matrix(const std::string& module, std::int64_t rows, std::int64_t columns) {
  auto out = at::empty({rows, columns}, options_.device(at::kCPU));
  read_whole(module, out);
  return out.to(options_);
}

at::Tensor Loader::bias(const std::string& at, const LinearNames& names) {
  if (!names.has_bias) return {};
  std::int64_t rows = 0;
  for (const Projection& part : names.parts) rows += part.outputs;
  auto out = at::empty({rows}, at::kFloat);
  auto left = values_of(out);
  for (const Projection& part : names.parts) {
    const std::string name = at + part.module + ".bias";
    const auto size = static_cast<std::size_t>(part.outputs);
    read(name, {&part.outputs, 1}, left.first(size));
    stored_bits_ += size * bits_of(name);
    left = left.subspan(size);
  }
  if (names.layout == Layout::kByHead) {
    const std::vector<float> stored(values_of(out).begin(), values_of(out).end());
    sort_by_head(stored, spec_, 1, values_of(out));
  }
  return cast(out, at + names.parts.front().module);
}

std::unique_ptr<Linear> Loader::linear(const std::string& at, const LinearNames& names,
                                       std::int64_t inputs, Rounding rounding) {
  std::int64_t rows = 0;
  for (const Projection& part : names.parts) rows += part.outputs;
  const bool is_simulated = rounding == Rounding::kSimulated && simulation_.has_value();
  if (names.layout == Layout::kOutputsFirst && !is_simulated) {
    auto out = at::empty({rows, inputs}, options_.device(at::kCPU));
    std::int64_t first = 0;
    for (const Projection& part : names.parts) {
      read_whole(at + part.module, out.narrow(0, first, part.outputs));
      first += part.outputs;
    }
    return std::make_unique<Dense>(out.to(options_), bias(at, names));
  }
  auto out = at::empty({rows, inputs}, at::kFloat);
  auto left = values_of(out);
  for (const Projection& part : names.parts) {
    const auto size = static_cast<std::size_t>(part.outputs * inputs);
    read_rows({at + part.module, part.outputs}, inputs, names.layout, left.first(size), rounding);
    left = left.subspan(size);
  }
  return std::make_unique<Dense>(cast(out, at + names.parts.front().module), bias(at, names));
}

Norm Loader::norm(const std::string& at, const std::string& name, std::int64_t size) {
  if (name.empty()) return {};
  Norm norm;
  const auto vector = [&](const std::string& full) {
    auto out = at::empty({size}, at::kFloat);
    read(full, {&size, 1}, values_of(out));
    stored_bits_ += static_cast<std::uint64_t>(size) * bits_of(full);
    return cast(out, at + name);
  };
  norm.weight = vector(at + name + ".weight");
  if (spec_.norm.kind == NormKind::kLayer) norm.bias = vector(at + name + ".bias");
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
