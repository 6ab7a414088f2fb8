/* The number of words of each answer, in plain C. In a task of a manifest:
     metrics = [{ use = "my-vendor/my-plugin", min_letters = 2 }]
   It needs no CMake:
     gcc -O2 -shared my_plugin.c -o my-vendor-my-plugin.so $(pkg-config --cflags --libs assay-sdk)
   What each side owns and which thread may call what is in <assay/abi.h>. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct metric {
  int64_t min_letters;
  double words;
  uint64_t n_rows;
  int is_finished;
} metric;

/* Fills the caller's error and gives its code back. */
static assay_status fail(assay_error* error, assay_status code, const char* where,
                         const char* text) {
  if (error != NULL) {
    error->code = code;
    snprintf(error->where, sizeof error->where, "%s", where);
    snprintf(error->text, sizeof error->text, "%s", text);
  }
  return code;
}

static assay_status create(const assay_host* host, const struct assay_config* config,
                           const assay_resources* resources, void** self, assay_error* error) {
  int64_t min_letters = 0;
  metric* made = NULL;
  (void)resources;
  *self = NULL;
  if (host->get_int(config, "min_letters", &min_letters) != ASSAY_OK || min_letters < 1) {
    return fail(error, ASSAY_INVALID_ARGUMENT, "min_letters", "min_letters is a number from 1 on");
  }
  made = calloc(1, sizeof *made);
  if (made == NULL) return fail(error, ASSAY_RESOURCE_EXHAUSTED, "", "out of memory");
  made->min_letters = min_letters;
  *self = made;
  return ASSAY_OK;
}

/* The bytes of row `row` of a column of type utf8 ("u") or large_utf8 ("U"). */
static assay_str text_at(const struct ArrowArray* column, const char* format, int64_t row) {
  const int64_t at = row + column->offset;
  const char* bytes = column->buffers[2];
  int64_t begin = 0;
  int64_t end = 0;
  if (format[0] == 'U') {
    begin = ((const int64_t*)column->buffers[1])[at];
    end = ((const int64_t*)column->buffers[1])[at + 1];
  } else {
    begin = ((const int32_t*)column->buffers[1])[at];
    end = ((const int32_t*)column->buffers[1])[at + 1];
  }
  return (assay_str){begin == end ? NULL : bytes + begin, (uint64_t)(end - begin)};
}

static double words_in(assay_str text, int64_t min_letters) {
  double words = 0;
  int64_t letters = 0;
  for (uint64_t i = 0; i < text.len; ++i) {
    const char letter = text.ptr[i];
    /* Bytes 10xxxxxx go on with a letter of UTF-8. */
    if (letter == ' ' || letter == '\n' || letter == '\t') {
      letters = 0;
    } else if ((letter & 0xC0) != 0x80 && ++letters == min_letters) {
      ++words;
    }
  }
  return words;
}

static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* rows, const assay_value_sink* sink,
                           assay_error* error) {
  metric* const me = self;
  int64_t column = 0;
  const char* format = NULL;
  if (me->is_finished) {
    return fail(error, ASSAY_FAILED_PRECONDITION, "update", "update was called after finish");
  }
  while (column < schema->n_children && strcmp(schema->children[column]->name, "output") != 0) {
    ++column;
  }
  if (column == schema->n_children) {
    return fail(error, ASSAY_INVALID_ARGUMENT, "output", "the rows lack the column \"output\"");
  }
  format = schema->children[column]->format;
  if (strcmp(format, "u") != 0 && strcmp(format, "U") != 0) {
    return fail(error, ASSAY_INVALID_ARGUMENT, "output", "column \"output\" is not text");
  }
  for (int64_t row = 0; row < rows->length; ++row) {
    const assay_str text = text_at(rows->children[column], format, rows->offset + row);
    const double words = words_in(text, me->min_letters);
    sink->sample(sink->ctx, (uint64_t)row, "my_plugin", words);
    me->words += words;
    ++me->n_rows;
  }
  return ASSAY_OK;
}

static assay_status finish(void* self, const assay_value_sink* sink, assay_error* error) {
  metric* const me = self;
  if (me->is_finished) {
    return fail(error, ASSAY_FAILED_PRECONDITION, "finish", "finish was called a second time");
  }
  me->is_finished = 1;
  /* The mean of nothing is no number, so there is no total. */
  if (me->n_rows > 0) {
    sink->total(sink->ctx, "my_plugin", me->words / (double)me->n_rows, NAN, me->n_rows);
  }
  return ASSAY_OK;
}

static const assay_metric_v1 api = {sizeof(assay_metric_v1), 0, update, finish};
static const assay_option min_letters = {.struct_size = sizeof min_letters,
                                         .type = ASSAY_INT,
                                         .name = "min_letters",
                                         .help = "Shorter words are not counted.",
                                         .fallback = "1",
                                         .lo = 1,
                                         .hi = 100};
static const assay_column output = {.struct_size = sizeof output,
                                    .type = ASSAY_TEXT,
                                    .name = "output",
                                    .help = "what the model wrote"};
static const assay_column words = {.struct_size = sizeof words,
                                   .type = ASSAY_FLOAT,
                                   .flags = ASSAY_COL_MEAN | ASSAY_COL_PRIMARY,
                                   .name = "my_plugin",
                                   .help = "words per output",
                                   .unit = "1",
                                   .lo = 0,
                                   .hi = 1e9};
static const assay_option* const options[] = {&min_letters};
static const assay_column* const columns[] = {&output};
static const assay_column* const outputs[] = {&words};
static const assay_component component = {.struct_size = sizeof component,
                                          .kind = ASSAY_METRIC,
                                          .id = "my-vendor/my-plugin",
                                          .version = "1.0.0",
                                          .summary = "Words per output",
                                          .caps = ASSAY_CAP_DETERMINISTIC,
                                          .options = options,
                                          .n_options = 1,
                                          .columns = columns,
                                          .n_columns = 1,
                                          .outputs = outputs,
                                          .n_outputs = 1,
                                          .create = create,
                                          .destroy = free,
                                          .api = &api};
static const assay_component* const components[] = {&component};

const assay_plugin assay_plugin_v1 = {.struct_size = sizeof assay_plugin_v1,
                                      .abi_major = ASSAY_ABI_MAJOR,
                                      .abi_minor = ASSAY_ABI_MINOR,
                                      .id = "my-vendor/my-plugin",
                                      .version = "1.0.0",
                                      .vendor = "my-vendor",
                                      .license = "Proprietary",
                                      .built_with = __VERSION__,
                                      .components = components,
                                      .n_components = 1};
ASSAY_NOTE("my-vendor/my-plugin");
