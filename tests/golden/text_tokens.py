#!/usr/bin/env python3
"""Encodes texts with Python's `tokenizers` and writes tests/data/text/tokens.json.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.22.2
    venv/bin/python tests/golden/text_tokens.py

Both tokenizers are those of models in share/data: bytes and digits (ledger), and Llama's spaces and
byte fallback (stories260k). Offsets are turned from characters into bytes here.
"""
import importlib.metadata
import json
import pathlib

import tokenizers

ROOT = pathlib.Path(__file__).parents[2]
MODELS = {"ledger": "share/data/ledger/model", "stories260k": "share/data/stories260k"}
TEXTS = [
    "", " ", "  ", "\n", "\t\n ", "a", "Once upon a time, there was a little girl named Lily.",
    " leading space", "trailing space ", "two  spaces\n\nand a blank line\r\n", "x\u0000y",
    "card 81 usual 16 | a Chicago 11h fuel 34 | b Denver 09h fuel 97 | c Atlanta 18h web 78\nfirst",
    "3 33 333 3333.14 1,000,000", "don't can't I'll we've you're he'd", "camelCase snake_case CONST",
    "Grüße, naïve café: Ærø", "cafe\u0301 (a combining accent)", "Привет, мир", "日本語のテキスト", "한국어",
    "🦙 and 👩‍👩‍👧‍👦 and 🇩🇪", "\u200bzero\u200dwidth\ufeff", "a\u00a0b\u2003c\u3000d", "▁ is a real character",
    "<s>", "</s>", "<s>Once</s> upon <s> a </s> time", "<unk> <pad> <0x41>", "< s > &lt;s&gt;",
    "{\"json\": [1, 2.5e-3, null]}", "def f(x):\n    return x ** 2  # code\n",
    "word " * 40, "a" * 300, "\U0010ffff\u0001\u007f", "“quoted” — dash… ½ ² ﬁ",
]


def end_bytes(text, offsets):
    ends, last = [], 0
    for _, end in offsets:
        last = max(last, len(text[:end].encode()))
        ends.append(last)
    return ends


def cases_of(path):
    tokenizer = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    cases = []
    for text in TEXTS:
        by_rule = tokenizer.encode(text)
        plain = tokenizer.encode(text, add_special_tokens=False)
        cases.append({"text": text, "by_rule": by_rule.ids, "none": plain.ids,
                      "end_bytes": end_bytes(text, plain.offsets),
                      "decoded": tokenizer.decode(by_rule.ids, skip_special_tokens=False),
                      "decoded_without_special": tokenizer.decode(by_rule.ids)})
    return cases


def main():
    document = {"made_by": "tests/golden/text_tokens.py with tokenizers "
                + importlib.metadata.version("tokenizers")}
    for name, folder in MODELS.items():
        document[name] = {"folder": folder, "cases": cases_of(ROOT / folder)}
    out = ROOT / "tests" / "data" / "text" / "tokens.json"
    out.write_text(json.dumps(document, separators=(",", ":")).replace('{"text"', '\n{"text"') + "\n")
    print(out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
