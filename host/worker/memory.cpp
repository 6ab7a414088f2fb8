#include "host/worker/memory.hpp"

#include <assay/ext.h>

#include <cmath>
#include <limits>

namespace assay::host {
namespace {

constexpr std::int32_t kCpu = 1;  // DLPack's numbers
constexpr std::int32_t kCuda = 2;

std::string name_of(assay_device device) {
  if (device.type == kCpu) return "cpu";
  const std::string id = std::to_string(device.id);
  return (device.type == kCuda ? "cuda:" : "device " + std::to_string(device.type) + ":") + id;
}

std::optional<std::uint64_t> known(std::uint64_t bytes) {
  return bytes == ASSAY_UNKNOWN ? std::nullopt : std::optional(bytes);
}

const assay_backend_memory_v1* table_of(const Instance& backend) {
  return backend.extension<assay_backend_memory_v1>(ASSAY_BACKEND_MEMORY_1);
}

}  // namespace

Result<std::vector<DeviceMemory>> memory_of(const Instance& backend, assay_device granted) {
  std::vector<DeviceMemory> devices;
  const assay_backend_memory_v1* table = table_of(backend);
  if (table == nullptr) return devices;
  std::vector<assay_device> asked{granted};
  if (granted.type != kCpu) asked.push_back({kCpu, 0});
  for (std::uint64_t nth = 0; nth < asked.size(); ++nth) {
    assay_memory told{};
    told.struct_size = sizeof told;
    // What a shorter table of the backend leaves out is not known.
    told.weights = told.kv = told.kv_peak = ASSAY_UNKNOWN;
    told.allocated = told.allocated_peak = told.held = told.held_peak = ASSAY_UNKNOWN;
    told.kv_per_token = std::numeric_limits<double>::quiet_NaN();
    assay_error error{};
    error.struct_size = sizeof error;
    const assay_status status = table->read(backend.self(), nth, &told, &error);
    if (status == ASSAY_NOT_FOUND) continue;
    if (status != ASSAY_OK) return failure_from(backend.component(), status, error);
    const bool has_token = std::isfinite(told.kv_per_token);
    devices.push_back({name_of(asked[nth]), known(told.weights), known(told.kv),
                       known(told.kv_peak), known(told.allocated), known(told.allocated_peak),
                       known(told.held), known(told.held_peak),
                       has_token ? std::optional(told.kv_per_token) : std::nullopt});
  }
  return devices;
}

Result<void> reset_memory_peaks(const Instance& backend) {
  const assay_backend_memory_v1* table = table_of(backend);
  if (table == nullptr) return {};
  return backend.call(
      "reset_peaks", [&](assay_error* error) { return table->reset_peaks(backend.self(), error); });
}

}  // namespace assay::host
