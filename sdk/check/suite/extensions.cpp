// Tests of the extensions of the ABI: sizes first, the same answer twice, agreement with the core.
#include <assay/ext.h>

#include <algorithm>
#include <array>
#include <assay/error.hpp>
#include <assay/suite/requests.hpp>
#include <assay/suite/rows.hpp>
#include <assay/text.hpp>
#include <cmath>
#include <cstring>
#include <thread>

namespace assay::suite {
namespace {

constexpr const char* kPlainText = "Hello, world. The answer is 42.";
constexpr const char* kSomeTexts[] = {kPlainText, "", " ", "a",
                                      "Z\xC3\xBCrich \xF0\x9F\x98\x80\n\t|"};

/// The protocol of every call that fills the caller's buffer: `*n` is what is needed; too small:
/// nothing is written.
template <class Element, class Call>
std::vector<Element> filled(Probe& probe, const std::string& what, Call&& call) {
  std::uint64_t n = 0;
  assay_error error = check::fresh_error();
  Element nothing{};
  assay_status status = call(&nothing, std::uint64_t{0}, &n, &error);
  probe.require(status == ASSAY_OK,
                what + " with no room answered " + said(status, error) + "; expected OK and *n");
  std::vector<Element> buffer(n + 1);
  std::memset(buffer.data(), 0x5A, buffer.size() * sizeof(Element));
  const std::vector<Element> before = buffer;
  if (n > 0) {
    std::uint64_t again = 0;
    status = call(buffer.data(), n - 1, &again, &error);
    probe.expect(status == ASSAY_OK && again == n,
                 what + " with room for one less answered " + said(status, error) + " and *n " +
                     std::to_string(again) + "; expected OK and " + std::to_string(n));
    probe.expect(std::memcmp(buffer.data(), before.data(), buffer.size() * sizeof(Element)) == 0,
                 what + " wrote into a buffer that is too small; expected nothing written");
  }
  std::vector<Element> ample(n + 64);
  std::uint64_t got = 0;
  status = call(ample.data(), ample.size(), &got, &error);
  probe.expect(status == ASSAY_OK && got == n,
               what + " with room to spare answered " + said(status, error) + " and *n " +
                   std::to_string(got) + "; with no room *n was " + std::to_string(n));
  got = 0;
  buffer = before;
  status = call(buffer.data(), n, &got, &error);
  probe.require(status == ASSAY_OK && got == n,
                what + " answered " + said(status, error) + " and *n " + std::to_string(got) +
                    "; expected OK and " + std::to_string(n) + " again");
  probe.expect(std::memcmp(&buffer[n], &before[n], sizeof(Element)) == 0,
               what + " wrote beyond what it needs");
  buffer.resize(n);
  return buffer;
}

Tokens encoded(Probe& probe, const Loaded& loaded, std::string_view text, std::uint32_t flags) {
  const auto& table = loaded.extension<assay_backend_tokenizer_v1>(ASSAY_BACKEND_TOKENIZER_1);
  return filled<std::int32_t>(
      probe, "encode",
      [&](std::int32_t* out, std::uint64_t cap, std::uint64_t* n, assay_error* error) {
        return table.encode(loaded.self(), str_of(text), flags, out, cap, n, error);
      });
}

std::string decoded(Probe& probe, const Loaded& loaded, const Tokens& tokens, std::uint32_t flags) {
  const auto& table = loaded.extension<assay_backend_tokenizer_v1>(ASSAY_BACKEND_TOKENIZER_1);
  const std::vector<char> bytes = filled<char>(
      probe, "decode", [&](char* out, std::uint64_t cap, std::uint64_t* n, assay_error* error) {
        return table.decode(loaded.self(), tokens.data(), tokens.size(), flags, out, cap, n, error);
      });
  return {bytes.begin(), bytes.end()};
}

using Digest = std::array<std::uint8_t, 32>;

std::uint64_t any_cap(const Probe& probe) {
  return probe.component().caps & (ASSAY_CAP_SCORE | ASSAY_CAP_GENERATE);
}

void tokenizer_keeps_to_sizes(Probe& probe) {
  const Loaded loaded(probe, any_cap(probe));
  for (const char* text : kSomeTexts) {
    for (const std::uint32_t flags : {0u, 1u, 3u}) {
      const Tokens tokens = encoded(probe, loaded, text, flags);
      for (const std::int32_t token : tokens) {
        const bool is_inside = token >= 0 && (loaded.info().vocab == 0 ||
                                              token < static_cast<int>(loaded.info().vocab));
        probe.expect(is_inside,
                     "encode gave the token " + std::to_string(token) + ", outside the vocabulary");
      }
      decoded(probe, loaded, tokens, 0);
    }
  }
  const auto& table = loaded.extension<assay_backend_tokenizer_v1>(ASSAY_BACKEND_TOKENIZER_1);
  const auto ends = filled<std::int32_t>(
      probe, "ends",
      [&](std::int32_t* out, std::uint64_t cap, std::uint64_t* n, assay_error* error) {
        return table.ends(loaded.self(), out, cap, n, error);
      });
  const std::int32_t eos = loaded.info().eos;
  probe.expect(eos < 0 || std::find(ends.begin(), ends.end(), eos) != ends.end(),
               "ends lacks eos, token " + std::to_string(eos));
}

void tokenizer_repeats(Probe& probe) {
  const Loaded loaded(probe, any_cap(probe));
  const Tokens alone = encoded(probe, loaded, kPlainText, 0);
  probe.expect(encoded(probe, loaded, kPlainText, 0) == alone,
               "encode gave other tokens the second time");
  Tokens got[2];
  std::exception_ptr thrown[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      try {
        for (int k = 0; k < 20; ++k) got[i] = encoded(probe, loaded, kPlainText, 0);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& each : thrown) {
    if (each) std::rethrow_exception(each);
  }
  probe.expect(got[0] == alone && got[1] == alone,
               "encode on two threads at once gave other tokens");
}

void tokenizer_brings_text_back(Probe& probe) {
  const Loaded loaded(probe, any_cap(probe));
  const std::string back = decoded(probe, loaded, encoded(probe, loaded, kPlainText, 0), 0);
  probe.expect(stripped(back) == kPlainText, "decode of what encode gave is " + quoted(back) +
                                                 "; expected " + quoted(kPlainText));
}

template <class Table>
Digest fingerprint_of(Probe& probe, const Loaded& loaded, const char* id) {
  Digest digest{};
  assay_error error = check::fresh_error();
  const assay_status status =
      loaded.extension<Table>(id).fingerprint(loaded.self(), digest.data(), &error);
  probe.require(status == ASSAY_OK, "fingerprint answered " + said(status, error));
  return digest;
}

template <class Table>
void expect_fingerprint(Probe& probe, const char* id) {
  const Loaded loaded(probe, any_cap(probe));
  const Digest first = fingerprint_of<Table>(probe, loaded, id);
  probe.expect(first != Digest{}, "the fingerprint is all zeros");
  probe.expect(fingerprint_of<Table>(probe, loaded, id) == first,
               "the fingerprint changed from one call to the next");
  const Loaded other(probe, any_cap(probe));
  probe.expect(fingerprint_of<Table>(probe, other, id) == first,
               "another instance of the same model has another fingerprint");
}

void tokenizer_fingerprint(Probe& probe) {
  expect_fingerprint<assay_backend_tokenizer_v1>(probe, ASSAY_BACKEND_TOKENIZER_1);
}

void template_fingerprint(Probe& probe) {
  expect_fingerprint<assay_backend_template_v1>(probe, ASSAY_BACKEND_TEMPLATE_1);
}

std::string rendered(Probe& probe, const Loaded& loaded, const assay_messages& messages,
                     std::uint32_t flags) {
  const auto& table = loaded.extension<assay_backend_template_v1>(ASSAY_BACKEND_TEMPLATE_1);
  const std::vector<char> bytes = filled<char>(
      probe, "render", [&](char* out, std::uint64_t cap, std::uint64_t* n, assay_error* error) {
        return table.render(loaded.self(), &messages, {"", 0}, flags, out, cap, n, error);
      });
  return {bytes.begin(), bytes.end()};
}

/// A later minor's message: what is behind its text is not read.
struct LongerMessage {
  assay_message message;
  std::uint64_t behind = 0xABABABABABABABAB;
};

void template_renders(Probe& probe) {
  const Loaded loaded(probe, any_cap(probe));
  const assay_message plain[] = {{str_of("user"), str_of("What is 6 times 7?")},
                                 {str_of("assistant"), str_of("42.")},
                                 {str_of("user"), str_of("Why?")}};
  LongerMessage longer[3];
  for (int i = 0; i < 3; ++i) longer[i].message = plain[i];
  const assay_messages messages{plain, 3, sizeof plain[0]};
  const std::string text = rendered(probe, loaded, messages, 0);
  probe.expect(is_utf8(text), "a rendered chat is not UTF-8");
  for (const assay_message& message : plain) {
    probe.expect(text.find(view_of(message.text)) != std::string::npos,
                 "a rendered chat lacks the text " + quoted(view_of(message.text)));
  }
  probe.expect(rendered(probe, loaded, messages, 0) == text,
               "the same chat is rendered in another way the second time");
  const assay_messages wide{&longer[0].message, 3, sizeof longer[0]};
  probe.expect(rendered(probe, loaded, wide, 0) == text,
               "with a larger stride the same chat is rendered in another way");
  const std::string open = rendered(probe, loaded, messages, ASSAY_RENDER_OPEN_REPLY);
  probe.expect(open.starts_with(text) || open.find("Why?") != std::string::npos,
               "OPEN_REPLY loses what was said");
}

void memory_is_plausible(Probe& probe) {
  Loaded loaded(probe, any_cap(probe));
  const auto& table = loaded.extension<assay_backend_memory_v1>(ASSAY_BACKEND_MEMORY_1);
  const auto read = [&](std::uint64_t nth, assay_memory& memory, assay_error& error) {
    memory = {};
    memory.struct_size = sizeof memory;
    error = check::fresh_error();
    return table.read(loaded.self(), nth, &memory, &error);
  };
  assay_memory memory;
  assay_error error;
  const std::uint64_t n_devices = loaded.host().resources().n_devices;
  assay_status status = read(n_devices, memory, error);
  probe.require(status == ASSAY_OK, "read of the host's memory answered " + said(status, error) +
                                        "; expected OK for nth = n_devices");
  const auto expect_peaks = [&](const char* when) {
    const auto is_peak = [](std::uint64_t now, std::uint64_t peak) {
      return now == ASSAY_UNKNOWN || peak == ASSAY_UNKNOWN || now <= peak;
    };
    probe.expect(is_peak(memory.kv, memory.kv_peak) &&
                     is_peak(memory.allocated, memory.allocated_peak) &&
                     is_peak(memory.held, memory.held_peak),
                 std::string("a peak is below what is in use ") + when);
  };
  expect_peaks("after load");
  probe.expect(memory.struct_size == sizeof memory, "read wrote over struct_size");
  status = read(n_devices + 1, memory, error);
  probe.expect(status == ASSAY_NOT_FOUND, "read of a device that is not there answered " +
                                              said(status, error) + "; expected NOT_FOUND");
  if (probe.has_cap(ASSAY_CAP_SCORE)) run_batch(probe, loaded, random_asks(probe, loaded, 4));
  error = check::fresh_error();
  status = table.reset_peaks(loaded.self(), &error);
  probe.require(status == ASSAY_OK, "reset_peaks answered " + said(status, error));
  status = read(n_devices, memory, error);
  probe.require(status == ASSAY_OK, "read answered " + said(status, error));
  expect_peaks("after reset_peaks");
  probe.expect(
      memory.kv_peak == ASSAY_UNKNOWN || memory.kv == ASSAY_UNKNOWN || memory.kv_peak == memory.kv,
      "after reset_peaks kv_peak is not what is in use");
}

// ---- assay.backend.text/1 ----

struct TextAnswer {
  int n_done = 0;
  assay_status code = ASSAY_OK;
  std::string text;
  std::vector<std::int64_t> ends;
  std::vector<float> logprobs;
};

struct TextRecorder {
  Probe& probe;
  std::map<std::uint64_t, TextAnswer> answers;
  std::mutex lock;

  static TextRecorder& of(void* ctx) { return *static_cast<TextRecorder*>(ctx); }
  TextAnswer* open(std::uint64_t id) {
    const auto found = answers.find(id);
    if (found == answers.end()) {
      probe.expect(false, "a call for id " + std::to_string(id) + ", which was not asked");
      return nullptr;
    }
    probe.expect(found->second.n_done == 0,
                 "a call for id " + std::to_string(id) + " came after its done");
    return &found->second;
  }
  std::int32_t take_text(std::uint64_t id, assay_str piece) {
    const std::scoped_lock hold(lock);
    TextAnswer* answer = open(id);
    if (answer == nullptr) return 1;
    probe.expect(is_utf8(view_of(piece)), "a piece of an answer is not whole UTF-8 characters");
    answer->text += view_of(piece);
    return 0;
  }
  std::int32_t take_scores(std::uint64_t id, const std::int64_t* ends, const float* logprobs,
                           std::uint64_t n) {
    const std::scoped_lock hold(lock);
    TextAnswer* answer = open(id);
    if (answer == nullptr) return 1;
    for (std::uint64_t i = 0; i < n; ++i) {
      probe.expect(logprobs == nullptr || logprobs[i] <= 0, "a piece's score is above 0");
      probe.expect(answer->ends.empty() || ends[i] >= answer->ends.back(),
                   "ends of pieces descend");
      answer->ends.push_back(ends[i]);
    }
    return 0;
  }
  void take_done(std::uint64_t id, const assay_error* failure) {
    const std::scoped_lock hold(lock);
    TextAnswer* answer = open(id);
    if (answer == nullptr) return;
    ++answer->n_done;
    if (failure != nullptr) answer->code = failure->code;
  }
};

void text_is_answered(Probe& probe) {
  Loaded loaded(probe, any_cap(probe));
  const auto& table = loaded.extension<assay_backend_text_v1>(ASSAY_BACKEND_TEXT_1);
  TextRecorder recorder{probe, {}, {}};
  const assay_text_sink sink{
      sizeof sink,
      0,
      &recorder,
      [](void* ctx, std::uint64_t id, assay_str piece, std::uint64_t) noexcept {
        return TextRecorder::of(ctx).take_text(id, piece);
      },
      [](void* ctx, std::uint64_t id, std::int64_t, const std::int64_t* ends, const float* logprobs,
         const std::uint8_t*, std::uint64_t n) noexcept {
        return TextRecorder::of(ctx).take_scores(id, ends, logprobs, n);
      },
      [](void* ctx, std::uint64_t id, const assay_error* failure, const assay_usage*) noexcept {
        TextRecorder::of(ctx).take_done(id, failure);
      }};
  assay_sampling sampling{};
  sampling.struct_size = sizeof sampling;
  sampling.max_new = 8;
  sampling.top_p = 1;
  const assay_message chat[] = {{str_of("user"), str_of("What is 6 times 7?")}};
  std::vector<assay_text_request> requests(4);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i] = {};
    requests[i].id = 10 + i;
    recorder.answers[10 + i];
  }
  requests[0].kind = ASSAY_REQ_GENERATE;
  requests[0].prompt = str_of("Once upon a time");
  requests[0].sampling = &sampling;
  requests[1].kind = ASSAY_REQ_GENERATE;
  requests[1].messages = {chat, 1, sizeof chat[0]};
  requests[1].sampling = &sampling;
  requests[2].kind = ASSAY_REQ_SCORE;
  requests[2].want = ASSAY_WANT_LOGPROBS;
  requests[2].prompt = str_of("The sky is");
  requests[2].continuation = str_of(" blue");
  requests[3].kind = 4711;
  const assay_text_batch batch{sizeof batch, 0, requests.size(), sizeof requests[0],
                               requests.data()};
  assay_error error = check::fresh_error();
  const assay_status status = table.run(loaded.self(), &batch, &sink, &error);
  probe.require(status == ASSAY_OK, "run answered " + said(status, error) + "; expected OK");
  for (const auto& [id, answer] : recorder.answers) {
    probe.expect(answer.n_done == 1, "id " + std::to_string(id) + " got " +
                                         std::to_string(answer.n_done) + " done; expected one");
  }
  const auto expect_code = [&](std::uint64_t id, std::uint64_t cap, const char* what) {
    const assay_status code = recorder.answers[id].code;
    const bool is_declared = probe.has_cap(cap);
    probe.expect(is_declared ? code == ASSAY_OK : code == ASSAY_UNIMPLEMENTED,
                 std::string(what) + " ended with " + to_string(code) + "; expected " +
                     (is_declared ? "OK" : "UNIMPLEMENTED, for it is not declared"));
  };
  expect_code(10, ASSAY_CAP_GENERATE, "a GENERATE request of a prompt");
  expect_code(12, ASSAY_CAP_SCORE, "a SCORE request");
  probe.expect(recorder.answers[13].code == ASSAY_UNIMPLEMENTED,
               "a request of kind 4711 ended with " + to_string(recorder.answers[13].code) +
                   "; expected UNIMPLEMENTED");
}

// ---- assay.dataset.rows/1 ----

std::map<std::string, std::uint64_t> splits_of(Probe& probe, const Made& made) {
  const auto& table = made.extension<assay_dataset_rows_v1>(ASSAY_DATASET_ROWS_1);
  std::map<std::string, std::uint64_t> splits;
  const assay_split_sink sink{sizeof sink, 0, &splits,
                              [](void* ctx, assay_str name, std::uint64_t rows) noexcept {
                                auto& to = *static_cast<std::map<std::string, std::uint64_t>*>(ctx);
                                to[std::string(view_of(name))] = rows;
                              }};
  assay_error error = check::fresh_error();
  const assay_status status = table.splits(made.self(), &sink, &error);
  probe.require(status == ASSAY_OK, "splits answered " + said(status, error) + "; expected OK");
  return splits;
}

void splits_can_be_opened(Probe& probe) {
  const Made made(probe);
  for (const auto& [name, rows] : splits_of(probe, made)) {
    Stream stream = open_split(probe, made, name);
    if (rows == ASSAY_UNKNOWN || rows > 100'000) continue;
    const std::uint64_t streamed = read_split(probe, stream).rows.size();
    probe.expect(streamed == rows, "split " + quoted(name) + " has " + std::to_string(rows) +
                                       " rows by splits and " + std::to_string(streamed) +
                                       " by open");
  }
}

void take_gives_the_stream_s_rows(Probe& probe) {
  const Made made(probe);
  const auto& table = made.extension<assay_dataset_rows_v1>(ASSAY_DATASET_ROWS_1);
  if (table.take == nullptr) probe.skip("take is NULL: rows can only be streamed");
  const std::string& name = probe.settings().split;
  Stream whole = open_split(probe, made, name);
  const Split rows = read_split(probe, whole, 2000);
  if (rows.rows.empty()) probe.skip("the split has no rows");
  std::vector<std::uint64_t> wanted{0, rows.rows.size() - 1, 0};
  for (int i = 0; i < 10; ++i) wanted.push_back(probe.below(rows.rows.size()));
  const auto take = [&](const std::vector<std::uint64_t>& indices, Stream& out,
                        assay_error& error) {
    error = check::fresh_error();
    return table.take(made.self(), str_of(name), indices.data(), indices.size(), out.out(), &error);
  };
  Stream stream;
  assay_error error;
  assay_status status = take(wanted, stream, error);
  probe.require(status == ASSAY_OK, "take answered " + said(status, error) + "; expected OK");
  const Split taken = read_split(probe, stream);
  probe.expect(taken.schema == rows.schema,
               "take has the schema " + taken.schema + "; expected " + rows.schema);
  probe.require(taken.rows.size() == wanted.size(), "take of " + std::to_string(wanted.size()) +
                                                        " rows gave " +
                                                        std::to_string(taken.rows.size()));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    probe.expect(taken.rows[i] == rows.rows[wanted[i]],
                 "row " + std::to_string(i) + " of take is not row " + std::to_string(wanted[i]) +
                     " of the stream");
  }
  status = take({}, stream, error);
  probe.expect(status == ASSAY_OK && read_split(probe, stream).rows.empty(),
               "take of no rows answered " + said(status, error) + "; expected an empty stream");
  Stream rest = open_split(probe, made, name);
  const std::uint64_t n = rows.rows.size() < 2000 ? rows.rows.size() : ASSAY_UNKNOWN - 1;
  Stream beyond;
  status = take({n}, beyond, error);
  bool is_found = status == ASSAY_OK;
  if (is_found) {
    Array batch;
    Schema schema;
    is_found = beyond->get_schema(beyond.get(), schema.out()) == 0 &&
               beyond->get_next(beyond.get(), batch.out()) == 0;
  }
  probe.expect(!is_found, "take of a row that is not there answered OK; expected NOT_FOUND");
}

// ---- assay.metric.sums/1 ----

void sums_agree(Probe& probe) {
  need_rows(probe);
  constexpr std::uint64_t kItems = 30;
  const check::Table rows = made_rows(probe, {.n = kItems});
  const Made made(probe);
  const auto& table = made.extension<assay_metric_sums_v1>(ASSAY_METRIC_SUMS_1);
  const std::uint64_t n_outputs = probe.component().n_outputs;
  probe.require(table.n_terms > 0, "n_terms is 0; expected the names of samples");
  const Given given = measure(probe, rows, kItems, {});
  std::vector<double> sums(table.n_terms, 0.0);
  for (const auto& [at, value] : given.samples) {
    for (std::uint64_t k = 0; k < table.n_terms; ++k) {
      if (at.second == table.terms[k] && !std::isnan(value)) sums[k] += value;
    }
  }
  // All items; all twice; both at once; none.
  std::vector<double> all = sums;
  for (const double sum : sums) all.push_back(2 * sum);
  all.insert(all.end(), table.n_terms, 0.0);
  const double items[] = {double{kItems}, 2 * double{kItems}, 0};
  std::vector<double> out(3 * n_outputs + 1, 4711), one(n_outputs);
  assay_error error = patterned_error();
  assay_status status = table.totals(made.self(), all.data(), items, 3, out.data(), &error);
  probe.require(status == ASSAY_OK, "totals answered " + said(status, error) + "; expected OK");
  probe.expect(out.back() == 4711, "totals wrote beyond n times n_outputs values");
  status = table.totals(made.self(), sums.data(), items, 1, one.data(), &error);
  probe.require(status == ASSAY_OK, "totals answered " + said(status, error) + "; expected OK");
  for (std::uint64_t k = 0; k < n_outputs; ++k) {
    const std::string name = probe.component().outputs[k]->name;
    const auto total = given.totals.find(name);
    const auto near = [](double a, double b) {
      return (std::isnan(a) && std::isnan(b)) || a == b ||
             std::abs(a - b) <= 1e-9 * std::max({1.0, std::abs(a), std::abs(b)});
    };
    probe.expect(near(out[k], one[k]), "the total of " + quoted(name) +
                                           " differs with how many resamples are asked at once");
    if (total != given.totals.end()) {
      // NaN: the output is no function of the sums.
      probe.expect(std::isnan(out[k]) || near(out[k], total->second.value),
                   "the sums of all items give " + shown(out[k]) + " for " + quoted(name) +
                       "; finish gave " + shown(total->second.value));
    }
    if ((probe.component().outputs[k]->flags & ASSAY_COL_MEAN) != 0) {
      probe.expect(near(out[k], out[n_outputs + k]), "every item twice changes the mean " +
                                                         quoted(name) + " from " + shown(out[k]) +
                                                         " to " + shown(out[n_outputs + k]));
    }
  }
}

void sums_name_samples(Probe& probe) {
  need_rows(probe);
  const check::Table rows = made_rows(probe, {.n = 12});
  const Given given = measure(probe, rows, 12, {});
  const Made made(probe);
  const auto& table = made.extension<assay_metric_sums_v1>(ASSAY_METRIC_SUMS_1);
  for (std::uint64_t k = 0; k < table.n_terms; ++k) {
    const bool is_given =
        std::any_of(given.samples.begin(), given.samples.end(),
                    [&](const auto& sample) { return sample.first.second == table.terms[k]; });
    probe.expect(is_given, "the term " + quoted(table.terms[k]) + " is no sample it gives");
  }
}

void configuration_check_agrees(Probe& probe) {
  struct Complaints {
    std::vector<std::string> errors;
  } complaints;
  const assay_diagnostic_sink sink{
      sizeof sink, 0, &complaints,
      [](void* ctx, assay_level level, assay_str key, assay_str text) noexcept {
        if (level < ASSAY_ERROR) return;
        static_cast<Complaints*>(ctx)->errors.push_back(std::string(view_of(key)) + ": " +
                                                        std::string(view_of(text)));
      }};
  check::FakeHost host;
  assay_error error = patterned_error();
  const assay_status status = probe.subject().check(host, probe.options(), sink, &error);
  if (status == ASSAY_UNIMPLEMENTED) probe.skip("the check is not reachable here");
  probe.require(status == ASSAY_OK, "check answered " + said(status, error) + "; expected OK");
  const Creation creation = try_create(probe, probe.options());
  if (creation.status != ASSAY_OK) return;
  for (const std::string& complaint : complaints.errors) {
    probe.expect(false, "the configuration an instance was made of is refused: " + complaint);
  }
}

constexpr Test kTests[] = {
    {"tokenizer.keeps-to-sizes", ASSAY_BACKEND, ASSAY_BACKEND_TOKENIZER_1, Level::kMust, 0, true,
     "*n is what is needed; where room is short nothing is written.", tokenizer_keeps_to_sizes},
    {"tokenizer.repeats", ASSAY_BACKEND, ASSAY_BACKEND_TOKENIZER_1, Level::kMust, 0, true,
     "The same text gives the same tokens, from any thread.", tokenizer_repeats},
    {"tokenizer.brings-text-back", ASSAY_BACKEND, ASSAY_BACKEND_TOKENIZER_1, Level::kShould, 0,
     true, "decode brings back what encode took.", tokenizer_brings_text_back},
    {"tokenizer.fingerprint-is-stable", ASSAY_BACKEND, ASSAY_BACKEND_TOKENIZER_1, Level::kMust, 0,
     true, "The same tokenizer has the same fingerprint.", tokenizer_fingerprint},
    {"template.renders", ASSAY_BACKEND, ASSAY_BACKEND_TEMPLATE_1, Level::kMust, 0, true,
     "A chat is rendered whole, the same twice, by the stride of its messages.", template_renders},
    {"template.fingerprint-is-stable", ASSAY_BACKEND, ASSAY_BACKEND_TEMPLATE_1, Level::kMust, 0,
     true, "The same template has the same fingerprint.", template_fingerprint},
    {"memory.is-plausible", ASSAY_BACKEND, ASSAY_BACKEND_MEMORY_1, Level::kMust, 0, true,
     "Peaks are not below what is in use, devices that are not there are NOT_FOUND.",
     memory_is_plausible},
    {"text.is-answered", ASSAY_BACKEND, ASSAY_BACKEND_TEXT_1, Level::kMust, 0, true,
     "Text requests follow the rules of the result sink: one done each, whole characters.",
     text_is_answered},
    {"rows.splits-can-be-opened", ASSAY_DATASET, ASSAY_DATASET_ROWS_1, Level::kMust, 0, true,
     "Every split that is named can be opened and has the rows it says.", splits_can_be_opened},
    {"rows.take-gives-the-stream-s-rows", ASSAY_DATASET, ASSAY_DATASET_ROWS_1, Level::kMust, 0,
     true, "take gives the rows of these indices, in this order, repeats allowed.",
     take_gives_the_stream_s_rows},
    {"sums.agree-with-totals", ASSAY_METRIC, ASSAY_METRIC_SUMS_1, Level::kMust, 0, true,
     "Totals of the sums of all items are those of finish; means do not change with repeats.",
     sums_agree},
    {"sums.name-samples", ASSAY_METRIC, ASSAY_METRIC_SUMS_1, Level::kMust, 0, true,
     "Terms are names of samples.", sums_name_samples},
    {"config.check-agrees-with-create", 0, ASSAY_CONFIG_CHECK_1, Level::kMust, 0, true,
     "A configuration that makes an instance is not refused.", configuration_check_agrees},
};

}  // namespace

std::span<const Test> extension_tests() { return kTests; }

}  // namespace assay::suite
