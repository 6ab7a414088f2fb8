// A component with what the layer keeps beside it, and how it is created and destroyed. What the
// calls of each kind do is in the kind's own header.
#pragma once

#include <assay/abi.h>

#include <algorithm>
#include <assay/context.hpp>
#include <assay/error.hpp>
#include <assay/namespace.hpp>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace detail {

/// What an interface table's `self` points to. The context comes first: the component may keep a
/// copy and use it to the end.
template <class T>
struct Instance {
  explicit Instance(const Context& given) : context(given), component(given) {
    given.end_of_options();
  }

  Context context;
  T component;
  std::atomic<int> calls = 0;
};

inline void require_order(bool is_in_order, const char* call, const char* why) {
  if (is_in_order) return;
  throw Error(ASSAY_FAILED_PRECONDITION, call, std::string(call) + " was called " + why);
}

/// The fields behind the first 4 bytes that both sides know. The size stays the caller's.
template <class Struct>
void copy_known(const Struct& from, Struct& to) {
  constexpr std::size_t kStart = sizeof from.struct_size;
  const std::size_t n = std::min<std::size_t>(to.struct_size, sizeof from);
  if (n <= kStart) return;
  std::memcpy(reinterpret_cast<char*>(&to) + kStart, reinterpret_cast<const char*>(&from) + kStart,
              n - kStart);
}

template <class Self>
assay_status create(const assay_host* host, const assay_config* config,
                    const assay_resources* resources, void** self, assay_error* error) noexcept {
  return wall(error, [&] { *self = new Self(Context(host, config, resources)); });
}

template <class Self>
void destroy(void* self) noexcept {
  delete static_cast<Self*>(self);
}

}  // namespace detail
}  // namespace v1
}  // namespace assay
