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

QuantizedMatrix quantized(const Simulation& simulation, std::span<const float> weights,
                          std::int64_t rows, std::int64_t columns) {
  QuantizedMatrix out;
  out.rows = rows;
  out.columns = columns;
  if (simulation.method == Method::kNf4) {
    const Nf4Codes coded = nf4_quantize(weights);
    out.form = Form::kTable;
    out.table = kNf4;
    out.group_size = kNf4Block;
    out.scales = coded.absmax;
    out.codes.resize((weights.size() + 1) / 2);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const unsigned half = unsigned{coded.codes[i]} << (i % 2 == 0 ? 4 : 0);
      out.codes[i / 2] = static_cast<std::uint8_t>(out.codes[i / 2] | half);
    }
    out.stored_bits = nf4_storage_bits(weights.size());
    return out;
  }
  const RtnCodes coded = rtn_quantize(weights, rows, columns, simulation.rtn);
  out.bits = simulation.rtn.bits;
  out.group_size = simulation.rtn.group_size <= 0 ? columns : simulation.rtn.group_size;
  out.scales = coded.scales;
  out.zeros = coded.zeros;
  out.codes.resize(static_cast<std::size_t>(rows * words_per_row(columns, out.bits) * 4));
  const std::span<const std::uint16_t> codes(coded.codes);
  const auto width = static_cast<std::size_t>(columns);
  for (std::int64_t row = 0; row < rows; ++row)
    write_codes(out, row, codes.subspan(static_cast<std::size_t>(row) * width, width));
  out.stored_bits = rtn_storage_bits(rows, columns, simulation.rtn);
  return out;
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
