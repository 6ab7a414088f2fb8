#include "quantize/simulation.hpp"

#include "quantize/nf4.hpp"

namespace assay_torch {
namespace {

bool glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

std::uint64_t round_in_place(const Simulation& simulation, std::span<float> weights,
                             std::int64_t rows, std::int64_t columns) {
  if (simulation.method == Method::kNf4) {
    nf4_dequantize(nf4_quantize(weights), weights);
    return nf4_storage_bits(weights.size());
  }
  rtn_dequantize(rtn_quantize(weights, rows, columns, simulation.rtn), rows, columns,
                 simulation.rtn, weights);
  return rtn_storage_bits(rows, columns, simulation.rtn);
}

bool matches(std::string_view pattern, std::string_view module) {
  if (pattern.find_first_of("*?") != std::string_view::npos) return glob(pattern, module);
  return module.find(pattern) != std::string_view::npos;
}

std::optional<std::size_t> skipped_by(const Simulation& simulation, std::string_view module) {
  for (std::size_t i = 0; i < simulation.skip.size(); ++i) {
    if (matches(simulation.skip[i], module)) return i;
  }
  return std::nullopt;
}

}  // namespace assay_torch
