// A run document made by hand and the pages it must become. Knows no reporter.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/plugins/test_files.hpp"

namespace plugin_test {

inline std::string golden_text(const std::string& name) {
  return read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/plugins/reporters/golden/" + name);
}

inline nlohmann::ordered_json golden_run() {
  return nlohmann::ordered_json::parse(golden_text("run.json"));
}

/// A run that was interrupted before anything was measured.
inline nlohmann::ordered_json empty_run() {
  return {{"schema", "assay.run/1"},
          {"name", "nothing"},
          {"status", "partial"},
          {"verdict", "NONE"},
          {"exit_code", 130},
          {"started", "2026-01-02T03:04:05Z"},
          {"seconds", 0.5},
          {"versions", {{"assay", "0.1.0"}, {"abi", "1.0"}}},
          {"variants", nlohmann::ordered_json::array()},
          {"tasks", nlohmann::ordered_json::array()},
          {"records", nlohmann::ordered_json::array()}};
}

}  // namespace plugin_test
