// What a backend says it keeps in memory (assay.backend.memory/1). What its process takes as the
// operating system counts is process.hpp's.
#pragma once

#include <assay/abi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/loader/instance.hpp"

namespace assay::host {

/// Nothing where the backend does not know.
///
/// Units    bytes
struct DeviceMemory {
  std::string device;  ///< "cpu", "cuda:0"
  std::optional<std::uint64_t> weights, kv, kv_peak;
  std::optional<std::uint64_t> allocated, allocated_peak;  ///< what was asked for
  std::optional<std::uint64_t> held, held_peak;            ///< what the allocator keeps from others
  std::optional<double> kv_per_token;                      ///< of one token of one sequence
};

/// Of the device it was granted and, where that is none of the host's, of the host. Empty where the
/// backend does not tell.
Result<std::vector<DeviceMemory>> memory_of(const Instance& backend, assay_device granted);

/// Peaks begin anew at what is in use; nothing to do where the backend does not tell.
Result<void> reset_memory_peaks(const Instance& backend);

}  // namespace assay::host
