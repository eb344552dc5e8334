#!/usr/bin/env bash
# Runs that are stopped by a signal: status 5, a state, and with --resume the weights of
# a run without a break, byte for byte.
set -uo pipefail
# shellcheck source=tests/examples/programs.sh
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

# interrupt SENTENCE LINE PROGRAM ARGUMENT...: SIGTERM once it has printed LINE.
interrupt() {
  local sentence=$1 line=$2 status=0 pid
  shift 2
  : >out.txt  # before the program starts: grep must not find what the last one said
  "$programs/$1" "${@:2}" >out.txt 2>err.txt </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null && ! grep -q "$line" out.txt; do sleep 0.05; done
  kill -TERM "$pid"
  wait "$pid" || status=$?
  holds "$*, stopped: exit status $status, expected 5" test "$status" = 5
  holds "$*, stopped: expected \"$sentence\", got \"$(cat err.txt)\"" said "$sentence" err.txt
}

# ------------------------------------------------------------ train_scenes

options=(--seed 3 --epochs 30 --patience 0 --batch-size 16 --limit-scenes 64 --threads 1)
other_seed=(--seed 4 "${options[@]:2}")
expect 0 "" train_scenes --out whole "${options[@]}"

interrupt "train_scenes: stopped while the scenes were being encoded, before any training" \
  "composing 1,200 scenes" train_scenes --out broken --limit-scenes 400
interrupt "train_scenes: stopped in epoch ... after step ...; broken/last.safetensors is saved, resume to continue; see --resume" \
  "^epoch  3 " train_scenes --out broken "${options[@]}"
holds "there is a state" test -s broken/last.safetensors
holds "there is no result yet" test ! -e broken/report.json -a ! -e broken/best.safetensors
cp broken/last.safetensors state
expect 2 "train_scenes: --out: broken holds the state of a run ..." \
  train_scenes --out broken "${options[@]}"
expect 2 "train_scenes: broken: expected a run with the options of now, got a broken-off run with others: --seed 3 there, 4 here ..." \
  train_scenes --out broken "${other_seed[@]}" --resume
mv broken/config.toml config.toml
expect 4 "train_scenes: broken/trained_on.json: expected the known labels that the run began with, ... (undo the change, or name another --out)" \
  train_scenes --out broken "${other_seed[@]}" --resume
mv config.toml broken
holds "a state that is refused stays as it was" cmp broken/last.safetensors state
expect 0 "" train_scenes --out broken "${options[@]}" --resume

holds "the same weights" cmp whole/best.safetensors broken/best.safetensors
holds "the same state" cmp <(state whole) <(state broken)
holds "the quality of the pseudo-labels" test "$(grep -c '"positive_recall"' broken/report.json)" -gt 20
holds "a report" grep -q '"mAP"' <(result broken)
holds "the same report" diff <(result whole) <(result broken)
holds "a line an epoch" test "$(epochs broken | wc -l)" = 30
holds "the same lines" diff <(epochs whole) <(epochs broken)
events() { find "$1" -name 'events.out.tfevents.*' | wc -l; }
holds "an event file each start" test "$(events whole) $(events broken)" = "1 2"

# A state that is older than the lines: they are done again, not twice.
mkdir older
cp whole/config.toml whole/metrics.jsonl older
cp state older/last.safetensors
expect 0 "" train_scenes --out older "${options[@]}" --resume
holds "no line twice" diff <(epochs whole) <(epochs older)
holds "the options of the first start" diff <(sed /^out=/d whole/config.toml) <(sed /^out=/d broken/config.toml)

# Every option can stand in a file, and the file repeats the run.
expect 0 "" train_scenes --config whole/config.toml --out again
holds "config.toml repeats the run" cmp whole/best.safetensors again/best.safetensors

# ------------------------------------------------------------ pretrain_clip

options=(--steps 4 --batch 4 --width 2 --threads 1)
expect 0 "" pretrain_clip --out whole_clip "${options[@]}"
interrupt "pretrain_clip: stopped at step 1; broken_clip/state.safetensors is saved, continue with --resume" \
  "^LibTorch" pretrain_clip --out broken_clip "${options[@]}"
holds "there are no weights yet" test ! -e broken_clip/clip.safetensors
expect 0 "" pretrain_clip --out broken_clip "${options[@]}" --resume
holds "the same vocabulary" cmp whole_clip/merges.txt broken_clip/merges.txt
holds "the same weights" cmp whole_clip/clip.safetensors broken_clip/clip.safetensors

finish
