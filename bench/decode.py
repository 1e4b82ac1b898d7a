"""Decoding a frame: the generated decoders against `cantools` decoding the same frames, with equal results.

Equality is checked on any contents at all, flaws included; timed are frames as a bus carries them, in range.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import frames, pack_dbc
from bench.frames import Frame
from bench.row import Effort, Gate, Row, compared, interleaved
from packseal.core.sample import Flaw
from packseal_drivers import profile
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.profile import Mapped, ProfileFile

GATE = Gate(3.5, at_least=True)
REFERENCE = "packseal/reference96"


def measure(effort: Effort) -> list[Row]:
    """Compare on a DBC of 99 signals, all mapped, and on the reference profile."""
    count = effort.of(10_000, 2_000)
    with tempfile.TemporaryDirectory(prefix="packseal-bench-") as folder:
        (Path(folder) / "pack.dbc").write_text(pack_dbc.write_dbc())
        (Path(folder) / "pack.toml").write_text(pack_dbc.write_profile())
        pack = profile.load("pack.toml", Path(folder))
    reference = profile.load(REFERENCE)
    return [
        _row("decode 99 signals", pack, frames.anything(pack, count), effort),
        _row("decode reference96", reference, frames.sound(reference, count), effort),
    ]


def _row(name: str, file: ProfileFile, timed: Sequence[Frame], effort: Effort) -> Row:
    database, decoders = frames.load_database(file), compile_decoders(file)
    checked = [*frames.anything(file, len(timed)), *timed]
    trouble = differences(file, decoders, database, checked)
    table, slots, decode_message = decoders.table, new_slots(decoders), database.decode_message

    def ours() -> None:
        for address, data in timed:
            table[address](data, slots, _nothing)
        for slot in slots:
            if type(slot) is list:
                slot.clear()

    def peer() -> None:
        for address, data in timed:
            decode_message(address, data, decode_choices=False)

    mine, theirs = interleaved(ours, peer, effort.of(11, 5), effort)
    one, other, ratio = compared(mine, theirs, 1e6 / len(timed))
    note = f"equal on {len(checked)} frames of {len(table)} ids; peer: cantools decode_message(decode_choices=False)"
    return Row(name=name, unit="µs CPU/frame", ours=one, peer=other, ratio=ratio, gate=GATE, note=note, trouble=trouble)


def differences(file: ProfileFile, decoders: Decoders, database: Any, checked: Sequence[Frame]) -> str:
    """Return where the decoders first disagree with cantools and the profile, or nothing."""
    by_message: dict[str, dict[int, Mapped]] = {}
    for slot, mapped in enumerate(file.profile.mapped()):
        by_message.setdefault(mapped.message, {})[slot] = mapped
    for number, (address, data) in enumerate(checked):
        got = decoded(decoders, address, data)
        message = database.get_message_by_frame_id(address)
        values = message.decode(data, decode_choices=False)
        raws = message.decode(data, decode_choices=False, scaling=False)
        for slot, mapped in by_message[message.name].items():
            due = _due(mapped, values.get(mapped.signal), raws.get(mapped.signal))
            if got[slot] != due:
                text = f"{message.name} {mapped.signal} is {got[slot]}, by cantools and the profile {due}"
                return f"frame {number}: {text}"
    return ""


def decoded(decoders: Decoders, address: int, data: bytes) -> list[float | Flaw | None]:
    """Return what one frame leaves in each slot: a value, a flaw, or nothing."""
    slots: list[Any] = new_slots(decoders)
    flaws: dict[int, Flaw] = {}

    def flag(slot: int, flaw: int) -> None:
        flaws[slot] = Flaw(flaw)

    decoders.table[address](data, slots, flag)
    plain = (slot[0] if type(slot) is list and slot else slot for slot in slots)
    return [flaws.get(i, None if value == [] else value) for i, value in enumerate(plain)]


def new_slots(decoders: Decoders) -> list[Any]:
    """Return empty slots."""
    return [[] if averaged else None for averaged in decoders.averaged]


def _due(mapped: Mapped, value: float | None, raw: int | None) -> float | Flaw | None:
    line = mapped.line
    if value is None:
        return None
    if raw in line.not_available:
        return Flaw.NOT_AVAILABLE
    due = value * line.factor + line.offset
    low = -math.inf if line.minimum is None else line.minimum
    high = math.inf if line.maximum is None else line.maximum
    return due if low <= due <= high else Flaw.OUT_OF_RANGE


def _nothing(slot: int, flaw: int) -> None:
    """Take note of a flaw as cheaply as can be."""
