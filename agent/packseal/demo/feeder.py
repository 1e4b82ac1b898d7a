"""Feeder: the battery of the demo, a process of its own: `python -m packseal.demo.feeder '{"kind": "replay", …}'`.

A replay streams a table's rows through a socket that holds it back; a live feed puts the simulated pack on a bus at the
machine's own pace.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from packseal.clock import SystemClock
from packseal.core.errors import PacksealError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Frame, Instant
from packseal.demo import table
from packseal.demo.frames import Framing, Raw
from packseal.demo.pack import SimulatedPack
from packseal.demo.player import Part, Player, Progress
from packseal.demo.table import Row
from packseal_drivers.framing.recorded import Recorded, encode
from packseal_drivers.settings import PythonCan, SocketCan, Stream

if TYPE_CHECKING:
    from packseal.demo.plan import Plan

PERIOD_S = 0.1
"""Every frame of the simulated pack is sent ten times a second."""

PART_ROWS = 64
PART_S = 0.02
TELL_S = 0.1
START_NS = NS_PER_S
"""The recording's monotonic clock at its first row, where every row is a sample."""

COLUMNS = {
    "v_v": Quantity.PACK_VOLTAGE_V,
    "i_a": Quantity.PACK_CURRENT_A,
    "temp_c": Quantity.TEMPERATURE_C,
    "soc_pct": Quantity.STATE_OF_CHARGE_PCT,
}


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="replay"):
    """A table to be streamed. `speed` None is as fast as the agent takes it; `last_wall_ns` is the last row's UTC."""

    table: str
    columns: tuple[str, ...]
    profile: str
    socket: str
    progress: str
    start_ns: int
    span_s: float
    last_wall_ns: int
    speed: float | None = None


class Live(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="live"):
    """The simulated pack on a bus; a stream's path is absolute here."""

    link: SocketCan | PythonCan | Stream
    profile: str
    progress: str


def command(plan: "Plan") -> list[str]:
    """Return the command that feeds the demo of `plan`."""
    where, options = plan.places, plan.options
    order: Replay | Live
    if options.replay is None or plan.survey is None:
        link = Stream(str(where.bus)) if isinstance(plan.link, Stream) else plan.link
        order = Live(link, options.profile_name, str(where.progress))
    else:
        wait_s = plan.survey.played_s / options.speed if options.speed else 0.0
        order = Replay(
            table=str(options.replay.absolute()),
            columns=tuple(sorted(plan.survey.columns & set(COLUMNS))),
            profile=options.profile_name,
            socket=str(where.bus),
            progress=str(where.progress),
            start_ns=START_NS,
            span_s=plan.survey.span_s,
            last_wall_ns=time.time_ns() + round(wait_s * NS_PER_S),
            speed=options.speed,
        )
    return [sys.executable, "-m", "packseal.demo.feeder", msgspec.json.encode(order).decode()]


def replay(order: Replay) -> None:
    """Stream the table, then its end. Does not return."""
    player = Player(Path(order.socket), _teller(Path(order.progress)))
    player.play(_parts(order, Framing(order.profile)))
    player.end()


def live(order: Live) -> None:
    """Put the simulated pack on its bus, ten times a second. Does not return."""
    framing, pack, progress = Framing(order.profile), SimulatedPack(), Progress(connections=1)
    tell = _teller(Path(order.progress))
    if isinstance(order.link, Stream):
        Player(Path(order.link.path), tell).play(_live_parts(framing, pack))
        return
    send = _sender(order.link)
    start_s = time.monotonic()
    for number in range(sys.maxsize):
        time.sleep(max(0.0, start_s + number * PERIOD_S - time.monotonic()))
        frames = framing.frames(pack.values(number * PERIOD_S))
        send(frames)
        progress.rows += 1
        progress.frames += len(frames)
        tell(progress)


def main(arguments: Sequence[str]) -> int:
    """Follow the order in the first argument until ended; returns 1 with one line when it cannot."""
    try:
        order = msgspec.json.decode(arguments[0], type=Replay | Live)
        replay(order) if isinstance(order, Replay) else live(order)
    except PacksealError as error:
        print(f"feeder: {error}", file=sys.stderr)  # noqa: T201 - it is a command
    return 1


def _parts(order: Replay, framing: Framing) -> Iterator[Part]:
    """Yield the table's messages in parts that are due together."""
    data, rows, frames, due_s, played_ns, last_ns = bytearray(), 0, 0, 0.0, 0, 0
    for row in table.rows(Path(order.table)):
        played_ns, last_ns = played_ns + table.playing_ns(row.at_ns - last_ns), row.at_ns
        now_s = played_ns / NS_PER_S / order.speed if order.speed else 0.0
        if rows and (rows >= PART_ROWS or now_s - due_s > PART_S):
            yield Part(due_s, bytes(data), rows, frames)
            data, rows, frames = bytearray(), 0, 0
        if not rows:
            due_s = now_s
        at = _instant(order, row.at_ns)
        for address, payload in framing.frames(_said(row, order.columns)):
            data += encode(Recorded(Frame(address, payload, at.mono_ns), at))
            frames += 1
        rows += 1
    if rows:
        yield Part(due_s, bytes(data), rows, frames)


def _said(row: Row, columns: Sequence[str]) -> dict[Channel, float | None]:
    """Return what the BMS said in this row; None for what it had a column for and did not know."""
    values = {"v_v": row.voltage_v, "i_a": row.current_a, "temp_c": row.temperature_c, "soc_pct": row.soc_pct}
    return {Channel(COLUMNS[name]): values[name] for name in columns}


def _instant(order: Replay, at_ns: int) -> Instant:
    # Nobody knows when it was: the last row is put at the present, which no clock vouches for.
    wall_ns = order.last_wall_ns - round(order.span_s * NS_PER_S) + at_ns
    return Instant(order.start_ns + at_ns, max(0, wall_ns), ClockQuality.UNSYNCHRONISED)


def _live_parts(framing: Framing, pack: SimulatedPack) -> Iterator[Part]:
    clock = SystemClock()
    for number in range(sys.maxsize):
        frames = framing.frames(pack.values(number * PERIOD_S))
        at = clock.now()
        yield Part(
            number * PERIOD_S,
            b"".join(encode(Recorded(Frame(*frame, at.mono_ns), at)) for frame in frames),
            1,
            len(frames),
        )


def _sender(link: SocketCan | PythonCan) -> Callable[[Sequence[Raw]], None]:
    import can  # noqa: PLC0415 - a replay needs no bus

    if isinstance(link, SocketCan):
        bus = can.Bus(interface="socketcan", channel=link.channel)
    else:
        options: dict[str, Any] = link.options
        bus = can.Bus(interface=link.interface, channel=link.channel, **options)

    def send(frames: Sequence[Raw]) -> None:
        for address, data in frames:
            extended = bool(address >> 31)
            bus.send(can.Message(arbitration_id=address & 0x1FFF_FFFF, data=data, is_extended_id=extended))

    return send


def _teller(path: Path) -> Callable[[Progress], None]:
    """Return what writes the progress for the demo to read: at most every tenth of a second, and at the end."""
    fresh, told_s, ended = path.with_suffix(".new"), 0.0, False

    def tell(progress: Progress) -> None:
        nonlocal told_s, ended
        now_s = time.monotonic()
        if now_s - told_s >= TELL_S or progress.ended is not ended:
            fresh.write_bytes(msgspec.json.encode(progress))
            fresh.replace(path)
            told_s, ended = now_s, progress.ended

    return tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
