"""The serial CAN adapter against python-can's own slcan."""

import asyncio
import contextlib
import os
import pty
import threading
import tty
from collections.abc import AsyncGenerator
from pathlib import Path

import can
from tests.hil.faces.gateway_end import EFF, FRAMES, WAIT_S, until

from packseal_hil.faces.slcan import SlcanAdapter
from packseal_hil.rig.protocols import CanFrame


@contextlib.asynccontextmanager
async def serial_line(gateway_path: Path) -> AsyncGenerator[str]:
    """Give the name of a terminal whose other end is the Unix socket at which the adapter will find it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop.add_reader(master, lambda: writer.write(os.read(master, 4096)))
        while data := await reader.read(1024):
            while data:
                try:
                    data = data[os.write(master, data) :]
                except BlockingIOError:
                    await asyncio.sleep(0.001)
        loop.remove_reader(master)
        writer.close()

    server = await asyncio.start_unix_server(serve, gateway_path)
    try:
        yield os.ttyname(slave)
    finally:
        server.close()
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)


def test_python_can_is_a_peer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serial_line(tmp_path / "uart") as name:
            bus = SlcanAdapter(tmp_path / "uart")
            await bus.connect(WAIT_S)
            peer: can.BusABC = await asyncio.to_thread(
                can.Bus, interface="slcan", channel=name, bitrate=250_000, sleep_after_open=0
            )
            heard: list[CanFrame] = []
            bus.listen(heard.append)
            await bus.opened(WAIT_S)
            assert bus.bit_rate == 250_000
            got: list[can.Message] = []
            stop = threading.Event()

            def listen() -> None:
                while not stop.is_set() and len(got) < 300:
                    if (message := peer.recv(0.05)) is not None:
                        got.append(message)

            listening = asyncio.create_task(asyncio.to_thread(listen))
            sent = FRAMES * 100
            await bus.send(sent)
            await until(lambda: len(got) == 300, 30)
            stop.set()
            await listening
            assert [(m.arbitration_id | EFF * m.is_extended_id, bytes(m.data)) for m in got] == [tuple(f) for f in sent]
            for frame in FRAMES:
                await asyncio.to_thread(
                    peer.send,
                    can.Message(
                        arbitration_id=frame.address & 0x1FFF_FFFF,
                        is_extended_id=bool(frame.address & EFF),
                        data=frame.data,
                    ),
                )
            await until(lambda: heard == FRAMES)
            await asyncio.to_thread(peer.shutdown)
            await until(lambda: not bus.is_open)
            await bus.close()

    asyncio.run(scenario())
