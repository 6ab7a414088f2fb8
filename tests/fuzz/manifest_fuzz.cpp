// A manifest of any bytes: read, checked against a few components, and every mistake shown.
#include "host/graph/graph.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/host/graph/acme.hpp"

namespace {

using namespace assay::host;

/// What a manifest may name lies beside it.
struct Workplace {
  assay_fuzz::Folder folder;
  Registry registry;

  Workplace() {
    folder.write("calib.txt", "calibrate");
    folder.write("lines.txt", "question answer");
    folder.write("part.toml", "name = \"included\"\n");
    std::filesystem::create_directory(folder.path() + "/tiny");
    registry.add(acme(), "acme.so");
    registry.add(acme_too(), "acme_too.so");
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Workplace workplace;
  const auto path = workplace.folder.write("manifest.toml", assay_fuzz::text_of(data, size));
  const auto parsed = read_manifest(path);
  if (!parsed) assay_fuzz::found(parsed.error().text);
  const BuiltGraph built = build_graph(*parsed, workplace.registry);
  if (built.errors.size() < parsed->errors.size()) assay_fuzz::found("the builder lost a mistake");
  for (const Diagnostic& error : built.errors) {
    if (error.text.empty() || render(parsed->manifest.sources, error).empty()) {
      assay_fuzz::found("a mistake without words");
    }
  }
  if (built.errors.empty()) {
    if (graph_text(built.graph).empty() || graph_dot(built.graph).empty())
      assay_fuzz::found("a graph that shows nothing");
    if (built.graph.effective.dump().empty()) assay_fuzz::found("no effective manifest");
  }
  return 0;
}
