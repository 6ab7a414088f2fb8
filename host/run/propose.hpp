// Where a budget of bytes is best spent: which layers get more bits, the manifest that says so, and
// whether it helped. What each layer costs is sensitivity.hpp's to measure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/core/result.hpp"
#include "host/run/sensitivity.hpp"

namespace assay::host {

/// One layer that gets more bits.
struct Upgrade {
  std::string layer;
  bool is_kept = false;  ///< as it is stored; else 8 bits
  std::uint64_t extra_bytes = 0;
  double damage = 0;  ///< nats per token that it cost alone
};

struct Proposal {
  std::vector<Upgrade> upgrades;
  std::uint64_t weight_bytes = 0;  ///< of the whole model with them, as counted from its layers
  bool uses_8_bits = false;        ///< the method has them; else layers are kept as stored
};

/// Bytes of each layer where all have 8 bits; none where the method has no bits to choose.
std::map<std::string, double> bytes_at_8_bits(LayerBench& bench);

/// Gives bytes to layers by damage for each byte until the budget is spent: 8 bits where they
/// are among `bytes_at_8_bits`, else the layer as it is stored. Layers that cost nothing alone get
/// none.
///
/// Fails    ASSAY_INVALID_ARGUMENT a budget below what the variant takes already
/// Source   greedy by ratio for a knapsack (Dantzig 1957); costs of layers are taken to add up
Result<Proposal> propose(const Sensitivity& sensitivity,
                         const std::map<std::string, double>& bytes_at_8_bits,
                         std::uint64_t budget_bytes);

/// The variant's options ("simulate....") with the upgrades as overrides.
Json with_upgrades(const LayerBench& bench, const Proposal& proposal);

/// A manifest that includes `manifest` and adds the variant again, mixed, as "<variant>-mixed".
std::string manifest_text(const LayerBench& bench, const Proposal& proposal,
                          const std::filesystem::path& manifest,
                          const std::filesystem::path& written_to);

/// What verification found, on text that ranked nothing.
struct Verification {
  std::uint64_t sequences = 0;
  DeltaNll before, after;  ///< against the model as it is stored
  DeltaNll change;         ///< of after against before, paired
  std::uint64_t bytes_before = 0, bytes_after = 0;
};

Result<Verification> verify(LayerBench& bench, const Proposal& proposal);

}  // namespace assay::host
