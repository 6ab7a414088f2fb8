#include "support/fixtures.hpp"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

namespace assay_torch_test {

std::optional<fs::path> shared(const std::string& relative) {
  const char* set = std::getenv("ASSAY_SHARED");
  const fs::path root =
      set != nullptr ? fs::path(set) : fs::path(ASSAY_SOURCE_DIR).parent_path() / "shared";
  const fs::path path = root / relative;
  return fs::exists(path) ? std::optional(path) : std::nullopt;
}

std::optional<fs::path> model(const std::string& committed, const std::string& in_shared) {
  const fs::path path = fs::path(ASSAY_SOURCE_DIR) / "share/data" / committed;
  if (fs::exists(path / "model.safetensors")) return path;
  return shared("data/models/" + in_shared);
}

fs::path golden(const std::string& name) {
  return fs::path(ASSAY_SOURCE_DIR) / "tests/data/torch" / name;
}

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "assay-torch-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

std::string safetensors(std::string_view header, std::string_view data) {
  std::string out(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(out.data(), &size, 8);
  return out.append(header).append(data);
}

std::string floats(const std::vector<float>& values) {
  std::string out(4 * values.size(), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

void write_tiny_llama(const fs::path& dir, const std::string& extra_config, bool is_tied) {
  write_bytes(
      dir / "config.json",
      R"({"model_type": "llama", "vocab_size": 6, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
 "num_key_value_heads": 1, "intermediate_size": 6, "max_position_embeddings": 8, "rms_norm_eps": 1e-5, "tie_word_embeddings": )" +
          std::string(is_tied ? "true" : "false") + extra_config + "}");
  std::vector<std::pair<std::string, std::vector<int>>> tensors = {
      {"model.embed_tokens.weight", {6, 4}},
      {"model.layers.0.input_layernorm.weight", {4}},
      {"model.layers.0.self_attn.q_proj.weight", {4, 4}},
      {"model.layers.0.self_attn.k_proj.weight", {2, 4}},
      {"model.layers.0.self_attn.v_proj.weight", {2, 4}},
      {"model.layers.0.self_attn.o_proj.weight", {4, 4}},
      {"model.layers.0.post_attention_layernorm.weight", {4}},
      {"model.layers.0.mlp.gate_proj.weight", {6, 4}},
      {"model.layers.0.mlp.up_proj.weight", {6, 4}},
      {"model.layers.0.mlp.down_proj.weight", {4, 6}},
      {"model.norm.weight", {4}}};
  if (!is_tied) tensors.push_back({"lm_head.weight", {6, 4}});
  std::string header = "{", data;
  int step = 0;
  for (const auto& [name, shape] : tensors) {
    const int count = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    std::vector<float> values;
    for (int i = 0; i < count; ++i) {
      step = (step * 5 + 3) % 23;
      values.push_back(static_cast<float>(step - 11) / 32.0F + (shape.size() == 1 ? 1.0F : 0.0F));
    }
    const std::string begin = std::to_string(data.size());
    data += floats(values);
    header += (header.size() == 1 ? "\"" : ", \"") + name + R"(": {"dtype": "F32", "shape": [)" +
              std::to_string(shape[0]) +
              (shape.size() == 2 ? ", " + std::to_string(shape[1]) : "") +
              R"(], "data_offsets": [)" + begin + ", " + std::to_string(data.size()) + "]}";
  }
  write_bytes(dir / "model.safetensors", safetensors(header + "}", data));
}

}  // namespace assay_torch_test
