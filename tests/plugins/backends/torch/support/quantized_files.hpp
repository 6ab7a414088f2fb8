// Quantized checkpoints of one module, made tensor by tensor, right or wrong. What reading them
// gives is expected by the tests.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/quantized.hpp"
#include "support/fixtures.hpp"

namespace assay_torch_test {

inline const std::string kModule = "model.layers.0.mlp.up_proj";

template <class T>
assay_torch::StoredTensor tensor(const std::string& suffix, const std::string& dtype,
                                 std::vector<std::int64_t> shape, const std::vector<T>& values) {
  assay_torch::StoredTensor out{kModule + suffix, dtype, std::move(shape), {}};
  out.data.resize(values.size() * sizeof(T));
  std::memcpy(out.data.data(), values.data(), out.data.size());
  return out;
}

inline assay_torch::StoredTensor words(const std::string& suffix, std::vector<std::int64_t> shape,
                                       const std::vector<std::uint32_t>& values) {
  return tensor(suffix, "I32", std::move(shape), values);
}

inline assay_torch::StoredTensor singles(const std::string& suffix, std::vector<std::int64_t> shape,
                                         const std::vector<float>& values) {
  return tensor(suffix, "F32", std::move(shape), values);
}

/// As many ones as the shape holds.
inline assay_torch::StoredTensor ones(const std::string& suffix, std::vector<std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return singles(suffix, std::move(shape), std::vector<float>(static_cast<std::size_t>(count), 1));
}

/// A model folder with quantization_config and one module.
class QuantizedFiles {
 public:
  QuantizedFiles(const std::string& settings, std::vector<assay_torch::StoredTensor> tensors)
      : tensors_(std::move(tensors)) {
    write_bytes(dir_.path() / "config.json", R"({"quantization_config": )" + settings + "}");
  }

  assay_torch::QuantizedMatrix read(std::int64_t rows, std::int64_t columns,
                                    assay_torch::ZeroWrap wrap = assay_torch::ZeroWrap::kMask) {
    const std::string dir = dir_.path().string();
    assay_torch::write_safetensors(dir + "/model.safetensors", tensors_);
    const auto checkpoint = assay_torch::QuantizedCheckpoint::open(dir, wrap);
    const assay_torch::Weights weights(dir);
    std::vector<std::string> read;
    if (!checkpoint->holds(weights, kModule)) throw assay::Error(ASSAY_NOT_FOUND, "not quantized");
    auto matrix = checkpoint->read(weights, kModule, rows, columns, read);
    described_ = checkpoint->describe();
    return matrix;
  }

  std::vector<float> values(std::int64_t rows, std::int64_t columns,
                            assay_torch::ZeroWrap wrap = assay_torch::ZeroWrap::kMask) {
    const auto matrix = read(rows, columns, wrap);
    std::vector<float> out(static_cast<std::size_t>(rows * columns));
    assay_torch::dequantize(matrix, out);
    return out;
  }

  /// What reading throws, with DIR for the folder and M for the module.
  std::string refusal(std::int64_t rows, std::int64_t columns) {
    std::string text = thrown([&] { read(rows, columns); });
    for (const auto& [long_name, name] :
         {std::pair(dir_.path().string(), "DIR"), std::pair(kModule, "M")}) {
      for (std::size_t at; (at = text.find(long_name)) != std::string::npos;)
        text.replace(at, long_name.size(), name);
    }
    return text;
  }

  std::vector<assay_torch::StoredTensor> tensors_;
  std::string described_;

 private:
  TempDir dir_;
};

}  // namespace assay_torch_test
