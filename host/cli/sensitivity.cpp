#include "host/cli/sensitivity.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "host/cli/build.hpp"
#include "host/cli/commands.hpp"
#include "host/log/log.hpp"
#include "host/manifest/quantity.hpp"
#include "host/manifest/value.hpp"
#include "host/run/propose.hpp"
#include "host/run/run.hpp"
#include "host/run/sensitivity.hpp"

namespace assay::host {
namespace {

constexpr double kKib = 1024;

Json or_null(double value) { return std::isnan(value) ? Json(nullptr) : Json(value); }

Json json_of(const DeltaNll& delta) {
  return {{"delta_nll", delta.delta}, {"std_error", or_null(delta.std_error)}};
}

Json json_of(const Sensitivity& found) {
  Json layers = Json::array();
  for (const LayerDamage& layer : found.layers) {
    Json row = json_of(layer.nll);
    row.update({{"layer", layer.layer},
                {"output_error", or_null(layer.output_error)},
                {"bits", or_null(layer.bits)},
                {"bytes", or_null(layer.bytes)}});
    layers.push_back(std::move(row));
  }
  return {{"schema", "assay.sensitivity/1"},
          {"variant", found.variant},
          {"text", found.text},
          {"sequences", found.sequences},
          {"length", found.length},
          {"nll", found.baseline_nll},
          {"whole", json_of(found.whole)},
          {"weight_bytes", found.weight_bytes},
          {"stored_weight_bytes", found.stored_weight_bytes},
          {"proxy_rank_correlation",
           found.proxy_correlation ? Json(*found.proxy_correlation) : Json(nullptr)},
          {"layers", std::move(layers)}};
}

std::string figure(const char* format, double value) {
  if (std::isnan(value)) return "-";
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// "+0.01234 +- 0.00050".
std::string with_error(const DeltaNll& nll) {
  return figure("%+.5f", nll.delta) + " +- " + figure("%.5f", nll.std_error);
}

const char* reading_of(const DeltaNll& nll) {
  if (!(std::fabs(nll.delta) > 2 * nll.std_error)) return "noise";
  return nll.delta > 0 ? "worse" : "better";
}

void print_layers(const Sensitivity& found) {
  std::printf(
      "%s, %llu sequences of %llu tokens of %s that calibrated nothing\n"
      "as stored %.4f nats per token; all layers quantized %s\n\n",
      found.variant.c_str(), static_cast<unsigned long long>(found.sequences),
      static_cast<unsigned long long>(found.length), found.text.c_str(), found.baseline_nll,
      with_error(found.whole).c_str());
  std::size_t width = 5;
  for (const LayerDamage& layer : found.layers) width = std::max(width, layer.layer.size());
  const int columns = static_cast<int>(width);
  std::printf("  %-*s  %20s  %-7s  %12s  %6s  %9s\n", columns, "layer", "nats per token", "reading",
              "output error", "bits", "KiB");
  for (const LayerDamage& layer : found.layers) {
    std::printf("  %-*s  %20s  %-7s  %12s  %6s  %9s\n", columns, layer.layer.c_str(),
                with_error(layer.nll).c_str(), reading_of(layer.nll),
                figure("%.3g", layer.output_error).c_str(), figure("%.3f", layer.bits).c_str(),
                figure("%.1f", layer.bytes / kKib).c_str());
  }
  if (found.proxy_correlation) {
    std::printf("\nrank correlation of damage and output error: %+.2f\n", *found.proxy_correlation);
  }
}

void print_proposal(const Proposal& proposal, const Sensitivity& found, std::uint64_t budget) {
  std::printf("\n%zu of %zu layers %s: %.1f KiB of at most %.1f KiB (%.1f KiB before)\n",
              proposal.upgrades.size(), found.layers.size(),
              proposal.uses_8_bits ? "at 8 bits" : "kept as stored",
              static_cast<double>(proposal.weight_bytes) / kKib, static_cast<double>(budget) / kKib,
              static_cast<double>(found.weight_bytes) / kKib);
  for (const Upgrade& upgrade : proposal.upgrades) {
    std::printf("  %s  %s  +%.1f KiB\n", upgrade.layer.c_str(),
                upgrade.is_kept ? "as stored" : "8 bits",
                static_cast<double>(upgrade.extra_bytes) / kKib);
  }
}

void print_verification(const Verification& found) {
  const bool is_real = std::fabs(found.change.delta) > 2 * found.change.std_error;
  const char* verdict = !is_real ? "it made no difference that can be told from noise"
                        : found.change.delta < 0 ? "it helped"
                                                 : "it made things worse";
  std::printf(
      "\nverified on %llu other sequences, nats per token lost:\n"
      "  before  %s  %9.1f KiB\n  after   %s  %9.1f KiB\n  change  %s  %+9.1f KiB: %s\n",
      static_cast<unsigned long long>(found.sequences), with_error(found.before).c_str(),
      static_cast<double>(found.bytes_before) / kKib, with_error(found.after).c_str(),
      static_cast<double>(found.bytes_after) / kKib, with_error(found.change).c_str(),
      (static_cast<double>(found.bytes_after) - static_cast<double>(found.bytes_before)) / kKib,
      verdict);
}

int failed(const Failure& failure) {
  log(LogLevel::kError, failure.text);
  if (failure.code == ASSAY_CANCELLED) return kExitInterrupted;
  return failure.code == ASSAY_INVALID_ARGUMENT ? kExitUsage : kExitInfrastructure;
}

std::optional<std::size_t> model_named(const Graph& graph, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < graph.models.size(); ++i) {
    if (graph.models[i].name == name) return i;
    names.push_back(graph.models[i].name);
  }
  const std::string near = did_you_mean(name, names);
  log(LogLevel::kError, "there is no [model." + name + "]; " +
                            (near.empty() ? "the models are " + joined(names) : near));
  return std::nullopt;
}

Result<void> write_manifest(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (out) return {};
  return Failure{ASSAY_UNAVAILABLE, path.string() + ": cannot be written; choose another --out"};
}

}  // namespace

int sensitivity_command(const Arguments& arguments) {
  const SensitivityRequest& request = arguments.sensitivity;
  const auto budget = parse_size(request.bytes);
  if (request.proposes && !budget) {
    log(LogLevel::kError, request.bytes.empty()
                              ? "--propose needs --bytes, what the weights may take: --bytes 600KiB"
                              : "--bytes " + request.bytes + " is no size; write such as 600KiB");
    return kExitUsage;
  }
  const auto built = build(arguments);
  if (!built) return kExitUsage;
  const auto model = model_named(built->graph, arguments.variant);
  if (!model) return kExitUsage;
  SensitivitySettings settings;
  settings.samples = request.samples;
  settings.verify = request.verifies ? request.samples : 0;
  if (!request.text.empty()) settings.text = request.text;
  settings.progress = arguments.is_quiet ? ProgressStyle::kNone : progress_style();
  settings.cancelled = &catch_signals();
  auto bench = LayerBench::open(built->graph, *model, settings);
  if (!bench) return failed(bench.error());
  auto found = (*bench)->measure();
  if (!found) return failed(found.error());
  Json document = json_of(*found);
  if (!arguments.as_json) print_layers(*found);
  if (!request.proposes) {
    if (arguments.as_json) std::printf("%s\n", document.dump(2).c_str());
    return kExitPass;
  }
  auto proposal = propose(*found, bytes_at_8_bits(**bench), *budget);
  if (!proposal) return failed(proposal.error());
  if (!arguments.as_json) print_proposal(*proposal, *found, *budget);
  Json upgrades = Json::array();
  for (const Upgrade& upgrade : proposal->upgrades) {
    upgrades.push_back({{"layer", upgrade.layer},
                        {"bits", upgrade.is_kept ? Json(nullptr) : Json(8)},
                        {"extra_bytes", upgrade.extra_bytes}});
  }
  document["proposal"] = {{"weight_bytes", proposal->weight_bytes}, {"upgrades", upgrades}};
  if (!request.out.empty()) {
    const auto written = write_manifest(
        request.out, manifest_text(**bench, *proposal, arguments.manifest, request.out));
    if (!written) return failed(written.error());
    if (!arguments.as_json) std::printf("\nmanifest: %s\n", request.out.c_str());
  }
  if (request.verifies) {
    auto verified = verify(**bench, *proposal);
    if (!verified) return failed(verified.error());
    if (!arguments.as_json) print_verification(*verified);
    document["verification"] = {
        {"sequences", verified->sequences},       {"before", json_of(verified->before)},
        {"after", json_of(verified->after)},      {"change", json_of(verified->change)},
        {"bytes_before", verified->bytes_before}, {"bytes_after", verified->bytes_after}};
  }
  if (arguments.as_json) std::printf("%s\n", document.dump(2).c_str());
  return kExitPass;
}

}  // namespace assay::host
