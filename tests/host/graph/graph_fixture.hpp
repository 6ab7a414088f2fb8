// A graph built in a workspace from the acme components. Nothing of what a graph means.
#pragma once

#include <string>
#include <string_view>

#include "host/graph/graph.hpp"
#include "tests/host/graph/acme.hpp"
#include "tests/host/manifest/workspace.hpp"

namespace assay::host {

class GraphTest : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    std::filesystem::create_directory("tiny");
    write("calib.txt", "calibrate");
    write("lines.txt", "question answer");
    registry_.add(acme(), "acme.so");
  }

  BuiltGraph build(std::string_view text) const { return build_graph(read(text), registry_); }

  /// Everything wrong with a manifest, as it is shown.
  std::string mistakes(std::string_view text) const {
    const ParsedManifest parsed = read(text);
    return shown(parsed.manifest.sources, build_graph(parsed, registry_).errors);
  }

  /// Of a manifest that is right but for what `more` adds to it.
  std::string mistakes_with(const std::string& more) const {
    return mistakes(std::string(kRight) + more);
  }

  static constexpr std::string_view kRight = R"(assay = 1
[model.base]
backend = "acme/rounds"
path = "tiny"
[model.rtn4]
backend = "acme/rounds"
path = "tiny"
simulate = { method = "rtn" }
[dataset.faq]
use = "acme/pairs"
[task.faq]
protocol = "multiple_choice"
dataset = "faq"
prompt = "{{ question }}"
choices = "options"
target = "answer"
group_by = ["category"]
[compare]
baseline = "base"
)";

  Registry registry_;
};

}  // namespace assay::host
