// The random-weight Llama of the reference results, made on the spot: the same bytes as the
// project's make_model.py writes for its settings. No other size is made.
#pragma once

#include <filesystem>

namespace assay_torch_test {

/// Writes config.json and model.safetensors (63 MB, sha256 6c73537c...) of random-llama-17m.
void write_random_llama_17m(const std::filesystem::path& dir);

}  // namespace assay_torch_test
