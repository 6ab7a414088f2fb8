#!/usr/bin/env python3
"""Writes CSV files with odd fields and reads them back with Python's csv module, which says what the records are.

    python3 tests/golden/csv_records.py [SHARED]    writes tests/plugins/datasets/data/{comma,tab,quoted}.csv, csv.json

With the folder of the shared reference data also the digests of its MMLU files, for csv.json; without it those there
are kept. A digest is the SHA-256 of all fields, each followed by U+001F, and each record by U+001E, files by name.
"""
import csv
import hashlib
import json
import pathlib
import random
import sys

random.seed(4180)
FOLDER = pathlib.Path(__file__).parents[1] / "plugins/datasets/data"
PIECES = ["a", "b c", " ", ",", ";", "\t", "\"", "\"\"", "\n", "\r\n", "\r", "é", "中文", "0", "-1.50", "'", "x,y", "\\", "\\n", "#", "{{ x }}"]


def random_field():
    return "".join(random.choice(PIECES) for _ in range(random.randrange(5)))


def read(path, **dialect):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.reader(file, strict=True, **dialect)]


def digest(paths):
    sha, n_records = hashlib.sha256(), 0
    for path in sorted(paths):
        for record in read(path):
            sha.update("".join(field + "\x1f" for field in record).encode() + b"\x1e")
            n_records += 1
    return {"records": n_records, "sha256": sha.hexdigest()}


def write(name, n_columns, encoding="utf-8", end="", **dialect):
    rows = [[f"c{i}" for i in range(n_columns)]]
    rows += [[random_field() for _ in range(n_columns)] for _ in range(60)]
    if dialect.get("lineterminator") == "\n":  # then Python writes a lone CR without quotes
        rows = [[field.replace("\r", "") for field in row] for row in rows]
    path = FOLDER / f"{name}.csv"
    with open(path, "w", newline="", encoding=encoding) as file:
        csv.writer(file, **dialect).writerows(rows)
    content = path.read_bytes()
    path.write_bytes(content.rstrip(b"\r\n") if end == "cut" else content)
    assert read(path, delimiter=dialect.get("delimiter", ",")) == rows
    return {"separator": dialect.get("delimiter", ","), "rows": rows}


FOLDER.mkdir(exist_ok=True)
out = FOLDER / "csv.json"
golden = json.loads(out.read_text()) if out.exists() else {}
golden["comma"] = write("comma", 4)
golden["tab"] = write("tab", 3, delimiter="\t", lineterminator="\n", encoding="utf-8-sig", end="cut")
golden["quoted"] = write("quoted", 2, delimiter=";", quoting=csv.QUOTE_ALL)
if len(sys.argv) > 1:
    shared = pathlib.Path(sys.argv[1]) / "data"
    golden["mmlu"] = {split: digest((shared / "benchmarks/mmlu" / split).glob("*.csv")) for split in ["test", "dev"]}
    golden["mmlu-original"] = digest((shared / "domain/medical/mmlu-original").glob("*.csv"))
out.write_text("{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in golden.items()) + "}\n")
