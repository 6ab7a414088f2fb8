/* Sets the locale, the floating-point mode and a signal handler in the middle of a call. */
#define HOSTILE_ID "hostile/set-locale"
#include <assay/arrow_c.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>

#include "words.h"

static assay_status update(void* self, const struct ArrowSchema* schema,
                           const struct ArrowArray* batch, const assay_value_sink* sink,
                           assay_error* error) {
  (void)schema, (void)sink, (void)error;
  setlocale(LC_ALL, "C.UTF-8");
  fesetround(FE_UPWARD);
  signal(SIGUSR2, SIG_IGN);
  ((rows*)self)->n += (uint64_t)batch->length;
  return ASSAY_OK;
}
