#include <assay/sdk.hpp>
#include <fstream>
struct Markdown : assay::Reporter {
  static constexpr assay::Info info{"acme/markdown", "1.0.0", "A Markdown table of the totals"};
  static constexpr assay::Option options[] = {assay::path_out("file", "\"report.md\"", "Where to write.")};
  std::string path;
  explicit Markdown(assay::Context c) : path(c.text("file")) {}
  void write(const assay::Report& report) {
    std::ofstream out(path);
    out << "| variant | metric | value |\n|---|---|---|\n";
    report.each("totals", [&](assay::Sample s) {
      if (s.has("value")) out << "| " << s.text("variant") << " | " << s.text("metric") << " | " << s.number("value") << " |\n";
    });
    if (!out) throw assay::Error(ASSAY_UNAVAILABLE, "file", "cannot write " + path);
  }
};
ASSAY_PLUGIN("acme/reporters", "1.0.0", "Acme", "Apache-2.0", Markdown)
