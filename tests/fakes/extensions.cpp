// Components with extensions: each kind's right ones, and others with one fault in an extension.
#include <algorithm>
#include <assay/sdk.hpp>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

/// Two bounds that may contradict each other, a switch that is warned of, and faults of check
/// itself.
struct Check : assay::Backend {
  static constexpr assay::Info info{"fake/ext-check", "1.0.0", "Checks its options",
                                    ASSAY_CAP_SCORE};
  static constexpr const char* kFaults[] = {"none", "fails", "throws_an_int", "key", nullptr};
  static constexpr assay::Option options[] = {
      assay::integer("bounds.lowest", "0", "The lowest value."),
      assay::integer("bounds.highest", "9", "The highest value."),
      assay::flag("slow", "false", "Take more time."),
      assay::choice("fault", "\"none\"", kFaults, "What check does wrong.")};

  static void check(assay::Context context, assay::Diagnostics& found) {
    const std::string fault = context.text("fault");
    if (fault == "fails") throw assay::Error(ASSAY_UNAVAILABLE, "", "the licence server is away");
    if (fault == "throws_an_int") throw 7;
    if (fault == "key") found.error("no.such.option", "something is wrong");
    const std::int64_t lowest = context.integer("bounds.lowest");
    const std::int64_t highest = context.integer("bounds.highest");
    if (lowest > highest) {
      found.error("bounds.lowest", "bounds.lowest = " + std::to_string(lowest) +
                                       " lies above bounds.highest = " + std::to_string(highest));
    }
    if (context.flag("slow")) found.warn("slow", "slow takes ten times as long");
  }

  explicit Check(assay::Context) {}
  void load(const assay_job&, assay_model_info&) {}
  void score(const assay::Request&, assay::Results) {}
};

/// Claims a page of weights and a cache that grows by 16 bytes a token.
struct Memory : assay::Backend {
  static constexpr assay::Info info{"fake/ext-memory", "1.0.0", "Tells its memory",
                                    ASSAY_CAP_SCORE | ASSAY_CAP_DETERMINISTIC};
  explicit Memory(assay::Context) {}

  void load(const assay_job&, assay_model_info& model) {
    model.vocab = 1 << 20;
    model.max_context = 4096;
  }
  void score(const assay::Request& request, assay::Results results) {
    kv_peak = std::max(kv_peak, 16 * request.n_tokens);
    const auto n = static_cast<std::size_t>(request.n_tokens - request.first);
    results.scores(request.first, std::vector<float>(n, -1.0F), std::vector<std::uint8_t>(n, 0));
  }
  assay::Memory memory(std::uint64_t nth) const {
    if (nth > 1) throw assay::Error(ASSAY_NOT_FOUND, "nth", "there is one device and the host");
    assay::Memory told({1, 0});
    told.weights = 4096;
    told.kv = 0;
    told.kv_peak = kv_peak;
    told.kv_per_token = 16;
    return told;
  }
  void reset_memory_peaks() { kv_peak = 0; }

  std::uint64_t kv_peak = 0;
};

/// Splits "train" of 1000 rows, "test" of 10, and "stream", whose rows nobody counted.
struct Rows : assay::Dataset {
  static constexpr assay::Info info{"fake/ext-rows", "1.0.0", "Goes to single rows",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "text", "the split and the row"}};
  explicit Rows(assay::Context) {}

  static std::uint64_t size_of(std::string_view split) {
    if (split == "train") return 1000;
    if (split == "test" || split == "stream") return 10;
    throw assay::Error(ASSAY_NOT_FOUND, "split", "there is no split " + std::string(split));
  }
  void splits(assay::Splits found) {
    found("train", 1000);
    found("test", 10);
    found("stream");
  }
  void rewind(std::string_view wanted) {
    rows.clear();
    for (std::uint64_t row = 0; row < size_of(wanted); ++row) rows.push_back(row);
    split = wanted;
    place = 0;
  }
  void take(std::string_view wanted, std::span<const std::uint64_t> indices) {
    const std::uint64_t size = size_of(wanted);
    for (const std::uint64_t row : indices) {
      if (row < size) continue;
      throw assay::Error(
          ASSAY_NOT_FOUND, "rows",
          "there is no row " + std::to_string(row) + " among " + std::to_string(size));
    }
    rows.assign(indices.begin(), indices.end());
    split = wanted;
    place = 0;
  }
  bool next(assay::Row& row) {
    if (place == rows.size()) return false;
    row << split + " " + std::to_string(rows[place++]);
    return true;
  }

  std::string split;
  std::vector<std::uint64_t> rows;
  std::size_t place = 0;
};

/// Names a split twice.
struct RowsTwice : Rows {
  static constexpr assay::Info info{"fake/ext-rows-twice", "1.0.0", "Names a split twice"};
  using Rows::Rows;
  void splits(assay::Splits found) {
    found("train", 1000);
    found("train", 10);
  }
};

/// The share of rows, which is 1, from the sum of ones.
template <class T>
struct Share : assay::Metric {
  static constexpr assay::Output outputs[] = {assay::total("share", "1").primary()};
  static constexpr const char* terms[] = {"ones"};
  explicit Share(assay::Context) {}
  void score(const assay::Sample&, assay::Values out) { out("ones", 1); }
  void finish(assay::Totals out) const { out("share", 1); }
  void totals(std::span<const double> sums, double items, std::span<double> out) const {
    out[0] = T::share(sums[0], items);
  }
};

struct Sums : Share<Sums> {
  static constexpr assay::Info info{"fake/ext-sums", "1.0.0", "Has totals of sums"};
  using Share::Share;
  static double share(double ones, double items) { return ones / items; }
};
struct SumsNan : Share<SumsNan> {
  static constexpr assay::Info info{"fake/ext-sums-nan", "1.0.0", "Knows no total of sums"};
  using Share::Share;
  static double share(double, double) { return std::numeric_limits<double>::quiet_NaN(); }
};
struct SumsFails : Share<SumsFails> {
  static constexpr assay::Info info{"fake/ext-sums-fails", "1.0.0", "Fails at totals of sums"};
  using Share::Share;
  static double share(double, double) {
    throw assay::Error(ASSAY_INTERNAL, "", "these sums are too large");
  }
};

constexpr assay_metric_sums_v1 kNotWhole{sizeof(std::uint32_t), 0, nullptr, 1, nullptr};

struct SumsNotWhole : assay::Metric {
  static constexpr assay::Info info{"fake/ext-sums-not-whole", "1.0.0", "Lists half a table"};
  static constexpr assay::Output outputs[] = {assay::total("share", "1").primary()};
  static constexpr assay_extension extensions[] = {{ASSAY_METRIC_SUMS_1, &kNotWhole}};
  explicit SumsNotWhole(assay::Context) {}
  void score(const assay::Sample&, assay::Values) {}
  void finish(assay::Totals out) const { out("share", 1); }
};

}  // namespace

ASSAY_PLUGIN("fake/extensions", "1.0.0", "fake", "Apache-2.0", Check, Memory, Rows, RowsTwice, Sums,
             SumsNan, SumsFails, SumsNotWhole)
