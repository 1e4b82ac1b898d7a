"""Decoding: functions generated once from DBC and profile, kept in a cache, for the mapped signals only."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from packseal.core.quantities import Channel
from packseal_drivers import placeholders
from packseal_drivers.decoding import cache
from packseal_drivers.decoding.codes import ANSWERS, SHORT, UNKNOWN_MULTIPLEXER
from packseal_drivers.profile import ProfileFile

__all__ = ["SHORT", "UNKNOWN_MULTIPLEXER", "Decode", "Decoders", "Flag", "compile_decoders"]

log = logging.getLogger(__name__)

Flag = Callable[[int, int], object]
"""Takes slot and flaw of an unusable value; what it returns is put into the slot."""

Decode = Callable[[bytes, list[Any], Flag], int | None]
"""Takes data, slots and a Flag; returns None, SHORT or UNKNOWN_MULTIPLEXER. Never raises, whatever the data."""


@dataclass(frozen=True, slots=True)
class Decoders:
    """One decoder per address, and one per request of the profile for its answer's bytes.

    A slot takes a float or, where `averaged`, is a list to append to. A value within one of its slot's `constants` is a
    placeholder; whoever closes a sample takes it out.
    """

    table: Mapping[int, Decode]
    channels: tuple[Channel, ...]
    averaged: tuple[bool, ...]
    answers: Mapping[int, Decode] = field(default_factory=dict)
    constants: placeholders.Bands = field(default_factory=dict)


def compile_decoders(file: ProfileFile, directory: Path | None = None, firmware: str | None = None) -> Decoders:
    """Return the decoders of a profile, from the cache `directory` where they are in it and it is ours.

    `firmware` is the version of the battery's own program, on which placeholders depend; None where it is not known.

    Raises:
        ConfigError: DBC and profile do not fit each other.
    """
    name = cache.key(file)
    code = cache.read(directory, name) if directory else None
    if code is None:
        code = compile(_generate(file), f"<decoders {name[:12]}>", "exec")
        if directory and not cache.write(directory, name, code):
            log.warning("decoders cannot be kept in %s, so every start makes them anew", directory)
    table, steps = _execute(code)
    frames = {address: decode for address, decode in table.items() if address < ANSWERS}
    answers = {address - ANSWERS: decode for address, decode in table.items() if address >= ANSWERS}
    constants = placeholders.bands(file.profile, steps, firmware)
    return Decoders(frames, file.profile.channels, file.profile.averaged, answers, constants)


def _generate(file: ProfileFile) -> str:
    from packseal_drivers.decoding import answer, layout, source, steps  # noqa: PLC0415 - needless with a warm cache

    layouts = (*layout.read(file), *answer.read(file))
    return f"{source.generate(layouts)}STEPS = {steps.steps(file.profile, layouts)!r}\n"


def _execute(code: CodeType) -> tuple[Mapping[int, Decode], Mapping[int, float]]:
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 - made from our own text, see cache
    return namespace["TABLE"], namespace["STEPS"]
