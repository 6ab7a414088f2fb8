// Authors' side of assay.backend.memory/1: a backend tells what it keeps in memory. What the
// process as a whole takes is the host's to see.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/backend.hpp>
#include <assay/instance.hpp>
#include <assay/namespace.hpp>
#include <concepts>
#include <cstdint>
#include <limits>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {

/// What a backend with these two members gives for one device, nothing known yet:
///   Memory memory(std::uint64_t nth)   of Context::resources().devices[nth], or of the host where
///                                      nth is their number; throws ASSAY_NOT_FOUND where there is
///                                      none such. Also called while run is going on;
///   void reset_memory_peaks()          peaks begin anew at what is in use.
///
/// Units    bytes; ASSAY_UNKNOWN, and NaN in kv_per_token, where not known
struct Memory : assay_memory {
  explicit Memory(assay_device of)
      : assay_memory{sizeof(assay_memory),
                     0,
                     of,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     ASSAY_UNKNOWN,
                     std::numeric_limits<double>::quiet_NaN()} {}
};

namespace detail {

template <class T>
concept TellsMemory = requires(T& backend, std::uint64_t nth) {
  { backend.memory(nth) } -> std::convertible_to<Memory>;
};
template <class T>
concept ResetsMemoryPeaks = requires(T& backend) {
  backend.reset_memory_peaks();
};

template <class T>
struct BackendMemoryEntry {
  static_assert(
      TellsMemory<T> == ResetsMemoryPeaks<T>,
      "assay::Memory memory(std::uint64_t nth) and void reset_memory_peaks() go together");
  static constexpr bool kIsOffered = TellsMemory<T>;
  static constexpr const char* kId = ASSAY_BACKEND_MEMORY_1;
  using Self = BackendInstance<T>;

  static assay_status read(void* self, std::uint64_t nth, assay_memory* out,
                           assay_error* error) noexcept {
    return wall(error, [&] {
      const Memory memory = static_cast<Self*>(self)->component.memory(nth);
      copy_known<assay_memory>(memory, *out);
    });
  }
  static assay_status reset_peaks(void* self, assay_error* error) noexcept {
    return wall(error, [&] {
      auto& backend = *static_cast<Self*>(self);
      const Turn turn(backend.calls, backend.context.host_table(), "reset_peaks");
      backend.component.reset_memory_peaks();
    });
  }
  static constexpr assay_backend_memory_v1 kApi{sizeof(assay_backend_memory_v1), 0, read,
                                                reset_peaks};
};

}  // namespace detail
}  // namespace v1
}  // namespace assay
