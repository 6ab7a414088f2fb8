// Reads arrays out of numpy's .npz files: zip members, stored or deflated, of little-endian float32
// or int32/int64. Nothing is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace assay_torch_test {

struct Array {
  std::vector<std::int64_t> shape;
  std::vector<double> values;  ///< every float32 and every token id is exact in a double
};

/// Throws std::runtime_error when the member is not there or of another type.
Array read_npz(const std::filesystem::path& path, const std::string& member);

}  // namespace assay_torch_test
