// A component under test, wherever it lives: in this process, or behind a process border. Only what
// every test needs of it; what is tested is in the suite.
#pragma once

#include <assay/abi.h>
#include <assay/ext.h>

#include <assay/check/fake_host.hpp>
#include <assay/namespace.hpp>
#include <cstdint>
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

  /// Is it behind a process border? Then the tables it is lent are not ours.
  virtual bool is_remote() const = 0;
  /// Data only: functions and tables of these constants may be NULL.
  virtual const assay_component& constants() const = 0;
  /// As assay_component.create.
  virtual assay_status create(FakeHost& host, const Options& options, void** self,
                              assay_error* error) = 0;
  virtual void destroy(void* self) = 0;
  /// assay_backend_v1 and its like, and the table of an extension (NULL: not offered), to be called
  /// with what create() gave as `self`, until it is destroyed.
  virtual const void* api(void* self) const = 0;
  virtual const void* extension(void* self, std::string_view id) const = 0;
  /// As assay_backend_v1.estimate; UNIMPLEMENTED where there is none.
  virtual assay_status estimate(FakeHost& host, const Options& options, const assay_job& job,
                                assay_resources* need, assay_error* error) = 0;
  /// As assay_config_check_v1.check; UNIMPLEMENTED where there is none.
  virtual assay_status check(FakeHost& host, const Options& options,
                             const assay_diagnostic_sink& sink, assay_error* error) = 0;
};

/// A component in this process.
class LocalSubject final : public Subject {
 public:
  explicit LocalSubject(const assay_component& component) : component_(component) {}

  bool is_remote() const override { return false; }
  const assay_component& constants() const override { return component_; }
  assay_status create(FakeHost& host, const Options& options, void** self,
                      assay_error* error) override {
    return component_.create(host.table(), options.config(), host.granted(), self, error);
  }
  void destroy(void* self) override { component_.destroy(self); }
  const void* api(void*) const override { return component_.api; }
  const void* extension(void*, std::string_view id) const override { return table_of(id); }

  assay_status estimate(FakeHost& host, const Options& options, const assay_job& job,
                        assay_resources* need, assay_error* error) override {
    if (component_.kind != ASSAY_BACKEND) return ASSAY_UNIMPLEMENTED;
    const auto& backend = *static_cast<const assay_backend_v1*>(component_.api);
    if (backend.estimate == nullptr) return ASSAY_UNIMPLEMENTED;
    return backend.estimate(host.table(), options.config(), &job, need, error);
  }
  assay_status check(FakeHost& host, const Options& options, const assay_diagnostic_sink& sink,
                     assay_error* error) override {
    const auto* table = static_cast<const assay_config_check_v1*>(table_of(ASSAY_CONFIG_CHECK_1));
    if (table == nullptr) return ASSAY_UNIMPLEMENTED;
    return table->check(host.table(), options.config(), &sink, error);
  }

 private:
  const void* table_of(std::string_view id) const {
    for (std::uint64_t i = 0; i < component_.n_extensions; ++i) {
      if (component_.extensions[i].id == id) return component_.extensions[i].api;
    }
    return nullptr;
  }

  const assay_component& component_;
};

}  // namespace check
}  // namespace v1
}  // namespace assay
