"""Line: the wire between a gateway and Modbus devices, which can be in trouble: a serial line's two ends, or TCP.

What is behind it is whole and right; what is wrong is done to the bytes on their way.
"""

import asyncio
import contextlib
import os
import pty
import random
import shutil
import tempfile
import tty
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from pymodbus.framer.rtu import FramerRTU

from packseal_hil.faces.modbus_units import LOOPBACK
from packseal_hil.rig.protocols import LineFault, RigError

NOISE_PER_BYTE = 0.003
"""About every fifth answer of a pack of 16 cells: far more than RS-485 has where it works."""
ANSWER_BYTES = 600
"""More than the longest frame, 260 bytes (MODBUS Messaging on TCP/IP V1.0b §4.2)."""
UNIT_AT = {True: 0, False: 6}
"""Where the unit id stands in a frame, by whether it is one of a serial line."""
CHECKSUM_BYTES = 2
ANSWER_S = 0.5
LATE_S = 0.002
"""Between the answers of two devices that do not know of each other: less than the pause between frames at 9600 Bd."""

Write = Callable[[bytes], None]


class ModbusLine:
    """One wire, from `open` to `close`.

    Args:
        rtu: whether frames are those of a serial line; it then has a pseudo-terminal besides.
        seed: of the noise.
        dead: the unit that falls silent with LineFault.DEAD_UNIT.
    """

    def __init__(self, *, rtu: bool, seed: int, dead: int = 2) -> None:
        self.ports: tuple[int, ...] = ()
        """Of this machine's loopback: the devices', and that of others with the same unit ids, for a clash."""
        self.fault = LineFault.NONE
        self.spoiled = 0
        """How many answers were cut, changed or doubled so far."""
        self.answers = 0
        self.rtu = rtu
        self.mute = False
        """Whether nobody answers."""
        self._dead = dead
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._hung_up: list[Callable[[], None]] = []
        self._pty: tuple[int, int] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="packseal-"))
        self._reading: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where the wire begins, on this machine's loopback."""
        return self._port

    @property
    def device(self) -> Path:
        """The serial line's near end, a pseudo-terminal of this machine."""
        return self._folder / "line"

    async def open(self) -> None:
        """Listen at both ends; raises RigError."""
        await self._listen()
        if self.rtu:
            self._pty = pty.openpty()
            tty.setraw(self._pty[1])
            self.device.symlink_to(os.ttyname(self._pty[1]))
            self._reading = asyncio.create_task(self._serial(self._pty[0]))

    async def close(self) -> None:
        """Hang up, and leave nothing."""
        await self._hang_up()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        for descriptor in self._pty or ():
            os.close(descriptor)
        self._pty = None
        shutil.rmtree(self._folder, ignore_errors=True)

    async def set(self, fault: LineFault) -> None:
        """Put the line into this state; raises RigError when it cannot listen any more."""
        self.fault = fault
        if fault is not LineFault.DIES and self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        try:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port)
        except OSError as error:
            raise RigError(f"no Modbus device can listen at {LOOPBACK}: {error.strerror}") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for hang_up in self._hung_up:
            hang_up()
        self._hung_up.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hung_up.append(writer.transport.abort)
        with contextlib.suppress(OSError):
            await self._carry(reader, writer.write)
        writer.close()

    async def _serial(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, lambda: reader.feed_data(os.read(descriptor, ANSWER_BYTES)))
        try:
            await self._carry(reader, lambda data: _write(descriptor, data))
        finally:
            loop.remove_reader(descriptor)

    async def _carry(self, near: asyncio.StreamReader, write: Write) -> None:
        """Carry requests one by one to the devices, and back what they answer."""
        async with AsyncExitStack() as stack:
            ends: list[_End] = []
            while request := await near.read(ANSWER_BYTES):
                if not ends:  # a serial line is there before its devices are
                    ends = [await stack.enter_async_context(_End(port)) for port in self.ports]
                await self._exchange(request, ends, write)

    async def _exchange(self, request: bytes, ends: "list[_End]", write: Write) -> None:
        is_dead = self.fault is LineFault.DEAD_UNIT and request[UNIT_AT[self.rtu] :][:1] == bytes((self._dead,))
        if self.mute or is_dead:
            return
        if self.fault is LineFault.NOISE:
            request = self._noisy(request)
        heard = ends if self.fault is LineFault.CLASH else ends[:1]
        for end in heard:
            end.ask(request)
        said = [answer for end in heard if (answer := await end.answer())]
        if said:
            self.answers += 1
            await self._answer(said, write)

    async def _answer(self, said: list[bytes], write: Write) -> None:
        self.spoiled += self.fault not in (LineFault.NONE, LineFault.DEAD_UNIT, LineFault.NOISE)
        match self.fault:
            case LineFault.DIES:
                write(said[0][: len(said[0]) // 2])
                await asyncio.sleep(LATE_S)
                await self._hang_up()
            case LineFault.NOISE:
                noisy = self._noisy(said[0])
                self.spoiled += noisy != said[0]
                write(noisy)
            case LineFault.STRANGER:
                write(self._of_another(said[0]))
            case LineFault.CLASH:
                self._chance.shuffle(said)
                for answer in said:
                    write(answer)
                    await asyncio.sleep(LATE_S)
            case _:
                write(said[0])

    def _noisy(self, data: bytes) -> bytes:
        """Return the bytes with some of them changed, lost or made up."""
        noisy = bytearray()
        for byte in data:
            if self._chance.random() >= NOISE_PER_BYTE:
                noisy.append(byte)
                continue
            kind = self._chance.randrange(3)
            if kind:
                noisy.append(byte ^ 1 << self._chance.randrange(8) if kind == 1 else self._chance.randrange(256))
            if kind > 1:
                noisy.append(byte)
        return bytes(noisy)

    def _of_another(self, answer: bytes) -> bytes:
        """Return the answer as of the next unit, whole and with the right checksum."""
        at = UNIT_AT[self.rtu]
        changed = answer[:at] + bytes((answer[at] + 1,)) + answer[at + 1 :]
        if not self.rtu:
            return changed
        body = changed[:-CHECKSUM_BYTES]
        return body + FramerRTU.compute_CRC(body).to_bytes(CHECKSUM_BYTES, "big")


class _End:
    """One connection to a device."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self._port)
        self._pump = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pump.cancel()
        self._writer.close()

    def ask(self, request: bytes) -> None:
        """Send a request, and forget what was answered late to the ones before."""
        while not self._answers.empty():
            self._answers.get_nowait()
        self._writer.write(request)

    async def answer(self) -> bytes:
        """Return what it answers; nothing where it does not, as to a request that noise has changed."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._answers.get(), ANSWER_S)
        return b""

    async def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while answer := await self._reader.read(ANSWER_BYTES):
                self._answers.put_nowait(answer)


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BlockingIOError):  # nobody reads: the line's other end is full, and what is more is lost
        os.write(descriptor, data)
