#include "tests/host/loader/in_memory_plugin.hpp"

namespace assay::host {
namespace {

assay_status create(const assay_host* host, const assay_config* config,
                    const assay_resources* resources, void** self, assay_error* error) noexcept {
  *self = &InMemoryPlugin::instance;
  if (!InMemoryPlugin::on_create) return ASSAY_OK;
  return InMemoryPlugin::on_create(host, config, resources, self, error);
}

void destroy(void*) noexcept { ++InMemoryPlugin::n_destroyed; }

assay_status update(void*, const ArrowSchema*, const ArrowArray*, const assay_value_sink*,
                    assay_error*) noexcept {
  return ASSAY_OK;
}

assay_status finish(void*, const assay_value_sink*, assay_error*) noexcept { return ASSAY_OK; }

}  // namespace

InMemoryPlugin::OnCreate InMemoryPlugin::on_create;
int InMemoryPlugin::n_destroyed = 0;
int InMemoryPlugin::instance = 0;

InMemoryPlugin::InMemoryPlugin() {
  on_create = {};
  n_destroyed = 0;
  api = {sizeof api, 0, update, finish};
  component.struct_size = sizeof component;
  component.kind = ASSAY_METRIC;
  component.id = "fake/metric";
  component.version = "1.2.3";
  component.summary = "Measures nothing";
  component.create = create;
  component.destroy = destroy;
  component.api = &api;
  plugin.struct_size = sizeof plugin;
  plugin.abi_major = ASSAY_ABI_MAJOR;
  plugin.abi_minor = ASSAY_ABI_MINOR;
  plugin.id = "fake/plugin";
  plugin.version = "4.5.6";
  plugin.vendor = "Fakes";
  plugin.license = "Apache-2.0";
  plugin.built_with = "a test";
  plugin.components = components;
  plugin.n_components = 1;
}

}  // namespace assay::host
