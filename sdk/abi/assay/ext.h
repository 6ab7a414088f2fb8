/* Extensions of ABI major 1: tables a component lists in assay_component.extensions, each found by
   its id. Optional all of them; none is part of the core. A table grows at its end, an id freezes
   with its layout. Rules of growth, errors, ownership and threads are those of abi.h. */
#ifndef ASSAY_EXT_H_
#define ASSAY_EXT_H_
#include <assay/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number of bytes, rows or tokens that is not known. */
#define ASSAY_UNKNOWN UINT64_MAX

/* ---- assay.config.check/1: what types and ranges of options cannot say ---- */
#define ASSAY_CONFIG_CHECK_1 "assay.config.check/1"

/* Where a component puts what is wrong with its configuration.

   Threads   [any-thread] until the call it was given to returns */
typedef struct assay_diagnostic_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] key: the option meant, "" for all of them. level: WARN or ERROR; an ERROR keeps
     the manifest from running. */
  void (*add)(void* ctx, assay_level level, assay_str key, assay_str text) ASSAY_NX;
} assay_diagnostic_sink;

typedef struct assay_config_check_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Checks a configuration whose options are valid one by one. Makes no instance, opens no device.

     Fails     only where it cannot check; what is wrong goes to the sink
     Threads   [any-thread] */
  assay_status (*check)(const assay_host*, const struct assay_config*, const assay_diagnostic_sink*,
                        assay_error*) ASSAY_NX;
} assay_config_check_v1;

/* ---- assay.backend.memory/1 ---- */
#define ASSAY_BACKEND_MEMORY_1 "assay.backend.memory/1"

/* Memory on one device.

   Units     bytes; ASSAY_UNKNOWN where not known */
typedef struct assay_memory {
  uint32_t struct_size;
  uint32_t reserved;
  assay_device device;
  uint64_t weights;
  uint64_t kv, kv_peak;
  uint64_t allocated, allocated_peak; /* what was asked for */
  uint64_t held, held_peak;           /* what the allocator keeps from others */
  double kv_per_token;                /* computed: one token of one sequence; NaN where not known */
} assay_memory;

typedef struct assay_backend_memory_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* nth: index into assay_resources.devices; n_devices: the host.

     Fails     NOT_FOUND no such device
     Threads   [any-thread], also while run is going on */
  assay_status (*read)(void* self, uint64_t nth, assay_memory* out, assay_error*) ASSAY_NX;
  /* Starts the peaks anew at what is in use.

     Threads   [instance]: between runs */
  assay_status (*reset_peaks)(void* self, assay_error*) ASSAY_NX;
} assay_backend_memory_v1;

/* ---- assay.backend.tokenizer/1 ---- */
#define ASSAY_BACKEND_TOKENIZER_1 "assay.backend.tokenizer/1"
enum {
  ASSAY_ENCODE_ADD_SPECIAL = 1u,  /* BOS and the like, by the model's rule */
  ASSAY_ENCODE_PARSE_SPECIAL = 2u /* special tokens spelt out in the text are recognised */
};

/* The model's own tokenizer, after load. Of each call *n is what is needed: OK with *n > cap means
   too small, nothing was written, call again.

   Threads   [any-thread], so that encoding overlaps run */
typedef struct assay_backend_tokenizer_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* [any-thread] flags: ASSAY_ENCODE_*. */
  assay_status (*encode)(void* self, assay_str text, uint32_t flags, int32_t* out, uint64_t cap,
                         uint64_t* n, assay_error*) ASSAY_NX;
  /* [any-thread] Bytes, not always UTF-8. flags: ASSAY_ENCODE_PARSE_SPECIAL writes special tokens
     out; without it they are left out. */
  assay_status (*decode)(void* self, const int32_t* tokens, uint64_t n_tokens, uint32_t flags,
                         char* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
  /* [any-thread] Every token that ends a text. */
  assay_status (*ends)(void* self, int32_t* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
  /* [any-thread] Two models are compared token by token only when theirs agree. */
  assay_status (*fingerprint)(void* self, uint8_t sha256[32], assay_error*) ASSAY_NX;
} assay_backend_tokenizer_v1;

/* ---- assay.backend.template/1 ---- */
#define ASSAY_BACKEND_TEMPLATE_1 "assay.backend.template/1"

/* One turn of a chat. Grows at its end: walk with assay_messages.stride. */
typedef struct assay_message {
  assay_str role, text; /* role: "system", "user", "assistant", ... */
} assay_message;

/* FROZEN. */
typedef struct assay_messages {
  const assay_message* data;
  uint64_t n, stride;
} assay_messages;

enum { ASSAY_RENDER_OPEN_REPLY = 1u /* end with the header of the model's turn */ };

/* The model's own chat template, after load. *n as for the tokenizer.

   Threads   [any-thread] */
typedef struct assay_backend_template_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* [any-thread] variables_json: an object, further names the template may read; empty: none. */
  assay_status (*render)(void* self, const assay_messages*, assay_str variables_json,
                         uint32_t flags, char* out, uint64_t cap, uint64_t* n,
                         assay_error*) ASSAY_NX;
  /* [any-thread] */
  assay_status (*fingerprint)(void* self, uint8_t sha256[32], assay_error*) ASSAY_NX;
} assay_backend_template_v1;

/* ---- assay.backend.text/1: text in, text out; results are marked "tokenization not controlled"
   ---- */
#define ASSAY_BACKEND_TEXT_1 "assay.backend.text/1"

/* Grows at its end: walk with assay_text_batch.stride. */
typedef struct assay_text_request {
  uint64_t id;
  int32_t kind;            /* ASSAY_REQ_* */
  uint32_t want;           /* ASSAY_WANT_* */
  assay_messages messages; /* a chat; n == 0: prompt instead */
  assay_str prompt;
  assay_str continuation;         /* SCORE: what is scored after prompt or messages */
  const assay_sampling* sampling; /* GENERATE; its stops are NULL, these are used: */
  const assay_str* stops;
  uint64_t n_stops;
} assay_text_request;

typedef struct assay_text_batch {
  uint32_t struct_size;
  uint32_t flags; /* ASSAY_BATCH_* */
  uint64_t n, stride;
  const assay_text_request* requests;
} assay_text_batch;

/* The rules of assay_result_sink. */
typedef struct assay_text_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] The next whole characters of an answer. n_tokens 0: count not known. */
  int32_t (*text)(void* ctx, uint64_t id, assay_str piece, uint64_t n_tokens) ASSAY_NX;
  /* [any-thread] Pieces of a continuation, in order; piece i is its bytes [i ? end[i-1] : begin,
     end[i]). begin < 0: the first one straddles prompt and continuation.

     Shapes    end, logprobs, greedy [n] */
  int32_t (*scores)(void* ctx, uint64_t id, int64_t begin, const int64_t* end,
                    const float* logprobs, const uint8_t* greedy, uint64_t n) ASSAY_NX;
  /* [any-thread] */
  void (*done)(void* ctx, uint64_t id, const assay_error* failure, const assay_usage*) ASSAY_NX;
} assay_text_sink;

typedef struct assay_backend_text_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* As assay_backend_v1.run.

     Threads   [instance] */
  assay_status (*run)(void* self, const assay_text_batch*, const assay_text_sink*,
                      assay_error*) ASSAY_NX;
} assay_backend_text_v1;

/* ---- assay.dataset.rows/1 ---- */
#define ASSAY_DATASET_ROWS_1 "assay.dataset.rows/1"

/* Threads   [any-thread] until the call it was given to returns */
typedef struct assay_split_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] rows: ASSAY_UNKNOWN where only streaming counts them. */
  void (*split)(void* ctx, assay_str name, uint64_t rows) ASSAY_NX;
} assay_split_sink;

typedef struct assay_dataset_rows_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Names every split.

     Threads   [instance] */
  assay_status (*splits)(void* self, const assay_split_sink*, assay_error*) ASSAY_NX;
  /* The rows of these indices, in this order, with the schema of open(split). Repeats are allowed.
     NULL: the rows can only be streamed.

     Fails     NOT_FOUND an index that is not below the number of rows
     Threads   [instance]
     Owns      `rows` is read before take returns; the caller releases the stream before destroy */
  assay_status (*take)(void* self, assay_str split, const uint64_t* rows, uint64_t n,
                       struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
} assay_dataset_rows_v1;

/* ---- assay.metric.sums/1: totals as a function of sums, for resampling ---- */
#define ASSAY_METRIC_SUMS_1 "assay.metric.sums/1"

typedef struct assay_metric_sums_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* [n_terms] names of samples that add up over items. A term need not be an output of the
     component: update gives its samples to the same sink. A row without one adds nothing. */
  const char* const* terms;
  uint64_t n_terms;
  /* Totals of n resamples at once. Pure.

     Shapes    sums [n, n_terms], items [n] (weights, may be fractions), out [n, n_outputs of the
               component] in the order it declares them; NaN where undefined
     Threads   [any-thread] */
  assay_status (*totals)(void* self, const double* sums, const double* items, uint64_t n,
                         double* out, assay_error*) ASSAY_NX;
} assay_metric_sums_v1;

#ifdef __cplusplus
}
#endif

/* ---- the layout, held in place ---- */
/* clang-format off */
ASSAY_SIZE_IS(assay_diagnostic_sink, add, 24);              ASSAY_SIZE_IS(assay_config_check_v1, check, 16);
ASSAY_SIZE_IS(assay_memory, kv_per_token, 80);              ASSAY_SIZE_IS(assay_backend_memory_v1, reset_peaks, 24);
ASSAY_SIZE_IS(assay_backend_tokenizer_v1, fingerprint, 40); ASSAY_SIZE_IS(assay_message, text, 32);
ASSAY_SIZE_IS(assay_messages, stride, 24);                  ASSAY_SIZE_IS(assay_backend_template_v1, fingerprint, 24);
ASSAY_SIZE_IS(assay_text_request, n_stops, 96);             ASSAY_SIZE_IS(assay_text_batch, requests, 32);
ASSAY_SIZE_IS(assay_text_sink, done, 40);                   ASSAY_SIZE_IS(assay_backend_text_v1, run, 16);
ASSAY_SIZE_IS(assay_split_sink, split, 24);                 ASSAY_SIZE_IS(assay_dataset_rows_v1, take, 24);
ASSAY_SIZE_IS(assay_metric_sums_v1, totals, 32);
ASSAY_SLOT(assay_diagnostic_sink, add, 2);                  ASSAY_SLOT(assay_config_check_v1, check, 1);
ASSAY_SLOT(assay_backend_memory_v1, read, 1);               ASSAY_SLOT(assay_backend_memory_v1, reset_peaks, 2);
ASSAY_SLOT(assay_backend_tokenizer_v1, encode, 1);          ASSAY_SLOT(assay_backend_tokenizer_v1, decode, 2);
ASSAY_SLOT(assay_backend_tokenizer_v1, ends, 3);            ASSAY_SLOT(assay_backend_tokenizer_v1, fingerprint, 4);
ASSAY_SLOT(assay_backend_template_v1, render, 1);           ASSAY_SLOT(assay_backend_template_v1, fingerprint, 2);
ASSAY_SLOT(assay_text_sink, text, 2);                       ASSAY_SLOT(assay_text_sink, scores, 3);
ASSAY_SLOT(assay_text_sink, done, 4);                       ASSAY_SLOT(assay_backend_text_v1, run, 1);
ASSAY_SLOT(assay_split_sink, split, 2);                     ASSAY_SLOT(assay_dataset_rows_v1, splits, 1);
ASSAY_SLOT(assay_dataset_rows_v1, take, 2);                 ASSAY_SLOT(assay_metric_sums_v1, totals, 3);
/* clang-format on */
#endif /* ASSAY_EXT_H_ */
