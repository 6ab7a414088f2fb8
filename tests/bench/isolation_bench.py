"""What a process for each backend costs a whole run: isolation_bench.py ASSAY MANIFEST [PAIRS]

Runs the manifest with isolation = "worker" and "none" in turn and prints the ratio of the seconds spent scoring and of
the whole run, pair by pair and the median. Goal: scoring under 1.02.
"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time


def variants(manifest: pathlib.Path) -> dict:
    text = re.sub(r"(?m)^isolation\s*=.*\n", "", manifest.read_text())
    return {kind: re.sub(r"(?m)^(\[model\.[^\]]+\])", rf'\1\nisolation = "{kind}"', text) for kind in ("worker", "none")}


def run(assay: str, manifest: pathlib.Path, out: pathlib.Path) -> tuple:
    start = time.monotonic()
    subprocess.run([assay, "run", "-q", str(manifest), "--out", str(out)], stdout=subprocess.DEVNULL, check=False)
    whole = time.monotonic() - start
    document = json.loads((out / "run.json").read_text())
    return sum(counts["score_seconds"] for counts in document["counts"]), whole


def main() -> None:
    assay, manifest = sys.argv[1], pathlib.Path(sys.argv[2])
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    written = {}
    for kind, text in variants(manifest).items():
        # Beside the manifest, for its paths are relative.
        written[kind] = manifest.with_name(f".{manifest.stem}-{kind}.toml")
        written[kind].write_text(text)
    scoring, whole = [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for pair in range(pairs):
                order = ("worker", "none") if pair % 2 == 0 else ("none", "worker")
                took = {kind: run(assay, written[kind], pathlib.Path(folder) / kind) for kind in order}
                scoring.append(took["worker"][0] / took["none"][0])
                whole.append(took["worker"][1] / took["none"][1])
                print(f"pair {pair + 1}: scoring {took['worker'][0]:.2f} s / {took['none'][0]:.2f} s = {scoring[-1]:.3f}, "
                      f"whole run {took['worker'][1]:.2f} s / {took['none'][1]:.2f} s = {whole[-1]:.3f}")
        print(f"median of {pairs}: scoring {statistics.median(scoring):.3f} (goal < 1.02), whole run {statistics.median(whole):.3f}")
    finally:
        for path in written.values():
            path.unlink()


if __name__ == "__main__":
    main()
