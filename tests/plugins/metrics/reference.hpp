// Numbers of other programs that the metrics must agree with. Knows nothing of metrics.
#pragma once

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/plugins/test_files.hpp"

namespace plugin_test {

/// metrics/data/oracle.json; its "origin" says where the numbers are from.
inline const nlohmann::ordered_json& reference_numbers() {
  static const auto numbers = nlohmann::ordered_json::parse(
      read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/plugins/metrics/data/oracle.json"));
  return numbers;
}

/// The cases of one metric in metrics/data/text_metrics.json; its "origin" says where they are
/// from.
inline const nlohmann::ordered_json& text_metric_cases(const std::string& metric) {
  static const auto cases = nlohmann::ordered_json::parse(
      read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/plugins/metrics/data/text_metrics.json"));
  return cases.at(metric);
}

/// The objects of a gzipped JSONL file of the shared reference data.
inline std::vector<nlohmann::ordered_json> gzipped_lines(const std::string& name) {
  const std::string path = shared_file(name);
  if (path.empty()) throw std::runtime_error(name + " is not among the shared reference data");
  const std::string command = "gzip -dc '" + path + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  char block[1 << 16];
  while (const std::size_t n = std::fread(block, 1, sizeof block, pipe.get())) {
    text.append(block, n);
  }
  std::vector<nlohmann::ordered_json> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(nlohmann::ordered_json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

}  // namespace plugin_test
