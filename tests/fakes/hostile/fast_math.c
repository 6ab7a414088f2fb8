/* Linked with -ffast-math, which switches the process that loads it to flush-to-zero. */
#define HOSTILE_ID "hostile/fast-math"
#include <assay/arrow_c.h>

#include "words.h"

static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* batch, const assay_value_sink* sink,
                           assay_error* error) {
  (void)schema, (void)sink, (void)error;
  ((rows*)self)->n += (uint64_t)batch->length;
  return ASSAY_OK;
}
