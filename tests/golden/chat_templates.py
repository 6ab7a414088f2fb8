#!/usr/bin/env python3
"""Renders chats with transformers and writes tests/data/text/chats.json.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 jinja2==3.1.6
    venv/bin/python tests/golden/chat_templates.py

The templates in tests/data/text/chat are written for these tests, in the manner of the published
ones of the models they are named after. strftime_now is taken away, as the host does not have it.
"""
import json
import pathlib

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

DATA = pathlib.Path(__file__).parents[1] / "data" / "text"
LLAMA = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
SENTENCE_PIECE = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
TOKENS = {"llama3": LLAMA, "qwen2.5": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, "mistral": SENTENCE_PIECE,
          "mistral-strict": SENTENCE_PIECE, "phi3": SENTENCE_PIECE, "chatml": {}, "gemma": {"bos_token": "<bos>", "eos_token": "<eos>"},
          "zephyr": SENTENCE_PIECE, "reasoning": SENTENCE_PIECE}


def chat(*turns):
    return [{"role": {"s": "system", "u": "user", "a": "assistant"}[turn[0]], "content": turn[1:]} for turn in turns]


CHATS = {
    "user": chat("uWhat is 2 + 2?"),
    "system": chat("sYou are terse.", "uWhat is 2 + 2?"),
    "turns": chat("uHi", "aHello!", "uHow are you?", "aFine.", "uGood."),
    "system and turns": chat("s  Be kind.\n", "uHi", "aHello!", "uBye"),
    "ends with the assistant": chat("uHi", "aHello!"),
    "unicode": chat("sGrüße", "u🦙 日本語 e\u0301 \u200d\u00a0 ﬁ"),
    "quotes and braces": chat("u{{ x }} {% if y %} \"q\" 'p' {# c #} <b>&amp;</b> \\n \\ $1 %s"),
    "white space": chat("s \t system \n", "u\n\n  indented\n\tand more  \n\n", "a  answer \n", "u "),
    "carriage return": chat("ua\r\nb\rc"),
    "empty": chat("u"),
    "empty system and answer": chat("s", "uHi", "a", "uStill there?"),
    "thoughts": chat("uHi", "a<think>\nhm\n</think>\n\nHello!", "uAnd?", "a<think>\n\nwell\n\n</think>\n\nYes."),
    "two users": chat("uHi", "uHi again"),
    "assistant first": chat("aHello!", "uHi"),
    "system in the middle": chat("uHi", "sBe kind.", "uHi"),
    "special tokens": chat("u<s>[INST] </s> <|im_end|> <|eot_id|>"),
    "nul and controls": chat("ua\u0000b\u0007\u001f\u007f\u2028"),
}


def render(source, turns, tokens, asks):
    try:
        texts, _ = render_jinja_template([turns], chat_template=source, add_generation_prompt=asks, **tokens)
        return {"text": texts[0]}
    except jinja2.exceptions.TemplateError as error:
        return {"raises": str(error)}


def main():
    cases = []
    for name, tokens in TOKENS.items():
        source = (DATA / "chat" / f"{name}.jinja").read_bytes().decode()
        _compile_jinja_template(source).globals.pop("strftime_now", None)
        _compile_jinja_template(source).environment.globals.pop("strftime_now", None)
        for asks in (True, False):
            cases += [{"template": name, "chat": chat_name, "asks_for_answer": asks, **render(source, turns, tokens, asks)}
                      for chat_name, turns in CHATS.items()]
    document = {"made_by": f"tests/golden/chat_templates.py with transformers {transformers.__version__} and Jinja2 {jinja2.__version__}",
                "special_tokens": TOKENS, "chats": CHATS}
    head = json.dumps(document, indent=1)[:-2]
    lines = ",\n".join(json.dumps(c) for c in cases)
    (DATA / "chats.json").write_text(head + ',\n "cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases,", sum("raises" in c for c in cases), "of them raising")


if __name__ == "__main__":
    main()
