#!/usr/bin/env bash
# Disks that fill up while train_csv runs, at every place where it writes: status 6, one
# sentence, nothing half-written under a final name, no temporary left; and with room
# again the run goes on and ends as one that always had room, byte for byte.
#
#   full_disk.sh PROGRAMS DATA SCRATCH PICTURES
#
# The disk is a file system in memory, which needs a name space of one's own (unshare);
# without one, the limit on the size of a file stands for it.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
if [[ ${IN_OWN_NAME_SPACE:-} != 1 ]] && unshare -rm true 2>/dev/null; then
  IN_OWN_NAME_SPACE=1 exec unshare -rm bash "${BASH_SOURCE[0]}" "$@"
fi
# shellcheck source=tests/examples/programs.sh
source "$here/programs.sh"
small_set "$4"
options=("${small_options[@]}" --views 1 --epochs 3 --batch-size 4 --patience 0
  --logit-scale 20 --threads 1)

train() {
  timeout 300 "$programs/train_csv" "${options[@]}" "$@" >out.txt 2>err.txt </dev/null
}

holds "a run with room" train --out whole --cache cache

# The tensors of best.safetensors, whose header holds --out and --cache.
weights() {
  local file=$1/best.safetensors
  tail -c "+$((9 + $(od -An -tu8 -N8 "$file")))" "$file"
}

# failed WHERE FOLDER STATUS: it ended with 6 and one sentence about a file in FOLDER,
# of which it left nothing.
failed() {
  local where=$1 folder=$2 status=$3
  holds "$where: exit status $status, expected 6: $(cat err.txt)" test "$status" = 6
  holds "$where: one sentence: $(cat err.txt)" test "$(grep -c "^train_csv: " err.txt)" = 1
  holds "$where: what and where: $(cat err.txt)" grep -q "^train_csv: .*$folder/.*" err.txt
  holds "$where: no temporary file" test -z "$(find "$folder" -name '.*.tmp*')"
  failures+=$(grep "^train_csv: " err.txt)$'\n'
}

# goes_on WHERE FOLDER ARGUMENT...: with room again it ends as the whole run.
goes_on() {
  local where=$1 folder=$2 resume=()
  shift 2
  if [[ -e $folder/last.safetensors ]]; then resume=(--resume); fi
  if [[ -e $folder/previous.safetensors ]]; then
    mkdir -p older
    cp "$folder/previous.safetensors" older/last.safetensors
    holds "$where: the state before the last one is whole: $(cat err.txt)" train --out older --resume --cache cache
    holds "$where: and leads to the same end" cmp <(state whole) <(state older)
    rm -r older
  fi
  holds "$where, with room: $(cat err.txt)" train --out "$folder" "${resume[@]}" "$@"
  holds "$where: the same state" cmp <(state whole) <(state "$folder")
  holds "$where: the same weights" cmp <(weights whole) <(weights "$folder")
  holds "$where: the same report" diff <(result whole) <(result "$folder")
  holds "$where: the same lines" diff <(epochs whole) <(epochs "$folder")
}

# ------------------------------------------------------------ a disk in memory

# fill FOLDER KIB: a disk with so much room (and something on it: 0 would mean no limit).
fill() {
  mkdir -p "$1"
  mount -t tmpfs -o "size=$(($2 + 4))k" none "$1" && echo ballast >"$1/ballast"
}

page() { echo $((($(stat -c %s "$1") + 4095) / 4096 * 4)); }  # KiB on such a disk

# training_on KIB: a whole run on a disk of this size.
training_on() {
  local where="a disk of $1 KiB" status=0
  fill disk "$1"
  train --out disk/run --cache cache || status=$?
  failed "$where" disk/run "$status"
  mount -o remount,size=64m disk
  goes_on "$where" disk/run --cache cache
  umount disk
}

# results_on KIB: the end of a run whose disk has this room left.
results_on() {
  local where="$1 KiB left for the results" status=0
  fill disk 65536
  cp -r whole disk/run
  rm disk/run/{report.json,report.html,best.safetensors}
  mount -o "remount,size=$(($(du -sk disk | cut -f 1) + $1))k" disk
  train --out disk/run --cache cache --resume || status=$?
  failed "$where" disk/run "$status"
  mount -o remount,size=64m disk
  goes_on "$where" disk/run --cache cache
  umount disk
}

failures=""
if [[ ${IN_OWN_NAME_SPACE:-} == 1 ]] && fill disk 64 2>err.txt; then
  umount disk
  state=$(page whole/last.safetensors)
  best=$(page whole/best.safetensors) html=$(page whole/report.html)
  for size in 0 4 8 12 16 $((state - 4)) $((state * 3 / 2)) $((state * 5 / 2)); do
    training_on "$size"
  done
  for left in 0 $((best / 2)) $best $((best + html / 2)) $((best + html)); do
    results_on "$left"
  done
  for file in config.toml trained_on.json metrics.jsonl 'events.out.tfevents.*' last.safetensors report.json \
    best.safetensors report.html; do
    holds "no room for $file was met: $failures" grep -q "run/$file'" <<<"$failures"
  done

  # The features: told before anything is computed.
  fill disk 8
  status=0
  train --out early --cache disk/cache || status=$?
  holds "features: exit status $status, expected 6" test "$status" = 6
  holds "features: told first: $(cat err.txt)" grep -q \
    "^train_csv: disk/cache/.*: expected room for .* of features, got .*--cache" err.txt
  umount disk
else
  echo "no file system of our own here: limits on the size of files only"
fi

# ------------------------------------------------------------ a limit on files

# limited KIB PROGRAM ARGUMENT...: with files of at most this size; messages go through a
# pipe, since they would end in a file that may not grow either.
limited() {
  {
    (
      ulimit -f "$1"
      exec timeout 300 "$programs/$2" "${@:3}" 2>&1 >out.pipe </dev/null
    )
  } | cat >err.txt
  return "${PIPESTATUS[0]}"
}
ln -s /dev/null out.pipe

failures=""
for file in cache config.toml last.safetensors; do
  rm -rf limited limited_cache
  folder=limited cache=cache bytes=0
  if [[ $file == cache ]]; then
    folder=limited_cache cache=limited_cache
    bytes=$(find cache -name 'view-*' -printf '%s\n' | sort -n | tail -1)
  else
    bytes=$(stat -c %s "whole/$file")
  fi
  kib=$(((bytes - 1) / 1024))  # too small by some bytes
  where="files of at most $kib KiB"
  status=0
  limited $kib train_csv "${options[@]}" --out limited --cache "$cache" || status=$?
  failed "$where" "$folder" "$status"
  goes_on "$where" limited --cache "$cache"
done
for file in 'view-.*safetensors' config.toml last.safetensors; do
  holds "no room for $file was met: $failures" grep -q "/$file'" <<<"$failures"
done

# ------------------------------------------------------------ what predict writes

predict=(predict --checkpoint whole/best.safetensors --images photos --threads 1)
status=0
limited 0 "${predict[@]}" --out probabilities.csv || status=$?
holds "predict --out: exit status $status, expected 6" test "$status" = 6
holds "predict --out: $(cat err.txt)" grep -q "^predict: cannot write 'probabilities.csv': .*make room\|ulimit" err.txt
holds "predict --out leaves nothing" test -z "$(find . -maxdepth 1 -name '*probabilities*')"
status=0
"$programs/predict" "${predict[@]:1}" >/dev/full 2>err.txt || status=$?
holds "predict on a full disk: exit status $status, expected 6" test "$status" = 6
holds "predict on a full disk: $(cat err.txt)" grep -q "^predict: cannot write to the standard output" err.txt
finish
