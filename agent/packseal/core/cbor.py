"""Deterministic CBOR (RFC 8949 §4.2.1) and a decoder that accepts nothing else.

Only integers, byte strings, UTF-8 text, booleans, null, arrays, maps and one tag occur in our formats; never floats.
"""

from collections.abc import Container, Mapping
from typing import Any

import cbor2

from packseal.core.errors import FormatError

MAX_DEPTH = 8
"""Our deepest format, a snapshot's reading inside a record, nests five levels."""

SCALED_BELOW = 10**15
"""Bound on the magnitude of a scaled integer: 15 decimal digits are what a double keeps (C17 §5.2.4.2.2, DBL_DIG)."""


def encode(value: object) -> bytes:
    """Return the one deterministic encoding of `value`: shortest integers, definite lengths, sorted keys.

    cbor2's canonical mode sorts keys by length first (RFC 7049 §3.9); for the keys we use, non-negative integers and
    short texts, and the two COSE key labels -1 … -3, that is the same order as RFC 8949's bytewise one.
    """
    return cbor2.dumps(value, canonical=True)


def encode_ordered(value: object) -> bytes:
    """Return the same bytes as `encode` in a fourth of the time, where every map already has its keys in order."""
    return cbor2.dumps(value)


def loads(data: bytes, what: str) -> Any:
    """Decode one complete item; that it is in deterministic form is left to the caller. Raises FormatError."""
    try:
        return cbor2.loads(data, max_depth=MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FormatError(f"{what} is not well-formed CBOR: {error}") from error


def decode(data: bytes, what: str) -> Any:
    """Decode `data`, refusing every byte string that `encode` would not itself have written.

    Args:
        data: one complete CBOR item, nothing after it.
        what: the name of the thing for the error text, such as "record payload".

    Raises:
        FormatError: malformed, trailing bytes, too deep, or not in deterministic form.
    """
    value = loads(data, what)
    try:
        canonical = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{what} holds a CBOR type that no format of ours uses") from error
    if canonical != data:
        raise FormatError(f"{what} is not in deterministic CBOR form (RFC 8949 §4.2)")
    return value


def byte_string(data: bytes) -> bytes:
    """Return `data` as a CBOR byte string (major type 2) with the shortest length."""
    return _head(0x40, len(data)) + data


def read_byte_string(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return the byte string that begins at `at`, and where it ends; None unless `byte_string` would write it so."""
    head = data[at] if at < len(data) else 0
    if 0x40 <= head < 0x58:  # noqa: PLR2004 - RFC 8949 §3: major type 2, the length in the same byte
        start, size, least = at + 1, head - 0x40, 0
    elif 0x58 <= head <= 0x5A:  # noqa: PLR2004 - the length in one, two or four bytes
        width = 1 << (head - 0x58)
        start = at + 1 + width
        size, least = int.from_bytes(data[at + 1 : start], "big"), (24, 1 << 8, 1 << 16)[head - 0x58]
    else:
        return None
    end = start + size
    return (data[start:end], end) if size >= least and end <= len(data) else None


def head_size(length: int) -> int:
    """Return how many bytes the shortest head of something of this length has."""
    return len(_head(0, length))


def _head(major: int, length: int) -> bytes:
    if length < 24:  # noqa: PLR2004 - RFC 8949 §3, additional information 0..23 is the value itself
        return bytes((major | length,))
    for info, size in ((24, 1), (25, 2), (26, 4)):
        if length < 1 << (8 * size):
            return bytes((major | info,)) + length.to_bytes(size, "big")
    return bytes((major | 27,)) + length.to_bytes(8, "big")


def as_map(value: object, what: str, required: tuple[int, ...], optional: tuple[int, ...] = ()) -> Mapping[int, Any]:
    """Return `value` as a map that has exactly the `required` keys and possibly some `optional` ones.

    Raises:
        FormatError: naming what is missing or unknown.
    """
    if not isinstance(value, Mapping):
        raise FormatError(f"{what} must be a map")
    missing = [k for k in required if k not in value]
    # The type is asked too: to Python, 1.0 and True are the key 1.
    unknown = [k for k in value if type(k) is not int or k not in (*required, *optional)]
    if missing or unknown:
        raise FormatError(f"{what}: keys missing {missing}, unknown {unknown}")
    return value


def as_uint(value: object, what: str, below: int = 1 << 64) -> int:
    """Return `value` if it is an integer in [0, below), else raise FormatError."""
    if type(value) is not int or not 0 <= value < below:
        raise FormatError(f"{what} must be an unsigned integer below {below}")
    return value


def as_int(value: object, what: str) -> int:
    """Return `value` if it is a signed 64-bit integer, else raise FormatError."""
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise FormatError(f"{what} must be a signed 64-bit integer")
    return value


def as_scaled(value: object, what: str) -> int:
    """Return `value` if it is an integer of a magnitude below SCALED_BELOW, else raise FormatError."""
    if type(value) is not int or not -SCALED_BELOW < value < SCALED_BELOW:
        raise FormatError(f"{what} must be an integer of at most 15 digits")
    return value


def as_code(value: object, what: str, codes: Container[int]) -> int:
    """Return `value` if it is an integer and one of `codes`, else raise FormatError."""
    if type(value) is not int or value not in codes:
        raise FormatError(f"{what} {value!r:.40} is unknown to version 1")
    return value


def as_bytes(value: object, what: str, length: int | None = None) -> bytes:
    """Return `value` if it is a byte string (of `length` bytes where given), else raise FormatError."""
    if not isinstance(value, bytes) or (length is not None and len(value) != length):
        raise FormatError(f"{what} must be a byte string" + (f" of {length} bytes" if length is not None else ""))
    return value


def as_text(value: object, what: str) -> str:
    """Return `value` if it is text, else raise FormatError."""
    if not isinstance(value, str):
        raise FormatError(f"{what} must be text")
    return value


def as_array(value: object, what: str) -> list[Any] | tuple[Any, ...]:
    """Return `value` if it is an array, else raise FormatError."""
    if not isinstance(value, list | tuple):
        raise FormatError(f"{what} must be an array")
    return value
