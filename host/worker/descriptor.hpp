// A file descriptor with an owner. Nothing that reads or writes one.
#pragma once

#include <unistd.h>

#include <utility>

namespace assay::host {

/// Closes its number at the end, where it has one: -1 is none.
struct Descriptor {
  int number = -1;

  Descriptor() = default;
  explicit Descriptor(int taken) : number(taken) {}
  Descriptor(Descriptor&& other) noexcept : number(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }

  bool is_open() const { return number >= 0; }
  int release() { return std::exchange(number, -1); }
};

}  // namespace assay::host
