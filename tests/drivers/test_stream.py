"""The stream of recorded frames: its framer under any chunking, and the driver over a real Unix socket."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.clocks import HandClock, instant

from packseal.core.errors import LinkError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Frame, Instant, LinkState, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.framing.recorded import Recorded, RecordedFramer, encode, encode_end
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Stream

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "stream.md"
V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
S = 1_000_000_000

recorded = st.builds(
    lambda address, data, step, wall_ns, quality: (
        step,
        Recorded(Frame(address, data, 0), Instant(0, wall_ns, quality)),
    ),
    st.integers(0, 0x1FFF_FFFF) | st.integers(0x8000_0000, 0x9FFF_FFFF),
    st.binary(max_size=64),
    st.integers(0, 1 << 40),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from(ClockQuality),
)


def in_order(steps: Sequence[tuple[int, Recorded]]) -> list[Recorded]:
    mono_ns, made = 0, []
    for step, (frame, at) in steps:
        mono_ns += step
        made.append(Recorded(frame._replace(mono_ns=mono_ns), at._replace(mono_ns=mono_ns)))
    return made


@given(st.lists(recorded, max_size=30), st.lists(st.integers(1, 100), min_size=1))
def test_any_chunking_gives_the_same_frames(steps: list[tuple[int, Recorded]], sizes: list[int]) -> None:
    made = in_order(steps)
    raw = b"".join(map(encode, made)) + encode_end()
    framer, found, place, turn = RecordedFramer(), [], 0, 0
    while place < len(raw):
        size = sizes[turn % len(sizes)]
        assert not framer.ended
        found += framer.feed(raw[place : place + size])
        place, turn = place + size, turn + 1
    assert found == made
    assert framer.ended


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<QqIBB2x", 5, 0, 1, 65, 0),
        struct.pack("<QqIBB2x", 5, 0, 1, 8, 4),
        struct.pack("<QqIBBH", 5, 0, 1, 8, 0, 1),
        struct.pack("<QqIBB2x", 4, 0, 1, 8, 0),
    ],
    ids=["too long", "no such quality", "not zero", "time runs back"],
)
def test_what_is_no_such_stream_is_refused(header: bytes) -> None:
    framer = RecordedFramer()
    framer.feed(encode(row(5e-9, 1, 1)[0]))
    with pytest.raises(LinkError):
        framer.feed(header + bytes(8))


def test_the_page_of_the_format_has_these_bytes() -> None:
    example = PAGE.read_text().split("```")[1].replace(" ", "").strip()
    framer = RecordedFramer()
    (found,) = framer.feed(bytes.fromhex(example))
    assert found.at == Instant(1_500_000_000, 1_800_000_001_500_000_000, ClockQuality.NTP)
    assert found.frame == Frame(0x3F0, struct.pack("<ii", 3914000, -22910), 1_500_000_000)


def row(second: float, volts: float, amperes: float, skew_ns: int = 0) -> list[Recorded]:
    at = instant(round(second * S))
    data = struct.pack("<ii", round(volts * 10_000), round(amperes * 10_000))
    return [Recorded(Frame(0x3F0, data, at.mono_ns), at._replace(wall_ns=at.wall_ns + skew_ns))]


def stream_of(rows: Sequence[Sequence[Recorded]]) -> bytes:
    return b"".join(encode(r) for frames in rows for r in frames)


Feed = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def feeding(path: Path, *connections: Feed) -> AsyncIterator[None]:
    """Serve each connection in its turn."""
    left = list(connections)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if left:
                await left.pop(0)(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield


def say(raw: bytes) -> Feed:
    async def feed(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return feed


def driver_at(path: Path, period_s: float | None = None) -> Driver:
    return open_driver(
        Stream(path.name), profile.load("bmw/i3_replay"), directory=path.parent, cache=None, clock=HandClock(),
        period_s=period_s,
    )  # fmt: skip


def replay(path: Path, *connections: Feed, period_s: float | None = None) -> tuple[Driver, list[Sample | Notice]]:
    driver = driver_at(path, period_s)

    async def run() -> list[Sample | Notice]:
        async with feeding(path, *connections), asyncio.timeout(20), aclosing(driver.batches()) as batches:
            return [item async for batch in batches for item in batch]

    return driver, asyncio.run(run())


def values(said: list[Sample | Notice], channel: Channel) -> list[float]:
    return [item.values[channel] for item in said if isinstance(item, Sample) and channel in item.values]


def test_every_row_is_a_sample_at_its_own_time_and_the_end_is_the_end(tmp_path: Path) -> None:
    rows = [row(t, 390 + t, t - 50) for t in range(100)]
    driver, said = replay(tmp_path / "s", say(stream_of(rows) + encode_end()))
    assert values(said, V) == pytest.approx([390 + t for t in range(100)])
    assert values(said, A) == pytest.approx([t - 50 for t in range(100)])
    assert [item.at for item in said] == [instant(t * S) for t in range(100)]
    assert driver.clock.now() == instant(99 * S)
    assert (driver.counts.frames, driver.counts.samples, driver.counts.unknown) == (100, 100, 0)


def test_the_recordings_wall_clock_may_step_a_year(tmp_path: Path) -> None:
    year_ns = 365 * 86_400 * S
    rows = [row(t, 400, 0, year_ns if 3 <= t < 6 else -year_ns if t >= 6 else 0) for t in range(9)]
    _, said = replay(tmp_path / "s", say(stream_of(rows) + encode_end()))
    steps = [item.at.wall_ns - instant(item.at.mono_ns).wall_ns for item in said]
    assert steps == [0] * 3 + [year_ns] * 3 + [-year_ns] * 3


def test_a_period_may_be_asked_for(tmp_path: Path) -> None:
    rows = [row(t / 10, 400 + t, 0) for t in range(25)]
    _, said = replay(tmp_path / "s", say(stream_of(rows) + encode_end()), period_s=1)
    assert values(said, V) == pytest.approx([409, 419, 424])


def test_unknown_short_and_flawed_are_counted_and_told_once(tmp_path: Path) -> None:
    odd = [
        Recorded(Frame(0x123, bytes(8), 0), instant(0)),
        Recorded(Frame(0x3F0, bytes(3), 0), instant(0)),
        *(r for t in range(1, 50) for r in row(t, 1600, 0)),
    ]
    driver, said = replay(tmp_path / "s", say(b"".join(map(encode, odd)) + encode_end()))
    counts = driver.counts
    assert (counts.frames, counts.unknown, counts.short, counts.flawed, counts.samples) == (51, 1, 1, 49, 49)
    assert {f for item in said if isinstance(item, Sample) for f in item.flaws.items()} == {(V, Flaw.OUT_OF_RANGE)}
    (notice,) = [item for item in said if isinstance(item, Notice)]
    assert notice.code is EventCode.VALUES_FLAWED
    assert notice.at == instant(1 * S)
    assert said.index(notice) == 1


def test_a_cut_connection_is_told_and_goes_on_where_the_feeder_goes_on(tmp_path: Path) -> None:
    first, second = [row(t, 400, t) for t in range(10)], [row(t, 400, t) for t in range(10, 20)]
    half = encode(second[0][0])[:11]
    driver, said = replay(tmp_path / "s", say(stream_of(first) + half), say(stream_of(second) + encode_end()))
    assert values(said, A) == pytest.approx(list(range(20)))
    codes = [item.code for item in said if isinstance(item, Notice)]
    assert codes == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]
    assert driver.counts.state is LinkState.HEALTHY
    times = [item.at.mono_ns for item in said]
    assert times == sorted(times)


def test_a_recording_that_begins_again_is_refused(tmp_path: Path) -> None:
    first, again = [row(t, 400, t) for t in range(5, 10)], [row(t, 400, -t) for t in range(20)]
    rest = [row(10, 400, 10)]
    _, said = replay(tmp_path / "s", say(stream_of(first)), say(stream_of(again)), say(stream_of(rest) + encode_end()))
    assert values(said, A) == pytest.approx([5, 6, 7, 8, 9, 10])


def test_a_feeder_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    driver = driver_at(path)

    async def run() -> list[Sample | Notice]:
        async with asyncio.timeout(20), aclosing(driver.batches()) as batches:
            first = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.05)
            assert not first.done()
            assert driver.clock.now().mono_ns == 0
            async with feeding(path, say(stream_of([row(7, 400, 1), row(8, 400, 1)]) + encode_end())):
                return [*await first]

    assert [type(item) for item in asyncio.run(run())] == [Sample]


def test_the_feeder_waits_for_a_slow_agent_and_nothing_is_lost(tmp_path: Path) -> None:
    rows, sent = 100_000, 0

    async def feed(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for start in range(0, rows, 100):
            writer.write(stream_of([row(t, 400, 0) for t in range(start, start + 100)]))
            await writer.drain()
            sent = start + 100
        writer.write(encode_end())
        await writer.drain()

    path = tmp_path / "s"
    driver = driver_at(path)

    async def run() -> int:
        async with feeding(path, feed), asyncio.timeout(60), aclosing(driver.batches()) as batches:
            got = len(await anext(batches))
            await asyncio.sleep(0.3)
            assert sent < rows / 4
            async for batch in batches:
                got += len(batch)
            return got

    assert asyncio.run(run()) == rows


def test_closing_the_iterator_hangs_up(tmp_path: Path) -> None:
    path = tmp_path / "s"
    hung_up = asyncio.Event()

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(stream_of([row(0, 400, 0), row(1, 400, 0)]))
            assert await reader.read() == b""  # the agent never sends, and then is gone
            hung_up.set()
            writer.close()

        async with await asyncio.start_unix_server(serve, path), asyncio.timeout(20):
            async with aclosing(driver_at(path).batches()) as batches:
                await anext(batches)
            await hung_up.wait()

    asyncio.run(run())
