#include "support/random_llama.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "support/fixtures.hpp"

namespace assay_torch_test {
namespace {

using Block = std::array<std::uint64_t, 4>;

/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox4x64-10.
Block philox(Block counter, std::uint64_t key0, std::uint64_t key1) {
  for (int round = 0; round < 10; ++round) {
    const auto a = static_cast<unsigned __int128>(counter[0]) * 0xD2E7470EE14C6C93U;
    const auto b = static_cast<unsigned __int128>(counter[2]) * 0xCA5A826395121157U;
    counter = {
        static_cast<std::uint64_t>(b >> 64) ^ counter[1] ^ key0, static_cast<std::uint64_t>(b),
        static_cast<std::uint64_t>(a >> 64) ^ counter[3] ^ key1, static_cast<std::uint64_t>(a)};
    key0 += 0x9E3779B97F4A7C15U;
    key1 += 0xBB67AE8584CAA73BU;
  }
  return counter;
}

struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  double deviation;
  bool is_norm;
};

std::vector<Tensor> tensors() {
  const double h = 256, inner = 704;
  std::vector<Tensor> out = {
      {"model.embed_tokens.weight", {50257, 256}, 2.5 / std::sqrt(h), false}};
  for (int layer = 0; layer < 4; ++layer) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    out.push_back({at + "input_layernorm.weight", {256}, 0.1, true});
    out.push_back({at + "self_attn.q_proj.weight", {256, 256}, 1.4 / std::sqrt(h), false});
    out.push_back({at + "self_attn.k_proj.weight", {128, 256}, 1.4 / std::sqrt(h), false});
    out.push_back({at + "self_attn.v_proj.weight", {128, 256}, 1 / std::sqrt(h), false});
    out.push_back({at + "self_attn.o_proj.weight", {256, 256}, 2.0 / std::sqrt(h), false});
    out.push_back({at + "post_attention_layernorm.weight", {256}, 0.1, true});
    out.push_back({at + "mlp.gate_proj.weight", {704, 256}, 1 / std::sqrt(h), false});
    out.push_back({at + "mlp.up_proj.weight", {704, 256}, 1 / std::sqrt(h), false});
    out.push_back({at + "mlp.down_proj.weight", {256, 704}, 2.0 / std::sqrt(inner), false});
  }
  out.push_back({"model.norm.weight", {256}, 0.1, true});
  return out;
}

std::uint64_t count_of(const Tensor& tensor) {
  return tensor.shape[0] * (tensor.shape.size() == 2 ? tensor.shape[1] : 1);
}

/// The rule of make_model.py: the sum of a word's four 16-bit parts, centred and scaled.
std::vector<float> values(const Tensor& tensor, std::uint64_t number) {
  const auto scale = static_cast<float>(tensor.deviation * std::sqrt(3.0) / 65536.0);
  std::vector<float> out(count_of(tensor));
  Block words{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 4 == 0) words = philox({i / 4 + 1, 0, 0, 0}, 1, number);
    const std::uint64_t word = words[i % 4];
    const auto sum = static_cast<int>((word & 0xFFFF) + (word >> 16 & 0xFFFF) +
                                      (word >> 32 & 0xFFFF) + (word >> 48));
    out[i] = static_cast<float>(sum - 131070) * scale;
    if (tensor.is_norm) out[i] += 1.0F;
  }
  return out;
}

}  // namespace

void write_random_llama_17m(const std::filesystem::path& dir) {
  write_bytes(
      dir / "config.json",
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "bos_token_id": 50256, "eos_token_id": 50256,
 "head_dim": 64, "hidden_act": "silu", "hidden_size": 256, "intermediate_size": 704, "max_position_embeddings": 4096,
 "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-05, "rope_scaling": null,
 "rope_theta": 10000.0, "tie_word_embeddings": true, "torch_dtype": "float32", "vocab_size": 50257})");
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::uint64_t at = 0;
  for (const Tensor& tensor : tensors()) {
    std::string shape = std::to_string(tensor.shape[0]);
    if (tensor.shape.size() == 2) shape.append(",").append(std::to_string(tensor.shape[1]));
    const std::uint64_t end = at + 4 * count_of(tensor);
    header += ",\"" + tensor.name + R"(":{"dtype":"F32","shape":[)" + shape +
              R"(],"data_offsets":[)" + std::to_string(at) + "," + std::to_string(end) + "]}";
    at = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::ofstream file(dir / "model.safetensors", std::ios::binary);
  file << safetensors(header, "");
  std::uint64_t number = 0;
  for (const Tensor& tensor : tensors()) file << floats(values(tensor, number++));
  if (!file) throw std::runtime_error("cannot write " + dir.string());
}

}  // namespace assay_torch_test
