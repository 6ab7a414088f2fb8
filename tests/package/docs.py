#!/usr/bin/env python3
"""Runs a document: every fenced block of it is written, run or compared, in order, in an empty folder.

    docs.py DOCUMENT FOLDER

    ```cpp file=NAME         becomes the file; a later block of that name replaces it
    ```cpp file=NAME append  is added to it
    ```sh test               runs under bash -eu; `cd` holds for later blocks
    ```sh test exit=2        must end with that status
    ```sh test needs="CMD"   is left out, and said so, where CMD fails
    ```text output           lines that the last run printed, in that order; `...` stands for any lines, * for any text

A block that is none of these is an error: what is shown is true. Environment: SDK_BUILD and ASSAY_SOURCE of the caller."""
import os
import re
import subprocess
import sys
from pathlib import Path


def stop(where, text):
    sys.exit(f"{where}: {text}")


def blocks(document):
    lines = document.read_text().split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if start is None:
            start, info = number, line[3:].strip()
        else:
            yield f"{document.name}:{start}", info, "\n".join(lines[start:number - 1]) + "\n"
            start = None
    if start is not None:
        stop(f"{document.name}:{start}", "this block does not end")


def as_pattern(line):
    return re.compile(".*?".join(re.escape(part) for part in line.strip().split("*")))


def compare(where, expected, said):
    """Every line expected is one said, in order; blanks at the ends do not count."""
    left = [line.strip() for line in said.split("\n")]
    for line in expected.strip("\n").split("\n"):
        if line.strip() in ("...", ""):
            continue
        while left and not as_pattern(line).fullmatch(left[0]):
            left.pop(0)
        if not left:
            stop(where, f"this line was not printed:\n{line}\nin\n{said}")
        left.pop(0)


def main():
    document, folder = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    place, said, n_run = folder, None, 0
    for where, info, text in blocks(document):
        if found := re.fullmatch(r"\w+ file=(\S+)( append)?", info):
            path = place / found[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a" if found[2] else "w") as out:
                out.write(text)
        elif found := re.fullmatch(r'sh test(?: exit=(\d+))?(?: needs="([^"]*)")?', info):
            if found[2] and subprocess.run(found[2], shell=True, capture_output=True).returncode != 0:
                print(f"{where}: left out, `{found[2]}` fails")
                said = None
                continue
            script = f"trap 'pwd > {folder}/.place' EXIT\n{text}"
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=place, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            said, n_run = done.stdout, n_run + 1
            if done.returncode != int(found[1] or 0):
                stop(where, f"ended with {done.returncode}:\n{text}\n{said}")
            place = Path((folder / ".place").read_text().strip())
        elif info == "text output":
            if said is not None:
                compare(where, text, said)
        else:
            stop(where, f"this block is not tested; mark it `{info.split(' ')[0] or 'text'} file=NAME`, `sh test` or `text output`")
    print(f"{document.name}: {n_run} commands run")


main()
