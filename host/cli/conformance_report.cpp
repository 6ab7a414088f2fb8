#include <algorithm>
#include <cstdio>
#include <map>

#include "host/cli/conformance.hpp"
#include "host/core/utf8.hpp"

namespace assay::host {
namespace {

struct Counts {
  std::size_t passed = 0, failed = 0, not_applicable = 0;
  std::size_t failed_must = 0, failed_should = 0;
};

Counts count(const ConformanceReport& report, std::string_view component = {}) {
  Counts counts;
  for (const ConformanceResult& result : report.results) {
    if (!component.empty() && result.component != component) continue;
    if (result.verdict == "passed") ++counts.passed;
    if (result.verdict == "not applicable") ++counts.not_applicable;
    if (result.verdict != "failed") continue;
    ++counts.failed;
    if (result.level == "must") ++counts.failed_must;
    if (result.level == "should") ++counts.failed_should;
  }
  return counts;
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

/// Components in the order in which they come.
std::vector<std::string> components_of(const ConformanceReport& report) {
  std::vector<std::string> names;
  for (const ConformanceResult& result : report.results) {
    if (std::find(names.begin(), names.end(), result.component) == names.end()) {
      names.push_back(result.component);
    }
  }
  return names;
}

std::string word_of(const std::string& verdict) {
  if (verdict == "passed") return "ok";
  return verdict == "failed" ? "FAILED" : "n/a";
}

/// A line for each test with both ways of isolation beside each other.
std::string table_of(const ConformanceReport& report, const std::string& component) {
  std::vector<const ConformanceResult*> first;
  std::map<std::pair<std::string, std::string>, const ConformanceResult*> by_isolation;
  std::size_t width = 4;
  for (const ConformanceResult& result : report.results) {
    if (result.component != component) continue;
    const bool is_new = first.empty() || first.back()->test != result.test;
    if (is_new) first.push_back(&result);
    by_isolation[{result.test, result.isolation}] = &result;
    width = std::max(width, result.test.size());
  }
  std::string text = "  " + padded("test", width) + "  level   none    worker\n";
  for (const ConformanceResult* result : first) {
    std::string line = "  " + padded(result->test, width) + "  " + padded(result->level, 6);
    for (const char* isolation : {"none", "worker"}) {
      const auto found = by_isolation.find({result->test, isolation});
      line += "  " + padded(found == by_isolation.end() ? "-" : word_of(found->second->verdict), 6);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

/// Why tests do not apply: each reason once, with the tests it keeps out.
std::string reasons_of(const ConformanceReport& report, const std::string& component) {
  std::map<std::string, std::vector<std::string>> tests;
  for (const ConformanceResult& result : report.results) {
    if (result.component != component || result.verdict != "not applicable") continue;
    auto& names = tests[result.findings.empty() ? "" : result.findings[0]];
    if (names.empty() || names.back() != result.test) names.push_back(result.test);
  }
  std::string text;
  for (const auto& [reason, names] : tests) {
    text += "\n  n/a, " + reason + ":\n   ";
    std::size_t column = 3;
    for (const std::string& name : names) {
      if (column + name.size() > 96) {
        text += "\n   ";
        column = 3;
      }
      text += " " + name;
      column += name.size() + 1;
    }
    text += "\n";
  }
  return text;
}

std::string finding_of(const ConformanceResult& result) {
  std::string text = "\n  " + result.test + " (" + result.level + ", isolation " +
                     result.isolation + ")\n    rule: " + result.rule;
  if (result.ruling > 0) text += " (ruling " + std::to_string(result.ruling) + ")";
  text += "\n";
  for (const std::string& finding : result.findings) text += "    " + finding + "\n";
  for (const std::string& line : result.last_lines) text += "    | " + line + "\n";
  return text + "    again: " + result.reproduce + "\n";
}

/// Text between tags and in attributes; what XML 1.0 has no character for is replaced.
///
/// Source   XML 1.0, 2.2 and 2.4
std::string xml(std::string_view text) {
  std::string result;
  for (const char c : mended_utf8(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\n':
        result += "&#10;";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        result += byte < 0x20 && c != '\t' ? '?' : c;
      }
    }
  }
  return result;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds);
  return text;
}

}  // namespace

std::string conformance_text(const ConformanceReport& report) {
  std::string text = report.plugin + " " + report.version + "  " + report.file + "\n";
  for (const std::string& component : components_of(report)) {
    text += "\n" + component + "\n" + table_of(report, component) + reasons_of(report, component);
    for (const ConformanceResult& result : report.results) {
      if (result.component == component && result.verdict == "failed") text += finding_of(result);
    }
  }
  const Counts counts = count(report);
  text += "\n" + std::to_string(counts.passed) + " passed, " + std::to_string(counts.failed) +
          " failed (" + std::to_string(counts.failed_must) + " must, " +
          std::to_string(counts.failed_should) + " should), " +
          std::to_string(counts.not_applicable) + " not applicable; seed " +
          std::to_string(report.seed) + "\n";
  return text;
}

Json conformance_json(const ConformanceReport& report) {
  const Counts counts = count(report);
  Json results = Json::array();
  for (const ConformanceResult& result : report.results) {
    Json each{{"component", result.component}, {"test", result.test},
              {"level", result.level},         {"rule", result.rule},
              {"isolation", result.isolation}, {"verdict", result.verdict},
              {"seconds", result.seconds},     {"findings", result.findings}};
    each["ruling"] = result.ruling > 0 ? Json(result.ruling) : Json(nullptr);
    if (result.verdict == "failed") {
      each["last_lines"] = result.last_lines;
      each["reproduce"] = result.reproduce;
    }
    results.push_back(std::move(each));
  }
  return {{"schema", "assay.check/1"},
          {"file", report.file},
          {"plugin", report.plugin},
          {"version", report.version},
          {"seed", report.seed},
          {"passed", counts.passed},
          {"failed_must", counts.failed_must},
          {"failed_should", counts.failed_should},
          {"not_applicable", counts.not_applicable},
          {"results", std::move(results)}};
}

std::string conformance_junit(const ConformanceReport& report) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const std::string& component : components_of(report)) {
    const Counts counts = count(report, component);
    text += "  <testsuite name=\"" + xml(component) + "\" tests=\"" +
            std::to_string(counts.passed + counts.failed + counts.not_applicable) +
            "\" failures=\"" + std::to_string(counts.failed) + "\" skipped=\"" +
            std::to_string(counts.not_applicable) + "\">\n";
    for (const ConformanceResult& result : report.results) {
      if (result.component != component) continue;
      text += "    <testcase classname=\"" + xml(component + "." + result.isolation) +
              "\" name=\"" + xml(result.test) + "\" time=\"" + seconds_text(result.seconds) + "\"";
      if (result.verdict == "passed") {
        text += "/>\n";
        continue;
      }
      std::string findings;
      for (const std::string& finding : result.findings) {
        findings += (findings.empty() ? "" : "\n") + finding;
      }
      if (result.verdict == "failed") {
        std::string more = "rule: " + result.rule + "\n" + findings + "\n";
        for (const std::string& line : result.last_lines) more += line + "\n";
        text += ">\n      <failure type=\"" + xml(result.level) + "\" message=\"" +
                xml(result.findings.empty() ? result.rule : result.findings[0]) + "\">" +
                xml(more + "again: " + result.reproduce) + "</failure>\n    </testcase>\n";
      } else {
        text += ">\n      <skipped message=\"" + xml(findings) + "\"/>\n    </testcase>\n";
      }
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace assay::host
