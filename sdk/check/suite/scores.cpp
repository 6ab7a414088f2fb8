// Tests of log-probabilities and logits: the same tokens score the same, however they are asked.
#include <algorithm>
#include <assay/suite/requests.hpp>
#include <cmath>
#include <map>

namespace assay::suite {
namespace {

/// Each under a new id, so that ids stay unique per instance.
std::vector<Ask> renumbered(std::vector<Ask> asks, std::uint64_t offset) {
  for (Ask& ask : asks) ask.id += offset;
  return asks;
}

void are_log_probabilities(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  // run_batch finds scores above 0, gaps and missing ones.
  const std::vector<Ask> asks = random_asks(probe, loaded, 12);
  const Answers answers = run_batch(probe, loaded, asks);
  for (const Ask& ask : asks) {
    probe.expect(answers[ask.id].code == ASSAY_OK, "a request failed with " +
                                                       to_string(answers[ask.id].code) + " (" +
                                                       quoted(answers[ask.id].text) + ")");
  }
}

void give_what_is_wanted(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  const Tokens tokens = random_tokens(probe, loaded, loaded.longest());
  std::uint64_t id = 1;
  std::vector<Ask> asks;
  for (const std::uint32_t want :
       {std::uint32_t{ASSAY_WANT_LOGPROBS | ASSAY_WANT_GREEDY}, std::uint32_t{ASSAY_WANT_LOGPROBS},
        std::uint32_t{ASSAY_WANT_GREEDY}}) {
    Ask ask;
    ask.id = id++;
    ask.want = want;
    ask.tokens = tokens;
    asks.push_back(ask);
  }
  const Answers answers = run_batch(probe, loaded, asks);
  probe.expect(distance(answers[1].logprobs, answers[2].logprobs) <= kTolerance,
               "log-probabilities differ with what else is wanted");
  probe.expect(answers[1].greedy == answers[3].greedy,
               "greedy flags differ with what else is wanted");
}

void nothing_to_score(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  std::vector<Ask> asks = random_asks(probe, loaded, 3);
  asks[1].first = asks[1].tokens.size();
  const Answers answers = run_batch(probe, loaded, asks);
  const Answer& nothing = answers[asks[1].id];
  probe.expect(nothing.code == ASSAY_OK && nothing.logprobs.empty() && nothing.greedy.empty(),
               "a request with first == n_tokens ended with " + to_string(nothing.code) + " and " +
                   std::to_string(nothing.logprobs.size()) + " scores; expected OK and none");
}

void one_span_or_two(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  std::uint64_t id = 1;
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t n = std::max<std::uint64_t>(3, loaded.longest() - probe.below(4));
    if (loaded.longest() < 3) probe.skip("the context has no room for two spans");
    Ask whole;
    whole.tokens = random_tokens(probe, loaded, n);
    Ask front = whole, back = whole;
    const std::uint64_t cut = 2 + probe.below(n - 2);
    front.tokens.resize(cut);
    back.first = cut;
    whole.id = id++;
    front.id = id++;
    back.id = id++;
    const Answers answers = run_batch(probe, loaded, {whole, front, back});
    std::vector<float> joined = answers[front.id].logprobs;
    joined.insert(joined.end(), answers[back.id].logprobs.begin(), answers[back.id].logprobs.end());
    const double apart = distance(answers[whole.id].logprobs, joined);
    probe.expect(apart <= kTolerance, "a sequence of " + std::to_string(n) +
                                          " tokens scored in two spans is up to " + shown(apart) +
                                          " nats off; expected at most " + shown(kTolerance));
  }
}

void depend_on_what_is_before_only(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  if (loaded.longest() < 3) probe.skip("the context has no room");
  Ask ask;
  ask.tokens = random_tokens(probe, loaded, loaded.longest());
  Ask other = ask;
  other.id = 2;
  other.tokens.back() = static_cast<std::int32_t>(
      (static_cast<std::uint64_t>(ask.tokens.back()) + 1) % loaded.n_tokens());
  const Answers answers = run_batch(probe, loaded, {ask, other});
  std::vector<float> a = answers[1].logprobs, b = answers[2].logprobs;
  if (a.empty() || b.empty()) probe.fail("a request got no scores");
  a.pop_back();
  b.pop_back();
  const double apart = distance(a, b);
  probe.expect(apart <= kTolerance, "another last token changes scores before it by up to " +
                                        shown(apart) + " nats; expected none to look ahead");
}

double log_sum_exp(const std::vector<float>& row) {
  const double top = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value) - top);
  return top + std::log(sum);
}

void logits_agree(Probe& probe) {
  need_cap(probe, ASSAY_CAP_LOGITS, "LOGITS");
  Loaded loaded(probe, ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS);
  std::vector<Ask> asks = random_asks(probe, loaded, 4);
  for (Ask& ask : asks) ask.want |= ASSAY_WANT_LOGITS;
  const Answers answers = run_batch(probe, loaded, asks);
  for (const Ask& ask : asks) {
    const Answer& answer = answers[ask.id];
    std::vector<float> computed;
    for (std::size_t i = 0; i < answer.logits.size(); ++i) {
      const std::vector<float>& row = answer.logits[i];
      const auto token = static_cast<std::size_t>(ask.tokens[ask.first + i]);
      probe.require(token < row.size(), "a row of logits is " + std::to_string(row.size()) +
                                            " wide and lacks token " + std::to_string(token));
      computed.push_back(static_cast<float>(static_cast<double>(row[token]) - log_sum_exp(row)));
    }
    const double apart = distance(answer.logprobs, computed);
    probe.expect(apart <= kTolerance, "log-softmax of the logits is up to " + shown(apart) +
                                          " nats off the scores; expected at most " +
                                          shown(kTolerance));
  }
}

void greedy_is_the_arg_max(Probe& probe) {
  need_cap(probe, ASSAY_CAP_LOGITS, "LOGITS");
  Loaded loaded(probe, ASSAY_CAP_SCORE | ASSAY_CAP_LOGITS);
  std::vector<Ask> asks = random_asks(probe, loaded, 3);
  for (Ask& ask : asks) ask.want |= ASSAY_WANT_LOGITS;
  const Answers first = run_batch(probe, loaded, asks);
  // Once more with each second token replaced by the likeliest one, so that flags of 1 are seen.
  for (Ask& ask : asks) {
    const auto& logits = first[ask.id].logits;
    if (logits.empty()) continue;
    const auto top = std::max_element(logits[0].begin(), logits[0].end()) - logits[0].begin();
    ask.tokens[ask.first] = static_cast<std::int32_t>(top);
  }
  const std::vector<Ask> again = renumbered(asks, 100);
  const Answers answers = run_batch(probe, loaded, again);
  for (const Ask& ask : again) {
    const Answer& answer = answers[ask.id];
    const std::size_t n = std::min(answer.logits.size(), answer.greedy.size());
    for (std::size_t i = 0; i < n; ++i) {
      const std::vector<float>& row = answer.logits[i];
      const auto token = static_cast<std::size_t>(ask.tokens[ask.first + i]);
      // Of equals the lowest id, which is what max_element finds.
      const auto top =
          static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
      const double behind = static_cast<double>(row[top]) - static_cast<double>(row[token]);
      const bool is_near = behind <= kTolerance && top != token && behind > 0;
      probe.expect(is_near || (answer.greedy[i] == 1) == (top == token),
                   "the greedy flag of token " + std::to_string(token) + " is " +
                       std::to_string(answer.greedy[i]) + "; the arg-max of its logits is token " +
                       std::to_string(top));
    }
  }
}

/// Requests that share a prefix, without and with the hint that they do.
void hints_change_nothing(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  const std::uint64_t shared = loaded.longest() / 2;
  if (shared < 2) probe.skip("the context has no room for a shared prefix");
  const Tokens prefix = random_tokens(probe, loaded, shared);
  std::vector<Ask> asks;
  for (std::uint64_t i = 0; i < 6; ++i) {
    Ask ask;
    ask.id = i + 1;
    ask.tokens = prefix;
    const Tokens rest = random_tokens(probe, loaded, 1 + probe.below(loaded.longest() - shared));
    ask.tokens.insert(ask.tokens.end(), rest.begin(), rest.end());
    ask.first = shared;
    asks.push_back(std::move(ask));
  }
  const Answers plain = run_batch(probe, loaded, asks);
  const auto hinted = [&](std::uint64_t offset, std::uint32_t flags, std::uint64_t length) {
    std::vector<Ask> with = renumbered(asks, offset);
    for (std::size_t i = 0; i < with.size(); ++i) {
      with[i].prefix_group = i % 3 == 2 ? 0 : 5;
      with[i].prefix_len = i % 3 == 2 ? 0 : length;
    }
    const Answers answers = run_batch(probe, loaded, with, flags);
    for (const Ask& ask : asks) {
      expect_same_scores(probe, plain[ask.id], answers[ask.id + offset],
                         "with a prefix hint of " + std::to_string(length) + " tokens");
    }
  };
  hinted(100, 0, shared);
  hinted(200, 0, shared);  // what was kept of the group is used again
  hinted(300, ASSAY_BATCH_LAST_OF_GROUPS, shared / 2);
  hinted(400, ASSAY_BATCH_LAST_OF_GROUPS, shared);
}

void ordered(Probe& probe) {
  need_run(probe);
  if (!probe.has_cap(ASSAY_CAP_SCORE)) probe.skip("no SCORE");
  Loaded loaded(probe);
  const std::vector<Ask> asks = random_asks(probe, loaded, 12);
  const Answers plain = run_batch(probe, loaded, asks);
  const std::vector<Ask> again = renumbered(asks, 100);
  const Answers answers = run_batch(probe, loaded, again, ASSAY_BATCH_ORDERED);
  std::vector<std::uint64_t> expected;
  for (const Ask& ask : again) expected.push_back(ask.id);
  std::string came;
  for (const std::uint64_t id : answers.order)
    came += (came.empty() ? "" : ", ") + std::to_string(id);
  probe.expect(answers.order == expected, "with ORDERED results came for ids " + came +
                                              "; expected request by request, 101 to 112");
  for (const Ask& ask : asks) {
    expect_same_scores(probe, plain[ask.id], answers[ask.id + 100], "with ORDERED");
  }
}

void together(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  const std::vector<Ask> asks = random_asks(probe, loaded, 4);
  const Answers plain = run_batch(probe, loaded, asks);
  const Answers answers = run_batch(probe, loaded, renumbered(asks, 100), ASSAY_BATCH_TOGETHER);
  const assay_status code = answers.by_id.begin()->second.code;
  for (const Ask& ask : asks) {
    const Answer& answer = answers[ask.id + 100];
    probe.expect(answer.code == code, "with TOGETHER some ids ended with " + to_string(code) +
                                          ", others with " + to_string(answer.code));
    if (answer.code == ASSAY_OK) expect_same_scores(probe, plain[ask.id], answer, "with TOGETHER");
  }
  probe.expect(code == ASSAY_OK || code == ASSAY_RESOURCE_EXHAUSTED || code == ASSAY_UNIMPLEMENTED,
               "with TOGETHER all ids ended with " + to_string(code) +
                   "; expected OK, RESOURCE_EXHAUSTED or UNIMPLEMENTED");
}

void one_or_many(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  Loaded loaded(probe);
  const std::vector<Ask> asks = random_asks(probe, loaded, 10);
  const Answers many = run_batch(probe, loaded, asks);
  for (const Ask& ask : asks) {
    Ask alone = ask;
    alone.id += 100;
    const Answers one = run_batch(probe, loaded, {alone});
    expect_same_scores(probe, many[ask.id], one[alone.id], "alone instead of among ten");
  }
  std::vector<Ask> backwards = renumbered(asks, 200);
  std::reverse(backwards.begin(), backwards.end());
  const Answers reversed = run_batch(probe, loaded, backwards);
  for (const Ask& ask : asks) {
    expect_same_scores(probe, many[ask.id], reversed[ask.id + 200], "in the opposite order");
  }
}

void deterministic(Probe& probe) {
  need_cap(probe, ASSAY_CAP_SCORE, "SCORE");
  if (!probe.has_cap(ASSAY_CAP_DETERMINISTIC)) probe.skip("no DETERMINISTIC");
  std::vector<Ask> asks;
  std::vector<Answers> answers;
  for (int i = 0; i < 2; ++i) {
    Loaded loaded(probe);
    if (asks.empty()) asks = random_asks(probe, loaded, 8);
    answers.push_back(run_batch(probe, loaded, asks));
  }
  for (const Ask& ask : asks) {
    // == on floats is what "the same bits" means here: none is NaN, and -0 does not come.
    probe.expect(answers[0][ask.id].logprobs == answers[1][ask.id].logprobs &&
                     answers[0][ask.id].greedy == answers[1][ask.id].greedy,
                 "the same batch in two instances gave other bits for id " +
                     std::to_string(ask.id) + ", " +
                     shown(distance(answers[0][ask.id].logprobs, answers[1][ask.id].logprobs)) +
                     " nats apart; expected the same, as DETERMINISTIC says");
  }
}

constexpr Test kTests[] = {
    {"score.are-log-probabilities", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "Each token from first on gets one log-probability, at most 0, in ascending order.",
     are_log_probabilities},
    {"score.give-what-is-wanted", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "logprobs and greedy are NULL when not wanted, and the same whatever else is.",
     give_what_is_wanted},
    {"score.nothing-to-score", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "first == n_tokens scores nothing and goes straight to done.", nothing_to_score},
    {"score.one-span-or-two", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "Scoring a sequence in one or two spans agrees.", one_span_or_two},
    {"score.depend-on-what-is-before-only", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "A token is predicted from those before it.", depend_on_what_is_before_only},
    {"score.logits-agree", ASSAY_BACKEND, nullptr, Level::kMust, 4, true,
     "Rows of logits, after log-softmax, agree with scores.", logits_agree},
    {"score.greedy-is-the-arg-max", ASSAY_BACKEND, nullptr, Level::kMust, 15, true,
     "Greedy flags agree with the arg-max of the logits; of equals it is the lowest id.",
     greedy_is_the_arg_max},
    {"score.hints-change-nothing", ASSAY_BACKEND, nullptr, Level::kMust, 16, true,
     "Prefix groups are hints: they change no result.", hints_change_nothing},
    {"score.ordered", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "With ORDERED results come request by request.", ordered},
    {"score.together", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "With TOGETHER all ids are answered, or all are refused with RESOURCE_EXHAUSTED or "
     "UNIMPLEMENTED.",
     together},
    {"score.one-or-many", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "A request scores the same alone, among others and in any order.", one_or_many},
    {"score.deterministic", ASSAY_BACKEND, nullptr, Level::kMust, 0, true,
     "DETERMINISTIC means the same bits twice.", deterministic},
};

}  // namespace

std::span<const Test> score_tests() { return kTests; }

}  // namespace assay::suite
