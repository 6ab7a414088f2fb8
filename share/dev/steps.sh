# Sourced by the scripts of this folder: steps with their seconds, quiet commands with a log, the number of build jobs.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

# Prints one line about a finished step: done_step SECONDS_AT_START TEXT
done_step() {
  printf '%5d s  %s\n' "$((SECONDS - $1))" "$2"
}

stop() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit "${2:-1}"
}

# Compiling against libtorch takes about 1.5 GB a job, so small machines get fewer jobs than cores.
build_jobs() {
  local cores available_kib jobs
  cores=$(nproc)
  available_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  jobs=$((available_kib / 1572864))
  ((jobs < 1)) && jobs=1
  ((jobs > cores)) && jobs=$cores
  echo "$jobs"
}

# Shows how far ninja is: one changing line on a terminal, a line per tenth elsewhere.
show_ninja_progress() {
  local line done total tenth last=-1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
    if [[ -t 1 ]]; then
      printf '\r         %d of %d' "$done" "$total"
    else
      tenth=$((done * 10 / total))
      ((tenth == last)) || printf '         %d of %d\n' "$done" "$total"
      last=$tenth
    fi
  done
  [[ ! -t 1 ]] || printf '\r\033[K'
}

# Runs a command with its output in a log and shows the end of the log when it fails: quietly LOG TEXT COMMAND...
quietly() {
  local log=$1 text=$2 start=$SECONDS status
  shift 2
  mkdir -p "$(dirname "$log")"
  set +e
  "$@" 2>&1 | tee "$log" | show_ninja_progress
  status=${PIPESTATUS[0]}
  set -e
  if ((status != 0)); then
    tail -n 40 "$log" >&2
    stop "$text failed; the whole output is in $log" "$status"
  fi
  done_step "$start" "$text"
}

# Configures one preset and builds all of it, or the targets named: build PRESET [TARGET...]
build() {
  local preset=$1 log=$root/build/$1.log
  shift
  cd "$root"
  quietly "$root/build/$preset.configure.log" "configured preset $preset" cmake --preset "$preset"
  quietly "$log" "built preset $preset" cmake --build --preset "$preset" -j "$(build_jobs)" ${1:+--target "$@"}
}
