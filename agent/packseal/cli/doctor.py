"""packseal doctor: checks everything between the battery and the sink, one line each, and says what to do."""

import argparse
import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

from packseal import clock, config
from packseal.cli import ended_text
from packseal.config import Battery, Config
from packseal.config_uplink import Uplink
from packseal.core import exchange
from packseal.core.combining import Arrangement
from packseal.core.errors import InputError, PacksealError
from packseal.core.sample import ClockQuality, EventCode, LinkCounts, Notice
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal.runtime import opening, publishing, ways
from packseal.runtime.source import ConfiguredSource
from packseal_drivers import dbc_doctor
from packseal_drivers import profile as profiles
from packseal_drivers.driver import Driver
from packseal_drivers.settings import Ble, Modbus

GOOD, BAD, NOTE = "ok   ", "FAIL ", "note "
LOW_DISK_BYTES = 200 << 20
"""About four days of one battery's records at 1 Hz with their write-ahead log (50 MB written per day)."""
UPLINK_S = 15.0
AIR_S = 25.0
"""To be found may take 20 s (drivers/packseal_drivers/links/ble.py)."""

Finding = tuple[str, str]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--dbc", type=Path, metavar="FILE", help="examine a DBC file, and nothing else")
    parser.add_argument(
        "--listen", type=float, default=5.0, metavar="S", help="seconds per wire (default: %(default)s)"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the findings; returns 0 when nothing failed."""
    if args.dbc is not None:
        return _examine(args.dbc)
    settings = config.load(args.config)
    print(f"{GOOD}configuration {settings.path}")
    failed = False

    async def check() -> None:
        nonlocal failed
        async for mark, text in _findings(settings, args.listen):
            failed |= mark == BAD
            print(mark + text, flush=True)

    asyncio.run(check())
    return 1 if failed else 0


def _examine(path: Path) -> int:
    """Print what is wrong with a DBC file; raises ConfigError where it cannot be loaded."""
    try:
        examined = dbc_doctor.examine(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    messages = examined.database.messages
    print(f"{GOOD}{path}: {len(messages)} messages, {sum(len(m.signals) for m in messages)} signals")
    for finding in examined.findings:
        print(f"{NOTE}{finding}")
    return 0


async def _findings(settings: Config, listen_s: float) -> AsyncIterator[Finding]:
    for finding in (*_key(settings), *_clock(), *_disk(settings)):
        yield finding
    for battery in settings.file.battery:
        if battery.arrangement is not None:
            for finding in _made_of_parts(battery, battery.arrangement, settings):
                yield finding
            continue
        async for finding in _wire(settings, battery, listen_s):
            yield finding
    async for finding in _uplinks(settings):
        yield finding
    async for finding in _publishers(settings):
        yield finding


def _key(settings: Config) -> Iterator[Finding]:
    try:
        signer = key_file.load(settings.key)
    except PacksealError as error:
        yield BAD, str(error)
    else:
        yield GOOD, f"key {settings.key}, {signer.algorithm.name}, thumbprint {signer.kid.hex()[:16]}…"


def _clock() -> Iterator[Finding]:
    quality = clock.quality()
    if quality is ClockQuality.UNSYNCHRONISED:
        yield NOTE, "clock not synchronised: records say so; order and durations do not depend on it"
    else:
        yield GOOD, f"clock: {quality.name}"


def _disk(settings: Config) -> Iterator[Finding]:
    directory = settings.journal.parent
    if not os.access(directory, os.W_OK):
        yield BAD, f"journal directory {directory} cannot be written: create it, or check its owner"
        return
    free = shutil.disk_usage(directory).free
    mark = GOOD if free >= LOW_DISK_BYTES else BAD
    yield mark, f"disk of {directory}: {free >> 20} MiB free"
    if not settings.journal.exists():
        yield GOOD, f"journal {settings.journal}: made by the first run"
        return
    try:
        with Journal.open_to_read(settings.journal) as journal:
            records = sum(entry.records for entry in journal.stats())
            ended = journal.contradictions()
        yield GOOD, f"journal {settings.journal}: {records} records"
        for one in ended:
            yield NOTE, f"log {one.log_id.hex()[:8]} {ended_text.happened(one)}. {ended_text.ADVICE}"
    except PacksealError as error:
        yield BAD, str(error)


def _made_of_parts(battery: Battery, arrangement: Arrangement, settings: Config) -> Iterator[Finding]:
    """Yield the findings of a battery without a wire of its own; its parts' wires are tried for themselves."""
    yield GOOD, f"battery {battery.id}: {arrangement.value} of {', '.join(battery.parts)}"
    rated = {b.id: b.declared.rated_capacity_ah for b in settings.file.battery}
    unrated = [part for part in battery.parts if rated[part] is None]
    if arrangement is Arrangement.PARALLEL and unrated:
        named = ", ".join(unrated)
        yield NOTE, f"battery {battery.id}: no state of charge without rated_capacity_ah of each part: {named}"


async def _wire(settings: Config, battery: Battery, listen_s: float) -> AsyncIterator[Finding]:
    try:
        profile = profiles.load(battery.profile or "", settings.directory)
        driver = opening.open_battery_driver(settings, battery, clock.SystemClock())
    except PacksealError as error:
        yield BAD, f"battery {battery.id}: {error}"
        return
    yield GOOD, f"profile {battery.profile}: {profile.profile.title}"
    if profile.profile.dbc is not None:
        for finding in dbc_doctor.examine(profile.dbc, profile.dbc_path).findings:
            yield NOTE, f"{profile.dbc_path}, {finding}"
    if settings.socket.exists():
        yield NOTE, f"wire of {battery.id} not tried, an agent is running: ask packseal status"
        return
    try:
        on_air = isinstance(battery.link, Ble)
        most_s = max(listen_s, AIR_S) if on_air else listen_s  # it has to be found and connected to first
        why = await _listen(driver, most_s, enough=1 if isinstance(battery.link, Modbus) else 2, patient=not on_air)
    except PacksealError as error:
        yield BAD, f"wire of {battery.id}: {error}"
        return
    if isinstance(battery.link, Modbus):
        yield _answered(battery, battery.link, driver.counts, why)
        if trouble := getattr(driver, "trouble", ""):
            yield NOTE, f"wire of {battery.id}: {trouble}"
    elif isinstance(battery.link, Ble):
        yield _on_the_air(battery, battery.link, driver.counts, why)
    else:
        yield _heard(battery, driver.counts, listen_s)


async def _listen(driver: Driver, listen_s: float, enough: int, *, patient: bool = True) -> str:
    """Listen until there are enough samples; return why the link was lost, "" where it was not.

    Of a bus the first sample may be half a period, so two are enough. What is asked for is whole at once.
    Who is not patient has enough when the link was lost once.
    """
    why = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(listen_s), aclosing(driver.batches()) as batches:
            async for batch in batches:
                lost = [item for item in batch if isinstance(item, Notice) and item.code is EventCode.LINK_LOST]
                why = str(lost[-1].attributes.get("reason", "")) if lost else why
                if driver.counts.samples >= enough or (why and not patient):
                    break
    return why


def _answered(battery: Battery, link: Modbus, counts: LinkCounts, why: str) -> Finding:
    """Return the finding of a battery over Modbus."""
    declined = ", ".join(f"exception {code}: {count}" for code, count in sorted(counts.declined.items()))
    seen = f"{counts.requests} requests, {counts.answers} answers, {counts.negative} declined"
    seen += f" ({declined})" if declined else ""
    seen += f", {counts.unanswered} unanswered, {counts.cut} broken"
    if counts.samples:
        return GOOD, f"wire of {battery.id}: {counts.samples} samples ({seen})"
    if why and not counts.answers:
        return BAD, f"wire of {battery.id}: {why}"
    if counts.negative and not counts.answers:
        return BAD, f"wire of {battery.id}: {seen}: the device declines it all; is it this battery's profile and unit?"
    if counts.cut or counts.unexpected:
        return (
            BAD,
            f"wire of {battery.id}: {seen}: check baud, parity and termination, and that the unit id is used once",
        )
    return BAD, f"wire of {battery.id}: {seen}: is unit {link.unit} right, and the battery awake?"


def _on_the_air(battery: Battery, link: Ble, counts: LinkCounts, why: str) -> Finding:
    """Return the finding of a battery over Bluetooth."""
    seen = f"{counts.answers} whole answers, {counts.cut} cut off, {counts.doubted} waiting for another that agrees"
    if counts.samples:
        return GOOD, f"wire of {battery.id}: {counts.samples} samples ({seen})"
    if why:
        return BAD, f"wire of {battery.id}: {why}"
    if counts.cut and not counts.answers:
        return BAD, f"wire of {battery.id}: {seen}: what it says is not what the profile expects; is it the right one?"
    return BAD, f"wire of {battery.id}: {link.where} is connected and says nothing ({seen}): is it the right profile?"


def _heard(battery: Battery, counts: LinkCounts, listen_s: float) -> Finding:
    known = counts.frames - counts.unknown
    seen = f"{counts.frames} frames, {counts.unknown} unknown, {counts.short} short, {counts.error_frames} error frames"
    if counts.samples:
        return GOOD, f"wire of {battery.id}: {counts.samples} samples ({seen})"
    if counts.frames and not known:
        return BAD, f"wire of {battery.id}: {seen}: no id of the profile among them; is it this battery's profile?"
    if counts.requests and not counts.answers:
        return BAD, f"wire of {battery.id}: {counts.requests} requests and no answer ({seen}): is the vehicle awake?"
    if counts.error_frames:
        return BAD, f"wire of {battery.id}: {seen}: check bit rate, termination and that another node is awake"
    state = counts.state.name.lower().replace("_", " ")
    return (
        BAD,
        f"wire of {battery.id}: nothing heard in {listen_s:g} s ({state}): is the interface up and the BMS awake?",
    )


async def _uplinks(settings: Config) -> AsyncIterator[Finding]:
    if not settings.uplinks:
        yield NOTE, "no uplink configured: records are only kept"
    several = len(settings.uplinks) > 1
    for one in settings.uplinks:
        async for finding in _uplink(settings, one, f"uplink {one.title}" if several else "uplink"):
            yield finding


async def _uplink(settings: Config, one: Uplink, what: str) -> AsyncIterator[Finding]:
    try:
        uplink, key = ways.open_uplink(settings, one), ways.read_sink_key(settings)
        async with asyncio.timeout(UPLINK_S), uplink:
            exchange.decode_reply(await uplink.exchange(exchange.encode_position([])))
        for note in uplink.notes:
            yield NOTE, f"{what}: {note}"
    except TimeoutError:
        yield BAD, f"{what}: no answer within {UPLINK_S:g} s"
    except PacksealError as error:
        yield BAD, f"{what}: {error}"
    else:
        checked = f"; receipts are checked with key {key.kid.hex()[:16]}…" if key else ""
        yield GOOD, f"{what}: the sink answers{checked}"


async def _publishers(settings: Config) -> AsyncIterator[Finding]:
    try:
        publishers = publishing.open_publishers(settings, ConfiguredSource(settings))
    except PacksealError as error:
        yield BAD, f"publish: {error}"
        return
    for publisher in publishers:
        what = f"publish {publisher.status.kind} to {publisher.status.target}"
        try:
            async with asyncio.timeout(UPLINK_S):
                yield GOOD, f"{what}: {await publisher.check()}"
        except TimeoutError:
            yield BAD, f"{what}: no answer within {UPLINK_S:g} s"
        except PacksealError as error:
            yield BAD, f"{what}: {error}"
