"""Frames of a profile's messages: with any contents at all, and with values as a healthy BMS sends them."""

import math
import random
from collections.abc import Mapping
from typing import Any

import cantools.database

from packseal_drivers.lines import Signal
from packseal_drivers.profile import ProfileFile

Frame = tuple[int, bytes]
Lines = Mapping[tuple[str, str], Signal]


def load_database(file: ProfileFile) -> Any:
    """Return the profile's DBC as cantools has it."""
    return cantools.database.load_string(file.dbc.decode("cp1252"), "dbc", strict=False)


def anything(file: ProfileFile, count: int, seed: int = 1) -> list[Frame]:
    """Return frames with random bits, of the pack's cycle over and over; a multiplexer is the first byte."""
    chance, turn = random.Random(seed), cycle(file)
    made = []
    for i in range(count):
        message, group = turn[i % len(turn)]
        data = bytearray(chance.randbytes(message.length))
        if group is not None:
            data[0] = group
        made.append((message.frame_id, bytes(data)))
    return made


def sound(file: ProfileFile, count: int, seed: int = 2) -> list[Frame]:
    """Return frames of the pack's cycle over and over, each value somewhere within the ranges of profile and DBC."""
    chance, turn = random.Random(seed), cycle(file)
    lines = {(m.message, m.signal): m.line for m in file.profile.mapped()}
    return [_sound(*turn[i % len(turn)], lines, chance) for i in range(count)]


def cycle(file: ProfileFile) -> list[tuple[Any, int | None]]:
    """Return what the pack sends until it has said everything once: each mapped message, each of its groups."""
    database = load_database(file)
    messages = [database.get_message_by_name(name) for name in sorted({m.message for m in file.profile.mapped()})]
    return [(message, group) for message in messages for group in _groups(message)]


def _groups(message: Any) -> list[int] | list[None]:
    return sorted({group for signal in message.signals for group in signal.multiplexer_ids or ()}) or [None]


def _sound(message: Any, group: int | None, lines: Lines, chance: random.Random) -> Frame:
    values: dict[str, float] = {}
    for signal in message.signals:
        if signal.is_multiplexer and group is not None:
            values[signal.name] = group
        elif signal.multiplexer_ids is None or group in signal.multiplexer_ids:
            values[signal.name] = _in_range(signal, lines.get((message.name, signal.name)), chance)
    return message.frame_id, bytes(message.encode(values, strict=False))


def _in_range(signal: Any, line: Signal | None, chance: random.Random) -> float:
    low, high = signal.minimum, signal.maximum
    if line is not None:
        least = -math.inf if line.minimum is None else line.minimum
        greatest = math.inf if line.maximum is None else line.maximum
        ends = sorted((end - line.offset) / line.factor for end in (least, greatest))
        low, high = max(low, ends[0]), min(high, ends[1])
    return chance.uniform(low, high)
