"""Source: numbered samples at a steady rate for whichever gateway is connected, in the form of docs/formats/stream.md.

A sample is one frame: its number as a counter of 1 mAh a step, a voltage and a current. What is not written to a
connected gateway is not made: a gateway that was killed has nothing to answer for while it is down.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Self

from bench.installation import STREAM_HEADER
from packseal.core.sample import ClockQuality

FRAME_ID = 0x300
FRAME = Struct("<IHh")  # number, 10 mV, 10 mA

DBC = """VERSION ""

BU_: BMS

BO_ 768 Numbered: 8 BMS
 SG_ Number : 0|32@1+ (0.001,0) [0|0] "Ah" GW
 SG_ Voltage : 32|16@1+ (0.01,0) [0|0] "V" GW
 SG_ Current : 48|16@1- (0.01,0) [0|0] "A" GW
"""
PROFILE = """name = "bench/numbered"
title = "Made up for counting"
source = "bench/peers/source.py"
dbc = "numbered.dbc"
""" + "".join(
    f'[[signal]]\nmessage = "Numbered"\nsignal = "{signal}"\nquantity = "{quantity}"\n'
    for signal, quantity in (
        ("Number", "charge_charged_ah"),
        ("Voltage", "pack_voltage_v"),
        ("Current", "pack_current_a"),
    )
)
PER_AH = 1000


class Source:
    """Serves at `path` until left. `made` is how many samples were written, numbered from 1."""

    def __init__(self, path: Path, rate_per_s: int) -> None:
        self._path = path
        self._rate_per_s = rate_per_s
        self._server: asyncio.Server | None = None
        self._is_on = True
        self.made = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        if self._server is not None:
            self._server.close()

    def stop(self) -> None:
        """Make no more; the connection stays."""
        self._is_on = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            began, turn = time.monotonic(), 0
            while self._is_on and not reader.at_eof():
                turn += 1
                await asyncio.sleep(max(0.0, began + turn / self._rate_per_s - time.monotonic()))
                await self._write(writer)
                self.made += 1
            # One more, which does not count: what is put together from frames is known to be whole when the next comes.
            await self._write(writer)
            await reader.read()

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        data = FRAME.pack(self.made + 1, 40_000, 500 if self.made % 2 else -500)
        head = STREAM_HEADER.pack(time.monotonic_ns(), time.time_ns(), FRAME_ID, len(data), ClockQuality.NTP)
        writer.write(head + data)
        await writer.drain()
