#!/usr/bin/env python3
"""Lists every character that has another one in lower case, by Python's Unicode tables.

    python3 tests/golden/lower_case.py      (3.11, Unicode 14) writes tests/sdk/data/lower_case.txt

U+0130 is left out: Python writes two characters for it, its simple mapping is U+0069.
"""
import pathlib

lines = []
for code in range(0x110000):
    small = chr(code).lower()
    if len(small) == 1 and small != chr(code):
        lines.append(f"{code:x} {ord(small):x}\n")
path = pathlib.Path(__file__).parents[1] / "sdk/data/lower_case.txt"
path.write_text("".join(lines))
