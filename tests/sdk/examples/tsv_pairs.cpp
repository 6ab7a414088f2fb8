#include <assay/sdk.hpp>
#include <fstream>
struct TsvPairs : assay::Dataset {
  static constexpr assay::Info info{"acme/tsv-pairs", "1.0.0", "One question and one answer per line", ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {assay::path_in("file", nullptr, "Tab-separated text file.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "question", "the prompt"}, {ASSAY_TEXT, "target", "the reference"}};
  std::string path; std::ifstream in;
  explicit TsvPairs(assay::Context c) : path(c.text("file")) {}
  void rewind(std::string_view split) {
    if (!split.empty()) throw assay::Error(ASSAY_NOT_FOUND, "split", "there is one split, without a name");
    in = std::ifstream(path); if (!in) throw assay::Error(ASSAY_NOT_FOUND, "file", "cannot open " + path);
  }
  bool next(assay::Row& row) {
    std::string q, a;
    if (!std::getline(in, q, '\t') || !std::getline(in, a)) return false;
    row << q << a;
    return true;
  }
};
ASSAY_PLUGIN("acme/data", "1.0.0", "Acme", "Apache-2.0", TsvPairs)
