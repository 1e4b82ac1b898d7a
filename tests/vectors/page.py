"""The parts of docs/formats/record.md that are made from the code: code tables, the example's bytes, the CDDL."""

import inspect
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path

import cbor2
from tests.agent.cli.fields import MAP, spans

from packseal.core.bodies import GapCause, Kind, LifecycleCode
from packseal.core.cose import Algorithm
from packseal.core.passport import Field, Method, Missing, Originator, Status, Verdict
from packseal.core.quantities import Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw

PAGE = Path(__file__).parents[2] / "docs/formats/record.md"
CDDL = PAGE.with_suffix(".cddl")
EXAMPLE = "an event without attributes"
ENUMS: dict[str, type[IntEnum]] = {
    "kinds": Kind,
    "clock qualities": ClockQuality,
    "originators": Originator,
    "methods": Method,
    "missing reasons": Missing,
    "statuses": Status,
    "verdicts": Verdict,
    "flaws": Flaw,
    "event codes": EventCode,
    "gap causes": GapCause,
    "lifecycle codes": LifecycleCode,
}
HEADS = {
    "tag": "tag 18: COSE_Sign1",
    "parts": "array of four",
    "protected length": "protected header, as a byte string",
    "unprotected": "unprotected header, an empty map",
    "payload length": "payload, as a byte string",
    "signature": "signature",
}
KEYS = {
    "protected/1": "alg",
    "protected/4": "kid",
    "protected/15": "CWT claims",
    "protected/15/1": "issuer",
    "protected/15/2": "subject",
    "payload/0": "version",
    "payload/1": "kind",
    "payload/2": "log id",
    "payload/3": "sequence",
    "payload/4": "hash of the record before",
    "payload/5": "boot id",
    "payload/6": "monotonic ms",
    "payload/7": "wall ms",
    "payload/8": "clock quality",
    "payload/9": "body",
    "payload/9/1": "event code",
}
BYTES_PER_LINE = 16


def blocks(example: bytes) -> dict[str, str]:
    """Every made part of the page by its name."""
    parts = {name: _enum_table(enum) for name, enum in ENUMS.items()}
    parts["algorithms"] = _table(("alg", "name"), [(str(int(a)), a.name) for a in Algorithm])
    head = ("code", "key", "unit", "digits", "meaning")
    parts["quantities"] = _table(
        head, [(str(q.code), f"`{q.key}`", q.unit, str(q.decimals), q.value.title) for q in Quantity]
    )
    parts["fields"] = _table(head, [(str(f.code), f"`{f.key}`", f.unit, str(f.decimals), f.value.title) for f in Field])
    parts["example"] = f"```text\n{annotated(example)}\n```"
    parts["cddl"] = f"```cddl\n{CDDL.read_text().rstrip()}\n```"
    return parts


def filled(page: str, example: bytes) -> str:
    """The page with every made part as it must be; raises KeyError for a part that nobody makes."""
    made = blocks(example)

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{made[found[2]]}\n{found[3]}"

    return re.sub(r"(<!-- made: ([a-z ]+) -->)\n.*?\n?(<!-- end -->)", fill, page, flags=re.DOTALL)


def annotated(raw: bytes) -> str:
    """Hexadecimal lines with what each field is after a #."""
    lines = []
    for span in spans(raw):
        field = raw[span.start : span.end]
        for start in range(0, len(field), BYTES_PER_LINE):
            shown = field[start : start + BYTES_PER_LINE].hex(" ")
            lines.append(f"{shown:{3 * BYTES_PER_LINE}}# {_note(span.path, field)}" if start == 0 else shown)
    return "\n".join(lines)


def _note(path: str, field: bytes) -> str:
    if path in HEADS:
        return HEADS[path]
    if path.endswith(" key"):
        return f"{cbor2.loads(field)} ⇒ {KEYS[path.removesuffix(' key')]}"
    if field[0] >> 5 == MAP:
        return f"map of {field[0] & 31}"
    value = cbor2.loads(field)
    return f"{len(value)} bytes" if isinstance(value, bytes) else f"  {value}"


def bytes_of(page: str) -> bytes:
    """The bytes that the page's annotated example shows."""
    block = re.search(r"<!-- made: example -->\n```text\n(.*?)```", page, flags=re.DOTALL)
    if block is None:
        raise ValueError("the page has no example")
    return bytes.fromhex("".join(line.partition("#")[0] for line in block[1].splitlines()))


def _enum_table(enum: type[IntEnum]) -> str:
    """A table of the members, whose meaning is the comment beside each in the source."""
    found = re.findall(r"^    ([A-Z0-9_]+) = (\d+)(?:  # (.*))?$", inspect.getsource(enum), flags=re.MULTILINE)
    if [(name, int(code)) for name, code, _ in found] != [(m.name, m.value) for m in enum]:
        raise ValueError(f"{enum.__name__}: one member per line, with its meaning as a comment")
    return _table(("code", "name", "meaning"), [(code, f"`{name.lower()}`", text) for name, code, text in found])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
