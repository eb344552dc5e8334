#!/usr/bin/env python3
"""CLIP checkpoints of random weights in every published form, with the features that the
reference implementations (open_clip, transformers) compute from them.

    clip_checkpoints.py OUT small              the fixtures in tests/reference/checkpoints
    clip_checkpoints.py OUT RN50 ViT-B-32 ..   true shapes; any of MODELS

OUT/<model>/ gets the checkpoints and `reference.safetensors`, whose metadata list the cases
("file|reference|options", one a line) that `compare_checkpoints` works through. Weights are
random numbers of a fixed seed, rounded to fp16 so that files in fp16 and fp32 hold the same;
inputs follow the formula of fill.py, so they are not stored. Everything is computed in fp32.

Needs torch, open-clip-torch, transformers, safetensors (scripts: tests/reference/run_checkpoints.sh).
Dense maps and the gradient of a prompt's context, which no package computes, are written here
from their definition (docs/method.md), on top of open_clip's own modules.
"""
import copy
import json
import math
import pathlib
import re
import shutil
import sys
import zipfile

sys.path.pop(0)  # this folder, whose safetensors.py is not the package

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def import_torchvision():
    """torchvision's wheel for GPUs cannot register its operators with a torch for CPUs, but
    importing open_clip and transformers asks only for its Python part."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            import torchvision  # noqa: F401
            return library
        except RuntimeError as error:
            name = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if name is None:
                raise
            library.define(f"{name.group(1)}(Tensor x) -> Tensor")
            for module in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
                del sys.modules[module]


KEEP = import_torchvision()
import open_clip  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

MODELS = ["RN50", "RN101", "RN50x4", "RN50x16", "RN50x64", "ViT-B-32", "ViT-B-16", "ViT-L-14",
          "ViT-L-14-336", "ViT-H-14"]
SMALL_TEXT = dict(context_length=12, vocab_size=24, width=8, heads=2, layers=1)
SMALL = {
    "small-rn": dict(embed_dim=8, vision_cfg=dict(image_size=64, layers=[1, 1, 1, 1], width=2,
                                                  patch_size=None), text_cfg=SMALL_TEXT),
    "small-vit": dict(embed_dim=8, vision_cfg=dict(image_size=32, layers=2, width=8, head_width=4,
                                                   patch_size=8),
                      text_cfg=SMALL_TEXT | dict(vocab_size=523)),  # of clip_programs.py
}


def fill(shape, seed):
    """As tests/support/tensors.hpp: ((7919 i + (2 seed + 1) i^2 + 104729 seed) mod 1000) / 500 - 1."""
    i = torch.arange(math.prod(shape))
    x = ((i * 7919 + i * i * (2 * seed + 1) + 104729 * seed) % 1000).double() / 500 - 1
    return x.reshape(shape).float()


def randomize(model):
    generator = torch.Generator().manual_seed(3)

    def normal(t, std):
        t.normal_(0, std, generator=generator)

    with torch.no_grad():
        for name, p in model.state_dict().items():
            last = name.split(".")[-1]
            if name == "logit_scale":
                p.fill_(4.6052)
            elif last == "running_var" or (last == "weight" and p.dim() == 1):
                p.uniform_(0.5, 1.5, generator=generator)
                if ".bn3." in name:
                    p.mul_(0.3)  # residual branches small, or features explode in deep networks
            elif last in ("running_mean", "bias", "in_proj_bias"):
                normal(p, 0.1)
            elif "embedding" in name:
                normal(p, 0.3)
            elif last in ("proj", "text_projection"):
                normal(p, p.shape[0] ** -0.5)
            elif p.dim() >= 2:
                normal(p, (p.numel() / p.shape[0]) ** -0.5 * (2 ** 0.5 if p.dim() == 4 else 1))
            if p.is_floating_point():
                p.copy_(p.half().float())
    return model.eval()


# ---------------------------------------------------------------------------- reference features
def resized(positions, side):
    """[1 + G G, w] for a grid of another size, bicubic without aligned corners."""
    grid = round((len(positions) - 1) ** 0.5)
    cells = positions[1:].T.reshape(1, -1, grid, grid)
    cells = F.interpolate(cells, (side, side), mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], cells.flatten(2)[0].T])


def at_size(visual, size, cell):
    """The image tower for pictures of another size."""
    owner = visual.attnpool if hasattr(visual, "attnpool") else visual
    if len(owner.positional_embedding) == (size // cell) ** 2 + 1:
        return visual
    other = copy.deepcopy(visual)
    owner = other.attnpool if hasattr(other, "attnpool") else other
    owner.positional_embedding = torch.nn.Parameter(resized(owner.positional_embedding.data, size // cell))
    return other


def dense_resnet(visual, images):
    x = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    cells = x.flatten(2).transpose(1, 2)                                   # [B, R, w]
    pool = visual.attnpool
    tokens = torch.cat([cells.mean(1, keepdim=True), cells], 1) + pool.positional_embedding
    return pool.c_proj(pool.v_proj(cells)), pool.c_proj(pool.v_proj(tokens))[:, 1:]


def dense_transformer(visual, images):
    x = visual._embeds(images)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    width = x.shape[2]
    value = F.linear(last.ln_1(x), last.attn.in_proj_weight[2 * width:], last.attn.in_proj_bias[2 * width:])
    dense = visual.ln_post(last.attn.out_proj(value))[:, 1:] @ visual.proj
    return dense, dense


def text_ids(vocab, length):
    start, end = vocab - 2, vocab - 1
    rows = [[start, 1, 2, 3, end], [start, end], [start] + [5 + i % 7 for i in range(length - 2)] + [end]]
    return torch.tensor([row + [0] * (length - len(row)) for row in rows])


NAMES = [[3], [7, 4], [9, 1, 6]]  # token ids of three categories


def prompt_features(model, context):
    """start, context, name, end; padded; read off at the end token. [C, D]"""
    vocab, width = model.token_embedding.weight.shape
    rows, ends = [], []
    for name in NAMES:
        ids = torch.tensor([vocab - 2] + name + [vocab - 1])
        own = model.token_embedding(ids)
        row = torch.cat([own[:1], context, own[1:]])
        ends.append(len(row) - 1)
        rows.append(F.pad(row, (0, 0, 0, len(model.positional_embedding) - len(row))))
    x = torch.stack(rows) + model.positional_embedding
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
    return x[torch.arange(len(rows)), torch.tensor(ends)] @ model.text_projection


def features(model, native, larger):
    visual = model.visual
    is_resnet = hasattr(visual, "attnpool")
    cell = 32 if is_resnet else visual.conv1.kernel_size[0]
    out = {}
    with torch.no_grad():
        for name, size, count in (("native", native, 2), ("larger", larger, 1)):
            images = 2 * fill((count, 3, size, size), 1)
            tower = at_size(visual, size, cell)
            out[f"global_{name}"] = tower(images)
            plain, dualcoop = (dense_resnet if is_resnet else dense_transformer)(tower, images)
            out[f"plain_{name}"], out[f"dualcoop_{name}"] = plain, dualcoop
        out["text"] = model.encode_text(text_ids(*(model.vocab_size, model.context_length)))
    context = (0.3 * fill((4, model.token_embedding.weight.shape[1]), 2)).requires_grad_()
    prompts = prompt_features(model, context)
    (prompts * fill(prompts.shape, 4)).sum().backward()
    out["prompt_text"], out["prompt_gradient"] = prompts.detach(), context.grad
    return out


def transformers_features(model, native, larger, ids):
    out = {}
    with torch.no_grad():
        for name, size, count in (("native", native, 2), ("larger", larger, 1)):
            images = 2 * fill((count, 3, size, size), 1)
            out[f"global_{name}"] = model.get_image_features(
                pixel_values=images, interpolate_pos_encoding=size != native).pooler_output
        out["text"] = model.get_text_features(input_ids=ids).pooler_output
    return out


# ---------------------------------------------------------------------------- the forms
def openai_state(model, config):
    """Names, types and extra numbers of OpenAI's files: convolutions and products in fp16."""
    state = {}
    for name, t in model.state_dict().items():
        last = name.split(".")[-1]
        is_norm = re.search(r"(^|\.)(bn\d|ln_\w+|downsample\.1)\.", name)
        half = t.is_floating_point() and not is_norm and "embedding" not in last and \
            name not in ("token_embedding.weight", "logit_scale")
        state[name] = t.half() if half else t
    state["input_resolution"] = torch.tensor(config["vision_cfg"]["image_size"])
    state["context_length"] = torch.tensor(config["text_cfg"]["context_length"])
    state["vocab_size"] = torch.tensor(config["text_cfg"]["vocab_size"])
    return state


def save_script(model, config, path):
    """A TorchScript archive as OpenAI's: traced, then made fp16, with the extra numbers."""
    traced = copy.deepcopy(model)
    for name in ("input_resolution", "context_length", "vocab_size"):
        if hasattr(traced, name):
            delattr(traced, name)
    state = openai_state(model, config)
    for name in ("input_resolution", "context_length", "vocab_size"):
        traced.register_buffer(name, state[name])
    size = config["vision_cfg"]["image_size"]
    ids = text_ids(config["text_cfg"]["vocab_size"], config["text_cfg"]["context_length"])
    with torch.no_grad():
        script = torch.jit.trace_module(
            traced, {"encode_image": torch.zeros(1, 3, size, size), "encode_text": ids}, check_trace=False)
    for name, p in list(script.named_parameters()) + list(script.named_buffers()):
        p.data = state.get(name, p)
    torch.jit.save(script, path)
    if size < 100:
        drop_debug_records(path)


def drop_debug_records(path):
    """What a debugger needs to print lines of Python: most of a small archive."""
    with zipfile.ZipFile(path) as archive:
        records = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in records:
            if not info.filename.endswith(".debug_pkl"):
                archive.writestr(info.filename, data, info.compress_type)


def to_transformers(model, config):
    vision, text = config["vision_cfg"], config["text_cfg"]
    heads = vision["width"] // vision.get("head_width", 64)
    made = transformers.CLIPModel(transformers.CLIPConfig(
        projection_dim=config["embed_dim"],
        vision_config=dict(hidden_size=vision["width"], intermediate_size=4 * vision["width"],
                           num_hidden_layers=vision["layers"], num_attention_heads=heads,
                           image_size=vision["image_size"], patch_size=vision["patch_size"],
                           hidden_act="quick_gelu", projection_dim=config["embed_dim"]),
        text_config=dict(hidden_size=text["width"], intermediate_size=4 * text["width"],
                         num_hidden_layers=text["layers"], num_attention_heads=text["heads"],
                         vocab_size=text["vocab_size"], max_position_embeddings=text["context_length"],
                         hidden_act="quick_gelu", bos_token_id=text["vocab_size"] - 2,
                         eos_token_id=text["vocab_size"] - 1, projection_dim=config["embed_dim"])))
    state = {}
    for name, t in model.state_dict().items():
        tower = "vision_model." if name.startswith("visual.") else "text_model."
        rest = name.removeprefix("visual.")
        if name == "logit_scale":
            state[name] = t
        elif rest in ("proj", "text_projection"):
            state["visual_projection.weight" if rest == "proj" else "text_projection.weight"] = t.T.contiguous()
        elif "in_proj_" in rest:
            block, kind = re.fullmatch(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(\w+)", rest).groups()
            for part, value in zip("qkv", t.chunk(3)):
                state[f"{tower}encoder.layers.{block}.self_attn.{part}_proj.{kind}"] = value.clone()
        else:
            for old, new in (("transformer.resblocks.", "encoder.layers."), (".attn.", ".self_attn."),
                             ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("c_fc", "fc1"),
                             ("c_proj", "fc2"), ("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm"),
                             ("ln_final", "final_layer_norm"), ("conv1.", "embeddings.patch_embedding."),
                             ("token_embedding.", "embeddings.token_embedding."),
                             ("class_embedding", "embeddings.class_embedding")):
                rest = rest.replace(old, new)
            if rest == "positional_embedding":
                rest = "embeddings.position_embedding.weight"
            state[tower + rest] = t
    made.load_state_dict(state, strict=True)
    return made.eval()


def make(out, name, config, is_small):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(name, flush=True)
    native = config["vision_cfg"]["image_size"]
    larger = (native * 3 // 2 if is_small else 448) if native != 448 else 512
    model = randomize(open_clip.CLIP(**config, quick_gelu=True))
    state = model.state_dict()
    reference = {f"quick.{k}": v for k, v in features(model, native, larger).items()}
    if config["vision_cfg"].get("head_width", 64) == 64 or is_small:
        plain = open_clip.CLIP(**config, quick_gelu=False).eval()
        plain.load_state_dict(state)
        reference.update({f"gelu.{k}": v for k, v in features(plain, native, larger).items()})
        del plain
    heads = "text_heads=2" + ("" if name.endswith("rn") else " image_heads=2") if is_small else ""
    cases = []

    save_script(model, config, folder / "openai.pt")
    cases.append(f"openai.pt|quick|{heads}")
    if name == "small-rn":  # its other forms would be as large again and differ in nothing
        write_reference(reference, cases, native, larger, folder)
        return
    torch.save(type(state)(openai_state(model, config)), folder / "openai_state.pt")
    cases.append(f"openai_state.pt|quick|{heads}")

    published = folder / "open_clip"
    published.mkdir()
    (published / "open_clip_config.json").write_text(json.dumps(
        {"model_cfg": config, "preprocess_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1]}}, indent=1))
    torch.save(state, published / "open_clip_pytorch_model.bin")
    cases.append("open_clip/open_clip_pytorch_model.bin|gelu|")
    save_file({k: v.contiguous() for k, v in state.items()}, published / "open_clip_model.safetensors",
              metadata={"format": "pt"})
    cases.append("open_clip|gelu|")
    if is_small:
        optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}},
                     "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.98), "params": [0]}]}
        torch.save({"epoch": 3, "name": "run", "optimizer": optimizer,
                    "state_dict": {"module." + k: v for k, v in state.items()}}, folder / "training.pt")
        cases.append(f"training.pt|gelu|{heads}")
        two = open_clip.model.convert_to_custom_text_state_dict(state)
        save_file({k: v.contiguous() for k, v in two.items()}, folder / "two_towers.safetensors")
        cases.append(f"two_towers.safetensors|quick|quick_gelu=1 {heads}")

    if not isinstance(config["vision_cfg"]["layers"], list):
        theirs = to_transformers(model, config)
        ids = text_ids(config["text_cfg"]["vocab_size"], config["text_cfg"]["context_length"])
        for key, value in transformers_features(theirs, native, larger, ids).items():
            error = ((value - reference["quick." + key]).norm() / value.norm()).item()
            print(f"  transformers against open_clip, {key}: {error:.1e}", flush=True)
            assert error < 1e-4
            reference["transformers." + key] = value
        del model
        theirs.save_pretrained(folder / "transformers")
        cases.append("transformers|transformers|")
        theirs.save_pretrained(folder / "sharded", max_shard_size="8KB" if is_small else "400MB")
        cases.append("sharded|transformers|")
    write_reference(reference, cases, native, larger, folder)


def write_reference(reference, cases, native, larger, folder):
    save_file({k: v.clone() for k, v in reference.items()}, folder / "reference.safetensors", metadata={
        "cases": "\n".join(cases), "native": str(native), "larger": str(larger),
        "made_with": f"torch {torch.__version__}, open_clip {open_clip.__version__}, "
                     f"transformers {transformers.__version__}"})


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    torch.manual_seed(0)
    if names == ["small"]:
        torch.set_num_threads(1)
    for name in names:
        if name == "small":
            for small, config in SMALL.items():
                make(out, small, config, True)
        else:
            config = open_clip.get_model_config(name)
            config.pop("quick_gelu", None)
            make(out, name, config, False)


if __name__ == "__main__":
    main()
