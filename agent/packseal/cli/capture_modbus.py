"""packseal capture OUT.registers: writes every answer of a configured Modbus battery to a file."""

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

if TYPE_CHECKING:
    from packseal.config import Battery, Config
    from packseal_drivers.modbus.driver import ModbusDriver


def execute(args: argparse.Namespace) -> int:
    """Write the dump; returns 0 when it holds anything."""
    from packseal_drivers.modbus.bus import Outcome  # noqa: PLC0415 - lazy, as every command is
    from packseal_drivers.modbus.dump import DumpWriter  # noqa: PLC0415
    from packseal_drivers.modbus.plan import Read  # noqa: PLC0415

    settings, battery, driver = _opened(args)
    unit = getattr(battery.link, "unit", 1)
    writer = DumpWriter(args.file)

    def heard(at_ns: int, read: Read, outcome: Outcome) -> None:
        writer.write(at_ns, unit, read, outcome.words, outcome.code)

    driver.heard = heard
    try:
        trouble = asyncio.run(_record(driver, args.seconds))
    finally:
        writer.close()
    if not writer.lines:
        raise LinkError(trouble or f"unit {unit} has answered nothing: are its id and the line's settings right?")
    print(f"{args.file}: {counted(writer.lines, 'answer')} of {battery.id} ({settings.path})")
    return 0


def _opened(args: argparse.Namespace) -> "tuple[Config, Battery, ModbusDriver]":
    from packseal_drivers.modbus.driver import ModbusDriver  # noqa: PLC0415 - lazy, as every command is

    if args.config is None or args.channel is not None:
        raise InputError("a .registers file is made of a configured Modbus battery: name it with --config, --battery")
    settings = config.load(args.config)
    for battery in settings.file.battery:
        if args.battery in (None, battery.id):
            driver = opening.open_battery_driver(settings, battery, SystemClock())
            if not isinstance(driver, ModbusDriver):
                raise InputError(f"battery {battery.id} is not read over Modbus: a .registers file is not for it")
            return settings, battery, driver
    raise InputError(f"{args.config} has no battery {args.battery}")


async def _record(driver: "ModbusDriver", seconds: float | None) -> str:
    """Poll until SIGINT, SIGTERM or the time is over; return why the connection failed, "" where it did not."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    why = ""

    async def poll() -> None:
        nonlocal why
        async with aclosing(driver.batches()) as batches:
            async for batch in batches:
                lost = [item for item in batch if isinstance(item, Notice) and item.code is EventCode.LINK_LOST]
                why = str(lost[-1].attributes["reason"]) if lost else why

    task, stopped = asyncio.ensure_future(poll()), asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()  # a driver does not end, so it has failed, as on a full disk
    task.cancel()
    stopped.cancel()
    await asyncio.gather(task, stopped, return_exceptions=True)
    return why
