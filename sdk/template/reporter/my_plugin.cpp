// The run document as a file, as it is. Write your own write(). In a manifest:
//   [[report]]
//   use  = "my-vendor/my-plugin"
//   file = "report.json"
#include <assay/sdk.hpp>
#include <fstream>
#include <string>

namespace {

struct MyPlugin : assay::Reporter {
  static constexpr assay::Info info{"my-vendor/my-plugin", "1.0.0", "The run document as JSON"};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"report.json\"", "Where to write.")};

  explicit MyPlugin(assay::Context context) : file(context.text("file")) {}

  void write(const assay::Report& report) {
    std::ofstream out(file);
    out << report.run_json() << '\n';
    out.close();
    if (!out) throw assay::Error(ASSAY_UNAVAILABLE, "file", "cannot write " + file);
  }

  std::string file;
};

}  // namespace

ASSAY_PLUGIN("my-vendor/my-plugin", "1.0.0", "my-vendor", "Proprietary", MyPlugin)
