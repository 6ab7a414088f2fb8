"""Lets Arrow's own library (pyarrow) read what the SDK builds, and the SDK read what Arrow builds.

Usage: arrow_oracle.py LIBRARY, built from arrow_oracle.cpp. Prints "skipped: ..." where pyarrow is missing.
"""

import ctypes
import random
import sys

try:
    import pyarrow as pa
except ImportError:
    print("skipped: pyarrow is not installed (pip install pyarrow)")
    sys.exit(0)

library = ctypes.CDLL(sys.argv[1])
library.oracle_read.restype = ctypes.c_char_p


def row(x):
    """Row x of oracle_make, as the SDK's side states it."""
    elements = [None if k == 2 else {"k": k, "v": None if x % 13 == 0 else ["a", None]} for k in range(x % 4)]
    return {
        "i": None if x % 7 == 0 else x,
        "b": None if x % 5 == 0 else x % 2 == 0,
        "f": x / 4,
        "t": None if x % 3 == 0 else f"t{x}",
        "l": None if x % 11 == 0 else elements,
    }


def check_that_arrow_reads_ours():
    stream = ctypes.create_string_buffer(5 * 8)
    library.oracle_make(stream)
    table = pa.RecordBatchReader._import_from_c(ctypes.addressof(stream)).read_all()
    table.validate(full=True)
    assert table.to_pylist() == [row(x) for x in range(300)]


def shown(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "%.17g" % value
    if isinstance(value, str):
        return '"' + value + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{shown(inner)}" for name, inner in value.items()) + "}"
    return str(value)


PROFILE = pa.schema([
    ("a", pa.int64()), ("b", pa.bool_()), ("c", pa.float64()), ("d", pa.float32()), ("e", pa.int32()),
    ("f", pa.utf8()), ("g", pa.large_utf8()), ("h", pa.list_(pa.utf8())),
    ("i", pa.struct([("x", pa.int64()), ("y", pa.list_(pa.struct([("z", pa.bool_())])))])),
])


def random_value(kind, dice):
    if dice.random() < 0.2:
        return None
    if pa.types.is_boolean(kind):
        return dice.random() < 0.5
    if pa.types.is_int64(kind):
        return dice.randrange(-(2**63), 2**63)
    if pa.types.is_int32(kind):
        return dice.randrange(-(2**31), 2**31)
    if pa.types.is_floating(kind):
        return dice.randrange(-800, 800) / 8
    if pa.types.is_list(kind):
        return [random_value(kind.value_type, dice) for _ in range(dice.randrange(4))]
    if pa.types.is_struct(kind):
        return {field.name: random_value(field.type, dice) for field in kind}
    return "".join(dice.choice("abcä€") for _ in range(dice.randrange(4)))


def random_table(dice):
    """A slice of a struct of slices, so that root and columns have offsets of their own."""
    n = dice.randrange(40)
    columns = []
    for field in PROFILE:
        before, behind = dice.randrange(5), dice.randrange(5)
        values = [random_value(field.type, dice) for _ in range(before + n + behind)]
        columns.append(pa.array(values, type=field.type).slice(before, n))
    begin = dice.randrange(n + 1)
    table = pa.StructArray.from_arrays(columns, fields=list(PROFILE))
    return table.slice(begin, dice.randrange(n - begin + 1))


def check_that_we_read_arrows(n_tables):
    dice = random.Random(1)
    n_rows = 0
    for _ in range(n_tables):
        table = random_table(dice)
        schema, array = ctypes.create_string_buffer(9 * 8), ctypes.create_string_buffer(10 * 8)
        table._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
        expected = "".join(shown(value) + "\n" for value in table.to_pylist())
        assert library.oracle_read(schema, array).decode() == expected
        n_rows += len(table)
    return n_rows


check_that_arrow_reads_ours()
print(f"pyarrow {pa.__version__}: 300 rows of ours, {check_that_we_read_arrows(1000)} rows of its own in slices")
