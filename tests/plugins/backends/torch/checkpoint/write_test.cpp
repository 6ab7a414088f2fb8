// Checkpoints that we write: what comes back from the file is what went in, module by module, and
// nothing half-written has the file's name.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "support/quantized_files.hpp"

namespace assay_torch {
namespace {

using assay_torch_test::thrown;

/// Codes and scales drawn at random; powers of two and small integers fit every dtype.
class Drawn {
 public:
  QuantizedMatrix integers(int bits, std::int64_t rows, std::int64_t columns, std::int64_t group,
                           bool is_symmetric) {
    QuantizedMatrix out;
    out.rows = rows;
    out.columns = columns;
    out.bits = bits;
    out.group_size = group;
    out.scale_type = FloatType::kFloat16;
    const std::int64_t groups = rows * ((columns + group - 1) / group);
    out.scales = scales(groups);
    for (std::int64_t i = 0; i < groups; ++i)
      out.zeros.push_back(
          static_cast<std::uint16_t>(is_symmetric ? 1U << (bits - 1) : draw_() % (1U << bits)));
    out.codes.resize(static_cast<std::size_t>(rows * words_per_row(columns, bits) * 4));
    std::vector<std::uint16_t> codes(static_cast<std::size_t>(columns));
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::uint16_t& code : codes) code = static_cast<std::uint16_t>(draw_() % (1U << bits));
      write_codes(out, row, codes);
    }
    return out;
  }

  QuantizedMatrix of_bytes(Form form, std::int64_t rows, std::int64_t columns, std::int64_t count) {
    QuantizedMatrix out;
    out.form = form;
    out.rows = rows;
    out.columns = columns;
    out.bits = 8;
    out.codes.resize(static_cast<std::size_t>(rows * columns));
    for (std::uint8_t& code : out.codes) code = static_cast<std::uint8_t>(draw_() % 127);
    out.scales = scales(count);
    return out;
  }

  QuantizedMatrix table(std::int64_t rows, std::int64_t columns) {
    QuantizedMatrix out = of_bytes(Form::kTable, rows, columns / 2, rows * columns / 64);
    out.columns = columns;
    out.bits = 4;
    out.group_size = 64;
    out.table = {-1, -0.5F, 0, 0.25F, 1};
    return out;
  }

  std::vector<float> scales(std::int64_t count) {
    std::vector<float> out;
    for (std::int64_t i = 0; i < count; ++i)
      out.push_back(static_cast<float>(draw_() % 1000 + 1) / 1024);
    return out;
  }

 private:
  std::mt19937 draw_{7};
};

void expect_equal(const QuantizedMatrix& found, const QuantizedMatrix& expected) {
  EXPECT_EQ(found.form, expected.form);
  EXPECT_EQ(found.bits, expected.bits);
  EXPECT_EQ(found.codes, expected.codes);
  EXPECT_EQ(found.scales, expected.scales);
  EXPECT_EQ(found.scale_type, expected.scale_type);
  EXPECT_EQ(found.group_size, expected.group_size);
  EXPECT_EQ(found.zeros, expected.zeros);
  EXPECT_EQ(found.group_of, expected.group_of);
  EXPECT_EQ(found.table, expected.table);
  EXPECT_EQ(found.is_per_127, expected.is_per_127);
  EXPECT_EQ(found.block_rows, expected.block_rows);
  EXPECT_EQ(found.block_columns, expected.block_columns);
  EXPECT_EQ(found.activations, expected.activations);
  std::vector<float> a(static_cast<std::size_t>(found.rows * found.columns)), b = a;
  dequantize(found, a);
  dequantize(expected, b);
  EXPECT_EQ(a, b);
}

struct Given {
  std::string name;
  std::optional<QuantizedMatrix> matrix;  ///< none: a plain module [8, 8]
};

/// Writes the modules and reads each again.
void expect_written(FileLayout layout, const std::vector<Given>& modules) {
  const assay_torch_test::TempDir dir;
  std::vector<StoredTensor> tensors;
  std::vector<WrittenModule> written;
  for (const Given& module : modules) {
    if (!module.matrix) {
      tensors.push_back({module.name + ".weight", "F32", {8, 8}, std::vector<std::byte>(256)});
      written.push_back({.name = module.name});
      continue;
    }
    const QuantizedMatrix& matrix = *module.matrix;
    for (auto& tensor : to_tensors(layout, module.name, matrix))
      tensors.push_back(std::move(tensor));
    written.push_back({module.name, true, matrix.bits,
                       matrix.group_size == matrix.columns ? 0 : matrix.group_size,
                       matrix.form == Form::kInteger && is_symmetric(matrix), matrix});
  }
  write_safetensors(dir.path() / "model.safetensors", tensors);
  const std::string settings = quantization_config(layout, written, false, R"({"seed": 1})");
  assay_torch_test::write_bytes(dir.path() / "config.json",
                                R"({"quantization_config": )" + settings + "}");
  const auto checkpoint = QuantizedCheckpoint::open(dir.path().string(), ZeroWrap::kMask);
  ASSERT_TRUE(checkpoint);
  const Weights weights(dir.path().string());
  std::size_t tensors_read = 0;
  for (const Given& module : modules) {
    SCOPED_TRACE(module.name + " " + settings);
    ASSERT_EQ(checkpoint->holds(weights, module.name), module.matrix.has_value());
    if (!module.matrix) continue;
    std::vector<std::string> read;
    expect_equal(
        checkpoint->read(weights, module.name, module.matrix->rows, module.matrix->columns, read),
        *module.matrix);
    tensors_read += read.size() + 0;
  }
  const auto plain = std::count_if(modules.begin(), modules.end(),
                                   [](const Given& module) { return !module.matrix; });
  EXPECT_EQ(tensors_read + static_cast<std::size_t>(plain), tensors.size());
}

const std::string kBlock = "model.layers.1.mlp.";

TEST(Written, GptqOfMixedWidthsComesBack) {
  Drawn drawn;
  auto ordered = drawn.integers(4, 8, 64, 32, false);
  for (int k = 0; k < 64; ++k) ordered.group_of.push_back(k % 2);
  expect_written(FileLayout::kGptq, {{kBlock + "a_proj", drawn.integers(4, 40, 64, 32, false)},
                                     {kBlock + "b_proj", drawn.integers(4, 33, 70, 32, false)},
                                     {kBlock + "c_proj", drawn.integers(3, 40, 64, 64, false)},
                                     {kBlock + "d_proj", drawn.integers(2, 17, 40, 16, true)},
                                     {kBlock + "e_proj", drawn.integers(8, 8, 16, 16, true)},
                                     {kBlock + "f_proj", ordered},
                                     {kBlock + "g_proj", std::nullopt},
                                     {"lm_head", std::nullopt}});
}

TEST(Written, AwqWithAModuleLeftAloneComesBack) {
  Drawn drawn;
  expect_written(FileLayout::kAwq, {{kBlock + "a_proj", drawn.integers(4, 40, 64, 32, false)},
                                    {kBlock + "b_proj", drawn.integers(4, 8, 96, 32, true)},
                                    {kBlock + "g_proj", std::nullopt}});
}

TEST(Written, BitsandbytesComesBack) {
  Drawn drawn;
  expect_written(FileLayout::kBitsandbytes, {{kBlock + "a_proj", drawn.table(4, 96)},
                                             {kBlock + "b_proj", drawn.table(2, 32)},
                                             {kBlock + "g_proj", std::nullopt}});
  auto int8 = drawn.of_bytes(Form::kInt8, 4, 6, 4);
  int8.is_per_127 = true;
  int8.activations = {ActivationRule::Kind::kInt8Outliers, 5, 1, 0};
  expect_written(FileLayout::kBitsandbytes, {{kBlock + "a_proj", int8}, {"lm_head", std::nullopt}});
  int8.activations.threshold = std::numeric_limits<float>::infinity();
  expect_written(FileLayout::kBitsandbytes, {{kBlock + "a_proj", int8}});
}

TEST(Written, CompressedTensorsOfSeveralFormatsComesBack) {
  using Kind = ActivationRule::Kind;
  Drawn drawn;
  auto int8 = drawn.of_bytes(Form::kInt8, 4, 6, 4);
  int8.activations.kind = Kind::kInt8PerToken;
  auto channel = drawn.of_bytes(Form::kFp8, 4, 6, 4);
  channel.block_rows = 1;
  channel.activations.kind = Kind::kFp8PerToken;
  auto whole = drawn.of_bytes(Form::kFp8, 4, 6, 1);
  whole.activations = {Kind::kFp8PerTensor, 6, 0.5F, 0};
  auto block = drawn.of_bytes(Form::kFp8, 5, 6, 6);
  block.block_rows = block.block_columns = 2;
  block.scales.resize(9, 1);
  block.activations = {Kind::kFp8PerToken, 6, 1, 2};
  expect_written(FileLayout::kCompressedTensors,
                 {{kBlock + "a_proj", drawn.integers(4, 40, 64, 32, true)},
                  {kBlock + "b_proj", drawn.integers(4, 33, 70, 32, true)},
                  {kBlock + "c_proj", drawn.integers(3, 40, 64, 64, false)},
                  {kBlock + "d_proj", drawn.integers(5, 17, 40, 16, false)},
                  {kBlock + "e_proj", drawn.integers(1, 8, 40, 40, true)},
                  {kBlock + "f_proj", int8},
                  {kBlock + "h_proj", channel},
                  {kBlock + "i_proj", whole},
                  {kBlock + "j_proj", block},
                  {kBlock + "g_proj", std::nullopt},
                  {"lm_head", std::nullopt}});
}

TEST(Written, FineGrainedFp8ComesBack) {
  Drawn drawn;
  auto block = drawn.of_bytes(Form::kFp8, 130, 129, 4);
  block.block_rows = block.block_columns = 128;
  block.activations = {ActivationRule::Kind::kFp8PerToken, 6, 1, 128};
  expect_written(FileLayout::kFineGrainedFp8,
                 {{kBlock + "a_proj", block}, {kBlock + "g_proj", std::nullopt}});
}

TEST(Written, ZeroPointsOfGptqAreStoredAsTheyAre) {
  Drawn drawn;
  const auto tensors = to_tensors(FileLayout::kGptq, "m", drawn.integers(4, 8, 8, 8, true));
  EXPECT_EQ(tensors[1].name, "m.qzeros");
  EXPECT_EQ(tensors[1].data, std::vector<std::byte>(4, std::byte{0x88}));
  const WrittenModule module{"m.0.a", true, 4, 0, true, {}};
  const auto settings = nlohmann::json::parse(
      quantization_config(FileLayout::kGptq, {&module, 1}, true, R"({"seed": 1})"));
  EXPECT_EQ(settings, nlohmann::json::parse(R"({"bits": 4, "group_size": -1, "sym": true,
    "desc_act": true, "lm_head": false, "quant_method": "gptq", "method": "gptq",
    "checkpoint_format": "gptq_v2", "format": "gptq_v2", "pack_dtype": "int32",
    "meta": {"seed": 1}})"));
}

TEST(Written, WhatALayoutCannotHoldIsRefused) {
  Drawn drawn;
  const auto refusal = [](FileLayout layout, const QuantizedMatrix& matrix) {
    return thrown([&] { to_tensors(layout, "m", matrix); });
  };
  EXPECT_EQ(refusal(FileLayout::kAwq, drawn.integers(4, 4, 8, 8, true)),
            "3 m: the AWQ layout cannot hold it: it needs outputs in eights and inputs in groups "
            "of 8, the layer has [4, 8]");
  EXPECT_EQ(refusal(FileLayout::kGptq, drawn.integers(5, 4, 8, 8, true)),
            "3 m: the GPTQ layout cannot hold it: it holds integers of 2, 3, 4 or 8 bits");
  auto wrapped = drawn.integers(4, 4, 8, 8, true);
  wrapped.zeros[0] = 16;
  EXPECT_EQ(refusal(FileLayout::kGptq, wrapped),
            "3 m: the GPTQ layout cannot hold it: the zero point 16 does not fit 4 bits");
  EXPECT_EQ(refusal(FileLayout::kBitsandbytes, drawn.integers(4, 4, 8, 8, true)),
            "3 m: the bitsandbytes layout cannot hold it: it holds NF4, FP4 and integers of 8 bits "
            "per 127");
  EXPECT_EQ(refusal(FileLayout::kCompressedTensors, drawn.table(2, 64)),
            "3 m: the compressed-tensors layout cannot hold it: it holds integers, 8-bit integers "
            "per row, and FP8");
  const WrittenModule two[] = {{"m.0.a", true, 4, 32, true, {}}, {"m.0.b", true, 4, 64, true, {}}};
  EXPECT_EQ(thrown([&] { quantization_config(FileLayout::kAwq, two, false, "{}"); }),
            "3 m.0.b: the AWQ layout cannot hold it: {\"bits\":4,\"group_size\":64}, other modules "
            "have {\"bits\":4,\"group_size\":32}");
}

TEST(Written, AFileThatCannotBeWrittenLeavesNothing) {
  const assay_torch_test::TempDir dir;
  const std::string path = dir.path() / "missing" / "model.safetensors";
  EXPECT_EQ(thrown([&] { write_safetensors(path, {}); }),
            "14 " + path + ": cannot be written: No such file or directory");
  // A folder has the name, so that the renaming at the end fails.
  const std::string taken = dir.path() / "model.safetensors";
  std::filesystem::create_directory(taken);
  EXPECT_EQ(thrown([&] { write_safetensors(taken, {}); }),
            "14 " + taken + ": cannot be written: Is a directory");
  EXPECT_FALSE(std::filesystem::exists(taken + ".part"));
}

TEST(Written, AFullDiskIsSaidAndLeavesNothing) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "needs /dev/full";
  const assay_torch_test::TempDir dir;
  const std::string path = dir.path() / "model.safetensors";
  std::filesystem::create_symlink("/dev/full", path + ".part");
  EXPECT_EQ(thrown([&] { write_safetensors(path, {}); }),
            "8 " + path + ": cannot be written: No space left on device; make room and run again");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Written, TensorsLieWhereTheirDtypeMayBeMapped) {
  const assay_torch_test::TempDir dir;
  const std::string path = dir.path() / "model.safetensors";
  const std::vector<StoredTensor> tensors = {{"a", "U8", {3}, std::vector<std::byte>(3)},
                                             {"b", "F16", {1}, std::vector<std::byte>(2)},
                                             {"c", "F32", {1}, std::vector<std::byte>(4)},
                                             {"d", "I64", {1}, std::vector<std::byte>(8)}};
  write_safetensors(path, tensors);
  const SafetensorsFile file(path);
  for (const auto& [name, entry] : file.tensors())
    EXPECT_EQ(entry.begin % (name == "a" ? 1 : entry.end - entry.begin), 0U) << name;
}

}  // namespace
}  // namespace assay_torch
