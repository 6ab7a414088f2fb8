// A component under test, wherever it lives: in this process, or behind a process border. Only what
// every test needs of it; what is tested is in the suite.
#pragma once

#include <assay/abi.h>

#include <assay/check/fake_host.hpp>
#include <assay/namespace.hpp>
#include <string_view>

namespace ASSAY_HIDDEN assay {
inline namespace v1 {
namespace check {

/// Threads  as the component's own tags
class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  /// Data only: functions and tables of these constants may be NULL.
  virtual const assay_component& constants() const = 0;
  /// As assay_component.create.
  virtual assay_status create(FakeHost& host, const Options& options, void** self,
                              assay_error* error) = 0;
  virtual void destroy(void* self) = 0;
  /// assay_backend_v1 and its like, and the table of an extension (NULL: not offered), to be called
  /// with what create() gave.
  virtual const void* api() const = 0;
  virtual const void* extension(std::string_view id) const = 0;
};

/// A component in this process.
class LocalSubject final : public Subject {
 public:
  explicit LocalSubject(const assay_component& component) : component_(component) {}

  const assay_component& constants() const override { return component_; }
  assay_status create(FakeHost& host, const Options& options, void** self,
                      assay_error* error) override {
    return component_.create(host.table(), options.config(), &host.resources(), self, error);
  }
  void destroy(void* self) override { component_.destroy(self); }
  const void* api() const override { return component_.api; }
  const void* extension(std::string_view id) const override {
    for (std::uint64_t i = 0; i < component_.n_extensions; ++i) {
      if (component_.extensions[i].id == id) return component_.extensions[i].api;
    }
    return nullptr;
  }

 private:
  const assay_component& component_;
};

}  // namespace check
}  // namespace v1
}  // namespace assay
