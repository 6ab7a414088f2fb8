// Random options, requests and rows, from the seed that a report prints. What comes of them is not
// known, only the rules that hold whatever comes.
#include <algorithm>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <cmath>

namespace assay::suite {
namespace {

constexpr int kLocalRounds = 40, kRemoteRounds = 4;  // each round in a worker starts a process

int rounds(Probe& probe) { return probe.subject().is_remote() ? kRemoteRounds : kLocalRounds; }

std::string random_text(Probe& probe) {
  constexpr const char* kPieces[] = {"a", "7",  " ",    "\n",       "{split}",
                                     "/", "\"", "%s",   "\xC3\xBC", "\xF0\x9F\x98\x80",
                                     ".", "\\", "null", "-"};
  std::string text;
  for (std::uint64_t n = probe.below(6); n > 0; --n)
    text += kPieces[probe.below(std::size(kPieces))];
  return text;
}

/// A value of the declared type and range; nothing for paths, models and lists, which stay.
std::optional<check::Value> random_value(Probe& probe, const assay_option& option) {
  const bool is_bounded = option.lo <= option.hi;
  const double lo = is_bounded && !std::isinf(option.lo) ? option.lo : -1000;
  const double hi = is_bounded && !std::isinf(option.hi) ? option.hi : std::max(lo, 0.0) + 1000;
  switch (option.type) {
    case ASSAY_BOOL:
      return check::Value(probe.below(2) == 1);
    case ASSAY_INT:
    case ASSAY_SIZE: {
      const double least = option.type == ASSAY_SIZE ? std::max(lo, 0.0) : lo;
      // Both ends often, for faults live there.
      const double value = probe.below(3) == 0 ? (probe.below(2) == 0 ? least : hi)
                                               : std::floor(probe.between(least, hi));
      return check::Value(static_cast<std::int64_t>(std::clamp(value, -9e18, 9e18)));
    }
    case ASSAY_FLOAT:
    case ASSAY_DURATION:
      return check::Value(probe.below(3) == 0 ? lo : probe.between(lo, hi));
    case ASSAY_TEXT:
      return check::Value(random_text(probe));
    case ASSAY_CHOICE: {
      std::uint64_t n = 0;
      while (option.choices[n] != nullptr) ++n;
      return check::Value(std::string(option.choices[probe.below(n)]));
    }
    default:
      return std::nullopt;
  }
}

void options(Probe& probe) {
  if (probe.component().n_options == 0) probe.skip("it has no options");
  for (int round = 0; round < rounds(probe); ++round) {
    check::Options options = probe.options();
    std::string what;
    for (std::uint64_t i = 0; i < probe.component().n_options; ++i) {
      const assay_option& option = *probe.component().options[i];
      // What was left out stays out: keys of a table belong together.
      if (probe.below(2) == 0 || !options.has(option.name)) continue;
      if (const auto value = random_value(probe, option)) {
        options.set(option.name, *value);
        what += (what.empty() ? "" : ", ") + std::string(option.name) + " = " +
                std::string(options.json(option.name));
      }
    }
    const Creation creation = try_create(probe, options);
    if (creation.status == ASSAY_OK) {
      probe.expect(creation.has_self, "create with " + what + " answered OK without an instance");
      continue;
    }
    probe.expect(!creation.has_self, "create with " + what + " failed and left *self");
    const std::string fault = error_fault(creation.status, creation.error);
    probe.expect(fault.empty(), "create with " + what + " failed, and of its error " + fault);
  }
}

Ask random_ask(Probe& probe, const Loaded& loaded, std::uint64_t id) {
  Ask ask;
  ask.id = id;
  const bool generates = probe.below(3) == 0;
  const std::uint64_t longest =
      loaded.info().max_context > 0 ? std::min<std::uint64_t>(loaded.info().max_context, 48) : 24;
  if (generates) {
    Draw draw;
    draw.max_new = static_cast<std::uint32_t>(probe.below(12));
    draw.min_new = static_cast<std::uint32_t>(probe.below(draw.max_new + 1u));
    draw.top_k = static_cast<std::uint32_t>(probe.below(5));
    draw.temperature = probe.below(2) == 0 ? 0 : static_cast<float>(probe.between(0.1, 3));
    draw.top_p = static_cast<float>(probe.between(0.1, 1));
    draw.seed = probe.bits();
    for (std::uint64_t n = probe.below(3); n > 0; --n) {
      draw.stops.push_back(random_tokens(probe, loaded, 1 + probe.below(3)));
    }
    ask = generate_ask(probe, loaded, id, draw);
  } else {
    ask.tokens = random_tokens(probe, loaded, 1 + probe.below(longest));
    ask.first = 1 + probe.below(ask.tokens.size());
    ask.want = static_cast<std::uint32_t>(probe.below(8));
    if (!probe.has_cap(ASSAY_CAP_LOGITS)) ask.want &= ~std::uint32_t{ASSAY_WANT_LOGITS};
  }
  if (probe.below(10) == 0) ask.kind = static_cast<std::int32_t>(probe.below(5));
  if (ask.kind == ASSAY_REQ_GENERATE && !ask.draw) ask.draw = Draw{};
  if (probe.below(12) == 0) ask.first = probe.below(60);
  if (probe.below(15) == 0 && !ask.tokens.empty()) {
    ask.tokens[probe.below(ask.tokens.size())] = static_cast<std::int32_t>(probe.bits());
  }
  if (probe.below(3) == 0) {
    ask.prefix_group = 1 + probe.below(3);
    ask.prefix_len = probe.below(ask.tokens.size() + 1);
  }
  return ask;
}

void requests(Probe& probe) {
  need_run(probe);
  Loaded loaded(probe, probe.component().caps & (ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE));
  std::uint64_t id = 1;
  for (int round = 0; round < 12; ++round) {
    std::vector<Ask> asks;
    for (std::uint64_t n = probe.below(9); n > 0; --n)
      asks.push_back(random_ask(probe, loaded, id++));
    // A hint that is not true would be the test's fault, not the backend's.
    for (Ask& ask : asks) {
      for (const Ask& other : asks) {
        if (other.prefix_group != ask.prefix_group || ask.prefix_group == 0) continue;
        const std::uint64_t shared =
            static_cast<std::uint64_t>(std::mismatch(ask.tokens.begin(), ask.tokens.end(),
                                                     other.tokens.begin(), other.tokens.end())
                                           .first -
                                       ask.tokens.begin());
        ask.prefix_len = std::min(ask.prefix_len, shared);
      }
      if (ask.prefix_len == 0) ask.prefix_group = 0;
    }
    std::uint32_t flags = probe.below(2) == 0 ? 0 : std::uint32_t{ASSAY_BATCH_LAST_OF_GROUPS};
    if (probe.below(4) == 0) flags |= ASSAY_BATCH_ORDERED;
    Reaction reaction;
    if (probe.below(3) == 0) {
      reaction.on_data = [odd = probe.below(2)](std::uint64_t of, const Answer&) {
        return of % 2 == odd ? 1 : 0;
      };
    }
    run_batch(probe, loaded, asks, flags, reaction, probe.below(3) * 8);
  }
}

void splits(Probe& probe) {
  for (int round = 0; round < rounds(probe); ++round) {
    const Made made(probe);
    const std::string name = random_text(probe);
    Stream stream;
    assay_error error = check::fresh_error();
    const assay_status status = made.api<assay_dataset_v1>().open(
        made.self(), {name.data(), name.size()}, stream.out(), &error);
    if (status == ASSAY_OK) {
      read_split(probe, stream, 50);
      continue;
    }
    const std::string fault = error_fault(status, error);
    probe.expect(fault.empty(),
                 "open of split " + quoted(name) + " failed, and of its error " + fault);
  }
}

void rows(Probe& probe) {
  need_rows(probe);
  for (int round = 0; round < rounds(probe) / 2; ++round) {
    const std::uint64_t n = probe.below(40);
    Settings settings = probe.settings();
    settings.seed = probe.bits();
    Probe of_round(probe.subject(), settings);
    const check::Table table = made_rows(of_round, {.n = n, .has_nulls = probe.below(2) == 0});
    std::vector<std::uint64_t> cuts;
    for (std::uint64_t k = probe.below(5); k > 0; --k) cuts.push_back(probe.below(n + 1));
    std::sort(cuts.begin(), cuts.end());
    const Given whole = measure(probe, table, n, {});
    expect_same_totals(probe, whole, measure(probe, table, n, cuts),
                       "round " + std::to_string(round) + ", cut at random");
  }
}

constexpr Test kTests[] = {
    {"fuzz.options", 0, nullptr, Level::kMust, 0, true,
     "Whatever the options, create makes an instance or says why not.", options},
    {"fuzz.requests", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "Whatever the requests, each id gets its answer and one done.", requests},
    {"fuzz.splits", ASSAY_DATASET, nullptr, Level::kMust, 0, true,
     "Whatever the name of a split, open gives a stream or says why not.", splits},
    {"fuzz.rows", ASSAY_METRIC, nullptr, Level::kMust, 0, true,
     "Whatever the rows, how they are cut changes no result.", rows},
};

}  // namespace

std::span<const Test> fuzz_tests() { return kTests; }

}  // namespace assay::suite
