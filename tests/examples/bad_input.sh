#!/usr/bin/env bash
# Options and files that are wrong: each ends with its status and one sentence.
set -uo pipefail
# shellcheck source=tests/examples/programs.sh
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

# ------------------------------------------------------------ usage: 2

for program in quickstart train_scenes; do
  expect 2 "$program: --method: expected a method of zero-shot, linear, ..., trm-ml, got \"nonsense\"" \
    $program --method nonsense
  for value in 0 2 nan; do
    expect 2 "$program: --known-label-proportion: expected a number in (0, 1], got $value" \
      $program --known-label-proportion $value
  done
  expect 2 "$program: --known-label-proportion excludes --single-positive" \
    $program --known-label-proportion 0.1 --single-positive random
  expect 2 "$program: --single-positive: many not in {random,salient}" $program --single-positive many
  expect 2 "$program: --method linear: expected known absences, got positives alone (use linear-assume-negative)" \
    $program --method linear --single-positive salient
  touch a_file
  expect 2 "$program: --out: expected a folder or a place for one, got a_file (Not a directory)" \
    $program --out a_file
  expect 2 "$program: --out: expected a folder or a place for one, got a_file/run (Not a directory)" \
    $program --out a_file/run
  expect 2 "$program: The following argument was not expected: --no-such-option" $program --no-such-option
done
expect 2 "quickstart: --seeds: Value 0 not in range 1 to 100" quickstart --seeds 0
expect 2 "quickstart: --threads: expected 0 or more, got -1" quickstart --threads -1

effect="(it would have no effect)"
expect 2 "train_scenes: --absent-weight: expected --single-positive, --positives-left or --unknown-labels assume-absent $effect" \
  train_scenes --absent-weight 0.5
expect 2 "train_scenes: --positives-per-image: expected --single-positive, --positives-left, --mask or all labels of a file $effect" \
  train_scenes --positives-per-image 3
expect 2 "train_scenes: --policy: expected a method with pseudo-labels, got region $effect" \
  train_scenes --method region --policy relations-soft
expect 2 "train_scenes: --evidence-visual: expected a method with pseudo-labels, got text-pixel $effect" \
  train_scenes --method text-pixel --evidence-visual 0.5
expect 2 "train_scenes: --heads: expected a method with regions, got text-pixel $effect" \
  train_scenes --method text-pixel --heads 2
expect 2 "train_scenes: --dense: expected a method that looks at regions, got text-image $effect" \
  train_scenes --method text-image --dense plain
expect 2 "train_scenes: --negative-share: expected --policy relations $effect" \
  train_scenes --single-positive salient --negative-share 0.5
expect 2 "train_scenes: --epochs: expected a method with prompts, got linear $effect" \
  train_scenes --method linear --epochs 3
expect 2 "train_scenes: --absent-weight: expected a method with prompts, got linear-pooled $effect" \
  train_scenes --method linear-pooled --single-positive random --absent-weight 0.5
expect 2 "train_scenes: --absent-weight: expected --single-positive, --positives-left or --unknown-labels assume-absent $effect" \
  train_scenes --single-positive random --unknown-labels splc --absent-weight 0.5
expect 2 "train_scenes: --unknown-labels: expected assume-absent or splc where no absence is known, got ignored" \
  train_scenes --single-positive random --unknown-labels ignored
expect 2 "train_scenes: --positives-per-image: expected a method with pseudo-labels, got region $effect" \
  train_scenes --method region --single-positive random --positives-per-image 3
expect 2 "train_scenes: --pseudo-weight: expected unknown labels that are ignored, got ones that are assumed to be absent $effect" \
  train_scenes --single-positive random --pseudo-weight 2
expect 2 "train_scenes: --positive-share: expected another --unknown-labels than splc, or a contrastive loss $effect" \
  train_scenes --unknown-labels splc --contrastive-weight 0 --positive-share 0.5
expect 2 "train_scenes: --evidence-zero-shot: expected a method with pseudo-labels from regions, got text-pixel+pseudo-labels $effect" \
  train_scenes --method text-pixel+pseudo-labels --evidence-zero-shot 0.5
expect 2 "train_scenes: --distillation: expected a --distillation-weight above 0 $effect" \
  train_scenes --distillation cosine --distillation-weight 0
expect 2 "train_scenes: --prototype-momentum: expected a --contrastive-weight or an --evidence-visual above 0 $effect" \
  train_scenes --contrastive-weight 0 --evidence-visual 0 --prototype-momentum 0.8
expect 2 "train_scenes: --prototype-level: expected a method with prototypes, got text-pixel $effect" \
  train_scenes --method text-pixel --prototype-level region
expect 2 "train_scenes: --training-precision: expected a method with prompts, got zero-shot $effect" \
  train_scenes --method zero-shot --training-precision bf16
for flag in --class-specific=false --class-position=middle; do
  expect 2 "train_scenes: ${flag%=*}: expected --n-ctx above 0 $effect" train_scenes --n-ctx 0 "$flag"
done
expect 0 "" train_scenes --method text-pixel --matcher-learning-rate 1e-3 --print-config  # as it is anyway
expect 2 "train_scenes: --training-precision: fp16 not in {fp32,bf16,auto}" train_scenes --training-precision fp16

csv=(train_csv --dataset csv --data a.csv --test-data b.csv --clip clip)
expect 2 "train_csv: --views: expected --features cache $effect" "${csv[@]}" --features on-the-fly --views 2
expect 2 "train_csv: --cache: expected --features cache $effect" "${csv[@]}" --features on-the-fly --cache other
expect 2 "train_csv: --views: expected another --augmentation than none $effect" \
  "${csv[@]}" --augmentation none --views 2
expect 2 "train_csv: --augmentation: expected --views above 0 $effect" "${csv[@]}" --views 0 --augmentation weak
expect 2 "train_csv: --augmentation-seed: expected another --augmentation than none $effect" \
  "${csv[@]}" --augmentation none --augmentation-seed 3
expect 2 "train_csv: --augmentation: expected a method with prompts, got zero-shot $effect" \
  "${csv[@]}" --method zero-shot --augmentation weak
expect 2 "train_scenes: --policy: expected one of relations, relations-soft, got none" train_scenes --policy none
expect 2 "train_scenes: --epochs: expected 1 or more, got 0" train_scenes --epochs 0
expect 2 "train_scenes: --batch-size: expected 1 or more, got -5" train_scenes --batch-size -5
expect 2 "train_scenes: --prompt-learning-rate: expected 0 or more, got nan" \
  train_scenes --prompt-learning-rate nan
expect 2 "train_scenes: --weight-decay: expected a finite number, got inf" train_scenes --weight-decay inf
while read -r flag value range; do
  expect 2 "train_scenes: $flag: expected $range, got $value" train_scenes "$flag" "$value"
done <<'END'
--seed -1 0 or more
--mask-seed -1 0 or more
--prompt-learning-rate -1 0 or more
--matcher-learning-rate -1 0 or more
--weight-decay -1 0 or more
--ema-memory 2 a number in (0, 1)
--patience -3 0 or more
--checkpoint-every -1 0 or more
--n-ctx -1 0 or more
--logit-scale 0 a number above 0
--heads 0 1 or more
--layers -1 0 or more
--mlp-hidden 0 1 or more
--distillation-weight -1 0 or more
--contrastive-weight -1 0 or more
--absent-weight -1 0 or more
--pseudo-weight -1 0 or more
--prototype-momentum 1 a number in [0, 1)
--positive-share 2 a number in [0, 1]
--negative-share -1 a number in [0, 1]
--pseudo-from-epoch -1 0 or more
END
expect 2 "train_scenes: --pseudo-from-epoch: expected an epoch below --epochs 5, as they count from 0, got 5" \
  train_scenes --epochs 5 --pseudo-from-epoch 5
expect 2 "train_scenes: --evidence-visual, --evidence-text, --evidence-zero-shot: expected one above 0, got none (pseudo-labels are estimated from it)" \
  train_scenes --evidence-visual 0 --evidence-text 0 --evidence-zero-shot 0
expect 2 "train_scenes: --epochs: expected a whole number, got 'many'" train_scenes --epochs many
expect 2 "train_scenes: no.toml was not readable (missing?)" train_scenes --config no.toml

expect 2 "predict: --threshold: expected --predicted, --top-k or --out F.json $effect" \
  predict --checkpoint none --images none --threshold 0.5
printf '\n{}\n \na dog\n' >templates.txt
expect 2 "zero_shot: --templates: expected {} for the name, got 'a dog'" \
  zero_shot --clip none --images none --names none --templates templates.txt
expect 2 "own_experiment: The following argument was not expected: --no-such-option" own_experiment --no-such-option
expect 2 "use_one_module: expected no arguments, got --help" use_one_module --help

expect 2 "pretrain_clip: --out is required" pretrain_clip
expect 2 "pretrain_clip: --steps: expected 1 or more, got 0" pretrain_clip --out clip --steps 0
expect 2 "pretrain_clip: --precision: fp8 not in {fp32,bf16}" pretrain_clip --out clip --precision fp8
expect 2 "pretrain_clip: --learning-rate: expected a finite number, got nan" \
  pretrain_clip --out clip --learning-rate nan

if command -v flock >/dev/null; then
  mkdir locked
  exec {lock}<locked
  flock "$lock"
  expect 2 "pretrain_clip: --out: another program is at work in locked (wait for its end, or name another --out)" \
    pretrain_clip --out locked
  exec {lock}<&-
fi
expect 6 "pretrain_clip: --out: expected a folder or a place for one, got /proc/none (...)" \
  pretrain_clip --out /proc/none

# ------------------------------------------------------------ config.toml: 0

# What follows from the method and the protocol of a file does not bind others.
for given in "--single-positive salient" ""; do
  # shellcheck disable=SC2086  # a flag and its value
  "$programs/train_scenes" $given --print-config >config.toml
  for other in "--method text-pixel+pseudo-labels" "--method text-image" "--single-positive random" \
    "--known-label-proportion 0.5"; do
    if [[ $other == --method* ]]; then now="$given $other"; else now=$other; fi
    # shellcheck disable=SC2086
    holds "--config of '$given' with $other" diff <("$programs/train_scenes" --config config.toml $other --print-config) \
      <("$programs/train_scenes" $now --print-config)
  done
done
holds "n-ctx of the file" grep -qx "n-ctx=4" config.toml
"$programs/train_scenes" --config config.toml --method text-pixel+pseudo-labels --print-config >other.toml
holds "another method has its own n-ctx" grep -qx "n-ctx=16" other.toml
sed -i "s/^n-ctx=4/n-ctx=7/" config.toml
"$programs/train_scenes" --config config.toml --method text-pixel+pseudo-labels --print-config >other.toml
holds "an n-ctx that was chosen stays" grep -qx "n-ctx=7" other.toml

# ------------------------------------------------------------ versions: 0

for name in train_scenes reproduce tokenize; do
  "$programs/$name" --version >version.txt
  holds "$name --version: $(cat version.txt)" grep -qxE \
    "$name \(trmml [0-9.]+, LibTorch [0-9]+\.[^ ]+\)" version.txt
done

# ------------------------------------------------------------ states: 2

mkdir -p run clip
echo "a state" >run/last.safetensors
echo "a state" >clip/state.safetensors
hint="holds the state of a run (continue it with --resume, or name another folder)"
expect 2 "train_scenes: --out: run $hint" train_scenes --out run
expect 2 "pretrain_clip: --out: clip $hint" pretrain_clip --out clip
expect 2 "train_scenes: --resume: expected none/last.safetensors, got no such file (start without --resume)" \
  train_scenes --out none --resume
expect 2 "pretrain_clip: --resume: expected none/state.safetensors, got no such file (start without --resume)" \
  pretrain_clip --out none --resume
holds "a run that is refused leaves nothing" test ! -e none -a ! -e run/config.toml

printf 'seed=0\n' >clip/config.toml
expect 2 "pretrain_clip: clip: expected a run with the options of now, got a broken-off run with others: ...--seed 0 there, 3 here; ... (give the same options, name another --out, or remove the folder)" \
  pretrain_clip --out clip --resume --seed 3
rm clip/config.toml

# ------------------------------------------------------------ data: 3

photos="Fashion-MNIST: expected no_folder/train-images-idx3-ubyte.gz (or the same without .gz), got no such file (install Debian's dataset-fashion-mnist, or name the folder of the four IDX files); see --fashion-mnist"
expect 3 "quickstart: $photos" quickstart --out q --fashion-mnist no_folder
expect 3 "train_scenes: $photos" train_scenes --out t --fashion-mnist no_folder
expect 3 "pretrain_clip: $photos" pretrain_clip --out p --fashion-mnist no_folder
expect 3 "quickstart: no_file: expected a file with a vocabulary, got no such file" \
  quickstart --out q --merges no_file
expect 3 "train_scenes: a_file: ..." train_scenes --out t --merges a_file
holds "a run without data leaves no report" test ! -e q/report.json -a ! -e t/report.json

"$programs/encode" --clip "$data/scenes_clip.safetensors" --texts templates.txt --vocab no_file --out texts.safetensors \
  2>err.txt
status=$?
holds "encode --vocab no_file: exit status $status" test "$status" = 3
holds "encode --vocab no_file: $(cat err.txt)" grep -q "no_file: expected a vocabulary, got no such file; see --vocab$" err.txt

# ------------------------------------------------------------ weights and states: 4

head -c 100000 "$data/scenes_clip.safetensors" >cut.safetensors
head -c 20 "$data/scenes_clip.safetensors" >cut_in_header.safetensors
# A whole file of something else: one tensor "x" of one float.
header='{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
printf '%b\0\0\0\0\0\0\0%s\0\0\0\0' "\\x$(printf %x ${#header})" "$header" >foreign.safetensors
for program in quickstart train_scenes; do
  expect 4 "$program: cut.safetensors: tensor ...: expected data_offsets within the ... bytes of data, got ... (the file was cut off?)" \
    $program --out w --clip cut.safetensors
  expect 4 "$program: cut_in_header.safetensors: expected a header of ... bytes, got a file with 12 bytes after its length (the file was cut off?)" \
    $program --out w --clip cut_in_header.safetensors
  expect 4 "$program: $data/scenes_merges.txt: expected a header of ..., got ... (not a safetensors file?)" \
    $program --out w --clip "$data/scenes_merges.txt"
  expect 4 "$program: no_file: cannot open the file: No such file or directory" \
    $program --out w --clip no_file
  expect 4 "$program: foreign.safetensors: expected both towers of CLIP under the names of OpenAI, OpenCLIP or Hugging Face, found 1 tensors such as \"x\"" \
    $program --out w --clip foreign.safetensors
done
expect 4 "train_scenes: run/last.safetensors: expected ..." \
  train_scenes --out run --resume --limit-scenes 16
cp "$data/scenes_merges.txt" clip/merges.txt
cp cut.safetensors clip/state.safetensors
expect 4 "pretrain_clip: clip/state.safetensors: ... (the file was cut off?)" \
  pretrain_clip --out clip --resume --width 2 --steps 1
cp foreign.safetensors clip/state.safetensors
expect 4 'pretrain_clip: clip/state.safetensors: expected a state of format trmml.clip_pretraining.1, got a file without one' \
  pretrain_clip --out clip --resume --width 2 --steps 1

finish
