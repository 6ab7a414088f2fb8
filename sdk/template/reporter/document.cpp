// The run document as a file, as it is. Copy this folder, rename it, and write your own write().
#include <assay/sdk.hpp>
#include <fstream>
#include <string>

namespace {

struct Document : assay::Reporter {
  static constexpr assay::Info info{"acme/document", "1.0.0", "The run document as JSON"};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"report.json\"", "Where to write.")};

  explicit Document(assay::Context context) : file(context.text("file")) {}

  void write(const assay::Report& report) {
    std::ofstream out(file);
    out << report.run_json() << '\n';
    out.close();
    if (!out) throw assay::Error(ASSAY_UNAVAILABLE, "file", "cannot write " + file);
  }

  std::string file;
};

}  // namespace

ASSAY_PLUGIN("acme/document", "1.0.0", "Acme", "Apache-2.0", Document)
