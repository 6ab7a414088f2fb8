"""Compares assay's log-probabilities with those of the tools that own the layouts, checkpoint by checkpoint.

Started by tests/interop/run. Without CHECKPOINT it first has assay quantize every variant of layouts.toml."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import zstandard

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Nats per token, by how the tool computes. A wrong zero point, nibble order or scale moves them by 0.1 to 10.
TOLERANCES = {
    "gptq": (0.05, "the tool dequantizes and computes in float16, assay in float32"),
    "awq": (0.05, "the tool dequantizes and computes in float16, assay in float32"),
    "bitsandbytes 4 bits": (5e-4, "both in float32; sums in another order"),
    "bitsandbytes 8 bits": (0.05, "both round activations to int8; a sum in another order may round one to its neighbour"),
    "pack-quantized": (5e-4, "both in float32; sums in another order"),
    "int-quantized": (0.2, "a token's largest activation lies on half a step (absmax / 127.5) and falls either way by the last bit"),
    "float-quantized": (0.1, "both round activations to FP8, whose neighbours lie 6 to 12 % apart"),
    "fp8": (5e-4, "the tool has no CPU kernel and dequantizes; assay computes without quantized activations too"),
}


def kind_of(settings):
    method = settings.get("quant_method")
    if method == "bitsandbytes":
        return f"bitsandbytes {4 if settings.get('load_in_4bit') else 8} bits"
    return settings.get("format") if method == "compressed-tensors" else method


def run(*command):
    """Standard output, or the last lines of what the command said before it failed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(re.sub(r"^[\d:]{8} error ", "", said[-1]) if said else
                           f"{Path(command[0]).name} exited {done.returncode} and said nothing")
    return done.stdout


def quantized(assay, names, folder):
    """The checkpoints of the variants of layouts.toml, made now; an error in place of those that cannot be."""
    manifest = HERE / "layouts.toml"
    for name in names or tomllib.loads(manifest.read_text())["model"]:
        out = folder / name
        try:
            run(assay, "quantize", manifest, name, "--out", out, "--store", folder / "store", "-q")
            yield name, out, None
        except RuntimeError as error:
            yield name, out, str(error)


def assay_nll(assay, checkpoint, kind, folder):
    """Nats of every token of every prompt, as assay's rows have them."""
    manifest, out = folder / "scores.toml", folder / "scores"
    lines = ["assay = 1", "[model.m]", 'backend = "assay/torch"', f"path = {json.dumps(str(checkpoint))}"]
    if kind == "fp8":
        lines.append("quantize_activations = false")
    lines += ["[dataset.prompts]", 'use = "assay/jsonl"', f"path = {json.dumps(str(HERE / 'prompts.jsonl'))}",
              "[task.nll]", 'protocol = "perplexity"', 'dataset = "prompts"', 'bos = "always"',
              "window = 512", "stride = 512"]
    manifest.write_text("\n".join(lines) + "\n")
    run(assay, "run", manifest, "--out", out, "-q")
    rows = zstandard.ZstdDecompressor().stream_reader((out / "rows/m/nll.jsonl.zst").read_bytes()).read()
    return [json.loads(line)["token_nll"] for line in rows.splitlines()]


def tool_scores(checkpoint, folder):
    texts, out = folder / "texts.json", folder / "tool.json"
    lines = (HERE / "prompts.jsonl").read_text().splitlines()
    texts.write_text(json.dumps([json.loads(line)["text"] for line in lines]))
    run(sys.executable, HERE / "tool_scores.py", checkpoint, texts, out)
    return json.loads(out.read_text())


def largest_difference(ours, theirs):
    if [len(nll) for nll in ours] != [len(nll) for nll in theirs]:
        raise RuntimeError(f"assay scored {[len(n) for n in ours]} tokens, the tool {[len(n) for n in theirs]}")
    return max(abs(a - b) for mine, other in zip(ours, theirs) for a, b in zip(mine, other))


def compare(assay, name, checkpoint):
    """One row of the table."""
    settings = json.loads((checkpoint / "config.json").read_text()).get("quantization_config", {})
    kind = kind_of(settings)
    if kind not in TOLERANCES:
        return [name, str(kind), "", "", "", "no tool is known for this layout"]
    tolerance = TOLERANCES[kind][0]
    with tempfile.TemporaryDirectory() as folder:
        try:
            theirs = tool_scores(checkpoint, Path(folder))
        except RuntimeError as error:
            return [name, kind, "", "", f"{tolerance:g}", f"not loadable here: {error}"]
        try:
            ours = assay_nll(assay, checkpoint, kind, Path(folder))
            difference = largest_difference(ours, theirs["nll"])
        except RuntimeError as error:
            return [name, kind, theirs["tool"], "", f"{tolerance:g}", f"FAIL: {error}"]
    verdict = "PASS" if difference <= tolerance else "FAIL"
    return [name, kind, f"{theirs['tool']} ({theirs['layer']})", f"{difference:.2g}", f"{tolerance:g}", verdict]


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths]] + rows[1:]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)


def main():
    parser = argparse.ArgumentParser(prog="tests/interop/run", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", type=Path,
                        help="directories to compare instead of making some")
    parser.add_argument("--only", action="append", metavar="VARIANT", help="a variant of layouts.toml, again for more")
    parser.add_argument("--assay", type=Path, default=ROOT / "build/release/bin/assay")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the checkpoints in DIR, which must not exist")
    arguments = parser.parse_args()
    if not os.access(arguments.assay, os.X_OK):
        parser.error(f"there is no {arguments.assay}: build preset release, or name the program with --assay")

    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=arguments.keep is None)
        made = ([(path.resolve().name, path, None) for path in arguments.checkpoints] or
                quantized(arguments.assay, arguments.only, folder))
        rows = []
        for name, checkpoint, error in made:
            rows.append([name, "", "", "", "", f"FAIL: not made: {error}"] if error else
                        compare(arguments.assay, name, checkpoint))
            print(f"{name}: {rows[-1][-1]}", file=sys.stderr, flush=True)
    print(table([["checkpoint", "layout", "tool", "largest difference, nats", "tolerance", "result"]] + rows))
    return 0 if all(row[-1] == "PASS" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
