// A backend whose extensions keep their contracts, and the same with one fault at a time.
#include <assay/abi.h>
#include <assay/ext.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstring>
#include <string_view>
#include <vector>

#include "tests/sdk/suite/planted.hpp"

namespace {

using assay::suite::named;
using assay::suite::outcome_of;
using assay::suite::Planted;
using assay::suite::shown;
using assay::suite::Verdict;

constexpr std::int32_t kEnd = 256;  // tokens are bytes, and this one
constexpr std::uint32_t kVocab = 257;

std::string fault;  // what the backend below does wrong; empty: nothing

bool has(const char* name) { return fault == name; }

std::uint64_t caps = ASSAY_CAP_GENERATE;  // what it declares, and answers

std::atomic<int> n_calls = 0;  // of whatever a fault counts

assay_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(assay_str text) { return {text.ptr, text.len}; }

assay_status refused(assay_error* error, assay_status code, const char* text) {
  error->code = code;
  std::strcpy(error->where, "");
  std::strcpy(error->text, text);
  return code;
}

assay_status load(void*, const assay_job*, assay_model_info* info, assay_error*) noexcept {
  info->vocab = kVocab;
  info->bos = -1;
  info->eos = kEnd;
  return ASSAY_OK;
}

/// The protocol of buffers that the caller owns.
template <class List>
assay_status give(const List& what, typename List::value_type* out, std::uint64_t cap,
                  std::uint64_t* n) {
  *n = has("tells_the_room") ? std::min<std::uint64_t>(what.size(), cap) : what.size();
  if (what.size() <= cap || has("fills_what_is_short")) {
    std::copy_n(what.begin(), std::min<std::uint64_t>(what.size(), cap), out);
  }
  if (has("ends_with_nul") && what.size() <= cap) out[what.size()] = 0;
  return ASSAY_OK;
}

// ---- tokenizer ----

assay_status encode(void*, assay_str text, std::uint32_t, std::int32_t* out, std::uint64_t cap,
                    std::uint64_t* n, assay_error*) noexcept {
  std::vector<std::int32_t> tokens;
  for (const char c : view(text)) tokens.push_back(static_cast<unsigned char>(c));
  if (has("token_outside") && !tokens.empty()) tokens[0] = kVocab;
  if (has("counts_calls") && tokens.size() > 20) tokens[20] = n_calls++ / 8 % 256;
  return give(tokens, out, cap, n);
}

assay_status decode(void*, const std::int32_t* tokens, std::uint64_t n_tokens, std::uint32_t,
                    char* out, std::uint64_t cap, std::uint64_t* n, assay_error*) noexcept {
  std::string text;
  for (std::uint64_t i = 0; i < n_tokens; ++i) {
    if (tokens[i] >= kEnd) continue;
    text += static_cast<char>(has("loses_case") ? std::tolower(tokens[i]) : tokens[i]);
  }
  return give(text, out, cap, n);
}

assay_status ends(void*, std::int32_t* out, std::uint64_t cap, std::uint64_t* n,
                  assay_error*) noexcept {
  return give(std::vector<std::int32_t>{has("ends_lack_eos") ? 10 : kEnd}, out, cap, n);
}

assay_status fingerprint(void* self, std::uint8_t* sha256, assay_error*) noexcept {
  std::memset(sha256, has("zeros") ? 0 : 7, 32);
  if (has("another_each_time")) sha256[0] = static_cast<std::uint8_t>(n_calls++);
  if (has("another_each_instance")) std::memcpy(sha256, self, sizeof(int));
  return ASSAY_OK;
}

// ---- template ----

assay_status render(void*, const assay_messages* messages, assay_str, std::uint32_t flags,
                    char* out, std::uint64_t cap, std::uint64_t* n, assay_error*) noexcept {
  const auto* bytes = reinterpret_cast<const char*>(messages->data);
  std::string text;
  for (std::uint64_t i = has("loses_a_turn") ? 1 : 0; i < messages->n; ++i) {
    const auto& message = *reinterpret_cast<const assay_message*>(bytes + i * messages->stride);
    text += "<" + std::string(view(message.role)) + ">" + std::string(view(message.text)) + "\n";
  }
  if (has("shows_its_stride")) text += std::to_string(messages->stride);
  if (has("counts_renders")) text += std::to_string(n_calls++ / 3 % 10);
  if (has("no_utf8")) text += "\xFF";
  const bool opens = (flags & ASSAY_RENDER_OPEN_REPLY) != 0;
  if (opens && has("reply_loses_the_chat")) text.clear();
  if (opens) text += "<assistant>";
  return give(text, out, cap, n);
}

// ---- memory ----

assay_status read(void*, std::uint64_t nth, assay_memory* out, assay_error* error) noexcept {
  // One device, and the host.
  if (nth > 1 && !has("any_device")) {
    return refused(error, has("odd_code") ? ASSAY_INTERNAL : ASSAY_NOT_FOUND, "no such device");
  }
  if (nth == 1 && has("knows_no_host")) return refused(error, ASSAY_NOT_FOUND, "no such device");
  const bool is_fresh = n_calls > 0;  // after reset_peaks
  out->weights = 1000;
  out->kv = 100;
  out->kv_peak = is_fresh && !has("keeps_its_peak") ? 100 : 200;
  out->allocated = out->allocated_peak = 1100;
  out->held = 2000;
  out->held_peak = has("peak_below") ? 1000 : 2000;
  if (has("overwrites_size")) out->struct_size = 0;
  return ASSAY_OK;
}

assay_status reset_peaks(void*, assay_error* error) noexcept {
  ++n_calls;
  if (has("cannot_reset")) return refused(error, ASSAY_UNIMPLEMENTED, "peaks stay");
  return ASSAY_OK;
}

// ---- text ----

assay_status run_text(void*, const assay_text_batch* batch, const assay_text_sink* sink,
                      assay_error*) noexcept {
  for (std::uint64_t i = 0; i < batch->n; ++i) {
    const auto& request = *reinterpret_cast<const assay_text_request*>(
        reinterpret_cast<const char*>(batch->requests) + i * batch->stride);
    assay_error failure{};
    failure.struct_size = sizeof failure;
    if (request.kind == ASSAY_REQ_GENERATE) {
      sink->text(sink->ctx, request.id, str(has("half_a_character") ? "Z\xC3" : "Z\xC3\xBC"), 1);
    } else if (request.kind == ASSAY_REQ_SCORE && (caps & ASSAY_CAP_SCORE) != 0) {
      const std::int64_t pieces[] = {has("pieces_descend") ? 6 : 2, 5};
      const float logprobs[] = {-1, has("positive") ? 1.0F : -1.0F};
      sink->scores(sink->ctx, request.id, 0, pieces, logprobs, nullptr, 2);
      if (has("fails_what_it_declares")) refused(&failure, ASSAY_UNIMPLEMENTED, "not scored");
    } else if (request.kind != ASSAY_REQ_SCORE || !has("scores_undeclared")) {
      refused(&failure, has("any_failure") ? ASSAY_INTERNAL : ASSAY_UNIMPLEMENTED, "no such kind");
    }
    if (has("goes_without_done") && i == 1) continue;
    assay_usage usage{};
    usage.struct_size = sizeof usage;
    for (int times = has("done_twice") ? 2 : 1; times > 0; --times) {
      sink->done(sink->ctx, request.id, failure.code == ASSAY_OK ? nullptr : &failure, &usage);
    }
    if (has("text_after_done")) sink->text(sink->ctx, request.id, str("more"), 1);
    if (has("answers_another")) sink->text(sink->ctx, request.id + 100, str("more"), 1);
  }
  return ASSAY_OK;
}

// ---- configuration ----

assay_status check(const assay_host*, const assay_config*, const assay_diagnostic_sink* sink,
                   assay_error* error) noexcept {
  sink->add(sink->ctx, ASSAY_WARN, str("all"), str("is well"));
  if (has("refuses_what_works")) sink->add(sink->ctx, ASSAY_ERROR, str(""), str("it never works"));
  if (has("cannot_check")) return refused(error, ASSAY_INTERNAL, "it cannot check");
  return ASSAY_OK;
}

constexpr assay_backend_v1 kApi{sizeof kApi, 0, nullptr, load, nullptr, nullptr};
constexpr assay_backend_tokenizer_v1 kTokenizer{sizeof kTokenizer, 0, encode, decode, ends,
                                                fingerprint};
constexpr assay_backend_template_v1 kTemplate{sizeof kTemplate, 0, render, fingerprint};
constexpr assay_backend_memory_v1 kMemory{sizeof kMemory, 0, read, reset_peaks};
constexpr assay_backend_text_v1 kText{sizeof kText, 0, run_text};
constexpr assay_config_check_v1 kCheck{sizeof kCheck, 0, check};
constexpr assay_extension kExtensions[] = {{ASSAY_BACKEND_TOKENIZER_1, &kTokenizer},
                                           {ASSAY_BACKEND_TEMPLATE_1, &kTemplate},
                                           {ASSAY_BACKEND_MEMORY_1, &kMemory},
                                           {ASSAY_BACKEND_TEXT_1, &kText},
                                           {ASSAY_CONFIG_CHECK_1, &kCheck}};
constexpr assay_component kComponent{
    sizeof kComponent,
    ASSAY_BACKEND,
    "acme/extended",
    "1.0.0",
    "A backend with a fault in an extension",
    ASSAY_CAP_GENERATE,
    nullptr,
    0,
    nullptr,
    0,
    nullptr,
    0,
    [](const assay_host*, const assay_config*, const assay_resources*, void** self,
       assay_error*) noexcept -> assay_status {
      static int n_made = 0;
      *self = new int(n_made++);
      return ASSAY_OK;
    },
    [](void* self) noexcept { delete static_cast<int*>(self); },
    &kApi,
    kExtensions,
    std::size(kExtensions)};

assay_component planted() {
  assay_component component = kComponent;
  component.caps = caps;
  return component;
}

class PlantedExtension : public testing::TestWithParam<Planted> {
 public:
  ~PlantedExtension() override {
    fault.clear();
    caps = ASSAY_CAP_GENERATE;
  }
};

TEST_P(PlantedExtension, IsFound) {
  fault.clear();
  if (GetParam().caps != 0) caps = GetParam().caps;
  n_calls = 0;
  const auto sound = outcome_of(GetParam().test, planted());
  EXPECT_EQ(sound.verdict, Verdict::kPassed) << shown(sound);
  fault = GetParam().fault;
  n_calls = 0;
  EXPECT_EQ(outcome_of(GetParam().test, planted()).verdict, Verdict::kFailed)
      << fault << " was not found";
}

constexpr Planted kPlanted[] = {
    {"tells_the_room", "tokenizer.keeps-to-sizes"},
    {"fills_what_is_short", "tokenizer.keeps-to-sizes"},
    {"ends_with_nul", "tokenizer.keeps-to-sizes"},
    {"token_outside", "tokenizer.keeps-to-sizes"},
    {"ends_lack_eos", "tokenizer.keeps-to-sizes"},
    {"counts_calls", "tokenizer.repeats"},
    {"loses_case", "tokenizer.brings-text-back"},
    {"zeros", "tokenizer.fingerprint-is-stable"},
    {"another_each_time", "tokenizer.fingerprint-is-stable"},
    {"another_each_instance", "tokenizer.fingerprint-is-stable"},
    {"tells_the_room", "template.renders"},
    {"fills_what_is_short", "template.renders"},
    {"loses_a_turn", "template.renders"},
    {"shows_its_stride", "template.renders"},
    {"counts_renders", "template.renders"},
    {"no_utf8", "template.renders"},
    {"reply_loses_the_chat", "template.renders"},
    {"zeros", "template.fingerprint-is-stable"},
    {"another_each_time", "template.fingerprint-is-stable"},
    {"another_each_instance", "template.fingerprint-is-stable"},
    {"any_device", "memory.is-plausible"},
    {"odd_code", "memory.is-plausible"},
    {"knows_no_host", "memory.is-plausible"},
    {"keeps_its_peak", "memory.is-plausible"},
    {"peak_below", "memory.is-plausible"},
    {"overwrites_size", "memory.is-plausible"},
    {"cannot_reset", "memory.is-plausible"},
    {"half_a_character", "text.is-answered"},
    {"scores_undeclared", "text.is-answered"},
    {"any_failure", "text.is-answered"},
    {"goes_without_done", "text.is-answered"},
    {"done_twice", "text.is-answered"},
    {"text_after_done", "text.is-answered"},
    {"answers_another", "text.is-answered"},
    {"pieces_descend", "text.is-answered", ASSAY_CAP_GENERATE | ASSAY_CAP_SCORE},
    {"positive", "text.is-answered", ASSAY_CAP_GENERATE | ASSAY_CAP_SCORE},
    {"fails_what_it_declares", "text.is-answered", ASSAY_CAP_GENERATE | ASSAY_CAP_SCORE},
    {"refuses_what_works", "config.check-agrees-with-create"},
    {"cannot_check", "config.check-agrees-with-create"},
};

INSTANTIATE_TEST_SUITE_P(Each, PlantedExtension, testing::ValuesIn(kPlanted), named);

}  // namespace
