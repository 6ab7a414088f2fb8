#include "tests/host/graph/acme.hpp"

#include <assay/sdk.hpp>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Scores : assay::Backend {
  explicit Scores(assay::Context) {}
  void load(const assay_job&, assay_model_info&) {}
  void score(const assay::Request&, assay::Results) {}
};

struct Int4 : Scores {
  static constexpr assay::Info info{"acme/int4", "2.1.0", "4-bit weights with an 8-bit cache",
                                    ASSAY_CAP_SCORE};
  static constexpr const char* kBits[] = {"4", "8", nullptr};
  static constexpr assay::Option options[] = {
      assay::integer("group", "128", "Weights that share one scale.").in(8, 1024),
      assay::choice("kv.bits", "8", kBits, "Bits of a cached key or value."),
      assay::path_in("calib", nullptr, "Calibration text.")};
  using Scores::Scores;
};

struct Rounds : Scores {
  static constexpr assay::Info info{"acme/rounds", "1.0.0", "Rounds weights on load",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE};
  static constexpr const char* kTypes[] = {"float32", "bfloat16", nullptr};
  static constexpr const char* kMethods[] = {"rtn", "nf4", nullptr};
  static constexpr assay::Option options[] = {
      assay::choice("dtype", "\"float32\"", kTypes, "What is computed in."),
      assay::choice("simulate.method", nullptr, kMethods, "How weights are rounded."),
      assay::integer("simulate.bits", "4", "Bits of a weight.").in(2, 8),
      assay::texts("simulate.skip", "[]", "Layers left as they are."),
      assay::text("override[].layer", nullptr, "Which layer."),
      assay::integer("override[].bits", "8", "Its bits.").in(2, 8),
      assay::flag("fused", "true", "Fuse what can be."),
      assay::number("ratio", nullptr, "A share.").optional().in(0, 1),
      assay::number("scale", nullptr, "A factor.").optional().in(0.5, kInfinity),
      assay::size("cache", "\"1MiB\"", "Bytes of cache."),
      assay::duration("patience", nullptr, "Time to wait.").optional(),
      assay::ints("batches", "[1, 2]", "Sizes to try.").in(1, 64),
      assay::floats("weights", nullptr, "Shares.").optional(),
      assay::text("key", nullptr, "The licence key.").optional().secret(),
      assay::model("draft", nullptr, "A smaller model.").optional(),
      assay::integer("old", nullptr, "No longer used.").optional().deprecated()};
  using Scores::Scores;
  void generate(const assay::Request&, assay::Results) {}
};

/// Checks what types and ranges cannot say.
struct Checks : Scores {
  static constexpr assay::Info info{"acme/checks", "1.0.0", "Checks its options", ASSAY_CAP_SCORE};
  static constexpr assay::Option options[] = {assay::integer("kv.low", "0", "Lowest bits."),
                                              assay::integer("kv.high", "8", "Highest bits."),
                                              assay::integer("part[].size", "1", "Of a part."),
                                              assay::flag("slow", "false", "Take more time."),
                                              assay::flag("away", "false", "Nobody can check.")};
  using Scores::Scores;

  static void check(assay::Context context, assay::Diagnostics& found) {
    if (context.flag("away")) throw assay::Error(ASSAY_UNAVAILABLE, "the licence server is away");
    if (context.integer("kv.low") > context.integer("kv.high")) {
      found.error("kv.low", "kv.low lies above kv.high");
      found.error("kv.high", "kv.high lies below kv.low");
    }
    const std::uint64_t parts = context.has("part") ? context.count("part") : 0;
    for (std::uint64_t i = 0; i < parts; ++i) {
      const std::string key = "part." + std::to_string(i) + ".size";
      if (context.integer(key) % 2 == 0) found.error(key, key + " is even");
    }
    if (context.flag("slow")) {
      found.warn("slow", "slow takes ten times as long");
      found.warn("", "nobody waits that long");
    }
  }
};

/// Writes quantized models and simulates what it would write.
struct Presses : Scores {
  static constexpr assay::Info info{"acme/presses", "1.0.0", "Presses weights",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_QUANTIZE};
  static constexpr const char* kMethods[] = {"rtn", "gptq", nullptr};
  static constexpr assay::Option options[] = {
      assay::choice("quantize.method", nullptr, kMethods, "How weights are rounded."),
      assay::integer("quantize.bits", "4", "Bits of a weight.").in(2, 8),
      assay::text("quantize.overrides[].modules", nullptr, "Which layers."),
      assay::integer("quantize.overrides[].bits", "8", "Their bits.").in(2, 8),
      assay::choice("simulate.method", nullptr, kMethods, "How weights are rounded.")};
  using Scores::Scores;
  void quantize(const assay_job&) {}
};

/// Quantizes in the one way it knows.
struct Squeezes : Scores {
  static constexpr assay::Info info{"acme/squeezes", "1.0.0", "Squeezes weights",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_QUANTIZE};
  using Scores::Scores;
  void quantize(const assay_job&) {}
};

struct Writer : assay::Backend {
  static constexpr assay::Info info{"acme/writer", "1.0.0", "Generates, does not score",
                                    ASSAY_CAP_GENERATE};
  explicit Writer(assay::Context) {}
  void load(const assay_job&, assay_model_info&) {}
  void generate(const assay::Request&, assay::Results) {}
};

struct Pairs : assay::Dataset {
  static constexpr assay::Info info{"acme/pairs", "1.0.0", "Questions with answers", 0};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "question", "what is asked"},
                                              {ASSAY_TEXT, "answer", "what is right"},
                                              {ASSAY_TEXT, "category", "what it is about"},
                                              {ASSAY_TEXTS, "options", "what to choose from"}};
  explicit Pairs(assay::Context) {}
  void rewind(std::string_view) {}
  bool next(assay::Row&) { return false; }
};

/// Has the splits train and test.
struct Halves : Pairs {
  static constexpr assay::Info info{"acme/halves", "1.0.0", "Pairs in two halves", 0};
  static constexpr assay::Option options[] = {assay::flag("broken", "false", "Cannot be made.")};
  explicit Halves(assay::Context context) : Pairs(context) {
    if (context.flag("broken")) {
      throw assay::Error(ASSAY_UNAVAILABLE, "broken", "the halves are lost");
    }
  }
  void splits(assay::Splits found) {
    found("train", 2);
    found("test", 1);
  }
};

/// Its columns are the words of the file's first line.
struct Lines : assay::Dataset {
  static constexpr assay::Info info{"acme/lines", "1.0.0", "Columns as the file says", 0};
  static constexpr assay::Option options[] = {assay::path_in("path", nullptr, "The file.")};
  std::string path;
  explicit Lines(assay::Context context) : path(context.text("path")) {}

  void rewind(std::string_view split) {
    if (!split.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "split",
                         "there is no split \"" + std::string(split) + "\"");
    }
  }
  std::vector<assay::Field> schema() const {
    std::ifstream file(path);
    std::vector<assay::Field> fields;
    for (std::string word; file >> word;) fields.push_back({word, assay::Type::kText, {}, false});
    if (fields.empty()) {
      throw assay::Error(ASSAY_INVALID_ARGUMENT, "path", path + " names no columns");
    }
    return fields;
  }
  bool next(assay::Row&) { return false; }
};

struct Ppl : assay::Metric {
  static constexpr assay::Info info{"acme/ppl", "1.0.0", "Perplexity", 0};
  static constexpr assay::Column columns[] = {{ASSAY_FLOATS, "token_nll", "nats"}};
  static constexpr assay::Output outputs[] = {
      assay::total("bits", "bits a token").less_is_better().within(0, kInfinity),
      assay::total("ppl", "perplexity").less_is_better().within(1, kInfinity).primary()};
  explicit Ppl(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
  void finish(assay::Totals) {}
};

struct Accuracy : assay::Metric {
  static constexpr assay::Info info{"acme/accuracy", "1.0.0", "Share of right choices", 0};
  static constexpr assay::Column columns[] = {{ASSAY_FLOATS, "choice_loglikelihoods", "nats"},
                                              {ASSAY_INT, "target", "the right one"}};
  static constexpr assay::Output outputs[] = {assay::mean("acc", "right").within(0, 1).primary()};
  explicit Accuracy(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct AccuracyToo : Accuracy {
  static constexpr assay::Info info{"acme/accuracy-too", "1.0.0", "The same again", 0};
  using Accuracy::Accuracy;
};

struct ExactMatch : assay::Metric {
  static constexpr assay::Info info{"acme/exact-match", "1.0.0", "Output equals answer", 0};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what was generated"}};
  static constexpr assay::Output outputs[] = {assay::mean("exact", "equal").within(0, 1)};
  explicit ExactMatch(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct Scaled : assay::Metric {
  static constexpr assay::Info info{"acme/scaled", "1.0.0", "Needs a factor", 0};
  static constexpr assay::Option options[] = {assay::number("factor", nullptr, "The factor.")};
  static constexpr assay::Column columns[] = {
      {ASSAY_FLOAT, "n_tokens", "how many"},
      assay::Column{ASSAY_TEXT, "category", "what it is about"}.optional()};
  static constexpr assay::Output outputs[] = {assay::mean("scaled", "tokens by factor")};
  explicit Scaled(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct Contains : assay::Metric {
  static constexpr assay::Info info{"acme/contains", "1.0.0", "Output holds an answer", 0};
  static constexpr assay::Option options[] = {assay::flag("ignore_case", "false", "As it says.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what was generated"},
                                              {ASSAY_TEXTS, "targets", "the answers"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("word", "as a word").within(0, 1),
      assay::mean("contains", "held").within(0, 1).primary()};
  explicit Contains(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct Overlap : Contains {
  static constexpr assay::Info info{"acme/overlap", "1.0.0", "Words in common", 0};
  static constexpr assay::Output outputs[] = {assay::mean("f1", "share").within(0, 1).primary()};
  using Contains::Contains;
};

struct Pattern : assay::Metric {
  static constexpr assay::Info info{"acme/finds", "1.0.0", "Output matches", 0};
  static constexpr assay::Option options[] = {assay::text("pattern", nullptr, "What to find.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "what was generated"}};
  static constexpr assay::Output outputs[] = {assay::mean("matches", "found").primary()};
  explicit Pattern(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct Likelihood : assay::Metric {
  static constexpr assay::Info info{"acme/likelihood", "1.0.0", "Of the target", 0};
  static constexpr assay::Column columns[] = {{ASSAY_FLOAT, "loglikelihood", "nats"},
                                              {ASSAY_BOOL, "greedy", "is it the likeliest"}};
  static constexpr assay::Output outputs[] = {assay::mean("ll", "nats").primary()};
  explicit Likelihood(assay::Context) {}
  void score(const assay::Sample&, assay::Values) const {}
};

struct Console : assay::Reporter {
  static constexpr assay::Info info{"acme/console", "1.0.0", "A table", 0};
  explicit Console(assay::Context) {}
  void write(const assay::Report&) {}
};

struct Page : assay::Reporter {
  static constexpr assay::Info info{"acme/page", "1.0.0", "A page", 0};
  static constexpr assay::Option options[] = {
      assay::path_out("file", "\"page.md\"", "Where to write.")};
  explicit Page(assay::Context) {}
  void write(const assay::Report&) {}
};

template <class... T>
constexpr assay_plugin plugin_of(const char* id) {
  return {sizeof(assay_plugin),
          ASSAY_ABI_MAJOR,
          ASSAY_ABI_MINOR,
          id,
          "1.0.0",
          "Acme",
          "Proprietary",
          "",
          assay::detail::kComponents<T...>.data(),
          sizeof...(T)};
}

}  // namespace

namespace assay::host {

const assay_plugin& acme() {
  static constexpr assay_plugin plugin =
      plugin_of<Int4, Rounds, Writer, Pairs, Lines, Ppl, Accuracy, ExactMatch, Scaled, Contains,
                Pattern, Likelihood, Console, Page>("acme/all");
  return plugin;
}

const assay_plugin& acme_too() {
  static constexpr assay_plugin plugin =
      plugin_of<AccuracyToo, Overlap, Checks, Presses, Squeezes>("acme/too");
  return plugin;
}

const assay_plugin& acme_halves() {
  static constexpr assay_plugin plugin = plugin_of<Halves>("acme/halves");
  return plugin;
}

}  // namespace assay::host
