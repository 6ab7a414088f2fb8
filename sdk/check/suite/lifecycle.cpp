// Tests of create and destroy: options, failures, repetition, threads.
#include <assay/suite/probe.hpp>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <variant>

namespace assay::suite {
namespace {

constexpr int kTimes = 100;
constexpr int kTimesRemote = 3;  // each starts a process
// What the C library keeps for itself between calls; 100 instances that leak are well above it
// where each holds more than 80 KB.
constexpr std::uint64_t kGrowthBytes = 8u << 20;

/// Units    bytes
std::optional<std::uint64_t> resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    std::uint64_t kib = 0;
    status >> kib;
    return kib * 1024;
  }
  return std::nullopt;
}

void create_with_defaults(Probe& probe) { const Made made(probe); }

/// A table of the manifest that may be left out, and with it what it requires.
bool goes_with_its_table(const Probe& probe, const check::Options& others,
                         std::string_view option) {
  for (const std::string_view table : {"quantize.", "simulate."}) {
    if (!option.starts_with(table)) continue;
    for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
      const std::string_view other = probe.component().options[i]->name;
      if (other.starts_with(table) && others.has(std::string(other))) return false;
    }
    return true;
  }
  return false;
}

void required_options_are_required(Probe& probe) {
  int n_required = 0;
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    check::Options options = probe.options();
    if ((option.flags & ASSAY_OPT_REQUIRED) == 0 || !options.has(option.name)) continue;
    options.erase(option.name);
    if (goes_with_its_table(probe, options, option.name)) continue;
    ++n_required;
    const Creation creation = try_create(probe, options);
    const std::string what = "create without " + quoted(option.name) + " answered " +
                             said(creation.status, creation.error);
    const bool is_refused =
        creation.status == ASSAY_INVALID_ARGUMENT || creation.status == ASSAY_NOT_FOUND;
    probe.expect(is_refused, what + "; expected INVALID_ARGUMENT or NOT_FOUND");
    if (!is_refused) continue;
    probe.expect(
        std::string_view(creation.error.where).find(option.name) != std::string_view::npos,
        what + " with where " + quoted(creation.error.where) + "; expected it to name the option");
  }
  if (n_required == 0) probe.skip("no option is required");
}

/// Values just outside the declared range, where there is one.
std::vector<check::Value> outside(const assay_option& option) {
  std::vector<check::Value> values;
  if (!(option.lo <= option.hi)) return values;
  const bool is_float = option.type == ASSAY_FLOAT || option.type == ASSAY_DURATION;
  const bool is_int = option.type == ASSAY_INT || option.type == ASSAY_SIZE;
  for (const double value : {option.lo - 1, option.hi + 1}) {
    if (std::abs(value) > 9e18) continue;  // infinite, or no int64
    if (is_float) values.emplace_back(value);
    if (is_int) values.emplace_back(static_cast<std::int64_t>(value));
  }
  return values;
}

void expect_clean(Probe& probe, const Creation& creation, const std::string& what) {
  if (creation.status == ASSAY_OK) {
    probe.expect(creation.has_self, what + " answered OK and made no instance");
    return;
  }
  probe.expect(!creation.has_self, what + " failed and left an instance in *self");
  const std::string fault = error_fault(creation.status, creation.error);
  probe.expect(fault.empty(), what + " failed, and of its error " + fault);
}

void values_out_of_range_do_no_harm(Probe& probe) {
  int n_tried = 0;
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    for (const check::Value& value : outside(option)) {
      check::Options options = probe.options();
      if (std::string_view(option.name).find("[]") != std::string_view::npos) continue;
      options.set(option.name, value);
      ++n_tried;
      expect_clean(probe, try_create(probe, options),
                   "create with " + quoted(option.name) + " out of its range");
    }
  }
  if (n_tried == 0) probe.skip("no option has a range");
}

void values_of_another_type_are_refused(Probe& probe) {
  int n_tried = 0;
  for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
    const assay_option& option = *probe.component().options[i];
    check::Options options = probe.options();
    const check::Value* value = options.find(option.name);
    if (value == nullptr || std::holds_alternative<check::NoElements>(*value)) continue;
    const bool is_text = std::holds_alternative<std::string>(*value);
    options.set(option.name, is_text ? check::Value(true) : check::Value(std::string("no number")));
    ++n_tried;
    const Creation creation = try_create(probe, options);
    const std::string what =
        "create with " + quoted(option.name) + (is_text ? " = true" : " = \"no number\"");
    expect_clean(probe, creation, what);
    probe.expect(creation.status != ASSAY_OK,
                 what + " answered OK; expected INVALID_ARGUMENT, as its getter answers");
  }
  if (n_tried == 0) probe.skip("no option has a value");
}

void destroy_right_after_create(Probe& probe) {
  Made made(probe);
  made.destroy();
}

void destroy_takes_null(Probe& probe) {
  probe.skip_if_remote();
  probe.subject().destroy(nullptr);
}

void a_hundred_instances(Probe& probe) {
  if (probe.subject().is_remote()) {
    for (int i = 0; i < kTimesRemote; ++i) const Made made(probe);
    return;
  }
  // What is made once, and the sanitizers' own keeping, is not growth.
  for (int i = 0; i < kTimes / 4; ++i) const Made made(probe);
  const auto before = resident_bytes();
  for (int i = 0; i < kTimes; ++i) const Made made(probe);
  const auto after = resident_bytes();
  if (!before || !after) return;
  const std::uint64_t growth = *after > *before ? *after - *before : 0;
  probe.expect(growth <= kGrowthBytes, "100 instances made and destroyed left " +
                                           std::to_string(growth >> 10) +
                                           " KiB; expected at most 8192 KiB");
}

void instances_live_side_by_side(Probe& probe) {
  auto first = std::make_unique<Made>(probe);
  auto second = std::make_unique<Made>(probe);
  probe.expect(first->self() != second->self(),
               "two instances are one: create gave the same pointer twice");
  first.reset();
  const Made third(probe);
  second.reset();
}

void calls_come_from_any_thread(Probe& probe) {
  std::unique_ptr<Made> made;
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      made = std::make_unique<Made>(probe);
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
  std::thread([&] { made.reset(); }).join();
}

constexpr Test kTests[] = {
    {"lifecycle.create-with-defaults", 0, nullptr, Level::kMust, 0, true,
     "create makes an instance of the given options and the defaults.", create_with_defaults},
    {"lifecycle.required-options-are-required", 0, nullptr, Level::kMust, 24, true,
     "Without a required option create answers INVALID_ARGUMENT or NOT_FOUND and names it.",
     required_options_are_required},
    {"lifecycle.values-out-of-range-do-no-harm", 0, nullptr, Level::kMust, 0, true,
     "An option out of its range ends in an instance or in an error, never in anything else.",
     values_out_of_range_do_no_harm},
    {"lifecycle.values-of-another-type-are-refused", 0, nullptr, Level::kShould, 0, true,
     "A value of another type fails create, as the getter's answer says.",
     values_of_another_type_are_refused},
    {"lifecycle.destroy-right-after-create", 0, nullptr, Level::kMust, 0, true,
     "destroy always succeeds, right after create too.", destroy_right_after_create},
    {"lifecycle.destroy-takes-null", 0, nullptr, Level::kMust, 0, false, "destroy takes NULL.",
     destroy_takes_null},
    {"lifecycle.a-hundred-instances", 0, nullptr, Level::kMust, 0, true,
     "A hundred instances made and destroyed leave no memory behind.", a_hundred_instances},
    {"lifecycle.instances-live-side-by-side", 0, nullptr, Level::kMust, 0, true,
     "Instances are independent and end in any order.", instances_live_side_by_side},
    {"lifecycle.calls-come-from-any-thread", 0, nullptr, Level::kMust, 7, true,
     "[instance] is a role and no thread: create and destroy may come from different ones.",
     calls_come_from_any_thread},
};

}  // namespace

std::span<const Test> lifecycle_tests() { return kTests; }

}  // namespace assay::suite
