#include "host/run/quantize.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "host/cli/build.hpp"
#include "host/cli/commands.hpp"
#include "host/log/log.hpp"
#include "host/manifest/value.hpp"
#include "host/run/run.hpp"
#include "host/run/source.hpp"
#include "host/store/files.hpp"

namespace assay::host {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWorstShown = 10;

int refuse(const std::string& text) {
  log(LogLevel::kError, text);
  return kExitUsage;
}

std::string with_hint(std::string text, const std::string& hint) {
  return hint.empty() ? text : text + "; " + hint;
}

/// The variant that is asked for, or nothing and an error.
std::optional<std::size_t> variant_of(const Graph& graph, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    const ModelSpec& model = graph.models[i];
    if (model.name == name && model.is_quantized) return i;
    if (model.name == name) {
      refuse("model." + name + " has no quantize table: there is nothing to write");
      return std::nullopt;
    }
    names.push_back(model.name);
  }
  const std::string near = did_you_mean(name, names);
  refuse(with_hint("there is no [model." + name + "]",
                   near.empty() ? "the models are " + joined(names) : near));
  return std::nullopt;
}

bool is_free(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return !error;
  return fs::is_directory(folder, error) && fs::is_empty(folder, error) && !error;
}

/// A whole copy or none: made beside its place and renamed.
Result<void> copy_to(const fs::path& from, const fs::path& to) {
  const fs::path beside = to.string() + ".part-" + std::to_string(::getpid());
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::copy(from, beside, fs::copy_options::recursive, error);
  if (!error) {
    if (auto synced = sync_folder(beside, FolderOption::kOut); !synced) return synced;
    fs::rename(beside, to, error);
  }
  if (!error) return {};
  Failure failure = write_failure(to, error.value());
  fs::remove_all(beside, error);
  return failure;
}

double value_of(const Json& layer, const char* name) {
  const Json& values = layer.at("values");
  const auto found = values.find(name);
  return found != values.end() && found->is_number() ? found->get<double>() : -1;
}

/// Of all layers together, from what each says; nothing where one does not.
std::optional<double> bits_per_weight(const Json& layers) {
  double bits = 0, weights = 0;
  for (const Json& layer : layers) {
    const double own = value_of(layer, "bits"), bytes = value_of(layer, "bytes");
    if (own <= 0 || bytes < 0) return std::nullopt;
    bits += 8 * bytes;
    weights += 8 * bytes / own;
  }
  return weights > 0 ? std::optional(bits / weights) : std::nullopt;
}

std::string cell(double value, const char* format) {
  if (value < 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void print_worst(const Json& layers) {
  std::vector<const Json*> order;
  for (const Json& layer : layers) order.push_back(&layer);
  // Without a calibration no output error is known.
  const bool has_outputs = std::any_of(order.begin(), order.end(), [](const Json* layer) {
    return value_of(*layer, "output_error") >= 0;
  });
  const char* key = has_outputs ? "output_error" : "weight_error";
  std::stable_sort(order.begin(), order.end(), [key](const Json* a, const Json* b) {
    return value_of(*a, key) > value_of(*b, key);
  });
  const std::size_t n = std::min(order.size(), kWorstShown);
  if (n == 0) return;
  std::size_t width = 5;
  for (std::size_t i = 0; i < n; ++i) {
    width = std::max(width, order[i]->at("layer").get_ref<const std::string&>().size());
  }
  std::printf("\nlayers by %s, the %zu worst of %zu\n", key, n, order.size());
  std::printf("  %-*s  %12s  %12s  %6s\n", static_cast<int>(width), "layer", "output_error",
              "weight_error", "bits");
  for (std::size_t i = 0; i < n; ++i) {
    const Json& layer = *order[i];
    std::printf("  %-*s  %12s  %12s  %6s\n", static_cast<int>(width),
                layer.at("layer").get_ref<const std::string&>().c_str(),
                cell(value_of(layer, "output_error"), "%.3e").c_str(),
                cell(value_of(layer, "weight_error"), "%.3e").c_str(),
                cell(value_of(layer, "bits"), "%.2f").c_str());
  }
}

/// Why the calibration may not be used, told; its warnings as well.
bool has_leaks(const Calibrations& calibrations) {
  bool found = false;
  for (const Calibrations::Leak& leak : calibrations.leaks()) {
    log(leak.is_allowed ? LogLevel::kWarn : LogLevel::kError, leak.text);
    found = found || !leak.is_allowed;
  }
  return found;
}

int failed(const Failure& failure) {
  if (failure.code == ASSAY_CANCELLED) return kExitInterrupted;
  log(LogLevel::kError, failure.text);
  return kExitInfrastructure;
}

}  // namespace

int quantize_command(const Arguments& arguments) {
  const auto built = build(arguments);
  if (!built) return kExitUsage;
  const Graph& graph = built->graph;
  const auto variant = variant_of(graph, arguments.variant);
  if (!variant) return kExitUsage;
  fs::path out = fs::absolute(arguments.out).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();  // "form/"
  if (!is_free(out)) {
    return refuse(out.string() + " is there and not empty; name another folder with --out");
  }
  const auto store = store_folder(arguments);
  if (!store) return kExitUsage;
  QuantizeOptions options{*store, arguments.is_quiet ? ProgressStyle::kNone : progress_style(),
                          &catch_signals()};
  if (auto made = make_folder(*store, FolderOption::kStore); !made) return failed(made.error());

  Sources sources(graph, *store, options.progress, *options.cancelled);
  Calibrations calibrations(graph, sources, options.progress, *options.cancelled);
  calibrations.prepare({*variant});
  if (has_leaks(calibrations)) return kExitIntegrity;
  const auto calibration = calibrations.of(*variant);
  if (!calibration) return failed(calibration.error());
  const auto form = quantize(graph, *variant, *calibration, options);
  if (!form) return failed(form.error());
  if (auto copied = copy_to(form->path, out); !copied) return failed(copied.error());

  std::printf("%s\n", out.c_str());
  if (arguments.is_quiet) return kExitPass;
  if (const auto bits = bits_per_weight(form->layers)) {
    std::printf("%.2f bits per weight in %zu quantized layers\n", *bits, form->layers.size());
  }
  print_worst(form->layers);
  return kExitPass;
}

}  // namespace assay::host
