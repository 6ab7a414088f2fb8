/* The contract between assay and its plugins, ABI major 1: plain C11 (and C++17), 64-bit
   little-endian, default packing, UTF-8. What is not in this header, or in an extension found by
   its id, does not cross; how a plugin is found, trusted and isolated is the host's business.

   Growth    The side that makes a struct sets struct_size; the other tests ASSAY_HAS before it
             reads a field newer than 1.0, and never compares for equality. Fields are appended,
             never moved or given a new meaning. Structs marked FROZEN never grow. Unknown enum
             values are "other"; unknown flag bits are ignored, so a flag that changes results is
             set only for components that declare the capability it belongs to.
   Errors    Functions return a status. On failure the callee fills the caller's assay_error and
             touches no other out-parameter; on success it leaves the error alone. In an out-struct
             the callee writes the fields it knows, never the whole struct. No exception crosses.
   Owns      Input is borrowed until the call returns; strings given to a sink or to log are read
             before it returns. The caller frees nothing but Arrow streams, schemas and arrays, by
             their own release.
   Threads   [any-thread]: from any thread at any time. [instance]: calls on one instance never
             overlap, but may come from different threads.
   Describe  Everything reachable from assay_plugin_v1 is constant and lives as long as the process:
             libraries are never unloaded. id, version, summary, vendor, license, built_with and
             help are never NULL; "" where there is nothing to say.
   Liveness  While it works a plugin calls progress, cancelled or a sink at least every 60 s. */
#ifndef ASSAY_ABI_H_
#define ASSAY_ABI_H_
#include <stddef.h>
#include <stdint.h>
struct ArrowSchema; /* Arrow C Data Interface; defined by "assay/arrow_c.h" or any other copy */
struct ArrowArray;
struct ArrowArrayStream;

#define ASSAY_ABI_MAJOR 1u
#define ASSAY_ABI_MINOR 0u
/* The oldest host minor a plugin must load in; newer declarations are hidden from it. */
#ifndef ASSAY_TARGET_MINOR
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

/* Did the maker of `*p` know `field`? Reads nothing but struct_size. */
#define ASSAY_HAS(T, p, field) ((p)->struct_size >= offsetof(T, field) + sizeof((p)->field))

/* ---- values ---- */

/* A piece of text, borrowed and without a NUL at its end. FROZEN. */
typedef struct assay_str {
  const char* ptr; /* may be NULL when len is 0 */
  uint64_t len;
} assay_str;

/* What became of a call.

   Source    the canonical codes of gRPC and absl, same numbers */
typedef int32_t assay_status;
enum {
  ASSAY_OK = 0,
  ASSAY_CANCELLED = 1,
  ASSAY_INVALID_ARGUMENT = 3,
  ASSAY_DEADLINE_EXCEEDED = 4,
  ASSAY_NOT_FOUND = 5,
  ASSAY_RESOURCE_EXHAUSTED = 8,
  ASSAY_FAILED_PRECONDITION = 9, /* also: a call out of order */
  ASSAY_ABORTED = 10,
  ASSAY_UNIMPLEMENTED = 12,
  ASSAY_INTERNAL = 13,
  ASSAY_UNAVAILABLE = 14 /* from estimate: not on this machine, and the text says why */
};

/* Why a call failed, in one sentence. FROZEN at 1024 bytes.

   Owns      the caller, who also sets struct_size; the callee writes only on failure */
typedef struct assay_error {
  uint32_t struct_size;
  assay_status code;
  char where[120]; /* what it is about: option ("kv.bits"), request id, file; NUL-terminated, may be
                      empty */
  char text[896];  /* NUL-terminated UTF-8 */
} assay_error;

/* Where memory is. FROZEN.

   Source    DLPack device codes: 1 CPU, 2 CUDA, 3 pinned host memory, ... */
typedef struct assay_device {
  int32_t type, id;
} assay_device;

/* A borrowed array of any shape. FROZEN.

   Source    DLPack 1.1, DLTensor: the same layout and codes, field for field */
typedef struct assay_tensor {
  void* data;
  assay_device device;
  int32_t ndim;
  uint8_t code, bits; /* 0 int, 1 unsigned, 2 float, 4 bfloat; bits of one element */
  uint16_t lanes;
  const int64_t *shape, *strides; /* [ndim]; strides in elements, NULL: compact and row-major */
  uint64_t byte_offset;
} assay_tensor;

/* ---- what a plugin says about itself: constants, so that describing it runs no code ---- */

typedef int32_t assay_kind;
enum { ASSAY_BACKEND = 1, ASSAY_DATASET = 2, ASSAY_METRIC = 3, ASSAY_REPORTER = 4 };

/* What an option or a column holds. In rows: INT int64, FLOAT float64, TEXT utf8 or large_utf8. */
typedef int32_t assay_type;
enum {
  ASSAY_BOOL = 1,
  ASSAY_INT = 2,
  ASSAY_FLOAT = 3,
  ASSAY_TEXT = 4,
  ASSAY_CHOICE = 5, /* option: read by get_text, as are the two paths and MODEL */
  ASSAY_PATH_IN = 6,
  ASSAY_PATH_OUT = 7,
  ASSAY_SIZE = 8,     /* option: "4GiB"; read by get_int in bytes */
  ASSAY_DURATION = 9, /* option: "90s"; read by get_float in seconds */
  ASSAY_INTS = 10,    /* lists: read by get_count, then "key.0", "key.1", ... */
  ASSAY_FLOATS = 11,
  ASSAY_TEXTS = 12,
  ASSAY_MODEL = 13 /* option: the name of a [model.x], an edge of the graph */
};
/* An option that is not REQUIRED and has no default is optional: its getter answers NOT_FOUND. */
enum { ASSAY_OPT_REQUIRED = 1u, ASSAY_OPT_SECRET = 2u, ASSAY_OPT_DEPRECATED = 4u };
enum { /* of columns and outputs */
       ASSAY_COL_OPTIONAL =
           1u, /* metric column: used when it is there; only here may values be null */
       ASSAY_COL_LESS_IS_BETTER = 2u, /* output */
       ASSAY_COL_MEAN = 4u,           /* output: its total is the mean of its samples */
       ASSAY_COL_PRIMARY = 8u /* output: meant by tables, quality score and gates that name none */
};

/* A key of the component's table in the manifest. */
typedef struct assay_option {
  uint32_t struct_size;
  assay_type type;
  uint64_t flags;             /* ASSAY_OPT_* */
  const char* name;           /* may be dotted; "override[].bits" is a key of a list of tables */
  const char* help;           /* one sentence */
  const char* fallback;       /* the default, spelt as a TOML value; NULL: none */
  const char* const* choices; /* CHOICE: ends with NULL */
  double lo, hi;              /* both ends allowed; infinite on an open side; lo > hi: unbounded */
} assay_option;

/* A column of rows, or an output of a metric. */
typedef struct assay_column {
  uint32_t struct_size;
  assay_type type;
  uint64_t flags; /* ASSAY_COL_* */
  const char* name;
  const char* help;
  const char* unit; /* output: "1", "nats", "%", "s"; NULL: none */
  double lo, hi;    /* output: every sample lies in [lo, hi]; infinite where there is no bound */
} assay_column;

/* A further table of functions, found by its id. FROZEN. */
typedef struct assay_extension {
  const char* id;  /* "assay.<area>.<name>/<revision>", vendors "com.vendor.<name>/<revision>" */
  const void* api; /* constant; begins with struct_size */
} assay_extension;

/* Capabilities. From bit 31 on they are macros, for an enumerator is an int. */
enum {
  ASSAY_CAP_CONCURRENT = 1u, /* run may overlap with run, streams of one dataset with each other */
  ASSAY_CAP_DETERMINISTIC = 2u, /* the same configuration, seed and input give the same bits */
  ASSAY_CAP_SCORE = 16u,
  ASSAY_CAP_LOGITS = 32u,
  ASSAY_CAP_GENERATE = 64u,
  ASSAY_CAP_QUANTIZE = 128u,
  ASSAY_CAP_STREAMS = 256u /* tokens are pushed step by step, so first-token times mean something */
};

struct assay_host;
/* Opaque: read through assay_host until create or estimate returns, strings included. */
struct assay_config;
struct assay_resources;

/* One thing a manifest can name. */
typedef struct assay_component {
  uint32_t struct_size;
  assay_kind kind;
  const char *id, *version, *summary;        /* id: "vendor/name" */
  uint64_t caps;                             /* ASSAY_CAP_* */
  const struct assay_option* const* options; /* pointers, so that elements can grow */
  uint64_t n_options;
  /* dataset: given; metric: needed. None: known after open */
  const struct assay_column* const* columns;
  uint64_t n_columns;
  /* metric: names given to its sink. None: known after a run */
  const struct assay_column* const* outputs;
  uint64_t n_outputs;
  /* Makes an instance.

     Fails     INVALID_ARGUMENT or NOT_FOUND, with the option as `where`; *self is NULL then,
               nothing is owned
     Threads   [any-thread]
     Owns      the host keeps assay_host and assay_resources alive until destroy returns */
  assay_status (*create)(const struct assay_host*, const struct assay_config*,
                         const struct assay_resources*, void** self, assay_error* err) ASSAY_NX;
  /* Ends an instance; NULL is allowed. Its streams were released before.

     Threads   [instance] */
  void (*destroy)(void* self) ASSAY_NX;
  /* assay_backend_v1, assay_dataset_v1, assay_metric_v1 or assay_reporter_v1, by kind */
  const void* api;
  const assay_extension* extensions;
  uint64_t n_extensions;
} assay_component;

typedef struct assay_plugin {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor; /* of the headers it was built with */
  const char *id, *version, *vendor, *license, *built_with;
  const assay_component* const* components;
  uint64_t n_components;
} assay_plugin;

/* The one symbol a plugin exports. Another ABI major is another symbol; it may export both. */
ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;

/* What is read before loading: an ELF note named "assay" of type 1. At file scope, followed by a
   semicolon. */
/* clang-format off */
#if defined(__ELF__)
#define ASSAY_NOTE(plugin_id)                                                                      \
  __attribute__((section(".note.assay"), used, aligned(4))) static const struct {                  \
    uint32_t name_size, desc_size, type; char name[8]; uint32_t major, minor_needed; char id[64];  \
  } assay_note_ = {6, 72, 1, "assay", ASSAY_ABI_MAJOR, ASSAY_TARGET_MINOR, plugin_id}
#else
#define ASSAY_NOTE(plugin_id) struct assay_note_
#endif
/* clang-format on */

/* ---- what the host offers ---- */

typedef int32_t assay_level;
enum { ASSAY_TRACE = 0, ASSAY_DEBUG = 1, ASSAY_INFO = 2, ASSAY_WARN = 3, ASSAY_ERROR = 4 };

/* Lent to every instance. Nothing here throws or calls back into the plugin.

   Fails     getters: NOT_FOUND no such key or no value, INVALID_ARGUMENT a value of another type
   Threads   [any-thread] every function
   Owns      texts from a getter live as long as the assay_config they come from */
typedef struct assay_host {
  uint32_t struct_size;
  uint32_t abi_minor;
  void* ctx;
  const char *name, *version;
  /* [any-thread] Takes one line. */
  void (*log)(const struct assay_host*, assay_level, assay_str) ASSAY_NX;
  /* [any-thread] Non-zero: wind up. Asked between steps. */
  int32_t (*cancelled)(const struct assay_host*) ASSAY_NX;
  /* [any-thread] The share of the present call's work that is done, 0 to 1; call it often. */
  void (*progress)(const struct assay_host*, double fraction, assay_str what) ASSAY_NX;
  /* [any-thread] The value of an option, by its type; get_json gives any. */
  assay_status (*get_bool)(const struct assay_config*, const char* key, int32_t* out) ASSAY_NX;
  assay_status (*get_int)(const struct assay_config*, const char* key, int64_t* out) ASSAY_NX;
  assay_status (*get_float)(const struct assay_config*, const char* key, double* out) ASSAY_NX;
  assay_status (*get_text)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
  assay_status (*get_json)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
  /* [any-thread] Elements of a list, which are then read as "skip.0", "override.1.bits". */
  assay_status (*get_count)(const struct assay_config*, const char* key, uint64_t* out) ASSAY_NX;
  /* [any-thread] A table of the host by its id; NULL: not known. */
  const void* (*extension)(const struct assay_host*, const char* id)ASSAY_NX;
} assay_host;

/* What an instance may use; filled by estimate with what it would need. */
typedef struct assay_resources {
  uint32_t struct_size;
  /* The whole budget, calling thread included; up to four helpers of drivers are tolerated. */
  uint32_t threads;
  /* device_bytes: on each device. 0: not limited; from estimate: not known. */
  uint64_t host_bytes, device_bytes;
  assay_device device;   /* the same as devices[0] */
  uint64_t seed;         /* for all that is random but sampling, which has a seed of its own */
  assay_str scratch_dir; /* private and empty at create; removed by the host after destroy */
  const assay_device* devices; /* granted. From estimate: NULL, and only n_devices is set */
  uint64_t n_devices;
} assay_resources;

/* ---- dataset ---- */

typedef struct assay_dataset_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Starts a stream of a split's rows; "" is the default split. May be called again, also for the
     same split, and gives the same rows. Schema: a struct of bool, int32, int64, float32, float64,
     utf8, large_utf8, list, struct.

     Fails     NOT_FOUND no such split. From the stream: EINVAL means INVALID_ARGUMENT, ENOMEM
               RESOURCE_EXHAUSTED, any other errno UNAVAILABLE; get_last_error is the text
     Threads   [instance]; streams of one instance may be open together, see ASSAY_CAP_CONCURRENT
     Owns      the caller releases the stream before destroy; arrays from it may outlive both */
  assay_status (*open)(void* self, assay_str split, struct ArrowArrayStream* out,
                       assay_error*) ASSAY_NX;
} assay_dataset_v1;

/* ---- metric ---- */

/* Where a metric puts its values.

   Threads   [any-thread] until the call it was given to returns */
typedef struct assay_value_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] `row` counts within this batch; each (row, name) at most once. NaN: does not
     apply. */
  void (*sample)(void* ctx, uint64_t row, const char* name, double value) ASSAY_NX;
  /* [any-thread] Each name at most once. std_error NaN: not known. n: items behind the value. */
  void (*total)(void* ctx, const char* name, double value, double std_error, uint64_t n) ASSAY_NX;
} assay_value_sink;

/* One instance per group: update any number of times, then finish once. */
typedef struct assay_metric_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Takes a batch, which may be empty: the declared columns that exist, by name, in any order. How
     rows are cut into batches changes no result.

     Fails     FAILED_PRECONDITION after finish
     Threads   [instance]
     Owns      schema and rows are borrowed: neither released nor moved */
  assay_status (*update)(void* self, const struct ArrowSchema*, const struct ArrowArray* rows,
                         const assay_value_sink*, assay_error*) ASSAY_NX;
  /* Gives the totals; legal without update.

     Fails     FAILED_PRECONDITION the second time
     Threads   [instance] */
  assay_status (*finish)(void* self, const assay_value_sink*, assay_error*) ASSAY_NX;
} assay_metric_v1;

/* ---- reporter ---- */

/* The results of a run, made by the host and valid until write returns. */
typedef struct assay_report {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  assay_str run_json; /* schema "assay.run/1" */
  /* Opens "totals", "verdicts", "samples" or "rows/<task>", as often as wanted. Rows of several
     variants are sorted by (task, item, variant): those to be compared are neighbours.

     Fails     NOT_FOUND no such table
     Threads   [any-thread]
     Owns      the caller releases *out */
  assay_status (*table)(void* ctx, assay_str name, struct ArrowArrayStream* out,
                        assay_error*) ASSAY_NX;
} assay_report;

typedef struct assay_reporter_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Writes the report, once per instance, and only where its options tell it to.

     Fails     UNAVAILABLE it cannot be written
     Threads   [instance] */
  assay_status (*write)(void* self, const assay_report*, assay_error*) ASSAY_NX;
} assay_reporter_v1;

/* ---- backend ---- */

typedef struct assay_model_info {
  uint32_t struct_size;
  uint32_t vocab; /* the width of a row of logits, padding included; 0: not known */
  uint64_t max_context, weight_bytes;
  double bits_per_weight;
  int32_t bos, eos; /* -1: none */
} assay_model_info;

enum { ASSAY_REQ_SCORE = 1, ASSAY_REQ_GENERATE = 2 };
/* What results are wanted; other bits are ignored. */
enum { ASSAY_WANT_LOGPROBS = 1u, ASSAY_WANT_GREEDY = 2u, ASSAY_WANT_LOGITS = 4u };

/* How tokens are drawn. */
typedef struct assay_sampling {
  uint32_t struct_size;
  /* Nothing ends it before min_new tokens; when both are equal the length is forced. */
  uint32_t max_new, min_new;
  uint32_t top_k;           /* 0: all */
  float temperature, top_p; /* 0: greedy; 1: all */
  uint64_t seed;            /* alone decides the request's random numbers */
  /* Token sequences, each ended by -1; the list ends with NULL. The end tokens are among them: a
     backend adds none of its own. The one that matched is given out and counted. */
  const int32_t* const* stops;
} assay_sampling;

/* One question to a model. Grows at its end: walk with assay_batch.stride. */
typedef struct assay_request {
  uint64_t id;   /* unique per instance */
  int32_t kind;  /* ASSAY_REQ_*; another: done with UNIMPLEMENTED */
  uint32_t want; /* ASSAY_WANT_* */
  const int32_t* tokens;
  uint64_t n_tokens;
  /* SCORE: tokens[first..] are predicted, each from those before it. 0 < first <= n_tokens, and
     first == n_tokens goes straight to done. */
  uint64_t first;
  /* Hint: the group shares its first prefix_len tokens; group 0: none. Its cache may be kept until
     LAST_OF_GROUPS and dropped at any time. */
  uint64_t prefix_group, prefix_len;
  const assay_sampling* sampling; /* GENERATE */
} assay_request;

enum {
  ASSAY_BATCH_LAST_OF_GROUPS = 1u, /* hint: no later batch uses these prefix groups */
  ASSAY_BATCH_ORDERED = 2u,        /* results come request by request, positions ascending */
  ASSAY_BATCH_TOGETHER = 4u /* as one device batch: prefilled and stepped together, each step's
                               tokens pushed at once. For every id RESOURCE_EXHAUSTED when it does
                               not fit, UNIMPLEMENTED when the backend cannot */
};
typedef struct assay_batch {
  uint32_t struct_size;
  uint32_t flags; /* ASSAY_BATCH_* */
  /* stride: bytes from one request to the next, the maker's sizeof and nothing more. */
  uint64_t n, stride;
  const assay_request* requests;
} assay_batch;

/* The i-th request of a batch; whether its maker knew `field`. */
#define ASSAY_REQUEST(b, i) \
  ((const assay_request*)(const void*)((const char*)(b)->requests + (i) * (b)->stride))
#define ASSAY_REQUEST_HAS(b, field) \
  ((b)->stride >= offsetof(assay_request, field) + sizeof((b)->requests->field))

/* What a request took.

   Units     seconds, from the start of work on the request to its last token */
typedef struct assay_usage {
  uint32_t struct_size;
  /* 0 done, 1 a stop matched, 2 length, 3 told to end by the sink or by cancelled. */
  uint32_t finish;
  uint64_t prompt_tokens, cached_tokens, new_tokens;
  double seconds;
} assay_usage;

/* Where a backend puts its results. Data is read before the call returns, and a full ring makes the
   call wait: hold no lock that another request needs. Non-zero: no more of this request, go on to
   done; the answer may lag, and what comes after it is dropped. Chunks of one request ascend
   without gaps or repeats.

   Units     log-probabilities in nats
   Threads   [any-thread] until run returns; calls for one id never overlap */
typedef struct assay_result_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] Element i belongs to tokens[first + i]: an index into the request's tokens.
     greedy: was that token the arg-max (of equals the lowest id)? Either array is NULL when it is
     not wanted.

     Shapes    logprobs [n] f32, greedy [n] u8 */
  int32_t (*scores)(void* ctx, uint64_t id, uint64_t first, const float* logprobs,
                    const uint8_t* greedy, uint64_t n) ASSAY_NX;
  /* [any-thread] Row i is the distribution that tokens[first + i] was drawn from.

     Shapes    rows [n, vocab] f32, f16 or bf16, row-major, in host memory */
  int32_t (*logits)(void* ctx, uint64_t id, uint64_t first, const assay_tensor* rows) ASSAY_NX;
  /* [any-thread] The next tokens of a GENERATE request. logprobs may be NULL.

     Shapes    tokens [n] i32, logprobs [n] f32 */
  int32_t (*tokens)(void* ctx, uint64_t id, const int32_t* tokens, const float* logprobs,
                    uint64_t n) ASSAY_NX;
  /* [any-thread] The last call for an id, exactly once, also after a refusal. failure: NULL when it
     went well. usage: may be NULL with a failure. */
  void (*done)(void* ctx, uint64_t id, const assay_error* failure, const assay_usage*) ASSAY_NX;
} assay_result_sink;

/* Where quantize, or a load that rounds weights, reports what each layer lost. */
typedef struct assay_layer_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* ctx;
  /* [any-thread] */
  void (*value)(void* ctx, assay_str layer, const char* name, double value) ASSAY_NX;
} assay_layer_sink;

/* What a model is wanted for. */
typedef struct assay_job {
  uint32_t struct_size;
  uint32_t want;           /* ASSAY_CAP_SCORE | LOGITS | GENERATE, or QUANTIZE */
  assay_str model_dir;     /* empty: none, as for an endpoint */
  uint64_t batch, context; /* the most sequences at once, the most tokens of each; 0: not known */
  assay_str out_dir; /* QUANTIZE: made by the host, renamed into place after OK. May hold what a
                        killed attempt at the same job left: go on or start over */
  const assay_batch* calibration; /* QUANTIZE, or a load that simulates: SCORE requests, or NULL */
  const assay_layer_sink* layers; /* QUANTIZE, or such a load; NULL: not wanted */
} assay_job;

/* create, load, then run any number of times; or create, then quantize. Out of order:
   FAILED_PRECONDITION. After a failed load, quantize or run only destroy is left. A NULL slot says
   that it is not offered. */
typedef struct assay_backend_v1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Says what a job would need under this configuration, cheaply and without touching a device:
     host_bytes, device_bytes, threads and n_devices of *need, 0 where it is not known.

     Fails     UNAVAILABLE not on this machine
     Threads   [any-thread] */
  assay_status (*estimate)(const assay_host*, const struct assay_config*, const assay_job*,
                           assay_resources* need, assay_error*) ASSAY_NX;
  /* Loads job->model_dir, at most once.

     Threads   [instance] */
  assay_status (*load)(void* self, const assay_job*, assay_model_info* out, assay_error*) ASSAY_NX;
  /* Writes a directory that the same component can load, at most once.

     Threads   [instance] */
  assay_status (*quantize)(void* self, const assay_job*, assay_error*) ASSAY_NX;
  /* Answers every request of the batch; returns after the last done.

     Fails     the instance is unusable, and the host fails what is still open. What concerns one
               request goes to its done, RESOURCE_EXHAUSTED included, and the instance stays usable
     Threads   [instance]; with ASSAY_CAP_CONCURRENT run may overlap with run */
  assay_status (*run)(void* self, const assay_batch*, const assay_result_sink*,
                      assay_error*) ASSAY_NX;
} assay_backend_v1;

/* ---- the layout, held in place ---- */
#ifdef __cplusplus
}
#define ASSAY_ASSERT(c) static_assert(c, #c)
#else
#define ASSAY_ASSERT(c) _Static_assert(c, #c)
#endif
ASSAY_ASSERT(sizeof(void*) == 8);
/* clang-format off */
/* Sizes. Every struct ends with its last field: ASSAY_HAS would take padding at the end for a field. */
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
/* Slots: a swap of two functions leaves all sizes as they were. The offsets of all other fields and the values of all
   constants are held by tests/sdk/abi_layout.c. */
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
/* clang-format on */
#endif /* ASSAY_ABI_H_ */
