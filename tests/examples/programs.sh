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

finish() {
  printf '%d checks, %d faults\n' "$checks" "$faults"
  exit $((faults > 0))
}
