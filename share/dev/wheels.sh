# Sourced after steps.sh by the scripts of this folder that unpack wheels: pinned, hash-checked, nothing installed.
# shellcheck shell=bash disable=SC2154  # root is steps.sh's

# The first python3 on PATH may come without pip; Debian's has it.
python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  stop "no python3 with pip was found; install python3-pip"
}

# Wheels of older systems than Debian 12's glibc 2.36 run here; pip takes a tag only by its exact name.
wheel_platforms() {
  local minor
  for minor in 28 27 25 18 17 12 5; do
    printf -- '--platform manylinux_2_%s_x86_64 ' "$minor"
  done
  printf -- '--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64'
}

# Downloads the wheels that REQUIREMENTS pins and has UNPACK put a part of them into INTO:
# install_wheels NAME REQUIREMENTS INTO PROBE UNPACK GIGABYTES
# The stamp holds the digest of REQUIREMENTS, so that a change of the pins unpacks anew. PROBE, a file below INTO, tells
# a folder of the user's own, which is left as it is.
install_wheels() {
  local name=$1 requirements=$2 into=$3 probe=$4 unpack=$5 gigabytes=$6
  local start=$SECONDS stamp digest python work
  digest=$(sha256sum "$requirements" | cut -d ' ' -f 1)
  stamp=$into/.assay-setup
  if [[ -f $stamp && $(<"$stamp") == "$digest" ]]; then
    done_step "$start" "$name: in $into"
    return
  fi
  if [[ $into == "${ASSAY_TORCH_ROOT:-}" && -e $into/$probe ]]; then
    done_step "$start" "$name: your own in $into (ASSAY_TORCH_ROOT), left as it is"
    return
  fi
  [[ $(uname -m) == x86_64 ]] || stop "the pinned torch wheel is for x86_64, this machine is $(uname -m). Set \
ASSAY_TORCH_ROOT to a folder that holds torch/include and torch/lib of torch 2.11.0"

  python=$(python_with_pip)
  mkdir -p "$(dirname "$into")"
  work=$(mktemp -d "$into.XXXXXX")
  # shellcheck disable=SC2064  # expands now: $work is local
  trap "rm -rf '$work'" EXIT
  # shellcheck disable=SC2046  # words are wanted
  quietly "$root/build/wheels-download.log" "$name: wheels downloaded ($gigabytes GB), hashes right" \
    "$python" -m pip download --dest "$work/wheels" --requirement "$requirements" --require-hashes --no-deps \
    --only-binary :all: --implementation cp --python-version 3.11 --abi cp311 --abi none $(wheel_platforms)

  start=$SECONDS
  "$unpack" "$work/wheels" "$work/unpacked"
  echo "$digest" >"$work/unpacked/.assay-setup"
  # A rename, so a stopped unpack leaves nothing that looks whole.
  rm -rf "$into"
  mv "$work/unpacked" "$into"
  done_step "$start" "$name: unpacked into $into"
}
