// Tests of generation: lengths, stops, sampling, usage, streaming.
#include <algorithm>
#include <assay/suite/requests.hpp>
#include <cmath>

namespace assay::suite {
namespace {

constexpr std::uint32_t kStop = 1, kLength = 2, kTold = 3;

/// Room for a prompt of four tokens and sixteen more.
void need_room(Probe& probe, const Loaded& loaded) {
  if (loaded.longest() < 20) probe.skip("the context has no room for 20 tokens");
}

const Answer& expect_ok(Probe& probe, const Answers& answers, std::uint64_t id) {
  const Answer& answer = answers[id];
  probe.require(answer.code == ASSAY_OK, "id " + std::to_string(id) + " failed with " +
                                             to_string(answer.code) + " (" + quoted(answer.text) +
                                             "); expected OK");
  return answer;
}

std::string listed(const Tokens& tokens) {
  std::string text = "[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(tokens[i]);
  }
  return text + "]";
}

void expect_usage(Probe& probe, const Ask& ask, const Answer& answer) {
  if (!answer.usage) return;  // found by the sink
  const assay_usage& usage = *answer.usage;
  probe.expect(usage.prompt_tokens == ask.tokens.size(),
               "usage says " + std::to_string(usage.prompt_tokens) + " prompt tokens; expected " +
                   std::to_string(ask.tokens.size()));
  probe.expect(usage.new_tokens == answer.tokens.size(),
               "usage says " + std::to_string(usage.new_tokens) + " new tokens; " +
                   std::to_string(answer.tokens.size()) + " came");
  probe.expect(usage.cached_tokens <= usage.prompt_tokens,
               "usage says " + std::to_string(usage.cached_tokens) + " of " +
                   std::to_string(usage.prompt_tokens) + " prompt tokens were cached");
  probe.expect(std::isfinite(usage.seconds) && usage.seconds >= 0,
               "usage says it took " + shown(usage.seconds) + " s");
  probe.expect(usage.finish <= kTold,
               "finish is " + std::to_string(usage.finish) + "; expected 0 to 3");
}

void keeps_to_its_length(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  std::uint64_t id = 1;
  std::vector<Ask> asks;
  for (const std::uint32_t most : {1u, 2u, 7u, 16u}) {
    asks.push_back(generate_ask(probe, loaded, id++, {.max_new = most}));
  }
  const Answers answers = run_batch(probe, loaded, asks);
  for (const Ask& ask : asks) {
    const Answer& answer = expect_ok(probe, answers, ask.id);
    probe.expect(answer.tokens.size() == ask.draw->max_new,
                 "without stops max_new = " + std::to_string(ask.draw->max_new) + " gave " +
                     std::to_string(answer.tokens.size()) + " tokens");
    if (!answer.usage) continue;
    probe.expect(
        answer.usage->finish == kLength,
        "finish is " + std::to_string(answer.usage->finish) + " at max_new; expected 2, length");
  }
}

void usage_tells_the_truth(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  std::vector<Ask> asks;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    asks.push_back(
        generate_ask(probe, loaded, id, {.max_new = static_cast<std::uint32_t>(2 * id)}));
  }
  const Answers answers = run_batch(probe, loaded, asks);
  for (const Ask& ask : asks) expect_usage(probe, ask, expect_ok(probe, answers, ask.id));
}

void greedy_repeats(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  Ask ask = generate_ask(probe, loaded, 1, {.max_new = 12});
  const Answers first = run_batch(probe, loaded, {ask});
  ask.id = 2;
  ask.draw->seed = 99;  // decides nothing where nothing is drawn
  const Answers second = run_batch(probe, loaded, {ask});
  const Tokens& a = expect_ok(probe, first, 1).tokens;
  const Tokens& b = expect_ok(probe, second, 2).tokens;
  probe.expect(a == b, "temperature 0 gave " + listed(a) + " and then " + listed(b) +
                           "; expected the same twice");
}

void greedy_is_the_likeliest(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE | ASSAY_CAP_SCORE);
  need_room(probe, loaded);
  const Ask ask = generate_ask(probe, loaded, 1, {.max_new = 10});
  const Answers generated = run_batch(probe, loaded, {ask});
  const Tokens& tokens = expect_ok(probe, generated, 1).tokens;
  Ask score;
  score.id = 2;
  score.tokens = ask.tokens;
  score.tokens.insert(score.tokens.end(), tokens.begin(), tokens.end());
  score.first = ask.tokens.size();
  if (probe.has_cap(ASSAY_CAP_LOGITS)) score.want |= ASSAY_WANT_LOGITS;
  const Answers scored = run_batch(probe, loaded, {score});
  const Answer& answer = expect_ok(probe, scored, 2);
  for (std::size_t i = 0; i < answer.greedy.size(); ++i) {
    if (answer.greedy[i] == 1) continue;
    if (i < answer.logits.size()) {
      const auto& row = answer.logits[i];
      const float top = *std::max_element(row.begin(), row.end());
      const float token = row[static_cast<std::size_t>(tokens[i])];
      if (static_cast<double>(top) - static_cast<double>(token) <= kTolerance) continue;
    }
    probe.expect(false, "token " + std::to_string(i) + " of a greedy answer, " +
                            std::to_string(tokens[i]) +
                            ", is not the likeliest by the scores of the same sequence");
  }
}

void seed_decides(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Draw draw{.max_new = 12, .temperature = 1.0F, .seed = probe.bits()};
  Ask ask = generate_ask(probe, loaded, 1, draw);
  const Answers alone = run_batch(probe, loaded, {ask});
  std::vector<Ask> asks;
  for (std::uint64_t id = 2; id <= 5; ++id) {
    asks.push_back(
        generate_ask(probe, loaded, id, {.max_new = 9, .temperature = 1.0F, .seed = id}));
  }
  ask.id = 10;
  asks.insert(asks.begin() + 2, ask);
  const Answers among = run_batch(probe, loaded, asks);
  const Tokens& a = expect_ok(probe, alone, 1).tokens;
  const Tokens& b = expect_ok(probe, among, 10).tokens;
  probe.expect(a == b, "the same prompt and seed gave " + listed(a) + " alone and " + listed(b) +
                           " among others; expected the same");
}

void seeds_differ(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Ask first = generate_ask(probe, loaded, 1, {.max_new = 16, .temperature = 2.0F, .seed = 1});
  std::vector<Ask> asks{first};
  for (std::uint64_t id = 2; id <= 6; ++id) {
    asks.push_back(first);
    asks.back().id = id;
    asks.back().draw->seed = id;
  }
  const Answers answers = run_batch(probe, loaded, asks);
  bool is_any_other = false;
  for (const Ask& ask : asks) {
    is_any_other = is_any_other ||
                   expect_ok(probe, answers, ask.id).tokens != expect_ok(probe, answers, 1).tokens;
  }
  probe.expect(is_any_other, "six seeds at temperature 2 gave the same 16 tokens");
}

/// What the model says greedily, and a place in it where a sequence of n tokens ends that does not
/// come earlier.
struct Said {
  Ask ask;
  Tokens tokens;
  std::size_t end = 0;
};

Said say(Probe& probe, Loaded& loaded, std::size_t n, std::size_t at_least) {
  for (std::uint64_t id = 1; id <= 8; ++id) {
    Said result;
    result.ask = generate_ask(probe, loaded, id, {.max_new = 16});
    const Answers answers = run_batch(probe, loaded, {result.ask});
    result.tokens = expect_ok(probe, answers, id).tokens;
    const Tokens& tokens = result.tokens;
    for (std::size_t end = std::max(n, at_least); end <= tokens.size(); ++end) {
      const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(end - n);
      const auto to = tokens.begin() + static_cast<std::ptrdiff_t>(end);
      const auto found = std::search(tokens.begin(), tokens.end(), from, to);
      if (found != from) continue;
      result.end = end;
      return result;
    }
  }
  probe.skip("what it says greedily repeats itself, so that no stop can be placed");
}

void expect_stopped(Probe& probe, const Answer& answer, const Said& said_before,
                    const std::string& what) {
  const Tokens expected(said_before.tokens.begin(),
                        said_before.tokens.begin() + static_cast<std::ptrdiff_t>(said_before.end));
  probe.expect(answer.tokens == expected, what + " gave " + listed(answer.tokens) + "; expected " +
                                              listed(expected) + ", the stop included");
  if (!answer.usage) return;
  probe.expect(answer.usage->finish == kStop, what + " ended with finish " +
                                                  std::to_string(answer.usage->finish) +
                                                  "; expected 1, a stop matched");
}

void stop_token_ends(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Said before = say(probe, loaded, 1, 3);
  Ask ask = before.ask;
  ask.id = 100;
  ask.draw->stops = {{before.tokens[before.end - 1]}};
  const Answers answers = run_batch(probe, loaded, {ask});
  expect_stopped(probe, expect_ok(probe, answers, 100), before, "a stop of one token");
}

void stop_sequence_ends(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Said before = say(probe, loaded, 2, 4);
  Ask ask = before.ask;
  ask.id = 100;
  ask.draw->stops = {{before.tokens[before.end - 2], before.tokens[before.end - 1]}};
  const Answers answers = run_batch(probe, loaded, {ask});
  expect_stopped(probe, expect_ok(probe, answers, 100), before, "a stop of two tokens");
}

void least_length_holds(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Said before = say(probe, loaded, 1, 3);
  Ask forced = before.ask, least = before.ask;
  forced.id = 100;
  forced.draw->stops = least.draw->stops = {{before.tokens[before.end - 1]}};
  forced.draw->min_new = forced.draw->max_new = 16;
  least.id = 101;
  least.draw->min_new = static_cast<std::uint32_t>(before.end) + 1;
  const Answers answers = run_batch(probe, loaded, {forced, least});
  const Answer& whole = expect_ok(probe, answers, 100);
  probe.expect(whole.tokens.size() == 16, "min_new == max_new == 16 gave " +
                                              std::to_string(whole.tokens.size()) +
                                              " tokens; expected the length forced");
  const Answer& longer = expect_ok(probe, answers, 101);
  probe.expect(longer.tokens.size() >= least.draw->min_new,
               "min_new = " + std::to_string(least.draw->min_new) + " gave " +
                   std::to_string(longer.tokens.size()) + " tokens");
}

void sink_ends_generation(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const std::vector<Ask> asks{generate_ask(probe, loaded, 1, {.max_new = 16}),
                              generate_ask(probe, loaded, 2, {.max_new = 16})};
  Reaction reaction;
  reaction.on_data = [](std::uint64_t id, const Answer& so_far) {
    return id == 1 && so_far.tokens.size() >= 2 ? 1 : 0;
  };
  const Answers answers = run_batch(probe, loaded, asks, 0, reaction);
  const Answer& ended = answers[1];
  probe.expect(
      answers[2].tokens.size() == 16,
      "the request beside it got " + std::to_string(answers[2].tokens.size()) + " of 16 tokens");
  probe.expect(ended.code == ASSAY_OK || ended.code == ASSAY_CANCELLED,
               "a request the sink ended failed with " + to_string(ended.code));
  const bool is_early = ended.tokens.size() < 16;
  if (ended.usage && ended.code == ASSAY_OK && is_early) {
    probe.expect(ended.usage->finish == kTold, "finish is " + std::to_string(ended.usage->finish) +
                                                   " where the sink ended it; expected 3");
  }
  probe.expect(is_early || !probe.has_cap(ASSAY_CAP_STREAMS) || probe.subject().is_remote(),
               "it went on to all 16 tokens after the sink had answered non-zero");
}

void streams_step_by_step(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  if (!probe.has_cap(ASSAY_CAP_STREAMS)) probe.skip("no STREAMS");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  const Answers answers =
      run_batch(probe, loaded, {generate_ask(probe, loaded, 1, {.max_new = 12})});
  const Answer& answer = expect_ok(probe, answers, 1);
  probe.expect(answer.n_calls >= static_cast<int>(answer.tokens.size()),
               std::to_string(answer.tokens.size()) + " tokens came in " +
                   std::to_string(answer.n_calls) +
                   " calls; expected each step's tokens to be pushed when produced");
}

void generates_alike_in_batches(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  std::vector<Ask> asks;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    asks.push_back(generate_ask(probe, loaded, id, {.max_new = 10}));
  }
  const Answers many = run_batch(probe, loaded, asks);
  for (const std::uint32_t flags : {0u, std::uint32_t{ASSAY_BATCH_TOGETHER}}) {
    for (const Ask& ask : asks) {
      Ask alone = ask;
      alone.id += flags == 0 ? 100 : 200;
      const Answers one = run_batch(probe, loaded, {alone}, flags);
      if (flags != 0 && one[alone.id].code == ASSAY_UNIMPLEMENTED) break;
      const Tokens& a = expect_ok(probe, many, ask.id).tokens;
      const Tokens& b = expect_ok(probe, one, alone.id).tokens;
      probe.expect(a == b,
                   "greedy tokens are " + listed(a) + " among five and " + listed(b) + " alone");
    }
  }
}

void together_steps_together(Probe& probe) {
  need_cap(probe, ASSAY_CAP_GENERATE, "GENERATE");
  Loaded loaded(probe, ASSAY_CAP_GENERATE);
  need_room(probe, loaded);
  std::vector<Ask> asks;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    asks.push_back(generate_ask(probe, loaded, id, {.max_new = 6, .min_new = 6}));
  }
  const Answers answers = run_batch(probe, loaded, asks, ASSAY_BATCH_TOGETHER);
  const assay_status code = answers[1].code;
  for (const Ask& ask : asks) {
    probe.expect(answers[ask.id].code == code, "with TOGETHER some ids ended with " +
                                                   to_string(code) + ", others with " +
                                                   to_string(answers[ask.id].code));
  }
  if (code == ASSAY_UNIMPLEMENTED || code == ASSAY_RESOURCE_EXHAUSTED) return;
  probe.require(code == ASSAY_OK, "with TOGETHER all ids ended with " + to_string(code) +
                                      "; expected OK, RESOURCE_EXHAUSTED or UNIMPLEMENTED");
  // Six steps of three: the first request is not over before the others have begun.
  const std::size_t begun_after = static_cast<std::size_t>(
      std::find(answers.order.begin(), answers.order.end(), 3) - answers.order.begin());
  probe.expect(begun_after <= 2, "with TOGETHER the third request began after " +
                                     std::to_string(begun_after) +
                                     " turns of the others; expected each step to go to all");
}

constexpr Test kTests[] = {
    {"generate.keeps-to-its-length", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "Without stops max_new tokens come, and finish says length.", keeps_to_its_length},
    {"generate.least-length-holds", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "Nothing ends a request before min_new; min_new == max_new forces the length.",
     least_length_holds},
    {"generate.usage-tells-the-truth", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "usage counts what came: prompt, cached and new tokens, seconds.", usage_tells_the_truth},
    {"generate.greedy-repeats", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "Temperature 0 gives the same tokens twice.", greedy_repeats},
    {"generate.greedy-is-the-likeliest", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "Each token of a greedy answer is the arg-max by the scores of the same sequence.",
     greedy_is_the_likeliest},
    {"generate.seed-decides", ASSAY_BACKEND, nullptr, Level::kMust, 18, true,
     "sampling.seed alone decides a request's random stream, whatever its neighbours.",
     seed_decides},
    {"generate.seeds-differ", ASSAY_BACKEND, nullptr, Level::kShould, 18, true,
     "Other seeds give other tokens at a high temperature.", seeds_differ},
    {"generate.stop-token-ends", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "A stop of one token ends the answer, is included, and finish says so.", stop_token_ends},
    {"generate.stop-sequence-ends", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "A stop of several tokens ends the answer, is included, and finish says so.",
     stop_sequence_ends},
    {"generate.sink-ends-generation", ASSAY_BACKEND, nullptr, Level::kMust, 17, true,
     "When the sink answers non-zero the request ends with finish 3, others go on.",
     sink_ends_generation},
    {"generate.streams-step-by-step", ASSAY_BACKEND, nullptr, Level::kMust, 19, true,
     "With STREAMS each step's tokens are pushed when produced.", streams_step_by_step},
    {"generate.alike-in-batches", ASSAY_BACKEND, nullptr, Level::kShould, 0, true,
     "Greedy tokens are the same alone and among others.", generates_alike_in_batches},
    {"generate.together-steps-together", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "With TOGETHER each step goes to all requests, or all are refused.", together_steps_together},
};

}  // namespace

std::span<const Test> generate_tests() { return kTests; }

}  // namespace assay::suite
