#!/usr/bin/env python3
"""What open_clip makes of pictures, texts and categories with the checkpoints of small-vit: the
reference for the programs encode and zero_shot, from files to numbers.

    clip_checkpoints.py tests/reference/checkpoints small
    clip_programs.py tests/reference/checkpoints/small-vit

writes beside the checkpoints the vocabulary in the three forms in which it is published
(merges.txt; vocab.json with merges.txt; tokenizer.json), and in `programs/` the inputs (pictures,
lines, names, templates) and what open_clip's own preprocessing, tokenizer and towers give:

    images.safetensors, texts.safetensors   features [N, D] by activation (`quick`, `gelu`),
                                            `quick.squash`, `quick.regions`; the rows under `names`
    cosine.csv, probability.csv             scores of zero_shot with QuickGELU

Needs what clip_checkpoints.py needs, and Pillow 13, ftfy and tokenizers.
"""
import gzip
import json
import pathlib
import shutil
import sys
import tempfile

import clip_checkpoints as checkpoints  # takes this folder off the path

import open_clip
import tokenizers
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

MERGES = ["o f</w>", "b a", "ba g</w>", "r e", "re d</w>", "p h", "o t", "ot o</w>", "ph oto</w>"]
PICTURES = {"rgb-8.png": "b.png", "rgb.bmp": "a/z.bmp", "grey-8.png": "a/grey.png", "plain.gif": "c.gif"}
LINES = ["a photo of a red bag.", "Two BAGS", "", "  Salt &amp;amp; pepper,\tand much more than fits",
         "\u201cna\u00c3\u00afve\u201d \U0001f45c"]
NAMES = ["red bag", "photo, red", "\"bag\""]
TEMPLATES = ["a photo of a {}.", "{}"]


def write_vocabulary(folder):
    text = "\n".join(["#version: 0.2", *MERGES])
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        file.write(gzip.compress(text.encode()))
        file.flush()
        tokenizer = open_clip.tokenizer.SimpleTokenizer(file.name)
    ids = {name.replace("<start_of_text>", "<|startoftext|>").replace("<end_of_text>", "<|endoftext|>"): i
           for name, i in tokenizer.encoder.items()}
    for place in (folder, folder / "transformers"):
        (place / "merges.txt").write_text(text + "\n", encoding="utf-8")
    (folder / "transformers/vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(
        vocab=ids, merges=[tuple(merge.split()) for merge in MERGES],
        end_of_word_suffix="</w>", continuing_subword_prefix=""))
    theirs.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    theirs.save(str(folder / "sharded/tokenizer.json"), pretty=False)
    return tokenizer


def write_inputs(folder, out):
    shutil.rmtree(out, ignore_errors=True)
    for name, target in PICTURES.items():
        (out / "pictures" / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder.parent.parent.parent / "data/pictures" / name, out / "pictures" / target)
    for name, lines in (("lines", LINES), ("names", NAMES), ("templates", TEMPLATES)):
        (out / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(folder, config, quick_gelu):
    model = open_clip.CLIP(**config, quick_gelu=quick_gelu)
    model.load_state_dict(load_file(folder / "open_clip/open_clip_model.safetensors"))
    return model.eval()


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


@torch.no_grad()
def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    out = folder / "programs"
    config = json.loads((folder / "open_clip/open_clip_config.json").read_text())["model_cfg"]
    write_inputs(folder, out)
    tokenizer = write_vocabulary(folder)
    assert tokenizer.vocab_size == config["text_cfg"]["vocab_size"], tokenizer.vocab_size
    names = sorted(PICTURES.values())
    opened = [Image.open(out / "pictures" / name).convert("RGB") for name in names]
    size = config["vision_cfg"]["image_size"]

    def pixels(resize_mode):
        transform = open_clip.image_transform(
            size, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD,
            resize_mode=resize_mode)
        return torch.stack([transform(image) for image in opened])

    def ids(texts):
        return tokenizer(texts, config["text_cfg"]["context_length"])

    quick, gelu = load(folder, config, True), load(folder, config, False)
    images = {"quick": quick.visual(pixels("shortest")), "gelu": gelu.visual(pixels("shortest")),
              "quick.squash": quick.visual(pixels("squash")),
              "quick.regions": checkpoints.dense_transformer(quick.visual, pixels("shortest"))[0]}
    texts = {"quick": quick.encode_text(ids(LINES)), "gelu": gelu.encode_text(ids(LINES))}
    for name, tensors, rows in (("images", images, names), ("texts", texts, LINES)):
        save_file({k: v.contiguous() for k, v in tensors.items()}, out / f"{name}.safetensors",
                  metadata={"names": json.dumps(rows)})

    categories = sum(F.normalize(quick.encode_text(ids([text.replace("{}", name) for name in NAMES])), dim=-1)
                     for text in TEMPLATES)
    cosine = F.normalize(images["quick"], dim=-1) @ F.normalize(categories, dim=-1).T
    probability = (cosine * quick.logit_scale.exp()).softmax(-1)
    for name, scores in (("cosine", cosine), ("probability", probability)):
        rows = [",".join(["image", *map(quoted, NAMES)])]
        rows += [",".join([image, *(f"{x:.6g}" for x in row)]) for image, row in zip(names, scores.tolist())]
        (out / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
