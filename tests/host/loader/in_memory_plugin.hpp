// A plugin made inside the test program: constants that a test may bend, and a create that it may
// look through. Files with faults are in tests/fakes.
#pragma once

#include <assay/abi.h>

#include <functional>

namespace assay::host {

/// One metric, "fake/metric", without fault. Every field may be changed before it is used.
struct InMemoryPlugin {
  /// Called by create; what it returns is what create answers.
  using OnCreate = std::function<assay_status(const assay_host*, const assay_config*,
                                              const assay_resources*, void** self, assay_error*)>;

  InMemoryPlugin();
  InMemoryPlugin(const InMemoryPlugin&) = delete;
  InMemoryPlugin& operator=(const InMemoryPlugin&) = delete;

  assay_metric_v1 api{};
  assay_component component{};
  const assay_component* components[2] = {&component, &component};
  assay_plugin plugin{};

  static OnCreate on_create;  ///< one for all: the ABI's create has no context
  static int n_destroyed;
  static int instance;  ///< what *self points to unless on_create says otherwise
};

}  // namespace assay::host
