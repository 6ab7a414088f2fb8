// The JSON files of a model directory, of any bytes: config.json read as a decoder's shape and for
// what it says of quantized tensors, and the index of the shards.
#include <assay/error.hpp>

#include "checkpoint/config.hpp"
#include "checkpoint/quantized.hpp"
#include "checkpoint/weights.hpp"
#include "decoder/architecture.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

template <class Call>
void check(Call&& call) {
  try {
    call();
  } catch (const assay::Error& refusal) {
    if (refusal.code() == ASSAY_INTERNAL || *refusal.what() == '\0')
      assay_fuzz::found(refusal.what());
  }
}

void write_shard(const assay_fuzz::Folder& folder) {
  const std::string_view header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  folder.write("a.safetensors", std::string(1, static_cast<char>(header.size())) +
                                    std::string(7, '\0') + std::string(header) + "x");
}

const std::string kModule = "model.layers.0.mlp.up_proj";

/// A module [8, 8] whose tensors suit several layouts.
void write_module(const assay_fuzz::Folder& folder) {
  const auto zeros = [](const char* suffix, const char* dtype, std::vector<std::int64_t> shape,
                        std::size_t bytes) {
    return assay_torch::StoredTensor{kModule + suffix, dtype, std::move(shape),
                                     std::vector<std::byte>(bytes)};
  };
  const std::vector<assay_torch::StoredTensor> tensors = {
      zeros(".qweight", "I32", {1, 8}, 32),       zeros(".qzeros", "I32", {1, 1}, 4),
      zeros(".scales", "F32", {1, 8}, 32),        zeros(".g_idx", "I32", {8}, 32),
      zeros(".weight_packed", "I32", {8, 1}, 32), zeros(".weight_scale", "F32", {8, 1}, 32),
      zeros(".weight", "I8", {8, 8}, 64),         zeros(".SCB", "F32", {8}, 32)};
  assay_torch::write_safetensors(folder.path() + "/model.safetensors", tensors);
}

void read_module(const std::string& dir) {
  const auto checkpoint = assay_torch::QuantizedCheckpoint::open(dir, assay_torch::ZeroWrap::kMask);
  if (!checkpoint || checkpoint->describe().empty()) return;
  const assay_torch::Weights weights(dir);
  if (!checkpoint->holds(weights, kModule)) return;
  std::vector<std::string> read;
  const auto matrix = checkpoint->read(weights, kModule, 8, 8, read);
  std::vector<float> values(64);
  assay_torch::dequantize(matrix, values);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const assay_fuzz::Folder folder;
  static const bool has_shard = (write_shard(folder), true);
  const auto text = assay_fuzz::text_of(data, size);
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors.index.json"}) {
    folder.write(name, text);
  }
  check([] {
    const auto spec = assay_torch::read_spec(folder.path());
    if (spec.vocab < 1 || spec.layers < 1 || spec.hidden < 1) assay_fuzz::found("an empty model");
  });
  static const assay_fuzz::Folder quantized;
  static const bool has_module = (write_module(quantized), true);
  quantized.write("config.json", text);
  check([] {
    if (has_module) read_module(quantized.path());
  });
  check([] { return has_shard ? assay_torch::Weights(folder.path()).values() : 0; });
  return 0;
}
