// A component whose create and destroy keep the contract, and the same with one fault at a time.
// Some faults end the process, as they would end the child process of a check.
#include <assay/abi.h>
#include <gmock/gmock.h>

#include <cstring>
#include <deque>
#include <thread>

#include "tests/sdk/suite/planted.hpp"

namespace {

using assay::suite::named;
using assay::suite::outcome_of;
using assay::suite::Planted;
using assay::suite::shown;
using assay::suite::Verdict;

std::string fault;  // what the component below does wrong; empty: nothing

bool has(const char* name) { return fault == name; }

struct Instance {
  bool is_used = false, is_over = false;
};

Instance only;                         // of a component that makes one instance
std::deque<std::vector<char>> leaked;  // kept, so that no other tool reports it
std::thread::id home;                  // of a component that knows one thread

template <class Table>
bool reads_behind(const Table* table) {
  return *reinterpret_cast<const volatile unsigned char*>(table + 1) == 1;
}

assay_status refused(assay_error* error, assay_status code, const char* where, const char* text) {
  error->code = code;
  std::strcpy(error->where, where);
  std::strcpy(error->text, text);
  return code;
}

assay_status create(const assay_host* host, const assay_config* config,
                    const assay_resources* resources, void** self, assay_error* error) noexcept {
  if (has("reads_behind_host") && reads_behind(host)) return ASSAY_INTERNAL;
  if (has("reads_behind_resources") && reads_behind(resources)) return ASSAY_INTERNAL;
  if (has("wants_its_own_minor") && host->struct_size != sizeof *host) {
    return refused(error, ASSAY_FAILED_PRECONDITION, "", "the host is of another version");
  }
  if (has("refuses_defaults")) return refused(error, ASSAY_INVALID_ARGUMENT, "scale", "too odd");
  if (has("knows_one_thread") && std::this_thread::get_id() != home) {
    return refused(error, ASSAY_INTERNAL, "", "called from another thread");
  }
  std::int64_t scale = 1;
  const assay_status status = host->get_int(config, "scale", &scale);
  if (status == ASSAY_NOT_FOUND && !has("has_a_default")) {
    return refused(error, status, has("names_no_option") ? "" : "scale", "it must be given");
  }
  if (status == ASSAY_INVALID_ARGUMENT && !has("takes_any_type")) {
    if (has("leaves_self")) *self = &only;
    return refused(error, status, "scale",
                   has("two_lines") ? "it must be\na number" : "it must be a number");
  }
  if (has("is_silent_beyond") && scale > 90) return ASSAY_OK;
  if (has("leaks")) leaked.emplace_back(200 << 10, 'x');
  *self = has("makes_one") ? &only : new Instance;
  return ASSAY_OK;
}

void destroy(void* self) noexcept {
  auto* instance = static_cast<Instance*>(self);
  if (has("reads_what_it_destroys") && !instance->is_used) std::abort();
  if (instance != nullptr && has("needs_to_be_used") && !instance->is_used) std::abort();
  if (instance != &only) delete instance;
}

constexpr assay_metric_v1 kApi{
    sizeof kApi, 0,
    [](void*, const ArrowSchema*, const ArrowArray*, const assay_value_sink*,
       assay_error*) noexcept -> assay_status { return ASSAY_OK; },
    [](void* self, const assay_value_sink*, assay_error* error) noexcept -> assay_status {
      auto& instance = *static_cast<Instance*>(self);
      if (instance.is_over) {
        return refused(error, ASSAY_FAILED_PRECONDITION, "", "finish was called before");
      }
      instance.is_over = true;
      return ASSAY_OK;
    }};
constexpr assay_option kScale{
    sizeof kScale, ASSAY_INT, ASSAY_OPT_REQUIRED, "scale", "A factor.", nullptr, nullptr, 1, 100};
constexpr const assay_option* kOptions[] = {&kScale};
constexpr assay_component kComponent{sizeof kComponent,
                                     ASSAY_METRIC,
                                     "acme/life",
                                     "1.0.0",
                                     "A metric with a planted fault",
                                     0,
                                     kOptions,
                                     1,
                                     nullptr,
                                     0,
                                     nullptr,
                                     0,
                                     create,
                                     destroy,
                                     &kApi,
                                     nullptr,
                                     0};

assay::suite::Outcome of_life(const char* test) {
  home = std::this_thread::get_id();
  return outcome_of(test, kComponent, {{"scale", std::int64_t{1}}});
}

class PlantedLife : public testing::TestWithParam<Planted> {
 public:
  ~PlantedLife() override {
    fault.clear();
    leaked.clear();
  }
};

TEST_P(PlantedLife, IsFound) {
  fault.clear();
  const auto sound = of_life(GetParam().test);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_EQ(of_life(GetParam().test).verdict, Verdict::kFailed) << fault << " was not found";
}

constexpr Planted kPlanted[] = {
    {"refuses_defaults", "lifecycle.create-with-defaults"},
    {"has_a_default", "lifecycle.required-options-are-required"},
    {"names_no_option", "lifecycle.required-options-are-required"},
    {"is_silent_beyond", "lifecycle.values-out-of-range-do-no-harm"},
    {"takes_any_type", "lifecycle.values-of-another-type-are-refused"},
    {"leaks", "lifecycle.a-hundred-instances"},
    {"makes_one", "lifecycle.instances-live-side-by-side"},
    {"knows_one_thread", "lifecycle.calls-come-from-any-thread"},
    {"wants_its_own_minor", "skew.host-of-a-later-minor"},
    {"leaves_self", "errors.failed-create-makes-nothing"},
    {"two_lines", "errors.texts-are-one-line"},
    {"is_silent_beyond", "fuzz.options"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedLife, testing::ValuesIn(kPlanted), named);

class PlantedDeath : public PlantedLife {};

TEST_P(PlantedDeath, IsMet) {
  fault.clear();
  const auto sound = of_life(GetParam().test);
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  EXPECT_DEATH(of_life(GetParam().test), "") << fault << " was not found";
}

constexpr Planted kDeaths[] = {
    {"reads_what_it_destroys", "lifecycle.destroy-takes-null"},
    {"needs_to_be_used", "lifecycle.destroy-right-after-create"},
    {"reads_behind_host", "skew.host-of-the-first-minor"},
    {"reads_behind_resources", "skew.host-of-the-first-minor"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedDeath, testing::ValuesIn(kDeaths), named);

}  // namespace
