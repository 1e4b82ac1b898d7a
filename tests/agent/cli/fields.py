"""Where each field of a record lies: a walk over its CBOR that keeps byte ranges."""

from dataclasses import dataclass

UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)  # major types, RFC 8949 §3.1


@dataclass(frozen=True)
class Span:
    """The bytes [start, end) of one field; `path` names its keys from the outside in."""

    path: str
    start: int
    end: int


def spans(raw: bytes) -> list[Span]:
    """Every leaf of a record, and the heads of what holds them, in order and without overlap."""
    found = [Span("tag", 0, 1), Span("parts", 1, 2)]
    at = 2
    for name in ("protected", "unprotected", "payload", "signature"):
        if name in ("protected", "payload"):
            _, _, inside = _head(raw, at)
            found.append(Span(f"{name} length", at, inside))
            at = inside
        at = _walk(raw, at, name, found)
    return found


def _walk(raw: bytes, at: int, path: str, found: list[Span]) -> int:
    major, number, inside = _head(raw, at)
    if major in (BYTES, TEXT):
        inside += number
    found.append(Span(path, at, inside))
    if major == ARRAY:
        for i in range(number):
            inside = _walk(raw, inside, f"{path}/{i}", found)
    if major == MAP:
        for _ in range(number):
            key_at = inside
            inside = _walk(raw, inside, "key", found)
            found.pop()
            key = _key(raw, key_at, inside)
            found.append(Span(f"{path}/{key} key", key_at, inside))
            inside = _walk(raw, inside, f"{path}/{key}", found)
    return inside


def _key(raw: bytes, start: int, end: int) -> str:
    major, number, inside = _head(raw, start)
    return str(number) if major == UINT else raw[inside:end].decode()


def _head(raw: bytes, at: int) -> tuple[int, int, int]:
    """The major type, number and end of the head at `at`."""
    major, info = raw[at] >> 5, raw[at] & 31
    if info < 24:
        return major, info, at + 1
    size = 1 << (info - 24)
    return major, int.from_bytes(raw[at + 1 : at + 1 + size], "big"), at + 1 + size
