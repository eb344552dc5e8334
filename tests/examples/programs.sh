# What the scripts of this folder share; sourced, not run.
#
#   SCRIPT.sh PROGRAMS DATA SCRATCH    folders of the programs, of examples/data, to work in
# shellcheck shell=bash

# shellcheck disable=SC2034  # data: for those who source this
programs=$1 data=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch" || exit 1
checks=0 faults=0

fault() {
  printf 'FAULT: %s\n' "$*"
  faults=$((faults + 1))
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
  local what=$1
  shift
  checks=$((checks + 1))
  "$@" || fault "$what"
}

# quoted TEXT: a pattern that matches this text only.
quoted() {
  if [[ -n $1 ]]; then printf '%q' "$1"; fi
}

# said SENTENCE FILE: the file holds this sentence and nothing else but CLI11's hint and
# the progress of a training; "..." in the sentence stands for any text.
said() {
  local got pattern="" rest=$1
  got=$(grep -vx -e "Run with --help for more information\." -e "training: .*" "$2")
  while [[ $rest == *...* ]]; do
    pattern+="$(quoted "${rest%%...*}")*"
    rest=${rest#*...}
  done
  pattern+=$(quoted "$rest")
  # shellcheck disable=SC2053  # a pattern on purpose
  [[ $got == $pattern ]] && (($(wc -l <<<"$got") == 1))
}

# expect STATUS SENTENCE PROGRAM ARGUMENT...: how it ends and what it says on stderr.
expect() {
  local status=$1 sentence=$2 got=0
  shift 2
  timeout 300 "$programs/$1" "${@:2}" >out.txt 2>err.txt </dev/null || got=$?
  holds "$*: exit status $got, expected $status" test "$got" = "$status"
  holds "$*: expected \"$sentence\", got \"$(cat err.txt)\"" said "$sentence" err.txt
}

# small_set PICTURES: labels.csv of twelve small pictures, with labels by their numbers;
# `small_options` of a program that trains on them.
small_set() {
  local pictures=$1 file n=0 i=0
  mkdir photos
  for file in "$pictures"/{rgb,grey,palette}-8.png "$pictures"/rgb-{420,422,444}-{baseline,progressive}.jpg \
    "$pictures"/{plain,screen}.gif "$pictures"/rgb.bmp; do
    cp "$file" "photos/$n.${file##*.}"
    n=$((n + 1))
  done
  {
    echo image,cat,dog,fish
    for file in photos/*; do
      echo "$file,$((i % 2)),$((i % 3 == 0)),$((i % 5 < 2))"
      i=$((i + 1))
    done
  } >labels.csv
  # shellcheck disable=SC2034  # for those who source this
  small_options=(--data labels.csv --test-data labels.csv --dataset csv --values cole-complete
    --clip "$data/scenes_clip.safetensors" --vocab "$data/scenes_merges.txt" --resolution 64
    --known-label-proportion 0.6 --held-out 0.25 --workers 1)
}

# What a run leaves, but for times.
state() { LC_ALL=C sed 's/seconds":"[^"]*"/seconds":""/g' "$1/${2:-last}.safetensors"; }
result() { sed '/"seconds"/d' "$1/report.json"; }
epochs() { sed 's/,"seconds":[0-9.e-]*//' "$1/metrics.jsonl"; }

finish() {
  printf '%d checks, %d faults\n' "$checks" "$faults"
  exit $((faults > 0))
}
