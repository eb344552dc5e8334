#!/usr/bin/env bash
# train_csv killed at random moments, the cache of features included, and started again
# each time: in the end the state of a run without a break, byte for byte (one thread).
#
#   killed.sh PROGRAMS DATA SCRATCH PICTURES [KILLS]
set -uo pipefail
# shellcheck source=tests/examples/programs.sh
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
pictures=$4 kills=${5:-30}

small_set "$pictures"
options=("${small_options[@]}" --views 3 --epochs 40 --batch-size 4 --patience 0 --checkpoint-every 1 --logit-scale 20 --threads 1)
train() {
  timeout 300 "$programs/train_csv" "${options[@]}" "$@" >out.txt 2>err.txt </dev/null
}

holds "a run without a break" train --out whole --cache cache_whole
started=$SECONDS
train --out timed --cache cache_timed
length=$(((SECONDS - started) * 1000 + 500))  # ms of a whole run, about

RANDOM=7
done_kills=0
for ((i = 0; i < 10 * kills && done_kills < kills; ++i)); do
  resume=()
  if [[ -e broken/last.safetensors ]]; then resume=(--resume); fi
  "$programs/train_csv" "${options[@]}" --out broken --cache cache_broken "${resume[@]}" \
    >out.txt 2>err.txt </dev/null &
  pid=$!
  delay=$((RANDOM % length))
  sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
  if kill -KILL "$pid" 2>/dev/null; then done_kills=$((done_kills + 1)); fi
  wait "$pid" 2>/dev/null
  if [[ -e broken/report.json ]]; then
    # Finished before it was killed: once more from the start, kills are counted on.
    cmp -s <(state whole) <(state broken) || fault "another state after $done_kills kills"
    rm -rf broken cache_broken
  fi
done
holds "killed $done_kills times, expected $kills" test "$done_kills" = "$kills"
resume=()
if [[ -e broken/last.safetensors ]]; then resume=(--resume); fi
holds "the last start ends well: $(cat err.txt)" train --out broken --cache cache_broken "${resume[@]}"

holds "the same state" cmp <(state whole) <(state broken)
holds "the state before it" cmp <(state whole previous) <(state broken previous)
holds "the same report" diff <(result whole) <(result broken)
holds "a line an epoch" test "$(epochs broken | wc -l)" = 40
holds "the same lines" diff <(epochs whole) <(epochs broken)
holds "nothing under a final name is cut off" test -z "$(find broken cache_broken -size 0)"
finish
