/* assay plugin ABI, major 1. Pure C11 / C++17; includes nothing but <stddef.h> and <stdint.h>. */
#ifndef ASSAY_ABI_H_
#define ASSAY_ABI_H_
#include <stddef.h>
#include <stdint.h>
struct ArrowSchema; /* the Arrow C Data Interface: defined by "assay/arrow_c.h" or any other copy */
struct ArrowArray;
struct ArrowArrayStream;

#define ASSAY_ABI_MAJOR 1u
#define ASSAY_ABI_MINOR 0u
#ifndef ASSAY_TARGET_MINOR /* the oldest host minor this plugin must load in; hides newer declarations */
#define ASSAY_TARGET_MINOR 0u
#endif
#if ASSAY_TARGET_MINOR > ASSAY_ABI_MINOR
#error "ASSAY_TARGET_MINOR is newer than these headers"
#endif

#ifdef __cplusplus
#define ASSAY_NX noexcept
extern "C" {
#else
#define ASSAY_NX
#endif
#define ASSAY_EXPORT __attribute__((visibility("default")))

/* Did the side that made `*p` know `field`? Reads nothing but struct_size. */
#define ASSAY_HAS(T, p, field) ((p)->struct_size >= offsetof(T, field) + sizeof((p)->field))

/* ---- values --------------------------------------------------------------------------------- */
typedef struct assay_str { /* FROZEN. UTF-8, borrowed, not NUL-terminated. */
  const char* ptr;
  uint64_t len;
} assay_str;

typedef int32_t assay_status; /* the canonical codes, same numbers as absl/gRPC/PJRT */
enum {
  ASSAY_OK = 0, ASSAY_CANCELLED = 1, ASSAY_INVALID_ARGUMENT = 3, ASSAY_DEADLINE_EXCEEDED = 4,
  ASSAY_NOT_FOUND = 5, ASSAY_RESOURCE_EXHAUSTED = 8, ASSAY_FAILED_PRECONDITION = 9,
  ASSAY_ABORTED = 10, ASSAY_UNIMPLEMENTED = 12, ASSAY_INTERNAL = 13, ASSAY_UNAVAILABLE = 14
};

typedef struct assay_error { /* FROZEN, 1024 bytes, allocated and owned by the caller. */
  uint32_t struct_size;
  assay_status code;
  char where[120]; /* config key ("kv.bits"), request id, file: what the message is about */
  char text[896];  /* NUL-terminated UTF-8 */
} assay_error;

typedef struct assay_device { /* FROZEN. DLPack device codes: 1 CPU, 2 CUDA, 3 pinned host, ... */
  int32_t type, id;
} assay_device;

typedef struct assay_tensor { /* FROZEN. Field for field the layout and codes of DLPack's DLTensor. */
  void* data;
  assay_device device;
  int32_t ndim;
  uint8_t code, bits; /* 0 int, 1 uint, 2 float, 4 bfloat */
  uint16_t lanes;
  const int64_t *shape, *strides; /* strides in elements; NULL: compact, row-major */
  uint64_t byte_offset;
} assay_tensor;

/* ---- what a plugin says about itself: constant data, no code ---------------------------------- */
typedef int32_t assay_kind;
enum { ASSAY_BACKEND = 1, ASSAY_DATASET = 2, ASSAY_METRIC = 3, ASSAY_REPORTER = 4 };

typedef int32_t assay_type;
enum {
  ASSAY_BOOL = 1, ASSAY_INT = 2, ASSAY_FLOAT = 3, ASSAY_TEXT = 4, ASSAY_CHOICE = 5, ASSAY_PATH_IN = 6,
  ASSAY_PATH_OUT = 7, ASSAY_SIZE = 8, ASSAY_DURATION = 9, ASSAY_INTS = 10, ASSAY_FLOATS = 11, ASSAY_TEXTS = 12,
  ASSAY_MODEL = 13 /* option: the name of a [model.x], an edge of the graph */
};
enum { ASSAY_OPT_REQUIRED = 1u, ASSAY_OPT_SECRET = 2u, ASSAY_OPT_DEPRECATED = 4u };
enum { /* columns and outputs */
  ASSAY_COL_OPTIONAL = 1u,       /* metric input: used when there */
  ASSAY_COL_LESS_IS_BETTER = 2u, /* metric output */
  ASSAY_COL_MEAN = 4u,           /* metric output: the total is the mean of the samples of that name */
  ASSAY_COL_PRIMARY = 8u         /* metric output: the one that tables, quality score and gates mean by default */
};

typedef struct assay_option {
  uint32_t struct_size;
  assay_type type;
  uint64_t flags;
  const char* name;           /* dotted key inside the node's table; "override[].bits": key of a list of tables */
  const char* help;           /* one sentence */
  const char* fallback;       /* default, spelt as a TOML value; NULL when required */
  const char* const* choices; /* NULL-terminated, for ASSAY_CHOICE */
  double lo, hi;              /* inclusive; lo > hi means unbounded */
} assay_option;

typedef struct assay_column {
  uint32_t struct_size;
  assay_type type;
  uint64_t flags;
  const char* name;
  const char* help;
  const char* unit;  /* metric output: "1", "nats", "%", "s"; NULL: none */
  double lo, hi;     /* metric output: every sample lies in [lo, hi]; infinities where there is no bound */
} assay_column;

typedef struct assay_extension { /* FROZEN */
  const char* id;  /* "assay.backend.tokenizer/1" */
  const void* api; /* constant table; begins with struct_size */
} assay_extension;

enum { /* caps */
  ASSAY_CAP_CONCURRENT = 1u,    /* calls on one instance may overlap */
  ASSAY_CAP_DETERMINISTIC = 2u, /* same config, seed and input give the same bits */
  ASSAY_CAP_SCORE = 16u, ASSAY_CAP_LOGITS = 32u, ASSAY_CAP_GENERATE = 64u, ASSAY_CAP_QUANTIZE = 128u,
  ASSAY_CAP_STREAMS = 256u      /* each token is pushed when it is produced: first-token times mean something */
};

struct assay_host;
struct assay_config; /* opaque; read through assay_host */
struct assay_resources;

typedef struct assay_component {
  uint32_t struct_size;
  assay_kind kind;
  const char *id, *version, *summary;
  uint64_t caps;
  const struct assay_option* const* options; /* arrays of pointers, so that elements can grow */
  uint64_t n_options;
  const struct assay_column* const* columns; /* dataset: produced; metric: required. 0: known after open */
  uint64_t n_columns;
  const struct assay_column* const* outputs; /* metric: names given to value_sink. 0: known after a run */
  uint64_t n_outputs;
  /* [any-thread] On failure fills *err, leaves *self NULL, owns nothing. */
  assay_status (*create)(const struct assay_host*, const struct assay_config*,
                         const struct assay_resources*, void** self, assay_error* err) ASSAY_NX;
  void (*destroy)(void* self) ASSAY_NX;                  /* [instance] */
  const void* api;                                       /* assay_<kind>_v1 */
  const assay_extension* extensions;                     /* constant, so that describing runs no code */
  uint64_t n_extensions;
} assay_component;

typedef struct assay_plugin {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor; /* of the headers it was built with */
  const char *id, *version, *vendor, *license, *built_with;
  const assay_component* const* components;
  uint64_t n_components;
} assay_plugin;

/* The one symbol a plugin exports. A later ABI major gets another name; a plugin may export both. */
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;

#if defined(__ELF__) /* read before loading: ELF note "assay", type 1: {u32 major, u32 minor needed, char id[64]} */
#define ASSAY_NOTE(plugin_id)                                                                        \
  __attribute__((section(".note.assay"), used, aligned(4))) static const struct {                    \
    uint32_t name_size, desc_size, type; char name[8]; uint32_t major, minor_needed; char id[64];    \
  } assay_note_ = {6, 72, 1, "assay", ASSAY_ABI_MAJOR, ASSAY_TARGET_MINOR, plugin_id}
#else
#define ASSAY_NOTE(plugin_id) struct assay_note_
#endif

/* ---- what the host offers --------------------------------------------------------------------- */
typedef int32_t assay_level;
enum { ASSAY_TRACE = 0, ASSAY_DEBUG = 1, ASSAY_INFO = 2, ASSAY_WARN = 3, ASSAY_ERROR = 4 };

typedef struct assay_host { /* every function: [any-thread], never throws, never re-enters the plugin */
  uint32_t struct_size;
  uint32_t abi_minor;
  void* ctx;
  const char *name, *version;
  void (*log)(const struct assay_host*, assay_level, assay_str) ASSAY_NX;
  int32_t (*cancelled)(const struct assay_host*) ASSAY_NX; /* poll between steps; non-zero: wind up */
  void (*progress)(const struct assay_host*, double fraction, assay_str what) ASSAY_NX;
  assay_status (*get_bool)(const struct assay_config*, const char* key, int32_t* out) ASSAY_NX;
  assay_status (*get_int)(const struct assay_config*, const char* key, int64_t* out) ASSAY_NX;
  assay_status (*get_float)(const struct assay_config*, const char* key, double* out) ASSAY_NX;
  assay_status (*get_text)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
  assay_status (*get_json)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
  /* elements of a list, which are then read as "skip.0", "override.1.bits"; NOT_FOUND: no such list */
  assay_status (*get_count)(const struct assay_config*, const char* key, uint64_t* out) ASSAY_NX;
  const void* (*extension)(const struct assay_host*, const char* id) ASSAY_NX;
} assay_host;

typedef struct assay_resources {
  uint32_t struct_size;
  uint32_t threads; /* the whole budget, the calling thread included */
  uint64_t host_bytes, device_bytes; /* device_bytes: on each device; 0: not limited */
  assay_device device;               /* the same as devices[0] */
  uint64_t seed;
  assay_str scratch_dir;             /* private; exists, empty, at create; removed after destroy */
  const assay_device* devices;       /* granted. In estimate's `need`: NULL, and only n_devices is set */
  uint64_t n_devices;
} assay_resources;

/* ---- dataset ---------------------------------------------------------------------------------- */
typedef struct assay_dataset_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  assay_status (*open)(void* self, assay_str split, struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
} assay_dataset_v1;

/* ---- metric ----------------------------------------------------------------------------------- */
typedef struct assay_value_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  void (*sample)(void* ctx, uint64_t row, const char* name, double value) ASSAY_NX; /* row within this batch */
  void (*total)(void* ctx, const char* name, double value, double std_error, uint64_t n) ASSAY_NX;
} assay_value_sink;

typedef struct assay_metric_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  assay_status (*update)(void* self, const struct ArrowSchema*, const struct ArrowArray* rows,
                         const assay_value_sink*, assay_error*) ASSAY_NX;
  assay_status (*finish)(void* self, const assay_value_sink*, assay_error*) ASSAY_NX;
} assay_metric_v1;

/* ---- reporter --------------------------------------------------------------------------------- */
typedef struct assay_report { /* made by the host, valid until write returns */
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  assay_str run_json; /* schema "assay.run/1": provenance, graph (nodes, edges), list of tables */
  /* "totals", "verdicts", "samples", "rows/<task>"; as often as wanted. The caller releases *out. Tables
     of several variants are sorted by (task, item, variant): rows to be compared are neighbours. */
  assay_status (*table)(void* ctx, assay_str name, struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
} assay_report;

typedef struct assay_reporter_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  assay_status (*write)(void* self, const assay_report*, assay_error*) ASSAY_NX;
} assay_reporter_v1;

/* ---- backend ---------------------------------------------------------------------------------- */
typedef struct assay_model_info {
  uint32_t struct_size;
  uint32_t vocab;
  uint64_t max_context, weight_bytes;
  double bits_per_weight;
  int32_t bos, eos; /* -1: none */
} assay_model_info;

enum { ASSAY_REQ_SCORE = 1, ASSAY_REQ_GENERATE = 2 };
enum { ASSAY_WANT_LOGPROBS = 1u, ASSAY_WANT_GREEDY = 2u, ASSAY_WANT_LOGITS = 4u };

typedef struct assay_sampling {
  uint32_t struct_size;
  uint32_t max_new, min_new; /* before min_new tokens nothing ends it; equal: the length is forced */
  uint32_t top_k;            /* 0: all */
  float temperature, top_p;  /* 0: greedy; 1: all */
  uint64_t seed;
  const int32_t* const* stops; /* token sequences, each ended by -1; NULL-terminated. The host lists the
                                  end tokens here; a backend adds none of its own */
} assay_sampling;

typedef struct assay_request { /* grows at the end; walk with assay_batch.stride */
  uint64_t id;
  int32_t kind;
  uint32_t want;
  const int32_t* tokens;
  uint64_t n_tokens;
  uint64_t first; /* SCORE: tokens[first..] are predicted from what precedes them */
  uint64_t prefix_group, prefix_len; /* hint: the first prefix_len tokens are the same across the group */
  const assay_sampling* sampling; /* GENERATE */
} assay_request;

enum {
  ASSAY_BATCH_LAST_OF_GROUPS = 1u, /* hint: no later batch uses these prefix groups */
  ASSAY_BATCH_ORDERED = 2u,        /* results come request by request, positions ascending (pairing for KL) */
  ASSAY_BATCH_TOGETHER = 4u        /* one device batch: prefilled and stepped together, each step's tokens
                                      pushed at once. For every id RESOURCE_EXHAUSTED when it does not fit,
                                      UNIMPLEMENTED when the backend cannot */
};
typedef struct assay_batch {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t n, stride; /* stride: bytes from one request to the next */
  const assay_request* requests;
} assay_batch;

/* The i-th request of a batch, and whether its maker knew `field`. stride is the maker's sizeof, no more. */
#define ASSAY_REQUEST(b, i) ((const assay_request*)(const void*)((const char*)(b)->requests + (i) * (b)->stride))
#define ASSAY_REQUEST_HAS(b, field) ((b)->stride >= offsetof(assay_request, field) + sizeof((b)->requests->field))

typedef struct assay_usage {
  uint32_t struct_size;
  uint32_t finish; /* 0 done, 1 stop, 2 length, 3 cancelled */
  uint64_t prompt_tokens, cached_tokens, new_tokens;
  double seconds;
} assay_usage;

typedef struct assay_result_sink { /* [any-thread] until run returns; calls for one id never overlap */
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* Data is read before the call returns; a full ring makes the call wait. Non-zero: no more of this request,
     go on to done. The answer may lag; what comes after it is dropped. */
  int32_t (*scores)(void* ctx, uint64_t id, uint64_t first, const float* logprobs,
                    const uint8_t* greedy, uint64_t n) ASSAY_NX;
  /* rows [n, vocab] in host memory; row i is the distribution of tokens[first + i], as in scores */
  int32_t (*logits)(void* ctx, uint64_t id, uint64_t first, const assay_tensor* rows) ASSAY_NX;
  int32_t (*tokens)(void* ctx, uint64_t id, const int32_t* tokens, const float* logprobs, uint64_t n) ASSAY_NX;
  /* Last call for this id, exactly once, also after a refusal. failure: NULL when it went well. */
  void (*done)(void* ctx, uint64_t id, const assay_error* failure, const assay_usage*) ASSAY_NX;
} assay_result_sink;

typedef struct assay_layer_sink { /* [any-thread]; strings are read before the call returns */
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  void (*value)(void* ctx, assay_str layer, const char* name, double value) ASSAY_NX;
} assay_layer_sink;

typedef struct assay_job { /* what a model is wanted for; borrowed for the call */
  uint32_t struct_size;
  uint32_t want;           /* ASSAY_CAP_SCORE | LOGITS | GENERATE, or QUANTIZE */
  assay_str model_dir;     /* empty: none, as for an endpoint */
  uint64_t batch, context; /* the most sequences at once, the most tokens of each; 0: not known */
  assay_str out_dir;       /* QUANTIZE: may hold what a killed attempt at the same job left; go on or start over */
  const assay_batch* calibration; /* QUANTIZE: SCORE requests; NULL: none */
  const assay_layer_sink* layers; /* QUANTIZE: errors of each layer; NULL: not wanted */
} assay_job;

typedef struct assay_backend_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* [any-thread] Cheap, no device work: what the job would need under this configuration. */
  assay_status (*estimate)(const assay_host*, const struct assay_config*, const assay_job*,
                           assay_resources* need, assay_error*) ASSAY_NX;
  /* [instance] create -> load -> run*; or create -> quantize. Each of load and quantize at most once. */
  assay_status (*load)(void* self, const assay_job*, assay_model_info* out, assay_error*) ASSAY_NX;
  assay_status (*quantize)(void* self, const assay_job*, assay_error*) ASSAY_NX;
  /* [instance] Returns after done() of every id; fails only when the instance is unusable. NULL slot: not offered. */
  assay_status (*run)(void* self, const assay_batch*, const assay_result_sink*, assay_error*) ASSAY_NX;
} assay_backend_v1;

/* ---- frozen layout ---------------------------------------------------------------------------- */
#ifdef __cplusplus
}
#define ASSAY_ASSERT(c) static_assert(c, #c)
#else
#define ASSAY_ASSERT(c) _Static_assert(c, #c)
#endif
ASSAY_ASSERT(sizeof(void*) == 8);
/* Every struct ends with its last field (no tail padding: ASSAY_HAS would read it as a field) ... */
#define ASSAY_SIZE_IS(T, last, n) ASSAY_ASSERT(sizeof(T) == (n) && offsetof(T, last) + sizeof(((T*)0)->last) == (n))
ASSAY_SIZE_IS(assay_str, len, 16);            ASSAY_SIZE_IS(assay_error, text, 1024);
ASSAY_SIZE_IS(assay_device, id, 8);           ASSAY_SIZE_IS(assay_tensor, byte_offset, 48);
ASSAY_SIZE_IS(assay_option, hi, 64);          ASSAY_SIZE_IS(assay_column, hi, 56);
ASSAY_SIZE_IS(assay_extension, api, 16);      ASSAY_SIZE_IS(assay_component, n_extensions, 128);
ASSAY_SIZE_IS(assay_plugin, n_components, 64); ASSAY_SIZE_IS(assay_host, extension, 112);
ASSAY_SIZE_IS(assay_resources, n_devices, 72); ASSAY_SIZE_IS(assay_value_sink, total, 32);
ASSAY_SIZE_IS(assay_dataset_v1, open, 16);    ASSAY_SIZE_IS(assay_metric_v1, finish, 24);
ASSAY_SIZE_IS(assay_report, table, 40);       ASSAY_SIZE_IS(assay_reporter_v1, write, 16);
ASSAY_SIZE_IS(assay_model_info, eos, 40);     ASSAY_SIZE_IS(assay_sampling, stops, 40);
ASSAY_SIZE_IS(assay_request, sampling, 64);   ASSAY_SIZE_IS(assay_batch, requests, 32);
ASSAY_SIZE_IS(assay_usage, seconds, 40);      ASSAY_SIZE_IS(assay_result_sink, done, 48);
ASSAY_SIZE_IS(assay_layer_sink, value, 24);   ASSAY_SIZE_IS(assay_job, layers, 72);
ASSAY_SIZE_IS(assay_backend_v1, run, 40);
/* ... and every function by its slot, for a swap of two leaves sizeof unchanged. The offsets of all other
   fields and the values of all constants: tests/sdk/abi_layout.c. */
#define ASSAY_SLOT(T, f, n) ASSAY_ASSERT(offsetof(T, f) == 8 * (n))
ASSAY_SLOT(assay_component, create, 11);   ASSAY_SLOT(assay_component, destroy, 12);
ASSAY_SLOT(assay_component, api, 13);      ASSAY_SLOT(assay_component, extensions, 14);
ASSAY_SLOT(assay_host, log, 4);            ASSAY_SLOT(assay_host, cancelled, 5);
ASSAY_SLOT(assay_host, progress, 6);       ASSAY_SLOT(assay_host, get_bool, 7);
ASSAY_SLOT(assay_host, get_int, 8);        ASSAY_SLOT(assay_host, get_float, 9);
ASSAY_SLOT(assay_host, get_text, 10);      ASSAY_SLOT(assay_host, get_json, 11);
ASSAY_SLOT(assay_host, get_count, 12);     ASSAY_SLOT(assay_host, extension, 13);
ASSAY_SLOT(assay_dataset_v1, open, 1);
ASSAY_SLOT(assay_metric_v1, update, 1);    ASSAY_SLOT(assay_metric_v1, finish, 2);
ASSAY_SLOT(assay_value_sink, sample, 2);   ASSAY_SLOT(assay_value_sink, total, 3);
ASSAY_SLOT(assay_report, table, 4);        ASSAY_SLOT(assay_reporter_v1, write, 1);
ASSAY_SLOT(assay_layer_sink, value, 2);
ASSAY_SLOT(assay_backend_v1, estimate, 1); ASSAY_SLOT(assay_backend_v1, load, 2);
ASSAY_SLOT(assay_backend_v1, quantize, 3); ASSAY_SLOT(assay_backend_v1, run, 4);
ASSAY_SLOT(assay_result_sink, scores, 2);  ASSAY_SLOT(assay_result_sink, logits, 3);
ASSAY_SLOT(assay_result_sink, tokens, 4);  ASSAY_SLOT(assay_result_sink, done, 5);
#endif
