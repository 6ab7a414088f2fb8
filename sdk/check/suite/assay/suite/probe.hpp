// What a test of the suite works with: the component, expectations, instances, random numbers.
// Requests and rows of one kind are in that kind's header.
#pragma once

#include <assay/abi.h>

#include <assay/suite/suite.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace assay::suite {

/// Ends a test early; the outcome says why.
struct EndOfTest {};

std::string to_string(assay_status status);
std::string quoted(std::string_view text);
/// `INVALID_ARGUMENT ("there is no ...")`.
std::string said(assay_status status, const assay_error& error);
/// Why an error breaks the rules of assay_error, or "".
std::string error_fault(assay_status status, const assay_error& error);

class Probe {
 public:
  Probe(check::Subject& subject, const Settings& settings)
      : subject_(&subject), settings_(&settings), random_(settings.seed) {}

  check::Subject& subject() { return *subject_; }
  const assay_component& component() const { return subject_->constants(); }
  const Settings& settings() const { return *settings_; }
  bool has_cap(std::uint64_t cap) const { return (component().caps & cap) != 0; }
  const assay_option* find_option(std::string_view name) const;

  /// Notes a finding and goes on; the first few are kept.
  ///
  /// Threads  [any-thread]
  void expect(bool is_so, const std::string& sentence);
  [[noreturn]] void fail(const std::string& sentence);
  void require(bool is_so, const std::string& sentence) {
    if (!is_so) fail(sentence);
  }
  /// The test cannot say anything of this component.
  [[noreturn]] void skip(std::string why);
  /// A component that answers from another process was lent other tables than the test's.
  void skip_if_remote();

  /// The configuration of instances: paths to write lie in the test's folder.
  check::Options options() const;
  /// A new empty folder.
  std::string folder(std::string_view name);

  /// From 0 to n - 1.
  std::uint64_t below(std::uint64_t n) { return n < 2 ? 0 : random_() % n; }
  /// From lo to hi.
  double between(double lo, double hi) {
    return lo + (hi - lo) * static_cast<double>(random_() >> 11) * 0x1p-53;
  }
  std::uint64_t bits() { return random_(); }

  const Outcome& outcome() const { return outcome_; }

 private:
  check::Subject* subject_;
  const Settings* settings_;
  std::mt19937_64 random_;
  int n_folders_ = 0;
  std::mutex lock_;  // of the outcome: sinks and threads of a test find things too
  Outcome outcome_;
};

/// An instance, made the way a host makes it, with a host and a scratch folder of its own.
/// Destroyed at the end.
class Made {
 public:
  /// Fails the test where there is no instance.
  explicit Made(Probe& probe) : Made(probe, probe.options()) {}
  Made(Probe& probe, const check::Options& options);
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() { destroy(); }
  void destroy();

  check::FakeHost& host() { return host_; }
  void* self() const { return self_; }
  template <class Api>
  const Api& api() const {
    return *static_cast<const Api*>(subject_->api(self_));
  }
  template <class Api>
  const Api& extension(std::string_view id) const {
    return *static_cast<const Api*>(subject_->extension(self_, id));
  }

 private:
  check::Subject* subject_;
  std::string scratch_;
  check::FakeHost host_;
  void* self_ = nullptr;
};

/// What a creation came to that may fail. *self is destroyed.
struct Creation {
  assay_status status = ASSAY_OK;
  assay_error error{};
  bool has_self = false;
};
Creation try_create(Probe& probe, const check::Options& options);

/// An error filled with a pattern, so that writing to it shows.
assay_error patterned_error();
bool is_patterned(const assay_error& error);

/// Did anything but `struct_size` change? `filled` is what every byte was set to before.
template <class Struct>
bool is_untouched(const Struct& value, unsigned char filled) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
  for (std::size_t i = sizeof value.struct_size; i < sizeof value; ++i) {
    if (bytes[i] != filled) return false;
  }
  return true;
}

// Groups of the table.
std::span<const Test> library_tests();
std::span<const Test> description_tests();
std::span<const Test> lifecycle_tests();
std::span<const Test> skew_tests();
std::span<const Test> error_tests();
std::span<const Test> dataset_tests();
std::span<const Test> metric_tests();
std::span<const Test> backend_tests();
std::span<const Test> score_tests();
std::span<const Test> generate_tests();
std::span<const Test> reporter_tests();
std::span<const Test> extension_tests();
std::span<const Test> fuzz_tests();

}  // namespace assay::suite
