#!/usr/bin/env bash
# run.sh BUILD SECONDS [TARGET...]: fuzzes each target (default: all) so long, from its
# corpus, and prints a line of how often it ran. What a target finds (crash-*, ..) is left in
# BUILD/found/TARGET; exit status 1 then.
set -uo pipefail
build=$1 seconds=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
targets=("$@")
if ((${#targets[@]} == 0)); then
  targets=(fuzz_safetensors fuzz_sharded_index fuzz_torch_archive fuzz_npy fuzz_vocabulary fuzz_image
    fuzz_coco)
fi
status=0
for target in "${targets[@]}"; do
  if [[ ! -x $build/tests/fuzz/$target ]]; then
    echo "$target: expected the program $build/tests/fuzz/$target, got none"
    status=1
    continue
  fi
  found=$build/found/$target
  mkdir -p "$found/new"
  corpus=("$here/corpus/${target#fuzz_}")
  if [[ $target == fuzz_image ]]; then corpus=("$here/../data/pictures"); fi
  if "$build/tests/fuzz/$target" -max_total_time="$seconds" -max_len=16384 -rss_limit_mb=4096 \
    -timeout=30 -artifact_prefix="$found/" "$found/new" "${corpus[@]}" >"$found/log" 2>&1; then
    echo "$target: $(grep -o 'Done .*' "$found/log"), nothing found"
  else
    echo "$target: found something, see $found"
    status=1
  fi
done
exit "$status"
