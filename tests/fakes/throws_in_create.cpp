// Lets an exception out of create, which the contract forbids.
#include <assay/abi.h>

#include <stdexcept>

namespace {

assay_status create(const assay_host*, const assay_config*, const assay_resources*, void**,
                    assay_error*) {
  throw std::runtime_error("thrown across the boundary");
}

void destroy(void*) noexcept {}

assay_status update(void*, const ArrowSchema*, const ArrowArray*, const assay_value_sink*,
                    assay_error*) noexcept {
  return ASSAY_OK;
}

assay_status finish(void*, const assay_value_sink*, assay_error*) noexcept { return ASSAY_OK; }

constexpr assay_metric_v1 kApi = {sizeof(assay_metric_v1), 0, update, finish};

// C has no noexcept: a plugin compiled as C, or by another compiler, can break the rule like this.
const assay_component kMetric = {
    sizeof(assay_component),
    ASSAY_METRIC,
    "fake/throws-in-create",
    "1.0.0",
    "Throws when it is created",
    0,
    nullptr,
    0,
    nullptr,
    0,
    nullptr,
    0,
    reinterpret_cast<decltype(assay_component::create)>(reinterpret_cast<void*>(&create)),
    destroy,
    &kApi,
    nullptr,
    0};
const assay_component* const kComponents[] = {&kMetric};

}  // namespace

ASSAY_NOTE("fake/throws-in-create");

extern "C" {
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;
const assay_plugin assay_plugin_v1 = {sizeof(assay_plugin),
                                      ASSAY_ABI_MAJOR,
                                      ASSAY_ABI_MINOR,
                                      "fake/throws-in-create",
                                      "1.0.0",
                                      "fake",
                                      "Apache-2.0",
                                      __VERSION__,
                                      kComponents,
                                      1};
}
