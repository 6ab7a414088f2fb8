#!/usr/bin/env python3
"""Renders templates with Python's Jinja2 and writes tests/data/text/templates.json.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6
    venv/bin/python tests/golden/text_templates.py

The environment is that of lm-evaluation-harness: StrictUndefined, keep_trailing_newline.
Most templates are those of its task files; the rest ask what Jinja2 does at an edge.
"""
import json
import pathlib

import jinja2

ARC = {
    "id": "Mercury_7220990",
    "question": "Which factor will most likely cause a person to develop a fever?",
    "choices": {"text": ["a leg muscle relaxing after exercise",
                         "a bacterial population in the bloodstream",
                         "several viral particles on the skin",
                         "carbohydrates being digested in the stomach"],
                "label": ["A", "B", "C", "D"]},
    "answerKey": "B",
}
MMLU = {"question": "  Find the degree of Q(sqrt(2)) over Q. ", "choices": ["0", "4", "2", "6"],
        "answer": 2}
PIQA = {"goal": "How do I ready a guinea pig cage?", "sol1": "Use paper.", "sol2": "Use 'jeans'.",
        "label": 0}
LAMBADA = {"text": "he said to his own wife in the room full of people"}
GSM = {"question": "How many?", "answer": "Step 1: 3+4=<<3+4=7>>7\n#### 1,234 "}
WSC = {"text": "The city councilmen refused the demonstrators a permit because they feared violence.",
       "pronoun": "they", "pronoun_loc": 63, "quote_loc": 63, "quote": "they feared violence",
       "options": ["The city councilmen", "The demonstrators"], "label": 0}
VALUES = {
    "yes": True, "no": False, "nothing": None, "zero": 0, "seven": 7, "minus": -7, "big": 2**62,
    "half": 0.5, "one": 1.0, "tiny": 1e-7, "small": 0.0001, "huge": 1e16, "large": 123456789012345.0,
    "third": 1 / 3, "exact": 1e22, "negative": -2.5, "negative_zero": -0.0,
    "empty": "", "word": "Grüße", "quote": "it's", "both": "it's \"so\"", "lines": "a\r\nb\nc\u2028d",
    "control": "tab\tnull\x00bell\x07nbsp\xa0zwj\u200dend", "emoji": "🦙 llama 🚀", "slash": "a\\b",
    "padded": " \t\n x y  z\x1f\u3000", "html": "<a href='x'>&</a>",
    "list": [1, 2.0, "three", None, True], "words": ["beta", "Alpha", "gamma"], "nested": [[1], {"k": "v"}],
    "none_list": [], "map": {"b": 1, "a": [1, "x"], "c": None}, "people": [{"name": "Ann", "age": 3},
                                                                          {"name": "Bo", "age": 12}],
}

CASES = [
    # Task files of lm-evaluation-harness.
    ("Question: {{question}}\nAnswer:", ARC),
    ("{{choices.label.index(answerKey)}}", ARC),
    ("{{choices.text}}", ARC),
    ("{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:", MMLU),
    ("{{['A', 'B', 'C', 'D'][answer]}}", MMLU),
    ("{{answer}}", MMLU),
    ("Question: {{goal}}\nAnswer:", PIQA),
    ("{{[sol1, sol2]}}", PIQA),
    ("{{text.split(' ')[:-1]|join(' ')}}", LAMBADA),
    ("{{' '+text.split(' ')[-1]}}", LAMBADA),
    ("Question: {{question}}\nAnswer:", GSM),
    ("{{answer.split('####')[-1].strip() if answer is defined else target}}", GSM),
    ("{% set index = pronoun_loc + pronoun | length %}{{text[index:]}}", WSC),
    ("{% set template = text[:pronoun_loc] %}{{[template+options[0], template+options[1]]}}", WSC),
    ("{{label}}", WSC),
    ("{{[''] + options}}", WSC),
    ("{{ 'Scenario 1: \"' + quote + '\"' }}", WSC),
    ("{% for o in options %}{{ loop.index }}. {{ o }}{% if not loop.last %}\n{% endif %}{% endfor %}", WSC),
    ("{{ ['no', 'yes'][label] }}", PIQA),
    ("{{ label - 1 }}", PIQA),
    # White space and newlines.
    ("{{ word }}\n", VALUES),
    ("{{ word }}\n\n", VALUES),
    ("a {%- if yes %} b {% endif -%} c", VALUES),
    ("{% if yes %}\n  {{ word }}\n{% endif %}\n", VALUES),
    ("  {%- set x = 1 -%}  {{ x }}  {#- gone -#}  end", VALUES),
    ("{% raw %}{{ not this }}{% endraw %}", VALUES),
    ("plain text, no { braces } { { at all", VALUES),
    ("", VALUES),
    ("\n", VALUES),
    # How values print.
    ("{{ yes }} {{ no }} {{ nothing }}", VALUES),
    ("{{ zero }} {{ seven }} {{ minus }} {{ big }}", VALUES),
    ("{{ half }} {{ one }} {{ tiny }} {{ small }} {{ huge }} {{ large }} {{ third }} {{ exact }} {{ negative }} {{ negative_zero }}", VALUES),
    ("{{ list }}", VALUES),
    ("{{ nested }}", VALUES),
    ("{{ none_list }}", VALUES),
    ("{{ map }}", VALUES),
    ("{{ [quote, both, control, emoji, slash, lines, empty] }}", VALUES),
    ("{{ yes ~ ' ' ~ nothing ~ ' ' ~ seven ~ ' ' ~ half }}", VALUES),
    ("{{ list|join(', ') }}", VALUES),
    ("{{ list|string }}", VALUES),
    ("{{ yes|string + nothing|string + huge|string }}", VALUES),
    ("{{ people|join('; ', attribute='name') }}", VALUES),
    ("{{ control }}", VALUES),
    ("{{ html }} {{ html|e }}", VALUES),
    # Strings.
    ("[{{ padded.strip() }}] [{{ padded.lstrip() }}] [{{ padded.rstrip() }}]", VALUES),
    ("[{{ padded|trim }}]", VALUES),
    ("{{ padded.split() }}", VALUES),
    ("{{ padded.split(none, 1) }}", VALUES),
    ("{{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }}", VALUES),
    ("{{ 'a b  c '.rsplit(maxsplit=1) }} {{ ''.split() }} {{ ''.split(',') }}", VALUES),
    ("{{ lines.splitlines() }}", VALUES),
    ("{{ word.upper() }} {{ word.lower() }} {{ word|upper }} {{ word|capitalize }} {{ word|title }}", VALUES),
    ("{{ 'they''re bill\\'s friends'.title() }} {{ 'HELLO wORLD'.capitalize() }}", VALUES),
    ("{{ 'x-ray ABC'.swapcase() }} {{ '-42'.zfill(6) }} {{ 'a'.ljust(3, '.') }}{{ 'b'.rjust(3) }}", VALUES),
    ("{{ word.find('ß') }} {{ word.rfind('e') }} {{ emoji.index('l') }} {{ word.find('zz') }} {{ emoji.rindex('l') }}", VALUES),
    ("{{ emoji.find('l', 3) }} {{ emoji.find('l', -3) }} {{ emoji.count('l') }} {{ emoji.count('') }} {{ emoji.count('a', 2, 6) }}", VALUES),
    ("{{ word[2:] }} {{ word[-2:] }} {{ emoji[0] }} {{ emoji[::-1] }} {{ word[1:3] }}", VALUES),
    ("{{ word|length }} {{ emoji|length }} {{ list|count }}", VALUES),
    ("{{ 'a-b-c'.replace('-', '+') }} {{ 'a-b-c'.replace('-', '+', 1) }} {{ 'aa'|replace('a', 'b') }}", VALUES),
    ("{{ word.startswith('Gr') }} {{ word.endswith('x') }} {{ 'ü' in word }} {{ 'u' not in word }}", VALUES),
    ("{{ 'k=v=w'.partition('=') | list }} {{ 'k=v=w'.rpartition('=')|list }} {{ 'kv'.partition('=')|list }}", VALUES),
    ("{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}", VALUES),
    ("{{ ''.isdigit() }} {{ '12'.isdigit() }} {{ ''.isspace() }} {{ 'aB'.islower() }} {{ 'ab1'.islower() }} {{ '1'.isupper() }} {{ ''.isalpha() }}", VALUES),
    ("{{ ', '.join(words) }} {{ '-'.join('abc') }}", VALUES),
    ("{{ '%s is %d and %.2f'|format('x', 3, 1.5) }}", VALUES),
    ("{{ '{} and {}'.format(1, 'b') }}", VALUES),
    ("{{ 'ab' * 3 }}", VALUES),
    # Numbers.
    ("{{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 10 }} {{ 1 + 2.5 }} {{ 6 / 3 }} {{ -7 // 2 }} {{ -7 % 3 }}", VALUES),
    ("{{ 42.55|round(1) }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 7|round }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 1234|round(-2) }}", VALUES),
    ("{{ '42'|int }} {{ 'x'|int }} {{ '3.9'|int }} {{ 'x'|int(-1) }} {{ 'ff'|int(0, 16) }} {{ 3.9|int }} {{ '2.5'|float }} {{ 'x'|float }} {{ seven|float }} {{ nothing|int }}", VALUES),
    ("{{ (seven|float) / 2 }} {{ seven|abs }} {{ minus|abs }}", VALUES),
    ("{{ [1, 2, 3]|sum }} {{ [0.1, 0.2]|sum }} {{ [3, 1, 2]|max }} {{ [3, 1, 2]|min }}", VALUES),
    # Lists, maps, tests, control.
    ("{{ words|sort }} {{ words|sort(reverse=true) }} {{ words|first }} {{ words|last }} {{ words|reverse|list }}", VALUES),
    ("{{ 'abc'|list }} {{ range(3)|list }} {{ range(1, 10, 4)|list }}", VALUES),
    ("{{ map.items()|list|length }} {{ map.keys()|list }} {{ map.get('zz') }} {{ map.get('zz', 5) }} {{ map['b'] }} {{ map.b }}", VALUES),
    ("{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %}", VALUES),
    ("{% for k in map %}{{ k }}{% endfor %} {{ map|dictsort|length }}", VALUES),
    ("{{ people|map(attribute='name')|list }} {{ people|selectattr('age', 'gt', 5)|map(attribute='name')|join(',') }}", VALUES),
    ("{{ words|map('upper')|join(' ') }} {{ list|select('string')|list }} {{ [1, 1, 2]|unique|list }}", VALUES),
    ("{{ words.index('gamma') }} {{ words.count('beta') }} {{ words + ['z'] }} {{ 'beta' in words }}", VALUES),
    ("{{ missing is defined }} {{ word is defined }} {{ missing|default('d') }} {{ empty|default('d', true) }} {{ nothing is none }}", VALUES),
    ("{{ seven is odd }} {{ seven is number }} {{ word is string }} {{ map is mapping }} {{ list is iterable }} {{ yes is boolean }} {{ seven is divisibleby 7 }}", VALUES),
    ("{{ 'y' if yes }} {{ 'n' if no }}", VALUES),
    ("{{ empty or 'fallback' }} {{ yes and word }} {{ not yes }}", VALUES),
    ("{{ 1 < 2 < 3 }} {{ seven == 7.0 }} {{ 'a' < 'b' }} {{ yes == true }}", VALUES),
    ("{% for i in none_list %}x{% else %}none{% endfor %}", VALUES),
    ("{% for w in words %}{{ loop.index0 }}{{ loop.first }}{{ loop.length }}{{ loop.revindex }} {% endfor %}", VALUES),
    ("{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", VALUES),
    ("{% macro say(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ say('hi') }}{{ say('yo', y='?') }}", VALUES),
    ("{% set a, b = [1, 2] %}{{ a }}{{ b }}{% with c = 3 %}{{ c }}{% endwith %}", VALUES),
    ("{% filter upper %}abc{% endfilter %}{% set t %}x{{ seven }}{% endset %}{{ t }}", VALUES),
    ("{{ list|tojson }} {{ map|tojson }} {{ html|tojson }} {{ emoji|tojson }} {{ third|tojson }}", VALUES),
    ("{{ map|tojson(indent=2) }}", VALUES),
    ("{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ words|length > 2 }}", VALUES),
    ("{{ 'a\nb'|indent(2) }} {{ 'x'|center(5) }}|{{ 'one two'|wordcount }}", VALUES),
    # One expression: the value itself.
    ("{{ half }}", VALUES),
    ("{{ yes }}", VALUES),
    ("{{ nothing }}", VALUES),
    ("{{ big }}", VALUES),
    ("{{ word }}", VALUES),
    ("{{- word -}}", VALUES),
    ("{{ map }} ", VALUES),
    ("{{ people[0] }}", VALUES),
    ("{{ one }}", VALUES),
    ("{{ '}}' }}", VALUES),
    ("{{ {'a': {'b': 1}} }}", VALUES),
    ("{{ word }}{{ seven }}", VALUES),
    ("{{ '\"\\\\\\n\\t' }}", VALUES),
    ("{{ control }}{# comment #}", VALUES),
    # What must fail.
    ("{{ missing }}", VALUES),
    ("{{ missing.attribute }}", VALUES),
    ("{{ map.zz }}", VALUES),
    ("{{ map.zz.y }}", VALUES),
    ("{{ words[9] }}", VALUES),
    ("{{ [word, missing] }}", VALUES),
    ("{% if missing %}x{% endif %}", VALUES),
    ("{% for x in missing %}x{% endfor %}", VALUES),
    ("{{ missing ~ 'x' }}", VALUES),
    ("{{ words.index('zeta') }}", VALUES),
    ("{{ word + seven }}", VALUES),
    ("{{ word.nomethod() }}", VALUES),
    ("{{ word|nofilter }}", VALUES),
    ("{{ none_list|first }}", VALUES),
    ("{{ ', '.join(list) }}", VALUES),
    ("{{ word", VALUES),
    ("{% if yes %}", VALUES),
    ("{% nonsense %}", VALUES),
    ("{{ 1 + }}", VALUES),
    ("{% endfor %}", VALUES),
    ("{% include 'x' %}", VALUES),
]


def environment():
    return jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def is_one_expression(source):
    """The source is one {{ expression }} and nothing else, by Jinja2's own parser."""
    if not (source.startswith("{{") and source.endswith("}}")):
        return False
    body = environment().parse(source).body
    return (len(body) == 1 and isinstance(body[0], jinja2.nodes.Output) and len(body[0].nodes) == 1
            and not isinstance(body[0].nodes[0], jinja2.nodes.TemplateData))


def case(source, record):
    entry = {"template": source, "record": record is not VALUES and record or "values"}
    try:
        entry["text"] = environment().from_string(source).render(**record)
        if is_one_expression(source):
            inner = source[2:-2].strip("-")
            value = environment().compile_expression(inner, undefined_to_none=False)(**record)
            json.dumps(value)  # an undefined inside a list prints in Jinja2, but is no value
            entry["value"] = value
        else:
            entry["value"] = entry["text"]
    except Exception:  # any failure at all: the test asks that ours fails too
        entry = {"template": entry["template"], "record": entry["record"], "fails": True}
    return entry


def main():
    out = pathlib.Path(__file__).parents[1] / "data" / "text" / "templates.json"
    document = {"made_by": "tests/golden/text_templates.py with Jinja2 " + jinja2.__version__,
                "values": VALUES, "cases": [case(*c) for c in CASES]}
    out.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n")
    print(len(CASES), "cases,", sum("fails" in c for c in document["cases"]), "of them failing")


if __name__ == "__main__":
    main()
