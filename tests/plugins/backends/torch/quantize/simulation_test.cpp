#include "quantize/simulation.hpp"

#include <assay/abi.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/weights.hpp"
#include "host/core/hash.hpp"
#include "quantize/nf4.hpp"
#include "support/fixtures.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::golden;
using assay_torch_test::read_bytes;

Simulation named(const std::string& setting) {
  if (setting == "nf4b64") return {.method = Method::kNf4, .rtn = {}, .skip = {}};
  const auto group = setting.substr(setting.find('g') + 1);
  return {.method = Method::kRtn,
          .rtn = {.bits = setting[3] - '0', .group_size = group == "C" ? 0 : std::stoll(group)},
          .skip = {}};
}

// tests/golden/torch_golden.py ran the functions of the script that made the model's published
// figures.
TEST(Simulation, RestoresLedgerLlamaAsTheScriptOfItsFiguresDoesBitForBit) {
  const auto dir = assay_torch_test::model("ledger/model", "ledger-llama");
  if (!dir) GTEST_SKIP() << "needs the ledger-llama model in share/data or ASSAY_SHARED";
  const Weights weights(dir->string());
  const auto expected = nlohmann::json::parse(read_bytes(golden("ledger_rounded.json")));
  for (const auto& [setting, tensors] : expected.items()) {
    for (const auto& [name, digest] : tensors.items()) {
      const bool is_down = name.find("down_proj") != std::string::npos;
      const bool is_inner =
          name.find("gate_proj") != std::string::npos || name.find("up_proj") != std::string::npos;
      const bool is_key =
          name.find("k_proj") != std::string::npos || name.find("v_proj") != std::string::npos;
      const std::int64_t shape[] = {is_inner ? 384 : is_key ? 64 : 128, is_down ? 384 : 128};
      std::vector<float> w(static_cast<std::size_t>(shape[0] * shape[1]));
      weights.read(name, shape, w);
      dequantize(quantized(named(setting), w, shape[0], shape[1]), w);
      for (float& v : w) v += 0.0F;  // -0 becomes 0, as in the golden file
      EXPECT_EQ(assay::host::sha256(assay_torch_test::floats(w)), digest.get<std::string>())
          << setting << " " << name;
    }
  }
}

// bitsandbytes' CPU quantizer looks codes up in 65,536 bins, so a weight next to a bound may land
// beside ours.
TEST(Simulation, Nf4CodesAreThoseOfBitsandbytes) {
  const auto packed_dir = assay_torch_test::shared("data/checkpoints/bnb-nf4-dq");
  const auto base_dir = assay_torch_test::shared("data/models/tinystories-656k");
  if (!packed_dir || !base_dir) GTEST_SKIP() << "needs data/checkpoints/bnb-nf4-dq in ASSAY_SHARED";
  const SafetensorsFile packed((*packed_dir / "model.safetensors").string());
  const Weights base(base_dir->string());
  std::size_t layers = 0;
  for (const auto& [name, entry] : packed.tensors()) {
    if (!name.ends_with("_proj.weight") || entry.dtype != "U8") continue;
    ++layers;
    std::vector<std::byte> bytes(static_cast<std::size_t>(entry.end - entry.begin));
    packed.read(entry, 0, bytes);
    const bool is_down = name.find("down_proj") != std::string::npos;
    const auto count = static_cast<std::int64_t>(2 * bytes.size());
    const std::int64_t columns = is_down ? 384 : 128;
    const std::int64_t shape[] = {count / columns, columns};
    std::vector<float> w(static_cast<std::size_t>(count));
    base.read(name, shape, w);
    const Nf4Codes codes = nf4_quantize(w);
    std::size_t differing = 0;
    for (std::size_t i = 0; i < codes.codes.size(); ++i) {
      const auto byte = std::to_integer<int>(bytes[i / 2]);
      const int theirs = i % 2 == 0 ? byte >> 4 : byte & 15;
      differing += theirs == codes.codes[i] ? 0U : 1U;
      EXPECT_LE(std::abs(theirs - codes.codes[i]), 1) << name << " weight " << i;
    }
    EXPECT_LE(differing, codes.codes.size() / 1000) << name;
  }
  EXPECT_EQ(layers, 14U);
}

TEST(Simulation, APatternWithoutWildcardIsAPartOfTheName) {
  EXPECT_TRUE(matches("mlp.down", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches("layers.1.", "model.layers.11.mlp.down_proj"));
}

TEST(Simulation, APatternWithAWildcardIsTheWholeName) {
  EXPECT_TRUE(matches("model.layers.?.mlp.*_proj", "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches("model.layers.?.mlp.*", "model.layers.13.mlp.down_proj"));
  EXPECT_FALSE(matches("*.mlp", "model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(matches("*o_proj", "model.layers.0.self_attn.o_proj"));
  EXPECT_TRUE(matches("*a*b*", "xaxbx"));
}

}  // namespace
}  // namespace assay_torch
