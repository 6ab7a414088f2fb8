#!/usr/bin/env python3
"""Writes abi_layout.c and abi_anchor.c from the headers of the ABI: every field, every constant, none forgotten.

    make_abi_layout.py             writes both files beside this script
    make_abi_layout.py --check     says whether they are current; changes nothing

Run it after something was appended to a header, and look at the difference: lines may be added, none may change.
A header this cannot read to its last character is refused, so nothing is left out in silence."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ABI = HERE.parents[1] / "sdk" / "abi"
HEADERS = ["assay/abi.h", "assay/arrow_c.h", "assay/ext.h"]
NAME = r"[A-Za-z_]\w*"


def stop(text):
    sys.exit(f"make_abi_layout.py: {text}")


def read_header(name):
    """Text without comments, assertions and lines for the preprocessor, and the macros that are values."""
    text = (ABI / name).read_text()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S).replace("\\\n", " ")
    macros, code = [], []
    for line in text.split("\n"):
        if not line.lstrip().startswith("#"):
            code.append(line)
        elif found := re.match(rf"\s*#\s*define\s+({NAME})(?!\()\s+(\"[^\"]*\"|[0-9]\w*|UINT64_MAX)\s*$", line):
            macros.append(found.groups())
    text = "\n".join(code)
    text = re.sub(r"\bASSAY_(SIZE_IS|SLOT|ASSERT)\([^;]*\);", "", text)
    return text, macros


def fields_of(struct, body):
    """(name, its declaration with the name left open as @) of each field, in order."""
    fields = []
    for declaration in filter(None, (" ".join(part.split()) for part in body.split(";"))):
        if found := re.fullmatch(rf"(.*?\(\*)({NAME})(\)\s*\(.*\)(?: ?ASSAY_NX)?)", declaration):
            fields.append((found[2], found[1] + "@" + found[3]))
            continue
        found = re.fullmatch(rf"((?:const |struct )*{NAME}(?: const)?)([ *].*)", declaration)
        if not found:
            stop(f"{struct}: cannot read the field `{declaration}`")
        base, rest = found[1], found[2]
        for position, declarator in enumerate(rest.split(",")):
            found = re.fullmatch(rf"((?:[ *]|const\b)*)({NAME})((?:\[\w+\])*)", declarator)
            if not found:
                stop(f"{struct}: cannot read the declarator `{declarator}` of `{declaration}`")
            fields.append((found[2], " ".join((base + " " + found[1] + "@" + found[3]).split())))
    return fields


def read_all():
    structs, constants, texts, scalars = [], [], [], []
    for name in HEADERS:
        text, macros = read_header(name)
        for macro, value in macros:
            (texts if value.startswith('"') else constants).append((macro, value.strip('"')))

        def take_struct(found):
            tag = found["tag"]
            type_name = found["name"] or f"struct {tag}"
            structs.append((type_name, fields_of(type_name, found["body"])))
            return ""

        def take_enum(found):
            for entry in filter(None, (part.strip() for part in found[1].split(","))):
                constant, value = (part.strip() for part in entry.split("="))
                constants.append((constant, value))
            return ""

        text = re.sub(rf"typedef struct (?P<tag>{NAME}) \{{(?P<body>[^}}]*)\}} (?P<name>{NAME});", take_struct, text)
        text = re.sub(rf"struct (?P<tag>{NAME}) \{{(?P<body>[^}}]*)\}}(?P<name>);", take_struct, text)
        text = re.sub(r"enum \{([^}]*)\};", take_enum, text)
        text = re.sub(rf"typedef (int32_t) ({NAME});", lambda f: scalars.append(f.groups()) or "", text)
        text = re.sub(rf"struct {NAME};", "", text)
        text = re.sub(r'extern "C" \{|ASSAY_EXPORT extern const assay_plugin assay_plugin_v1;', "", text)
        rest = text.replace("}", " ").split()  # the brace that closes extern "C"
        if rest:
            stop(f"{name}: cannot read `{' '.join(rest)[:120]}`")
    return structs, constants, texts, scalars


def measured(structs, constants):
    """Offset and width of every field and the value of every constant, as the C compiler has them."""
    lines = [f'#include "{name}"' for name in HEADERS] + ["#include <stdio.h>", "int main(void) {"]
    for struct, fields in structs:
        for field, _ in fields:
            lines.append(f'printf("%zu %zu\\n", offsetof({struct}, {field}), sizeof((({struct}*)0)->{field}));')
    for constant, _ in constants:
        lines.append(f'printf("%llu\\n", (unsigned long long)({constant}));')
    lines.append("return 0; }")
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        print("skipped: no C compiler was found; set CC")
        sys.exit(0)
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "probe.c"
        source.write_text("\n".join(lines))
        subprocess.run([compiler, "-std=c11", f"-I{ABI}", source, "-o", f"{work}/probe"], check=True)
        return iter(subprocess.run([f"{work}/probe"], check=True, capture_output=True, text=True).stdout.splitlines())


LAYOUT_HEAD = """/* Made by make_abi_layout.py; not to be changed by hand.
   The layout of the ABI, field by field and value by value: what every plugin ever built relies on.
   Compiling it is the test, as C and as C++, with GCC and Clang. Lines are added for what is
   appended, and none is ever changed. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <assay/ext.h>

/* clang-format off */
#ifdef __cplusplus
#include <string_view>
#include <type_traits>
#define IS_TYPE(T, f, type) std::is_same<decltype(T::f), type>::value
#define IS_TEXT(constant, text) std::string_view(constant) == text
#else
#define IS_TYPE(T, f, type) _Generic(&((T*)0)->f, type*: 1, default: 0)
#define IS_TEXT(constant, text) sizeof(constant) == sizeof(text)
#endif
/* FIELD(struct, field, offset, width, type) */
#define FIELD(T, f, offset, width, type) \\
  ASSAY_ASSERT(offsetof(T, f) == (offset) && sizeof(((T*)0)->f) == (width) && IS_TYPE(T, f, type))
#define VALUE(constant, value) ASSAY_ASSERT((constant) == (value))
#define TEXT(constant, text) ASSAY_ASSERT(IS_TEXT(constant, text))
#define SIGNED32(T) ASSAY_ASSERT(sizeof(T) == 4 && (T)-1 < 0)

"""

ANCHOR_HEAD = """/* Made by make_abi_layout.py; not to be changed by hand.
   Mentions every type of the ABI, so that the debug information of this library holds all of it. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <assay/ext.h>

"""


def generate():
    structs, constants, texts, scalars = read_all()
    numbers = measured(structs, constants)
    layout = [LAYOUT_HEAD]
    anchor = [ANCHOR_HEAD]
    for struct, fields in structs:
        tag = struct.replace("struct ", "")
        anchor.append(f"ASSAY_EXPORT void anchor_{tag}({struct}* value);\nvoid anchor_{tag}({struct}* value) {{ (void)value; }}\n")
        plain = struct
        if struct != tag:  # a tag alone is no name in a C++ expression
            plain = f"{tag}_struct"
            layout.append(f"typedef {struct} {plain};\n")
        for field, declaration in fields:
            offset, width = next(numbers).split()
            type_name = f"{tag}_{field}_type"
            layout.append(f"typedef {declaration.replace('@', type_name)};\n"
                          f"FIELD({plain}, {field}, {offset}, {width}, {type_name});\n")
        layout.append("\n")
    for constant, _ in constants:
        value = int(next(numbers))
        layout.append(f"VALUE({constant}, {value}{'u' if value > 0x7fffffff else ''});\n")
    layout.append("\n")
    for constant, text in texts:
        layout.append(f'TEXT({constant}, "{text}");\n')
    layout.append("\n")
    for _, scalar in scalars:
        layout.append(f"SIGNED32({scalar});\n")
    return {"abi_layout.c": "".join(layout), "abi_anchor.c": "".join(anchor)}


def main():
    for name, text in generate().items():
        path = HERE / name
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text() != text:
                stop(f"{name} is not what the headers say; run tests/sdk/make_abi_layout.py and look at the difference")
        else:
            path.write_text(text)


main()
