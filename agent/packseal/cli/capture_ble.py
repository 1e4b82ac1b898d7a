"""packseal capture OUT.ble: writes all that a configured battery says over Bluetooth to a file."""

import argparse
import asyncio
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

from packseal import config
from packseal.cli.present import counted
from packseal.clock import SystemClock
from packseal.core.errors import InputError, LinkError
from packseal.core.sample import EventCode, Notice
from packseal.runtime import opening

FOREIGN = "aiobmsble/any"

if TYPE_CHECKING:
    from packseal_drivers.ble.driver import BleDriver


def execute(args: argparse.Namespace) -> int:
    """Write the dump; returns 0 when it holds anything."""
    from packseal_drivers.ble.dump import Said, write  # noqa: PLC0415 - lazy, as every command is

    battery_id, driver = _opened(args)
    lines, heard = 0, 0
    try:
        file = args.file.open("x", encoding="ascii")
    except FileExistsError as error:
        raise InputError(f"{args.file} is there already: name a new file") from error
    except OSError as error:
        raise InputError(f"cannot write {args.file}: {error.strerror}") from error

    def tap(way: str, uuid: str, data: bytes, mono_ns: int) -> None:
        nonlocal lines, heard
        now = driver.clock.now()
        write(file, Said(now.wall_ns + mono_ns - now.mono_ns, uuid, way, data))
        lines += 1
        heard += way != ">"

    driver.tap = tap
    with file:
        trouble = asyncio.run(_record(driver, args.seconds))
    if not heard:
        raise LinkError(trouble or "nothing was said: is it this profile's battery?")
    print(f"{args.file}: {counted(lines, 'line')} of {battery_id}, {heard} of them said by it")
    return 0


def _opened(args: argparse.Namespace) -> "tuple[str, BleDriver]":
    from packseal_drivers.ble.driver import BleDriver  # noqa: PLC0415 - lazy, as every command is

    if args.config is None or args.channel is not None:
        raise InputError("a .ble file is made of a configured battery: name it with --config, --battery")
    settings = config.load(args.config)
    for battery in settings.file.battery:
        if args.battery in (None, battery.id):
            driver = opening.open_battery_driver(settings, battery, SystemClock())
            if driver.name == FOREIGN:
                raise InputError(f"battery {battery.id} is read by aiobmsble, which keeps what was said to itself")
            if not isinstance(driver, BleDriver):
                raise InputError(f"battery {battery.id} is not read over Bluetooth: a .ble file is not for it")
            return battery.id, driver
    raise InputError(f"{args.config} has no battery {args.battery}")


async def _record(driver: "BleDriver", seconds: float | None) -> str:
    """Listen until it is time, or the user has had enough; return why the battery was lost, "" where it was not."""
    reasons: list[str] = []

    async def listen() -> None:
        async with aclosing(driver.batches()) as batches:
            async for batch in batches:
                lost = [item for item in batch if isinstance(item, Notice) and item.code is EventCode.LINK_LOST]
                reasons.extend(str(notice.attributes.get("reason", "")) for notice in lost)

    task = asyncio.ensure_future(listen())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait((task,), timeout=seconds)
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    return reasons[-1] if reasons else ""
