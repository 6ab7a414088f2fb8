#!/usr/bin/env python3
"""Makes the golden files of the torch backend's tests, without any of its code and without torch.

    python torch_golden.py --shared SHARED --out tests/data/torch

Needs numpy and tokenizers. SHARED holds data/models and tools/measure_ledger.py.

stories260k_story.json    greedy continuation of BOS by a float64 forward pass written here: ids and text
stories260k_logits.f32    its logits at the first 32 positions, [32, 512] float32, little-endian
ledger_rounded.json       sha256 of the float32 bytes of every linear layer of ledger-llama as rtn() and nf4() of
                          measure_ledger.py restore it. Those functions run unchanged, on the stand-in for torch below.
"""
import argparse
import ast
import hashlib
import json
import os
import types

import numpy as np

SETTINGS = "rtn8gC rtn8g64 rtn4gC rtn4g64 rtn4g32 rtn4g48 rtn3g32 rtn2g32 nf4b64".split()  # 48 leaves a short group


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    return {n: np.frombuffer(data[v["data_offsets"][0]:v["data_offsets"][1]], "<f4").reshape(v["shape"])
            for n, v in header.items() if n != "__metadata__"}


class Tensor:
    """As much of a float32 torch.Tensor as rtn() and nf4() touch."""

    def __init__(self, a):
        self.a = np.asarray(a)

    shape = property(lambda s: s.a.shape)

    def __getitem__(self, key):
        return Tensor(self.a[key.a if isinstance(key, Tensor) else key])

    def _with(self, other, op):
        o = other.a if isinstance(other, Tensor) else np.float32(other)
        return Tensor(op(self.a, o))

    __add__ = lambda s, o: s._with(o, np.add)
    __sub__ = lambda s, o: s._with(o, np.subtract)
    __mul__ = lambda s, o: s._with(o, np.multiply)
    __truediv__ = lambda s, o: s._with(o, np.divide)
    __lt__ = lambda s, o: s._with(o, np.less)
    __neg__ = lambda s: Tensor(-s.a)
    abs = lambda s: Tensor(np.abs(s.a))
    amin = lambda s, d, keepdim: Tensor(s.a.min(d, keepdims=keepdim))
    amax = lambda s, d, keepdim: Tensor(s.a.max(d, keepdims=keepdim))
    sum = lambda s, d: Tensor(s.a.sum(d))
    unsqueeze = lambda s, d: Tensor(np.expand_dims(s.a, d))

    def clamp(self, min=None, max=None):
        lo, hi = (None if v is None else np.float32(v) for v in (min, max))
        return Tensor(np.clip(self.a, lo, hi))

    def split(self, size, axis):
        return [Tensor(p) for p in np.split(self.a, range(size, self.a.shape[axis], size), axis)]


def measure_functions(path):
    torch = types.SimpleNamespace(
        tensor=lambda v: Tensor(np.array(v, np.float32)), round=lambda t: Tensor(np.rint(t.a)),
        clamp=lambda t, lo, hi: t.clamp(lo, hi), cat=lambda ts, d: Tensor(np.concatenate([t.a for t in ts], d)))
    keep = {"grid", "snap", "rtn", "nf4"}
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in keep
                 or isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "NF4"]
    space = {"torch": torch}
    exec(compile(tree, path, "exec"), space)
    return space


def rounded(shared):
    weights = read_safetensors(os.path.join(shared, "data/models/ledger-llama/model.safetensors"))
    f = measure_functions(os.path.join(shared, "tools/measure_ledger.py"))
    out = {}
    for setting in SETTINGS:
        for name, w in sorted(weights.items()):
            if not name.endswith("_proj.weight"):
                continue
            if setting == "nf4b64":
                restored = f["nf4"](Tensor(w), 64).a
            else:
                bits, group = setting[3:].split("g")
                restored = f["rtn"](Tensor(w), int(bits), 0 if group == "C" else int(group)).a
            assert restored.dtype == np.float32 and restored.shape == w.shape
            # A rounded zero may be -0 on one side: adding 0 makes both +0.
            digest = hashlib.sha256((restored + np.float32(0)).astype("<f4").tobytes()).hexdigest()
            out.setdefault(setting, {})[name] = digest
    return out


def forward(w, config, ids):
    """Logits of every position, float64."""
    w = {n: v.astype(np.float64) for n, v in w.items()}
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    d, t = config["head_dim"], len(ids)
    norm = lambda x, g: x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * g
    angles = np.outer(np.arange(t), config["rope_theta"] ** -(np.arange(0, d, 2) / d))[:, None, :]

    def turn(x):
        a, b = x[..., : d // 2], x[..., d // 2:]
        return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], -1)

    x = w["model.embed_tokens.weight"][ids]
    mask = np.triu(np.full((t, t), -np.inf), 1)
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = norm(x, w[p + "input_layernorm.weight"])
        q, k, v = ((h @ w[p + f"self_attn.{c}_proj.weight"].T).reshape(t, -1, d) for c in "qkv")
        q, k = turn(q), turn(k)
        out = np.empty((t, heads, d))
        for n in range(heads):
            m = n // (heads // kv)
            s = q[:, n] @ k[:, m].T / np.sqrt(d) + mask
            s = np.exp(s - s.max(-1, keepdims=True))
            out[:, n] = s / s.sum(-1, keepdims=True) @ v[:, m]
        x = x + out.reshape(t, -1) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        g = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (g / (1 + np.exp(-g)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    return norm(x, w["model.norm.weight"]) @ w["model.embed_tokens.weight"].T


def story(shared):
    from tokenizers import Tokenizer

    at = os.path.join(shared, "data/models/stories260K-hf")
    weights = read_safetensors(os.path.join(at, "model.safetensors"))
    with open(os.path.join(at, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    tokenizer = Tokenizer.from_file(os.path.join(at, "tokenizer.json"))
    ids = [config["bos_token_id"]]
    with open(os.path.join(shared, "data/models/stories260K/readme-original.md"), encoding="utf-8") as f:
        published = f.read().split("-t 0.0\n", 1)[1].split("\n```", 1)[0]
    while True:
        ids.append(int(forward(weights, config, ids)[-1].argmax()))
        text = tokenizer.decode(ids[1:])
        if len(text) >= len(published):
            assert text == published, text
            return {"ids": ids, "text": text}, forward(weights, config, ids[:32]).astype("<f4")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", required=True)
    parser.add_argument("--out", required=True)
    a = parser.parse_args()
    for name, value in (("ledger_rounded.json", rounded(a.shared)),):
        with open(os.path.join(a.out, name), "w", encoding="utf-8", newline="\n") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
    text, logits = story(a.shared)
    with open(os.path.join(a.out, "stories260k_story.json"), "w", encoding="utf-8", newline="\n") as f:
        json.dump(text, f)
        f.write("\n")
    logits.tofile(os.path.join(a.out, "stories260k_logits.f32"))


if __name__ == "__main__":
    main()
