#include "host/run/propose.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "host/graph/options.hpp"

namespace assay::host {
namespace {

constexpr std::string_view kSimulate = "simulate.", kQuantize = "quantize.";
constexpr int kMoreBits = 8;

Json eight_bits(const Json& options) {
  Json out = options;
  out["simulate.bits"] = kMoreBits;
  out.erase("simulate.overrides");
  return out;
}

std::uint64_t rounded(double bytes) { return static_cast<std::uint64_t>(std::llround(bytes)); }

// ---- TOML ----

/// JSON strings, numbers, booleans and lists are TOML values as they are written.
std::string toml_of(const Json& value) {
  if (value.is_array()) {
    std::string out;
    for (const Json& element : value) out += (out.empty() ? "" : ", ") + toml_of(element);
    return "[" + out + "]";
  }
  if (value.is_object()) {
    std::string out;
    for (const auto& [key, each] : value.items())
      out += (out.empty() ? "" : ", ") + key + " = " + toml_of(each);
    return "{ " + out + " }";
  }
  return value.dump();
}

bool is_default(const Component& component, const std::string& key, const Json& value) {
  const assay_option* option = find_declared(component, key);
  return option != nullptr && option->fallback != nullptr && toml_of(value) == option->fallback;
}

}  // namespace

std::map<std::string, double> bytes_at_8_bits(LayerBench& bench) {
  auto scored = bench.score(eight_bits(bench.options()), LayerBench::Text::kMeasure);
  if (!scored) return {};  // its options refuse them, which is the answer
  std::map<std::string, double> bytes;
  for (const auto& [layer, values] : scored->layers) {
    const auto found = values.find("bytes");
    if (found != values.end()) bytes[layer] = found->second;
  }
  return bytes;
}

Result<Proposal> propose(const Sensitivity& sensitivity,
                         const std::map<std::string, double>& bytes_at_8_bits,
                         std::uint64_t budget_bytes) {
  if (budget_bytes < sensitivity.weight_bytes) {
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "--bytes " + std::to_string(budget_bytes) + " is less than the " +
                       std::to_string(sensitivity.weight_bytes) + " bytes that model." +
                       sensitivity.variant + " takes already; give more, or fewer bits to all"};
  }
  Proposal out;
  out.uses_8_bits = !bytes_at_8_bits.empty();
  out.weight_bytes = sensitivity.weight_bytes;
  std::vector<Upgrade> candidates;
  for (const LayerDamage& layer : sensitivity.layers) {
    if (!(layer.nll.delta > 0) || std::isnan(layer.bytes) || !(layer.bits > 0)) continue;
    const double kept = layer.bytes / layer.bits * sensitivity.stored_bits;
    const auto found = bytes_at_8_bits.find(layer.layer);
    const bool has_8_bits = found != bytes_at_8_bits.end();
    const double bytes = has_8_bits ? found->second : kept;
    if (bytes <= layer.bytes) continue;
    candidates.push_back({layer.layer, !has_8_bits, rounded(bytes - layer.bytes), layer.nll.delta});
  }
  std::ranges::stable_sort(candidates, std::greater<>{}, [](const Upgrade& upgrade) {
    return upgrade.damage / static_cast<double>(upgrade.extra_bytes);
  });
  for (const Upgrade& upgrade : candidates) {
    if (out.weight_bytes + upgrade.extra_bytes > budget_bytes) continue;
    out.weight_bytes += upgrade.extra_bytes;
    out.upgrades.push_back(upgrade);
  }
  return out;
}

Json with_upgrades(const LayerBench& bench, const Proposal& proposal) {
  Json options = bench.options();
  Json more = Json::array(), kept = Json::array();
  for (const Upgrade& upgrade : proposal.upgrades)
    (upgrade.is_kept ? kept : more).push_back(upgrade.layer);
  // Of overrides that name a module the first counts, so these stand before the variant's own.
  Json overrides = Json::array();
  if (!more.empty()) overrides.push_back({{"modules", more}, {"bits", kMoreBits}});
  if (!kept.empty()) overrides.push_back({{"modules", kept}, {"keep", true}});
  for (const Json& own : options.value("simulate.overrides", Json::array()))
    overrides.push_back(own);
  if (!overrides.empty()) options["simulate.overrides"] = overrides;
  return options;
}

std::string manifest_text(const LayerBench& bench, const Proposal& proposal,
                          const std::filesystem::path& manifest,
                          const std::filesystem::path& written_to) {
  const ModelSpec& model = bench.model();
  const Component& backend = *model.backend.component;
  const auto from = std::filesystem::absolute(written_to).parent_path();
  const auto relative = [&from](const std::filesystem::path& path) {
    return std::filesystem::absolute(path).lexically_relative(from).generic_string();
  };
  const std::string name = model.name + "-mixed";
  std::string text = "# " + model.name + " with more bits for the layers that cost it most, as " +
                     "assay sensitivity measured them.\n\nassay   = 1\nname    = " + toml_of(name) +
                     "\ninclude = " + toml_of(Json::array({relative(manifest)})) + "\n\n[model." +
                     name + "]\nbackend = " + toml_of(std::string(backend.id())) +
                     "\npath = " + toml_of(relative(model.path)) + "\n";
  if (model.device.type != 1) text += "device = \"cuda:" + std::to_string(model.device.id) + "\"\n";
  if (model.isolation == Isolated::kNone) text += "isolation = \"none\"\n";
  const bool is_quantized = model.is_quantized;
  std::string recipe;
  const auto add = [&recipe](const std::string& key, const std::string& value) {
    recipe += (recipe.empty() ? "" : ", ") + key + " = " + value;
  };
  const Json options = without_secrets(backend, with_upgrades(bench, proposal));
  for (const auto& [key, value] : options.items()) {
    if (key.starts_with(kQuantize)) continue;
    if (key.starts_with(kSimulate)) {
      add(key.substr(kSimulate.size()), toml_of(value));
    } else if (!is_default(backend, key, value)) {
      text += key + " = " + toml_of(value) + "\n";
    }
  }
  if (!bench.calibration().empty()) add("calibration", toml_of(bench.calibration()));
  return text + (is_quantized ? "quantize" : "simulate") + " = { " + recipe + " }\n";
}

Result<Verification> verify(LayerBench& bench, const Proposal& proposal) {
  constexpr auto kText = LayerBench::Text::kVerify;
  auto stored = bench.score(std::nullopt, kText);
  if (!stored) return std::move(stored).error();
  auto before = bench.score(bench.options(), kText);
  if (!before) return std::move(before).error();
  auto after = bench.score(with_upgrades(bench, proposal), kText);
  if (!after) return std::move(after).error();
  const std::uint64_t predicted = bench.length() - 1;
  return Verification{stored->nll.size(),
                      delta_nll(before->nll, stored->nll, predicted),
                      delta_nll(after->nll, stored->nll, predicted),
                      delta_nll(after->nll, before->nll, predicted),
                      before->info.weight_bytes,
                      after->info.weight_bytes};
}

}  // namespace assay::host
