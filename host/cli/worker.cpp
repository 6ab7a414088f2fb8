#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "host/cli/commands.hpp"
#include "host/run/run.hpp"
#include "host/worker/process.hpp"
#include "host/worker/serve.hpp"

namespace assay::host {

void worker_command() {
  if (::fcntl(Process::kWorkerSocket, F_GETFD) < 0 ||
      ::fcntl(Process::kWorkerMemory, F_GETFD) < 0) {
    std::fputs("assay worker is started by assay itself, for one plugin; see `assay --help`\n",
               stderr);
    ::_exit(kExitUsage);
  }
  bind_to_parent();
  serve({Process::kWorkerSocket, Process::kWorkerMemory});
}

}  // namespace assay::host
