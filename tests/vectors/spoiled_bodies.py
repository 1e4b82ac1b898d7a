"""Bodies and telemetry columns that are wrong in one way each."""

from tests.vectors.spoiled_cbor import Pairs, Raw

_MAX = 10**15

EVENTS: list[tuple[str, object]] = [
    ("an unknown code", {1: 19}),
    ("a code as true", {1: True}),
    ("a code as text", {1: "BUS_OFF"}),
    ("an unknown key", {1: 20, 3: 0}),
    ("attributes that are empty", {1: 20, 2: {}}),
    ("attributes that are an array", {1: 20, 2: [["a", 1]]}),
    ("33 attributes", {1: 20, 2: {f"a{i:02}": i for i in range(33)}}),
    ("an attribute name that is a number", {1: 20, 2: {1: 1}}),
    ("attribute names out of order", {1: 20, 2: {"b": 1, "a": 1}}),
    ("a longer attribute name before a shorter one", {1: 20, 2: {"aa": 1, "b": 1}}),
    ("an attribute twice", {1: 20, 2: Pairs((("a", 1), ("a", 1)))}),
    ("an attribute that is true", {1: 20, 2: {"a": True}}),
    ("an attribute that is null", {1: 20, 2: {"a": None}}),
    ("an attribute that is a float", {1: 20, 2: {"a": 1.5}}),
    ("an attribute that is an array", {1: 20, 2: {"a": [1]}}),
    ("an attribute of 2^63", {1: 20, 2: {"a": 1 << 63}}),
    ("an attribute that is a bignum", {1: 20, 2: {"a": Raw(b"\xc2\x49\x01" + bytes(8))}}),
    ("an attribute that is not UTF-8", {1: 20, 2: {"a": Raw(b"\x61\xff")}}),
    ("an attribute text of indefinite length", {1: 20, 2: {"a": Raw(b"\x7f\x61a\xff")}}),
]

GAPS: list[tuple[str, object]] = [
    ("an unknown cause", {1: 9, 2: 0, 3: 0}),
    ("no end", {1: 1, 2: 0}),
    ("a start below zero", {1: 1, 2: -1, 3: 0}),
]

SNAPSHOTS: list[tuple[str, object]] = [
    ("no readings", {2: [[1, 0, 1]]}),
    ("an unknown field", {1: [[99, 1, 1, 1, 0]]}),
    ("a field as a float", {1: [[1.0, 1, 1, 1, 0]]}),
    ("readings out of order", {1: [[3, 1, 1, 1, 0], [1, 1, 1, 1, 0]]}),
    ("a reading twice", {1: [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]}),
    ("a reading of two parts", {1: [[1, 1]]}),
    ("a reading without its age", {1: [[1, 1, 1, 1]]}),
    ("a reading of eight parts", {1: [[1, 1, 1, 1, 0, 0, 0, 0]]}),
    ("a reading with a null at its end", {1: [[1, 1, 1, 1, 0, None]]}),
    ("a value as a float", {1: [[1, 81.5, 1, 1, 0]]}),
    ("a value of 16 digits", {1: [[3, _MAX, 1, 1, 0]]}),
    ("an unknown originator", {1: [[1, 1, 9, 1, 0]]}),
    ("an unknown method", {1: [[1, 1, 1, 99, 0]]}),
    ("an uncertainty below zero", {1: [[1, 1, 1, 1, 0, -1]]}),
    ("a coverage of 1001", {1: [[1, 1, 1, 1, 0, None, 1001]]}),
    ("no value and no reason", {1: [[1, None, None]]}),
    ("an unknown reason", {1: [[1, None, 9]]}),
    ("no value but an age", {1: [[1, None, 1, 1, 0]]}),
    ("an unknown key", {1: [], 4: 0}),
    ("present values that are empty", {1: [], 2: []}),
    ("present values out of order", {1: [], 2: [[2, 0, 1], [1, 0, 1]]}),
    ("a present value twice", {1: [], 2: [[1, 0, 1], [1, 0, 1]]}),
    ("a present value of an unknown quantity", {1: [], 2: [[99, 0, 1]]}),
    ("a present value of -10^15", {1: [], 2: [[1, 0, -_MAX]]}),
    ("cells that are none", {1: [], 3: [3700, 1, b""]}),
    ("cells in larger steps than needed", {1: [], 3: [3700, 2, b"\x00\x01"]}),
    ("cells in steps of zero", {1: [], 3: [3700, 0, b"\x00\x00"]}),
    ("cells of which none is the lowest", {1: [], 3: [3700, 1, b"\x01\x02"]}),
    ("cells as an array", {1: [], 3: [3700, 1, [0, 1]]}),
]

_TIMES = [5000, 1000]
COLUMNS: list[tuple[str, object]] = [
    ("columns that are not a map", [_TIMES, []]),
    ("columns without times", {2: []}),
    ("columns with an unknown key", {1: _TIMES, 2: [], 4: 0}),
    ("columns with a key as a float", Pairs(((2, []), (Raw(b"\xf9\x3c\x00"), _TIMES)))),
    ("columns in a form that is not deterministic", {1: [5000, Raw(b"\x1a\x00\x00\x03\xe8")], 2: []}),
    ("a time that goes back", {1: [5000, -1], 2: []}),
    ("another start than the window's", {1: [5001, 1000], 2: []}),
    ("a column of an unknown quantity", {1: _TIMES, 2: [[99, 0, 1, [5, 2]]]}),
    ("a column whose quantity is a float", {1: _TIMES, 2: [[1.0, 0, 1, [5, 2]]]}),
    ("a column whose quantity is an array", {1: _TIMES, 2: [[[1], 0, 1, [5, 2]]]}),
    ("a column of three parts", {1: _TIMES, 2: [[1, 0, [5, 2]]]}),
    ("a column with a delta too few", {1: _TIMES, 2: [[1, 0, 5, [1]]]}),
    ("a column in steps of zero", {1: _TIMES, 2: [[1, 0, 0, [0, 0]]]}),
    ("a column whose step is not the greatest common divisor", {1: _TIMES, 2: [[1, 0, 1, [4, 2]]]}),
    ("a column that says nothing", {1: _TIMES, 2: [[1, 0, 1, [None, None]]]}),
    ("a column with a float", {1: _TIMES, 2: [[1, 0, 1, [5.5, 2]]]}),
    ("a value of 16 digits", {1: _TIMES, 2: [[1, 0, 1, [_MAX - 1, 1]]]}),
    ("columns out of order", {1: _TIMES, 2: [[2, 0, 1, [5, 2]], [1, 0, 1, [5, 2]]]}),
    ("a column twice", {1: _TIMES, 2: [[1, 0, 1, [5, 2]], [1, 0, 1, [5, 2]]]}),
    ("a flaw beyond the last row", {1: _TIMES, 2: [], 3: [[2, 1, 0, 1]]}),
    ("an unknown flaw", {1: _TIMES, 2: [], 3: [[0, 1, 0, 99]]}),
    ("flaws out of order", {1: _TIMES, 2: [], 3: [[1, 1, 0, 1], [0, 1, 0, 1]]}),
    ("a flaw twice", {1: _TIMES, 2: [], 3: [[0, 1, 0, 1], [0, 1, 0, 2]]}),
    ("flaws that are empty", {1: _TIMES, 2: [], 3: []}),
    ("a value that is there and flawed", {1: _TIMES, 2: [[1, 0, 1, [5, 2]]], 3: [[0, 1, 0, 1]]}),
]
