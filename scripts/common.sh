# What the scripts of this folder share; sourced, not run.
# shellcheck shell=bash

shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(basename "$0")

say() {
  printf '%s: %s\n' "$program" "$*"
}

# fail SENTENCE [STATUS]
fail() {
  printf '%s: %s\n' "$program" "$1" >&2
  exit "${2:-1}"
}

# Prints the comment at the head of the script.
print_header() {
  sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0"
}

# Cores of this machine (nproc alone would repeat OMP_NUM_THREADS).
cores() {
  env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc
}

# Compilers at a time: as many as there are cores, but 1.5 GiB of memory for each,
# since a file that includes LibTorch takes 1.3 GiB.
compilers() {
  local available
  available=$(awk '/^MemAvailable:/ {print int($2 / 1572864)}' /proc/meminfo)
  local n
  n=$(cores)
  if ((available < n)); then n=$available; fi
  if ((n < 1)); then n=1; fi
  echo "${CMAKE_BUILD_PARALLEL_LEVEL:-$n}"
}

# OpenMP threads that wait must sleep: on a busy machine of two cores spinning made two
# threads 20 times slower than one.
set_threads() {
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(cores)}
  export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
  say "OMP_NUM_THREADS=$OMP_NUM_THREADS OMP_WAIT_POLICY=$OMP_WAIT_POLICY ($(cores) cores)"
}

# ------------------------------------------------------------ LibTorch

# Prints the first of the folders that holds TorchConfig.cmake, below the prefixes $@.
torch_below() {
  local prefix folder
  for prefix in "$@"; do
    if [[ -z $prefix ]]; then continue; fi
    for folder in "$prefix" "$prefix"/{,share/,share/cmake/,lib/cmake/,lib64/cmake/}Torch \
      "$prefix"/lib/*/cmake/Torch; do
      if [[ -f $folder/TorchConfig.cmake ]]; then
        realpath "$folder"
        return
      fi
    done
  done
}

# The folder of TorchConfig.cmake that the environment names (Torch_DIR, Torch_ROOT,
# CMAKE_PREFIX_PATH) or that /usr/local holds; empty when there is none, or when it is
# Debian's all the same.
configured_torch() {
  local prefixes torch
  if [[ -n ${Torch_DIR:-} ]]; then
    [[ -f $Torch_DIR/TorchConfig.cmake ]] ||
      fail "Torch_DIR is $Torch_DIR, which holds no TorchConfig.cmake"
    torch=$(realpath "$Torch_DIR")
  else
    IFS=':;' read -r -a prefixes <<<"${Torch_ROOT:-}:${CMAKE_PREFIX_PATH:-}:/usr/local"
    torch=$(torch_below "${prefixes[@]}")
  fi
  if [[ $torch != /usr/lib/* ]]; then echo "$torch"; fi
}

# The folder of the TorchConfig.cmake that a build takes; empty when there is none.
torch_in_force() {
  local torch
  torch=$(configured_torch)
  if [[ -z $torch ]]; then torch=$(torch_below /usr); fi
  echo "$torch"
}

# ------------------------------------------------------------ packages

# Installs the packages $@ of Debian.
install_packages() {
  local by_hand="apt-get update && apt-get install --no-install-recommends $*"
  command -v apt-get >/dev/null ||
    fail "this is not Debian (no apt-get): install what these packages of Debian hold, then run again: $*"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "installing needs root and there is no sudo: as root, run: $by_hand"
    if ! sudo -n true 2>/dev/null && [[ ! -t 0 ]]; then
      fail "installing needs root and sudo has nobody to ask for a password: as root, run: $by_hand"
    fi
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q) log
  log=$(mktemp)
  say "installing $* (this takes some minutes)"
  if ! "${apt[@]}" update >"$log" 2>&1 ||
    ! "${apt[@]}" install -y --no-install-recommends "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "apt-get failed (the end of its output is above); Debian 12 and 13 have all these packages"
  fi
  rm -f "$log"
}

# ------------------------------------------------------------ building

# configure PRESET FOLDER [CMAKE OPTION...]
# Starts the folder afresh when it was configured for another LibTorch.
configure() {
  local preset=$1 folder=$2
  shift 2
  local torch cached="" options=()
  torch=$(torch_in_force)
  if [[ -f $folder/CMakeCache.txt ]]; then
    cached=$(sed -n 's/^Torch_DIR:[^=]*=//p' "$folder/CMakeCache.txt")
    if [[ $(realpath -m "$cached") != "$torch" ]]; then options+=(--fresh); fi
  fi
  # TorchConfig.cmake looks for its own libraries in the system's folders first.
  if [[ $torch == */share/cmake/Torch ]]; then
    export CMAKE_PREFIX_PATH=${torch%/share/cmake/Torch}${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  fi
  say "configuring $folder (preset $preset, LibTorch in $torch)"
  (cd "$root" && cmake --preset "$preset" -B "$folder" "${options[@]}" -DTorch_DIR="$torch" "$@")
}

# build FOLDER [TARGET...]
build() {
  local folder=$1
  shift
  local targets=()
  if (($# > 0)); then targets=(--target "$@"); fi
  say "building $folder, $(compilers) compilers at a time"
  cmake --build "$folder" --parallel "$(compilers)" "${targets[@]}"
}
