#include "host/text/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <utility>

namespace assay::host {
namespace {

constexpr std::size_t kMaxPatternBytes = 16 * 1024;
constexpr std::size_t kShownPatternBytes = 100;
// ALT_CIRCUMFLEX: ^ of (?m) matches after a last line end, as in Python. AUTO_CALLOUT: a callout
// before every part of the pattern counts the steps of a search.
constexpr std::uint32_t kOptions =
    PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
// One search may try this many parts of the pattern: some tenths of a second, on any machine the
// same. PCRE2's own match limit is one for each place where a match may begin.
constexpr std::uint64_t kSteps = 5'000'000;
constexpr std::uint64_t kStepsPerByte = 20;
constexpr std::size_t kBytesScannedInAStep = 16;
constexpr std::uint32_t kHeapKibibytes = 64 * 1024;

template <auto free>
struct Free {
  template <class T>
  void operator()(T* made) const {
    free(made);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

template <class Made>
Made made_or_throw(typename Made::pointer made) {
  if (made == nullptr) throw std::bad_alloc();
  return Made(made);
}

PCRE2_SPTR bytes_of(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? "" : text.data());
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::string reason_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

bool is_utf8_error(int code) {
  return code <= PCRE2_ERROR_UTF8_ERR1 && code >= PCRE2_ERROR_UTF8_ERR21;
}

/// The pattern between quotation marks, its beginning where it is long.
std::string shown(std::string_view pattern) {
  std::size_t end = std::min(pattern.size(), kShownPatternBytes);
  if (end == pattern.size()) return "\"" + std::string(pattern) + "\"";
  while (end > 0 && is_continuation(pattern[end])) --end;
  return "\"" + std::string(pattern.substr(0, end)) + "...\"";
}

/// A pattern in PCRE2's spelling, and for each of its bytes the number of bytes of the original up
/// to there.
class Translation {
 public:
  explicit Translation(std::string_view pattern) : left_(pattern), size_(pattern.size()) {
    while (!left_.empty()) step();
    origin_.push_back(size_);
  }
  const std::string& text() const { return text_; }
  std::size_t origin(std::size_t at) const { return origin_[std::min(at, text_.size())]; }

 private:
  /// Takes `count` bytes of the original and writes `spelling` for them.
  void put(std::size_t count, std::string_view spelling) {
    for (std::size_t i = 0; i < spelling.size(); ++i) {
      origin_.push_back(size_ - left_.size() + std::min(i, count));
    }
    text_ += spelling;
    left_.remove_prefix(count);
  }
  void keep(std::size_t count) { put(std::min(count, left_.size()), left_.substr(0, count)); }

  bool is_hexadecimal(std::size_t from, std::size_t count) const {
    const auto digits = left_.substr(from, count);
    return digits.size() == count &&
           digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }

  void step() {
    if (left_[0] == '\\') return escape();
    if (in_class_) {
      in_class_ = left_[0] != ']';
      return keep(1);
    }
    if (left_[0] == '[') {
      in_class_ = true;
      // A bracket that closes nothing yet is a member.
      std::size_t opening = left_.starts_with("[^") ? 2 : 1;
      if (left_.substr(opening).starts_with(']')) ++opening;
      return keep(opening);
    }
    if (left_.starts_with("{,") &&
        left_.substr(std::min(left_.find_first_not_of("0123456789", 2), left_.size()))
            .starts_with('}')) {
      return put(1, "{0");
    }
    keep(1);
  }

  void escape() {
    if (left_.starts_with("\\Z")) return put(2, "\\z");
    for (const auto& [start, digits] : {std::pair{"\\u", 4u}, std::pair{"\\U", 8u}}) {
      if (left_.starts_with(start) && is_hexadecimal(2, digits)) {
        return put(2 + digits, "\\x{" + std::string(left_.substr(2, digits)) + "}");
      }
    }
    keep(2);
  }

  std::string_view left_;
  std::size_t size_;
  std::string text_;
  std::vector<std::size_t> origin_;
  bool in_class_ = false;
};

/// PCRE2 10.42 takes the letter that a look-ahead begins with for one that is used up, and before
/// it tries at all asks for another: (?=a)b?a would not find "a".
std::uint32_t options_of(std::string_view pattern) {
  const bool looks_ahead = pattern.find("(?=") != std::string_view::npos;
  return kOptions | (looks_ahead ? PCRE2_NO_START_OPTIMIZE : 0);
}

struct Effort {
  std::uint64_t steps_left;
  std::size_t position;
};

/// A step for each part of the pattern that is tried, and for the text that the one before ran
/// through.
int spend(pcre2_callout_block* at, void* data) {
  auto& effort = *static_cast<Effort*>(data);
  const std::size_t position = at->current_position;
  const std::size_t scanned =
      std::max(position, effort.position) - std::min(position, effort.position);
  const std::uint64_t steps = 1 + scanned / kBytesScannedInAStep;
  effort.position = position;
  if (steps > effort.steps_left) return PCRE2_ERROR_MATCHLIMIT;
  effort.steps_left -= steps;
  return 0;
}

}  // namespace

struct Regex::State {
  std::string pattern;
  Code code;

  template <class Visit>
  Result<void> each_match(std::string_view text, const Visit& visit) const;
  Failure failure(int status, std::string_view text, std::size_t at) const;
};

Regex::Regex(std::unique_ptr<State> state) : state_(std::move(state)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return Failure{ASSAY_INVALID_ARGUMENT, "the regular expression " + shown(pattern) + " has " +
                                               std::to_string(pattern.size()) + " bytes, at most " +
                                               std::to_string(kMaxPatternBytes) +
                                               " are allowed; shorten it"};
  }
  const Translation translation(pattern);
  const auto context = made_or_throw<CompileContext>(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  std::size_t at = 0;
  Code compiled(pcre2_compile(bytes_of(translation.text()), translation.text().size(),
                              options_of(pattern), &code, &at, context.get()));
  if (compiled == nullptr) {
    at = translation.origin(at);
    if (is_utf8_error(code)) {
      return Failure{ASSAY_INVALID_ARGUMENT,
                     "the regular expression is not UTF-8 at byte " + std::to_string(at)};
    }
    const auto before = pattern.substr(0, at);
    const auto characters = std::count_if(before.begin(), before.end(),
                                          [](char byte) { return !is_continuation(byte); });
    return Failure{ASSAY_INVALID_ARGUMENT,
                   "the regular expression " + shown(pattern) + " is wrong at its character " +
                       std::to_string(std::max<std::ptrdiff_t>(characters, 1)) + ": " +
                       reason_of(code)};
  }
  return Regex(std::make_unique<State>(State{std::string(pattern), std::move(compiled)}));
}

Failure Regex::State::failure(int status, std::string_view text, std::size_t at) const {
  if (is_utf8_error(status)) {
    return {ASSAY_INVALID_ARGUMENT, "a text for the regular expression " + shown(pattern) +
                                        " is not UTF-8 at byte " + std::to_string(at)};
  }
  return {ASSAY_RESOURCE_EXHAUSTED,
          "the regular expression " + shown(pattern) + " tries too many ways to match a text of " +
              std::to_string(text.size()) + " bytes (" + reason_of(status) +
              "); write repetitions of which each begins where the one before must have ended"};
}

/// Calls `visit` with the ends of every match and its groups, as PCRE2 lays them out: begin and end
/// of the whole, of group 1 and so on, PCRE2_UNSET for a group that took no part.
///
/// Source   CPython 3.11, Modules/_sre/sre.c, pattern_findall: after an empty match the search goes
///          on from the same place for one that is not empty there
template <class Visit>
Result<void> Regex::State::each_match(std::string_view text, const Visit& visit) const {
  Effort effort{kSteps + kStepsPerByte * text.size(), 0};
  const auto context = made_or_throw<MatchContext>(pcre2_match_context_create(nullptr));
  pcre2_set_callout(context.get(), spend, &effort);
  pcre2_set_heap_limit(context.get(), kHeapKibibytes);
  const auto data =
      made_or_throw<MatchData>(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  const std::size_t* ends = pcre2_get_ovector_pointer(data.get());
  const std::size_t count = 2 * std::size_t{pcre2_get_ovector_count(data.get())};
  std::size_t from = 0;
  std::uint32_t options = 0;
  while (true) {
    const int status = pcre2_match(code.get(), bytes_of(text), text.size(), from, options,
                                   data.get(), context.get());
    if (status == PCRE2_ERROR_NOMATCH) return {};
    if (status < 0) return failure(status, text, pcre2_get_startchar(data.get()));
    visit(std::span(ends, count));
    from = ends[1];
    options = PCRE2_NO_UTF_CHECK | (ends[0] == ends[1] ? PCRE2_NOTEMPTY_ATSTART : 0);
  }
}

Result<std::vector<std::string>> Regex::find_all(std::string_view text) const {
  std::vector<std::string> found;
  const auto searched = state_->each_match(text, [&](std::span<const std::size_t> ends) {
    std::string_view match;
    for (std::size_t i = ends.size() > 2 ? 2 : 0; i < ends.size() && match.empty(); i += 2) {
      if (ends[i] != PCRE2_UNSET) match = text.substr(ends[i], ends[i + 1] - ends[i]);
    }
    found.emplace_back(match);
  });
  if (!searched) return searched.error();
  return found;
}

Result<std::string> Regex::replace(std::string_view text, std::string_view with) const {
  std::string out;
  std::size_t copied = 0;
  const auto searched = state_->each_match(text, [&](std::span<const std::size_t> ends) {
    out += text.substr(copied, ends[0] - copied);
    out += with;
    copied = ends[1];
  });
  if (!searched) return searched.error();
  out += text.substr(copied);
  return out;
}

}  // namespace assay::host
