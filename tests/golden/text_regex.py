#!/usr/bin/env python3
"""Searches and replaces with CPython's re and writes tests/data/text/regex.json.

    python3 tests/golden/text_regex.py

Several groups become one text by the harness's rule: the first that is not empty.
"""
import json
import pathlib
import platform
import re

SENTENCES = ("The answer is 42. Then 3,000.50 dollars; -7 or $12!", "", "a", "aXbXXc", "no digits here",
             "Grüße aus Köln, ﬁn. ΑΒΓ αβγ Straße STRASSE", "٣ ४ ൫ ① ½ Ⅷ 七", "日本語 テキスト。한국어", "tab\tand\nline\r\nend\u2028par\u00a0nbsp",
             "x\n", "x\n\n", "🦙 👩‍👩‍👧 e\u0301", "(A) first (B) second", "aaa", "<b>bold</b> <i>it</i>", "K ſ İ ı ß", "a\\b.c*d")
PATTERNS = (
    # The harness's own: gsm8k, gsm8k-cot, multiple choice letters, boxed answers, think blocks.
    r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"The answer is (\-?[0-9\.\,]+).",
    r"(?i)the answer is:?\s*\(?([A-D])\)?", r"\((?P<letter>[A-Z])\)", r"\\boxed\{(.*?)\}", r"(?s)<think>.*?</think>", r"(?s).*#### ", r",", r"\$", r"\.$",
    # Empty matches and what follows them.
    r"", r"a*", r"X*", r"x*", r"b*|X", r"(?=a)", r"(?!a)", r"(?=a)X?a", r"(?=[a-z])[a-z]*a", r"\b", r"^", r"$", r"(?m)^", r"(?m)$", r"a??", r"(a*)+", r"(a*)*", r"(a)|b", r"(a)|(b)|(c)", r"((a)|(X))", r"(?:a|X)", r"(a)?", r"(a)?X", r"()", r"(|a)",
    # Anchors and ends.
    r"x$", r"x\Z", r"x\n\Z", r"\Ax", r"\Aa", r"\n\Z", r"[^\n]\Z", r"end$", r"(?m)line\r?$",
    # Classes and Unicode.
    r"\d", r"\d+", r"\D+", r"\w+", r"\W+", r"[\w.]+", r"[^\W\d_]+", r"\s+", r"\S+", r"[α-ω]+", r"[A-Za-zÄÖÜäöüß]+", r"[\u4e00-\u9fff]+", r"\u00fc", r"\U0001f999", r"[\U0001F300-\U0001FAFF]", r".", r"..", r"(?s).", r"(?s).+", r"\x41", r"[]a]+", r"[^]a]+", r"[a\]]+", r"[[]", r"[{,3}]+", r"\bK\b", r"\Bo",
    # Flags.
    r"(?i)straße", r"(?i)ΑΒΓ", r"(?i)k", r"(?i)s", r"(?i:A)X", r"(?x) a  X # the rest", r"(?is)the.+", r"(?im)^x$",
    # Repetition, look-around, references.
    r"a{2}", r"a{1,2}", r"a{,2}", r"a{,}", r"a{2,}", r"a{1,2}?", r"a{", r"a{x}", r"a{,x}", r"a+?", r"a++", r"(?>a+)", r"(\w)\1", r"(?P<twice>a)(?P=twice)", r"(?<=X)\w", r"(?<!a)X", r"\w+(?=\.)", r"\d+(?!\d)", r"(a)?(?(1)X|c)", r"(?#comment)a",
    r"<(\w)>(.*?)</\1>", r"<[^>]+>", r"\\", r"\.", r"\*", r"[.*]",
    # What neither compiles.
    r"(", r")", r"[", r"a**", r"*", r"(?P<n>a)(?P<n>b)", r"a{2,1}", r"[z-a]", r"\1", r"(?P=n)", r"(?<=a+)b", r"(?q)", "\\", r"(?P<1>a)", r"a{99999999999}",
)
# Of scoring.md 16 and the texts around them.
ANSWERS = ((r"#### (\-?[0-9\.\,]+)", " 3+4=7\n#### 1,234."), (r"(-?[$0-9.,]{2,})|(-?[0-9]+)", " 3+4=7\n#### 1,234."),
           (r"#### (\-?[0-9\.\,]+)", "The answer is $12. So 5"), (r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "The answer is $12. So 5"),
           (r"(?s).*#### ", "a\nb\n#### 5"), (r"\.$", "12."), (r"\.$", "12.\n"), (r",", "1,234,567"),
           (r"(?s)<think>.*?</think>", "<think>a\nb</think> 5 <think></think>"), (r"\\boxed\{(.*?)\}", "so \\boxed{1,2} or \\boxed{}"))


def first_group(match):
    return match if isinstance(match, str) else next((group for group in match if group), "")


def case(pattern, text):
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError):
        return {"pattern": pattern, "fails": True}
    return {"pattern": pattern, "text": text, "found": [first_group(m) for m in compiled.findall(text)],
            "replaced": compiled.sub(lambda _: "<\\1>", text)}


def telling(pattern):
    """One text without a match is enough."""
    cases = [case(pattern, text) for text in SENTENCES]
    return [c for c in cases if c.get("found", True)] + [c for c in cases if not c.get("found", True)][:1]


def main():
    cases = [c for p in PATTERNS for c in telling(p)] + [case(*answer) for answer in ANSWERS]
    unique = {json.dumps(c): c for c in cases}
    lines = ",\n".join(json.dumps(c) for c in unique.values())
    made_by = f"tests/golden/text_regex.py with re of Python {platform.python_version()}"
    out = pathlib.Path(__file__).parents[1] / "data" / "text" / "regex.json"
    out.write_text('{"made_by": ' + json.dumps(made_by) + ', "with": "<\\\\1>", "cases": [\n' + lines + "\n]}\n")
    print(len(unique), "cases,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
