// What `assay sensitivity` was asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace assay::host {

struct SensitivityRequest {
  std::uint64_t samples = 32;
  std::string text;           ///< name of a calibration; "": the variant's own
  std::string bytes;          ///< a size; "": none
  std::filesystem::path out;  ///< the manifest to write; empty: none
  bool proposes = false, verifies = false;
};

}  // namespace assay::host
