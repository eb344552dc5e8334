#!/usr/bin/env bash
# encode and zero_shot with CLIP in every published form, against what open_clip makes of
# the same files (tests/reference/clip_programs.py), and against each other.
#
#   published_clip.sh PROGRAMS CHECKPOINTS SCRATCH COMPARE
#
# CHECKPOINTS: tests/reference/checkpoints; COMPARE: the program compare_features.
set -uo pipefail
compare=$4
# shellcheck source=tests/examples/programs.sh
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

vit=$data/small-vit
expected=$vit/programs
export TRMML_CACHE=$scratch/empty_cache
heads=(--image-heads 2 --text-heads 2)  # what OpenAI's files leave to width / 64
tolerance=1e-5

# quietly PROGRAM ARGUMENT...: runs it, keeps what it says in out.txt and err.txt.
quietly() {
  "$programs/$1" "${@:2}" >out.txt 2>err.txt </dev/null ||
    fault "$*: exit status $?: $(cat err.txt)"
}

# fails STATUS SENTENCE PROGRAM ARGUMENT...: it ends so, and this is the last thing it says.
fails() {
  local status=$1 sentence=$2 got=0
  shift 2
  "$programs/$1" "${@:2}" >out.txt 2>err.txt </dev/null || got=$?
  holds "$*: exit status $got, expected $status" test $got = "$status"
  tail -n 1 err.txt >last.txt
  holds "$*: expected \"$sentence\", got \"$(cat last.txt)\"" said "$sentence" last.txt
}

# same FILE TENSOR EXPECTED_FILE EXPECTED_TENSOR TOLERANCE: compared in the end, all at once;
# the files end with .safetensors, which may be left out.
same() {
  printf '%s\n' "$1.safetensors $2 ${3%.safetensors}.safetensors $4 $5" >>comparisons.txt
}

# close CSV CSV: the same texts, and numbers that differ by at most 1e-3 of themselves.
close() {
  awk -F, -v OFS=, '
    function number(x) { return x ~ /^-?[0-9.]+(e-?[0-9]+)?$/ }
    NR == FNR { for (i = 1; i <= NF; i++) want[FNR, i] = $i; rows = FNR; next }
    { for (i = 1; i <= NF; i++) {
        w = want[FNR, i]; d = $i - w
        if (number(w) && number($i) ? (d < 0 ? -d : d) > 1e-3 * (w < 0 ? -w : w) : $i != w) bad = 1
      } }
    END { exit bad || FNR != rows }' "$1" "$2"
}

# ------------------------------------------------------------ formats and names

# NAME|CHECKPOINT|ACTIVATION|WHAT THE PROGRAM SAYS OF IT|OPTIONS
forms=(
  "script|openai.pt|quick|TorchScript archive, names of OpenAI, numbers in Float and Half; QuickGELU|${heads[*]}"
  "state|openai_state.pt|quick|state dict, names of OpenAI, numbers in Float and Half; QuickGELU|${heads[*]}"
  "training|training.pt|gelu|state dict, names of OpenCLIP, numbers in Float; GELU; read from|${heads[*]}"
  "bin|open_clip/open_clip_pytorch_model.bin|gelu|state dict, names of OpenCLIP, numbers in Float; GELU (open_clip_config.json)|"
  "flat|open_clip|gelu|safetensors, names of OpenCLIP, numbers in Float; GELU (open_clip_config.json)|"
  "flat_quick|open_clip|quick|safetensors, names of OpenCLIP, numbers in Float; QuickGELU|--quick-gelu true"
  "two_towers|two_towers.safetensors|quick|safetensors, names of OpenCLIP, numbers in Float; QuickGELU|${heads[*]} --quick-gelu true"
  "face|transformers/model.safetensors|quick|safetensors, names of Hugging Face, numbers in Float; QuickGELU (config.json)|"
  "face_folder|transformers|quick|safetensors, names of Hugging Face, numbers in Float; QuickGELU (config.json)|"
  "shards|sharded/model.safetensors.index.json|quick|sharded safetensors, names of Hugging Face, numbers in Float; QuickGELU (config.json)|"
  "shards_folder|sharded|quick|sharded safetensors, names of Hugging Face, numbers in Float; QuickGELU (config.json)|"
)
declare -A first
for form in "${forms[@]}"; do
  IFS='|' read -r name file activation says options <<<"$form"
  # shellcheck disable=SC2206  # words on purpose
  clip=(--clip "$vit/$file" --threads 1 $options)
  quietly encode "${clip[@]}" --workers 1 --images "$expected/pictures" --out "$name.images.safetensors"
  holds "$name: expected '$says', got '$(cat err.txt)'" grep -qF ": $says" err.txt
  same "$name.images" features "$expected/images.safetensors" "$activation" $tolerance
  quietly encode "${clip[@]}" --vocab "$vit/merges.txt" --texts "$expected/lines.txt" \
    --truncate --out "$name.texts.safetensors"
  same "$name.texts" features "$expected/texts.safetensors" "$activation" $tolerance
  # Equal weights and activation: equal bits.
  first[$activation]=${first[$activation]:-$name}
  same "$name.images" features "${first[$activation]}.images" features 0
  same "$name.texts" features "${first[$activation]}.texts" features 0
done
other="script.images.safetensors features flat.images.safetensors features 1e-3"
holds "the test tells GELU from QuickGELU" test -n "$("$compare" <<<"$other")"
for form in "openai.pt|cosine|${heads[*]}" "openai.pt|probability|${heads[*]}" "sharded|cosine|"; do
  IFS='|' read -r file score options <<<"$form"
  # shellcheck disable=SC2086  # words on purpose
  quietly zero_shot --clip "$vit/$file" $options --vocab "$vit/merges.txt" --images "$expected/pictures" \
    --names "$expected/names.txt" --templates "$expected/templates.txt" --score $score --out scores.csv
  holds "$file, $score: $(cat scores.csv)" close "$expected/$score.csv" scores.csv
done

# What neither file nor option says is said to be assumed.
cp "$vit/open_clip/open_clip_model.safetensors" alone.safetensors
quietly encode --clip alone.safetensors "${heads[@]}" --images "$expected/pictures" --out alone.images.safetensors
assumed="assumed: GELU in both towers, as OpenCLIP has it where nothing is said (option quick_gelu)"
holds "expected '$assumed', got '$(cat err.txt)'" grep -qF "$assumed" err.txt
same alone.images features "$expected/images.safetensors" gelu $tolerance
quietly zero_shot --clip alone.safetensors "${heads[@]}" --vocab "$vit/merges.txt" \
  --images "$expected/pictures" --names "$expected/names.txt" --out scores.json
holds "zero_shot says what is assumed" grep -qF "$assumed" err.txt
holds "the file of scores says what is assumed" grep -qF "$assumed" scores.json

# Region maps, and pictures that are squashed.
quietly encode --clip "$vit/openai.pt" "${heads[@]}" --images "$expected/pictures" --dense plain --out dense.safetensors
same dense features "$expected/images.safetensors" quick $tolerance
same dense regions "$expected/images.safetensors" quick.regions $tolerance
quietly encode --clip "$vit/openai.pt" "${heads[@]}" --images "$expected/pictures" --fit squash --out squash.safetensors
same squash features "$expected/images.safetensors" quick.squash $tolerance

# ------------------------------------------------------------ where a vocabulary is found

texts=(--texts "$expected/lines.txt" --truncate)
for folder in transformers sharded; do  # vocab.json with merges.txt; tokenizer.json
  quietly encode --clip "$vit/$folder" "${texts[@]}" --out "beside_$folder.safetensors"
  same "beside_$folder" features script.texts features 0
done
quietly encode --clip "$vit/openai.pt" "${heads[@]}" "${texts[@]}" --out beside_openai.safetensors  # merges.txt
same beside_openai features script.texts features 0

mkdir -p away cache home/.cache/trmml
cp "$vit/openai.pt" away
away=(encode --clip away/openai.pt "${heads[@]}" "${texts[@]}")
fails 3 "encode: no vocabulary of CLIP in away, $TRMML_CACHE (looked for ...); scripts/setup --clip-vocab puts one into the cache; ...see --vocab" \
  "${away[@]}" --out nowhere.safetensors
gzip -c "$vit/merges.txt" >cache/bpe_simple_vocab_16e6.txt.gz
cp "$vit/sharded/tokenizer.json" home/.cache/trmml
TRMML_CACHE=cache quietly "${away[@]}" --out from_cache.safetensors
same from_cache features script.texts features 0
HOME=home TRMML_CACHE='' XDG_CACHE_HOME='' quietly "${away[@]}" --out from_home.safetensors
same from_home features script.texts features 0
TRMML_CACHE=cache quietly zero_shot --clip away/openai.pt "${heads[@]}" --images "$expected/pictures" \
  --names "$expected/names.txt" --templates "$expected/templates.txt" --out scores.csv
holds "zero_shot finds the cache" close "$expected/cosine.csv" scores.csv

# Another model's vocabulary gives no ids of this one.
head -n 4 "$vit/merges.txt" >short.txt
fails 3 "encode: short.txt: expected 523 tokens, as the text tower of ... has, got 517 (--vocab names another vocabulary)" \
  encode --clip "$vit/openai.pt" "${heads[@]}" "${texts[@]}" --vocab short.txt --out x.safetensors

# ------------------------------------------------------------ numbers of the towers

fails 2 "encode: --precision: expected fp32 or bf16 on a CPU, got fp16 (weights in fp16 are up-cast; --device cuda keeps them)" \
  encode --clip "$vit/openai.pt" "${heads[@]}" --images "$expected/pictures" --precision fp16 --out x.safetensors
quietly encode --clip "$vit/openai.pt" "${heads[@]}" --images "$expected/pictures" --precision bf16 --out brain.safetensors
same brain features "$expected/images.safetensors" quick 5e-2

fails 2 "encode: --image-heads: expected a CLIP with a vision transformer, got the ResNet $data/small-rn/openai.pt (it would have no effect)" \
  encode --clip "$data/small-rn/openai.pt" "${heads[@]}" --images "$expected/pictures" --out x.safetensors

# ------------------------------------------------------------ all comparisons

"$compare" <comparisons.txt >differences.txt || fault "compare_features: exit status $?"
checks=$((checks + $(wc -l <comparisons.txt)))
while read -r line; do fault "$line"; done <differences.txt

# ------------------------------------------------------------ killed without a warning

mkdir -p many/1
pictures=("$expected"/pictures/b.png "$expected"/pictures/a/* "$expected"/pictures/c.gif)
RANDOM=1  # an order without a period: rows in a wrong place are seen
for i in {100..299}; do cp "${pictures[RANDOM % 4]}" "many/1/$i.png"; done
for i in {2..5}; do cp -r many/1 "many/$i"; done
many=(--clip "$vit/openai.pt" "${heads[@]}" --images many --batch 1 --workers 1 --threads 1)
quietly encode "${many[@]}" --out whole.safetensors
holds "it says how far it is: $(cat err.txt)" grep -q "1000/1000 pictures" err.txt

written() {  # rows in the file
  local bytes
  bytes=$(stat -c %s broken.safetensors.partial/features.f32 2>/dev/null) || bytes=0
  echo $((bytes / 32))
}
saved() {  # rows that the state counts
  local done
  done=$(grep -o '"done":[0-9]*' broken.safetensors.partial/state.json 2>/dev/null) || done=:0
  echo "${done##*:}"
}

# kill_once ROWS written|saved OPTION...: SIGKILL once there are so many.
kill_once() {
  local rows=$1 what=$2 status=0 pid
  "$programs/encode" "${many[@]}" --out broken.safetensors "${@:3}" >out.txt 2>err.txt </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null && (($($what) < rows)); do sleep 0.01; done
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null || status=$?
  holds "expected to be killed (137), got $status: $(cat err.txt)" test $status = 137
  holds "there is no file yet" test ! -e broken.safetensors
}

kill_once 5 written --save-every 1000
holds "nothing is saved: the next one begins anew" test "$(saved)" = 0
kill_once 20 saved --save-every 0
kill_once $(($(written) + 10)) written --save-every 1000
holds "there are rows behind those that are saved" test "$(written)" -gt "$(saved)" -a "$(saved)" -ge 20
quietly encode "${many[@]}" --out broken.safetensors
holds "the bytes of a run without a break" cmp whole.safetensors broken.safetensors
holds "nothing is left behind" test ! -e broken.safetensors.partial

finish
