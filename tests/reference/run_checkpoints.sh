#!/usr/bin/env bash
# Compares load_clip with open_clip and transformers on checkpoints of the true shapes.
#
#   tests/reference/run_checkpoints.sh [MODEL...]
#
# For each MODEL (default: RN50 RN101 ViT-B-32 ViT-B-16 ViT-L-14; also RN50x4 RN50x16 RN50x64
# ViT-L-14-336 ViT-H-14): writes random weights in every form with tests/reference/clip_checkpoints.py
# (up to 10 GB a model in OUT, removed afterwards), and runs compare_checkpoints on them. The
# rows on standard output are those of docs/clip_checkpoints.md. Needs up to 8 GB of memory
# for ViT-L-14.
#
#   PYTHON    a Python with torch, open-clip-torch, transformers (default: made in build/)
#   COMPARE   the program compare_checkpoints (default: build/release/tests/compare_checkpoints)
#   OUT       folder for the files (default: build/checkpoints)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

models=("$@")
if ((${#models[@]} == 0)); then models=(RN50 RN101 ViT-B-32 ViT-B-16 ViT-L-14); fi
compare=${COMPARE:-build/release/tests/compare_checkpoints}
out=${OUT:-build/checkpoints}

if [[ -z ${PYTHON:-} ]]; then
  venv=build/venv-checkpoints
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 \
    transformers==5.24.0 open-clip-torch==3.3.0
  PYTHON=$venv/bin/python
fi

status=0
for model in "${models[@]}"; do
  "$PYTHON" tests/reference/clip_checkpoints.py "$out" "$model" >&2
  "$compare" "$out/$model" || status=1
  rm -rf "${out:?}/$model"
done
exit "$status"
