"""Declared data from a file, from an existing passport, or from KEY=VALUE arguments."""

import json
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from packseal.cli.declared_text import LABELS, typed
from packseal.cli.present import safe
from packseal.core.declared import Declared
from packseal.core.errors import FormatError, InputError
from packseal.core.toml_error import decode_toml
from packseal.core.translate.declared_from import declared_from

MAX_FILE_BYTES = 16 << 20


def file(path: Path) -> dict[str, Any]:
    """Return what a TOML or JSON file declares, the keys being those of [battery.declared].

    Raises:
        ConfigError, InputError: naming the file and what is wrong in it.
    """
    data = _bytes(path)
    if path.suffix == ".json":
        found = _json(path, data)
        try:
            declared = msgspec.convert(found, Declared)
        except msgspec.ValidationError as error:
            reason, _, name = str(error).partition(" - at `$.")
            raise InputError(f"{path}: {name.rstrip('`')}{': ' if name else ''}{reason}") from error
    else:
        declared = decode_toml(data, Declared, str(path))
    defaults = Declared()
    return {n: v for n in Declared.__struct_fields__ if (v := getattr(declared, n)) != getattr(defaults, n)}


def passport(path: Path) -> dict[str, Any]:
    """Return what an existing passport declares, and say what was taken from it and what was not.

    Raises:
        InputError: it is in no model that we read, or a value in it is none.
    """
    try:
        found = declared_from(_json(path, _bytes(path)))
    except FormatError as error:
        raise InputError(f"{path}: {error}") from error
    print(f"{path}: {', '.join(found.models)}, {len(found.values)} values", file=sys.stderr)
    for note in found.notes:
        print(f"  not taken: {safe(note)}", file=sys.stderr)
    return dict(found.values)


def pairs(words: Sequence[str]) -> dict[str, Any]:
    """Return what KEY=VALUE arguments say, None for an empty value; raises InputError."""
    said: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--set {safe(word)}: write it as KEY=VALUE, such as rated_capacity_ah=60")
        if name not in LABELS:
            near = get_close_matches(name, LABELS, n=1)
            hint = f"is it {near[0]}?" if near else f"allowed are {', '.join(LABELS)}"
            raise InputError(f"--set {safe(word)}: there is no {safe(name)}; {hint}")
        try:
            said[name] = typed(name, text) if text.strip() else None
        except ValueError as error:
            raise InputError(f"--set {safe(word)}: {error}") from None
    return said


def with_values(declared: Declared, said: Mapping[str, Any]) -> Declared:
    """Return `declared` with the values of `said`, None taking one away; raises InputError if they do not fit."""
    defaults = Declared()
    values = {n: getattr(declared, n) for n in Declared.__struct_fields__}
    values |= {n: getattr(defaults, n) if v is None else v for n, v in said.items()}
    try:
        return msgspec.convert(values, Declared)
    except msgspec.ValidationError as error:
        raise InputError(f"nothing was written: {error}") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB: this is no declared data")
    return data


def _json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply") from None
