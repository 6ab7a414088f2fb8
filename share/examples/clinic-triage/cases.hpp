// The dataset: messages of patients with their category and level, from a table of tabs.
#pragma once

#include <assay/sdk.hpp>
#include <fstream>
#include <string>
#include <string_view>

struct Cases : assay::Dataset {
  static constexpr assay::Info info{"clinic/triage-cases", "1.0.0",
                                    "Messages of patients with their urgency",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::path_in("path", nullptr, "Lines of category, level and message, parted by tabs.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "category", "what it is about"},
                                              {ASSAY_TEXT, "message", "what the patient writes"},
                                              {ASSAY_TEXT, "level", "1 (now) to 5 (whenever)"}};

  explicit Cases(assay::Context context) : path(context.text("path")) {}
  void rewind(std::string_view split);
  bool next(assay::Row& row);

  std::string path;
  std::ifstream in;
  int line = 0;
};
