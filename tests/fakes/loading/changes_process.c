/* Changes everything a process has while it is loaded. */
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../broken/whole_metric.h"

__attribute__((constructor)) static void change(void) {
  sigset_t signals;
  fesetround(FE_UPWARD);
  setlocale(LC_ALL, "C.UTF-8");
  setenv("ASSAY_FAKE_NEW", "1", 1);
  setenv("HOME", "/nowhere", 1);
  if (chdir("/") != 0) abort();
  signal(SIGUSR2, SIG_IGN);
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  umask(0);
}

static const assay_component metric = WHOLE_METRIC("fake/changes-process");
static const assay_component* const components[] = {&metric};

ASSAY_NOTE("fake/changes-process");

const assay_plugin assay_plugin_v1 = {WHOLE_PLUGIN("fake/changes-process")};
