#include "decoder/load.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <assay/error.hpp>
#include <set>
#include <string>

#include "linear/dense.hpp"

namespace assay_torch {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens";
constexpr const char* kHead = "lm_head";

struct Projection {
  std::string module;
  std::int64_t outputs;
};

class Loader {
 public:
  Loader(const DecoderSpec& spec, const Weights& weights,
         const std::optional<Simulation>& simulation, const at::Device& device)
      : spec_(spec), weights_(weights), simulation_(simulation), device_(device) {}

  LoadedModel load();

 private:
  enum class Rounding { kNever, kSimulated };

  void read(const std::string& module, std::span<const std::int64_t> shape, std::span<float> out,
            Rounding rounding);
  at::Tensor vector(const std::string& module, std::int64_t size);
  at::Tensor matrix(std::span<const Projection> parts, std::int64_t inputs, Rounding rounding);
  std::unique_ptr<Linear> linear(std::span<const Projection> parts, std::int64_t inputs);
  Block block(std::int64_t layer);
  void load_ends(Decoder& decoder);
  void check_skip() const;
  void check_superfluous() const;

  const DecoderSpec& spec_;
  const Weights& weights_;
  const std::optional<Simulation>& simulation_;
  const at::Device device_;
  std::set<std::string> read_;
  std::uint64_t parameters_ = 0, stored_bits_ = 0;
};

std::span<float> values_of(at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

void Loader::read(const std::string& module, std::span<const std::int64_t> shape,
                  std::span<float> out, Rounding rounding) {
  const std::string name = module + ".weight";
  weights_.read(name, shape, out);
  read_.insert(name);
  parameters_ += out.size();
  if (rounding == Rounding::kSimulated && simulation_ && !skipped_by(*simulation_, module)) {
    stored_bits_ += round_in_place(*simulation_, out, shape[0], shape[1]);
  } else {
    stored_bits_ += out.size() * weights_.stored_bits(name);
  }
}

at::Tensor Loader::vector(const std::string& module, std::int64_t size) {
  auto out = at::empty({size}, at::kFloat);
  read(module, {&size, 1}, values_of(out), Rounding::kNever);
  return out.to(device_);
}

at::Tensor Loader::matrix(std::span<const Projection> parts, std::int64_t inputs,
                          Rounding rounding) {
  std::int64_t rows = 0;
  for (const Projection& part : parts) rows += part.outputs;
  auto out = at::empty({rows, inputs}, at::kFloat);
  auto left = values_of(out);
  for (const Projection& part : parts) {
    const std::int64_t shape[] = {part.outputs, inputs};
    const auto size = static_cast<std::size_t>(part.outputs * inputs);
    read(part.module, shape, left.first(size), rounding);
    left = left.subspan(size);
  }
  return out.to(device_);
}

std::unique_ptr<Linear> Loader::linear(std::span<const Projection> parts, std::int64_t inputs) {
  return std::make_unique<Dense>(matrix(parts, inputs, Rounding::kSimulated));
}

Block Loader::block(std::int64_t layer) {
  const std::string at = "model.layers." + std::to_string(layer) + ".";
  const std::int64_t query = spec_.heads * spec_.head_dim, key = spec_.kv_heads * spec_.head_dim;
  const Projection attention[] = {{at + "self_attn.q_proj", query},
                                  {at + "self_attn.k_proj", key},
                                  {at + "self_attn.v_proj", key}};
  const Projection output[] = {{at + "self_attn.o_proj", spec_.hidden}};
  const Projection gate_up[] = {{at + "mlp.gate_proj", spec_.intermediate},
                                {at + "mlp.up_proj", spec_.intermediate}};
  const Projection down[] = {{at + "mlp.down_proj", spec_.hidden}};
  Block out;
  out.attention_norm = vector(at + "input_layernorm", spec_.hidden);
  out.query_key_value = linear(attention, spec_.hidden);
  out.output = linear(output, query);
  out.mlp_norm = vector(at + "post_attention_layernorm", spec_.hidden);
  out.gate_up = linear(gate_up, spec_.hidden);
  out.down = linear(down, spec_.intermediate);
  return out;
}

void Loader::load_ends(Decoder& decoder) {
  const Projection embedding[] = {{kEmbedding, spec_.vocab}}, head[] = {{kHead, spec_.vocab}};
  if (!spec_.is_tied) {
    decoder.embedding = matrix(embedding, spec_.hidden, Rounding::kNever);
    decoder.head = linear(head, spec_.hidden);
    return;
  }
  // Savers keep one of the two names, and not always the same one.
  const bool only_head =
      !weights_.holds(kEmbedding + std::string(".weight")) && weights_.holds("lm_head.weight");
  decoder.embedding = matrix(only_head ? head : embedding, spec_.hidden, Rounding::kNever);
  decoder.head = std::make_unique<Dense>(decoder.embedding);
  read_.insert("lm_head.weight");
}

void Loader::check_skip() const {
  if (!simulation_) return;
  std::vector<std::string> modules = {kEmbedding, kHead};
  for (std::int64_t layer = 0; layer < spec_.layers; ++layer) {
    for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      modules.push_back("model.layers." + std::to_string(layer) + "." + part);
    }
  }
  for (const std::string& pattern : simulation_->skip) {
    const auto hit = [&](const std::string& module) { return matches(pattern, module); };
    if (std::none_of(modules.begin(), modules.end(), hit)) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "simulate.skip",
                         "\"" + pattern + "\" matches no module; modules are named like lm_head, " +
                             modules[2] + " or " + modules.back());
    }
  }
}

void Loader::check_superfluous() const {
  for (const std::string& name : weights_.names()) {
    // Old exporters stored the rotary frequencies, which follow from config.json.
    if (read_.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
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
  decoder.device = device_;
  load_ends(decoder);
  for (std::int64_t layer = 0; layer < spec_.layers; ++layer)
    decoder.blocks.push_back(block(layer));
  decoder.final_norm = vector("model.norm", spec_.hidden);
  decoder.rope = make_rope(spec_, device_);
  check_superfluous();
  model.parameters = parameters_;
  model.stored_bits = stored_bits_;
  return model;
}

}  // namespace

LoadedModel load_model(const DecoderSpec& spec, const Weights& weights,
                       const std::optional<Simulation>& simulation, const at::Device& device) {
  return Loader(spec, weights, simulation, device).load();
}

}  // namespace assay_torch
