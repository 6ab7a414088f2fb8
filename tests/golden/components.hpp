// One component of each kind, small enough to be kept as binaries, under the vendor GOLDEN_VENDOR.
// What plugins_test.cpp expects of them; how they are built is in make_plugins.
#pragma once

#include <algorithm>
#include <assay/sdk.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// Is the output the target? Throws at a column that is not there, so that an error crosses too.
struct Match : assay::Metric {
  static constexpr assay::Info info{GOLDEN_VENDOR "/match", "1.0.0", "1 when output equals target",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::flag("first_letter", "false", "Compare first letters only.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what the model wrote"},
                                              {ASSAY_TEXT, "target", "the reference"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("match", "share of items that match").within(0, 1).primary()};

  explicit Match(assay::Context context) : first_letter(context.flag("first_letter")) {}

  double score(const assay::Sample& item) const {
    std::string_view output = item.text("output");
    std::string_view target = item.text("target");
    if (first_letter) {
      output = output.substr(0, 1);
      target = target.substr(0, 1);
    }
    return output == target;
  }

  bool first_letter;
};

/// Counts to `last` in rows of text and number.
struct Count : assay::Dataset {
  static constexpr assay::Info info{GOLDEN_VENDOR "/count", "1.0.0", "The numbers from 1 on",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("last", "5", "The last number.").in(0, 1000)};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "question", "such as after 1:"},
                                              {ASSAY_TEXT, "target", "the next number"},
                                              {ASSAY_INT, "number", "the number"}};

  explicit Count(assay::Context context) : last(context.integer("last")) {}

  void rewind(std::string_view split) {
    if (!split.empty()) {
      throw assay::Error(ASSAY_NOT_FOUND, "split",
                         "there is no split \"" + std::string(split) + "\"; leave split out");
    }
    number = 0;
  }
  bool next(assay::Row& row) {
    if (number == last) return false;
    ++number;
    row << "after " + std::to_string(number) + ":" << std::to_string(number + 1) << number;
    return true;
  }

  std::int64_t last;
  std::int64_t number = 0;
};

/// Finds every token equally likely and answers with token 0.
struct Even : assay::Backend {
  static constexpr assay::Info info{
      GOLDEN_VENDOR "/even", "1.0.0", "Every token equally likely",
      ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE | ASSAY_CAP_STREAMS | ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::integer("vocab", "512", "Tokens it knows.").in(2, 1 << 20)};

  explicit Even(assay::Context given)
      : context(given), vocab(static_cast<std::uint32_t>(given.integer("vocab"))) {}

  void load(const assay_job&, assay_model_info& model) {
    model.vocab = vocab;
    model.max_context = 2048;
    context.log(ASSAY_DEBUG, "loaded");
  }
  void score(const assay::Request& request, assay::Results results) {
    context.checkpoint();
    const auto n = static_cast<std::size_t>(request.n_tokens - request.first);
    const std::vector<float> logprobs(n, logprob());
    std::vector<std::uint8_t> greedy;
    for (const std::int32_t token : assay::tokens_of(request).subspan(request.first)) {
      greedy.push_back(token == 0 ? 1 : 0);
    }
    results.scores(request.first, logprobs, greedy);
  }
  void generate(const assay::Request& request, assay::Results results) {
    const std::int32_t token = 0;
    const float of_token = logprob();
    std::uint32_t n = 0;
    while (n < request.sampling->max_new && results.tokens({&token, 1}, {&of_token, 1})) ++n;
    results.usage().finish = n < request.sampling->max_new ? 3 : 2;
    results.usage().prompt_tokens = request.n_tokens;
    results.usage().new_tokens = n;
  }
  float logprob() const { return -std::log(static_cast<float>(vocab)); }

  assay::Context context;
  std::uint32_t vocab;
};

/// The run document as a file.
struct Document : assay::Reporter {
  static constexpr assay::Info info{GOLDEN_VENDOR "/document", "1.0.0", "The run document as JSON"};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"document.json\"", "Where to write.")};

  explicit Document(assay::Context context) : file(context.text("file")) {}

  void write(const assay::Report& report) {
    const std::string_view text = report.run_json();
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), "w"), std::fclose);
    if (!out || std::fwrite(text.data(), 1, text.size(), out.get()) != text.size()) {
      throw assay::Error(ASSAY_UNAVAILABLE, "file", "cannot write " + file);
    }
  }

  std::string file;
};

}  // namespace
