#!/usr/bin/env python3
"""Scores odd and random answers by the definitions that the text metrics follow, written here a second time with
Python's own means.

    python3 tests/golden/text_metrics.py    writes tests/plugins/metrics/data/text_metrics.json

f1 and exact    normalize_answer, compute_f1 and exact_match_score of SQuAD's evaluation scripts (v1.1, v2.0)
exact_match     the exact_match of Hugging Face's evaluate (lower, string.punctuation), and strip
contains        `target in output`; for words a regular expression
numeric         plugins/metrics/numeric/README.md as a regular expression
"""
import collections
import json
import pathlib
import random
import re
import string

random.seed(20240607)

WORDS = ["the", "a", "an", "The", "THE", "A", "Paris", "paris", "no", "know", "No.", "yes", "yes,", "cat", "cats",
         "theatre", "e.g.", "state-of-the-art", "U.S.", "don't", "«the»", "the’s", "Été", "été", "ЯБЛОКО", "яблоко", "中文", "ß",
         "2", "22", "2nd", "x_1", "#hash", "(a)", "[an]", "—", "…", "the—a", "a\u00a0b", "naïve", "co\u00f6p", "_", "ÀÉ"]
SPACES = [" ", " ", " ", "  ", "\n", "\t", "\u00a0", "\u2003", " \r\n "]


def random_text(words=WORDS, most=8):
    parts = []
    for _ in range(random.randrange(most)):
        parts.append(random.choice(words))
        parts.append(random.choice(SPACES))
    if random.random() < 0.7 and parts:
        parts.pop()
    if random.random() < 0.2:
        parts.insert(0, random.choice(SPACES))
    return "".join(parts)


def normalize_answer(s):
    s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())


def squad_f1(output, target):
    gold, pred = normalize_answer(target).split(), normalize_answer(output).split()
    if not gold or not pred:
        return float(gold == pred)
    same = sum((collections.Counter(gold) & collections.Counter(pred)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(pred), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def f1_case(output, targets):
    return {"output": output, "targets": targets, "f1": max(squad_f1(output, t) for t in targets),
            "exact": float(any(normalize_answer(output) == normalize_answer(t) for t in targets))}


def exact_match_case(output, targets, ignore_case, ignore_punctuation, strip):
    def compared(text):
        text = text.lower() if ignore_case else text
        text = text.translate(str.maketrans("", "", string.punctuation)) if ignore_punctuation else text
        return text.strip() if strip else text
    return {"output": output, "targets": targets, "ignore_case": ignore_case, "ignore_punctuation": ignore_punctuation,
            "strip": strip, "exact_match": float(any(compared(output) == compared(t) for t in targets))}


def contains_case(output, targets, ignore_case, strip):
    def compared(text):
        return text.lower() if ignore_case else text
    output_compared = compared(output)
    compared_targets = [compared(t.strip() if strip else t) for t in targets]
    if not all(compared_targets):
        return None
    words = [re.search(r"(?<!\w)" + re.escape(t) + r"(?!\w)", output_compared) for t in compared_targets]
    return {"output": output, "targets": targets, "ignore_case": ignore_case, "strip": strip,
            "contains": float(any(t in output_compared for t in compared_targets)),
            "contains_word": float(any(words))}


CURRENCY = "[$\u00a2-\u00a5\u20a0-\u20cf\uff04\uffe5]"
TOKEN = re.compile(
    r"(?P<word>[^\W0-9]\w*(?:(?<=[0-9])[.,](?=[0-9])\w+)*)"
    r"|(?P<number>(?:(?:[0-9]{1,3}(?![0-9])(?:,[0-9]{3}(?![0-9]))*|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\.?")


def is_negative(before, behind):
    minus = re.search(r"[-\u2212](" + CURRENCY + r"?)\Z", before)
    if minus:
        lead = before[:minus.start()]
        if not minus[1]:
            lead = re.sub(CURRENCY + r"\Z", "", lead)
        return not re.search(r"[\w)]\Z", lead)
    opening = re.search("(" + CURRENCY + r"?)\(" + CURRENCY + r"?\Z", before)
    closing = re.match(r"%?\)%?", behind)
    if not opening or not closing:
        return False
    is_whole = not before[:opening.start() + len(opening[1])].strip() and not behind[closing.end():].strip()
    return bool(is_whole or opening[1])


def numbers(text):
    found = []
    for match in TOKEN.finditer(text):
        if match["number"] is None:
            continue
        value = float(match["number"].replace(",", ""))
        if value == float("inf"):
            continue
        found.append(-value if is_negative(text[:match.start()], text[match.end("number"):]) else value)
    return found


def numeric_case(output, targets, which, abs_tolerance=0.0, rel_tolerance=1e-6):
    at = 0 if which == "first" else -1
    wanted = [numbers(t) for t in targets]
    if not all(wanted):
        return None
    values = numbers(output)
    right = [abs(values[at] - w[at]) <= max(abs_tolerance, rel_tolerance * abs(w[at])) for w in wanted] if values else []
    return {"output": output, "targets": targets, "which": which, "abs_tolerance": abs_tolerance,
            "rel_tolerance": rel_tolerance, "numeric": float(any(right)), "has_number": float(bool(values))}


PIECES = ["1,234", "1,234.5", "12", "0.5", ".5", "5.", "1e3", "2.5E-3", "1,2345", "1234,567", "1,234,567", "007", "-3", "\u22123", "+3", "- 3",
          "10-20", "$5", "-$5", "$-5", "US$5", "$(1,493)", "($1,493)", "(1,234)", "(5)", "(5%)", "(5)%", "5%", "€7", "7€", "£1,000.00",
          "FY2018", "Q4", "COVID-19", "v1.2", "1.2.3", "x2.5kg", "5kg", "3M", "2nd", "1e999", "ten", "=", "so", "(", ")", "٣",
          "-5-6", "3)-4", "a-7", "1,,2", "1.e5", "2e", "$1577.00", "1577", "65.4%", "0.654", "-0.02", "12.05.2020", "(−8)", "¥(9)"]


def random_numbers():
    return random.choice(["", "", " "]).join(random.choice(PIECES) + random.choice(["", " ", " "]) for _ in range(random.randrange(1, 4)))


f1, exact_match, contains, numeric = [], [], [], []
for text in ["", " ", "the", "a an the", "...", "The Cat!", "cat", "theatre"]:
    for target in ["", "the", "cat", "the cat cat", "Theatre"]:
        f1.append(f1_case(text, [target]))
for _ in range(200):
    targets = [random_text() for _ in range(random.randrange(1, 4))]
    f1.append(f1_case(random.choice([random_text(), random.choice(targets) + " " + random_text(most=3)]), targets))

for _ in range(200):
    targets = [random_text(most=3) for _ in range(random.randrange(1, 4))]
    output = random.choice(targets)
    output = random.choice([output, output.upper().replace("SS", "ß"), output + random.choice(SPACES), output + ".", random_text(most=3)])
    flags = [random.random() < 0.5 for _ in range(3)]
    exact_match.append(exact_match_case(output, targets, *flags))

for _ in range(200):
    targets = [random_text(most=3) for _ in range(random.randrange(1, 3))]
    output = random_text() + random.choice(targets + ["", ""]) + random.choice(["", " ", "x", "_", "é", ".", "9"]) + random_text(most=3)
    case = contains_case(output, targets, random.random() < 0.5, random.random() < 0.7)
    if case:
        contains.append(case)

for piece in PIECES:
    for which in ["first", "last"]:
        for target in ["5", "-1493", "1577", "3", "-3", "1234"]:
            if target == "5" or random.random() < 0.3:
                numeric.append(numeric_case(piece, [target], which))
for _ in range(250):
    targets = [random_numbers() for _ in range(random.randrange(1, 3))]
    output = random.choice([random_numbers(), random.choice(targets), random_numbers() + random.choice(targets), random.choice(targets) + random_numbers()])
    case = numeric_case(output, targets, random.choice(["first", "last"]), random.choice([0.0, 0.0, 0.5, 1.0]), random.choice([1e-6, 0.0, 0.1]))
    if case:
        numeric.append(case)

path = pathlib.Path(__file__).parents[1] / "plugins/metrics/data/text_metrics.json"
lists = {"f1": f1, "exact_match": exact_match, "contains": contains, "numeric": numeric}
rows = {name: ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) for name, cases in lists.items()}
origin = "tests/golden/text_metrics.py"
path.write_text("{\"origin\": " + json.dumps(origin) + ",\n"
                + ",\n".join(f"\"{name}\": [\n{text}\n]" for name, text in rows.items()) + "}\n")
