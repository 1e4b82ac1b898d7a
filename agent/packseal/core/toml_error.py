"""TOML to a msgspec Struct, with errors that name file, line and key and say what is allowed."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec.inspect import EnumType, LiteralType, StructType, UnionType

from packseal.core.errors import ConfigError

T = TypeVar("T")
Path = tuple[str | int, ...]

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_NAMED_FIELD = re.compile(r"(?:unknown|required) field `(?P<field>[^`]+)`")
_HEADER = re.compile(r"^\s*(?P<double>\[?)\[(?P<path>[^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(?P<path>[\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=")


def decode_toml(data: bytes, kind: type[T], what: str) -> T:
    """Return the TOML document `data` as a `kind`.

    Args:
        data: the file's bytes.
        kind: a msgspec Struct.
        what: the file's name for the error text.

    Raises:
        ConfigError: one sentence with file, line, key and what is allowed.
    """
    try:
        text = data.decode()
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{what}, line {line}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{what}: not TOML: {error}") from error
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), raw, text, kind, what)) from error


def line_of(text: str, path: Path) -> int:
    """Return the line, from 1, of the key or table at `path`, or of the nearest one around it."""
    best, found = 1, -1
    for number, place in _places(text):
        shared = 0
        for ours, theirs in zip(path, place, strict=False):
            if ours != theirs:
                break
            shared += 1
        if shared == len(place) and shared > found:
            best, found = number, shared
    return best


def _explain(message: str, raw: object, text: str, kind: type[object], what: str) -> str:
    place = _PLACE.search(message)
    reason = message[: place.start()] if place else message
    path: Path = tuple(_steps(place.group("path"))) if place else ()
    named = _NAMED_FIELD.search(reason)
    line = line_of(text, (*path, named.group("field")) if named else path)
    where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")
    names = (
        _allowed(kind, raw, path) if "unknown" in reason or reason.startswith(("Invalid value", "Invalid enum")) else []
    )
    hint = f"; allowed are {', '.join(names)}" if names else ""
    return f"{what}, line {line}: {where + ': ' if where else ''}{reason}{hint}"


def _steps(path: str) -> Iterator[str | int]:
    for name, index in _STEP.findall(path):
        if name:
            yield name
        elif index.isdigit():
            yield int(index)


def _allowed(kind: object, raw: Any, path: Path) -> list[str]:
    """Return the keys of the Struct at `path`, or the tags where `path` is the tag of a union of Structs."""
    info: object = msgspec.inspect.type_info(kind)
    for step in path:
        structs = _structs(info)
        tags = [str(s.tag) for s in structs if s.tag_field == step]
        if tags:
            return tags
        struct = _chosen(structs, raw)
        fields = {f.encode_name: f.type for f in struct.fields} if struct else {}
        info = getattr(info, "item_type", None) if isinstance(step, int) else fields.get(str(step))
        raw = raw[step]
    struct = _chosen(_structs(info), raw)
    return [f.encode_name for f in struct.fields] if struct and isinstance(raw, dict) else _words(info)


def _structs(info: object) -> list[StructType]:
    types = info.types if isinstance(info, UnionType) else (info,)
    return [t for t in types if isinstance(t, StructType)]


def _words(info: object) -> list[str]:
    """Return the values of an enumeration, or of every one in a union."""
    words: list[str] = []
    for kind in info.types if isinstance(info, UnionType) else (info,):
        if isinstance(kind, EnumType):
            words += [str(member.value) for member in kind.cls]
        elif isinstance(kind, LiteralType):
            words += map(str, kind.values)
    return words


def _chosen(structs: list[StructType], raw: Any) -> StructType | None:
    if len(structs) == 1:
        return structs[0]
    return next((s for s in structs if isinstance(raw, dict) and raw.get(s.tag_field or "") == s.tag), None)


def _places(text: str) -> Iterator[tuple[int, Path]]:
    """Yield the line and path of each table header and key. Multi-line strings are read as lines: good enough."""
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = ()
            for name in _names(header.group("path")):
                table = (*table, name)
                if table in counts:
                    table = (*table, counts[table])
            if header.group("double"):
                plain = table if not isinstance(table[-1], int) else table[:-1]
                counts[plain] = counts.get(plain, -1) + 1
                table = (*plain, counts[plain])
            yield number, table
        elif key:
            yield number, (*table, *_names(key.group("path")))


def _names(path: str) -> list[str]:
    return [part.strip().strip("\"'") for part in path.split(".")]
