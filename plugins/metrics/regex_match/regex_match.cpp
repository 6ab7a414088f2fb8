// The regex_match metric: does the output match a pattern? Compares with no target.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <assay/sdk.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace {

/// What one match may cost, so that no pattern and output take for ever.
constexpr std::uint32_t kMatchLimit = 10'000'000;  // steps; PCRE2's own default, made explicit
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

PCRE2_SPTR units_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

std::unique_ptr<pcre2_code, Free> compile(std::string_view pattern, bool ignores_case) {
  const std::uint32_t flags = PCRE2_UTF | PCRE2_UCP | (ignores_case ? PCRE2_CASELESS : 0);
  int error = 0;
  PCRE2_SIZE place = 0;
  std::unique_ptr<pcre2_code, Free> code(
      pcre2_compile(units_of(pattern), pattern.size(), flags, &error, &place, nullptr));
  if (code) return code;
  throw assay::Error(ASSAY_INVALID_ARGUMENT, "pattern",
                     "pattern is no regular expression: " + message_of(error) + ", behind \"" +
                         std::string(pattern.substr(0, place)) + "\" (byte " +
                         std::to_string(place) + ")");
}

struct RegexMatch : assay::Metric {
  static constexpr assay::Info info{"assay/regex_match", "1.0.0",
                                    "Share of outputs that match a pattern",
                                    ASSAY_CAP_DETERMINISTIC};
  static constexpr assay::Option options[] = {
      assay::text("pattern", nullptr, "The regular expression, of PCRE2."),
      assay::flag("full", "false", "Must the whole output match?"),
      assay::flag("ignore_case", "false", "Match letters of either case.")};
  static constexpr assay::Column columns[] = {{ASSAY_TEXT, "output", "the generated text"}};
  static constexpr assay::Output outputs[] = {
      assay::mean("regex_match", "share of outputs that match").unit("1").within(0, 1).primary()};

  std::unique_ptr<pcre2_code, Free> code;
  std::uint32_t flags;
  std::unique_ptr<pcre2_match_data, Free> data;
  std::unique_ptr<pcre2_match_context, Free> context;

  explicit RegexMatch(assay::Context options_given)
      : code(compile(options_given.text("pattern"), options_given.flag("ignore_case"))),
        flags(options_given.flag("full") ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0),
        data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    if (!data || !context) throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  }

  double score(const assay::Sample& item) const {
    const std::string_view output = item.text("output");
    const int result = pcre2_match(code.get(), units_of(output), output.size(), 0, flags,
                                   data.get(), context.get());
    if (result == PCRE2_ERROR_NOMATCH) return 0;
    // 0: it matched, and the data has no room for its groups, which nobody asks for.
    if (result >= 0) return 1;
    const bool is_limit = result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_HEAPLIMIT;
    throw assay::Error(ASSAY_INVALID_ARGUMENT, "pattern",
                       "the pattern cannot be matched with this output: " + message_of(result) +
                           (is_limit ? " (10,000,000 steps, 64 MiB); write it without repeats "
                                       "inside repeats"
                                     : ""));
  }
};

}  // namespace

ASSAY_PLUGIN("assay/regex_match", "1.0.0", "assay", "Apache-2.0", RegexMatch)
