"""QEMU's control line: with a real QEMU that has no machine, and with one that misbehaves."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from packseal_hil.gateway.programs import find
from packseal_hil.gateway.qmp import Qmp
from packseal_hil.rig.protocols import RigError

QEMU = find("qemu-system-x86_64")
GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@pytest.mark.skipif(QEMU is None, reason="QEMU is not here: apt-get install qemu-system-x86")
def test_commands_are_carried_out_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "qmp"

    async def run() -> None:
        words = ["-M", "none", "-nodefaults", "-display", "none", "-qmp", f"unix:{path},server=on,wait=off"]
        process = await asyncio.create_subprocess_exec(str(QEMU), *words)
        try:
            for _ in range(600):
                if path.exists():
                    break
                await asyncio.sleep(0.1)
            qmp = await Qmp.connect(path)
            assert await qmp.execute("query-name") == {}
            with pytest.raises(RigError, match=r"QEMU does not carry out set_link: Device 'nic' not found"):
                await qmp.execute("set_link", name="nic", up=False)
            await qmp.execute("quit")
            await asyncio.wait_for(process.wait(), 60)
            await qmp.close()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    asyncio.run(run())


def talk_to(tmp_path: Path, talk: Talk, use: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        server = await asyncio.start_unix_server(talk, tmp_path / "qmp")
        async with server:
            await use(tmp_path / "qmp")

    asyncio.run(run())


def test_what_comes_unasked_is_kept_apart_from_answers(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(b'{"return": {}}\n')
        asked = json.loads(await reader.readline())
        writer.write(b'{"event": "RESET", "timestamp": {}}\n' + json.dumps({"return": asked}).encode() + b"\n")
        writer.close()
        await writer.wait_closed()

    async def use(path: Path) -> None:
        qmp = await Qmp.connect(path)
        assert await qmp.execute("query-x", some_key=1) == {"execute": "query-x", "arguments": {"some-key": 1}}
        assert [event["event"] for event in qmp.events] == ["RESET"]
        with pytest.raises(RigError, match="QEMU has ended"):
            await qmp.execute("quit")
        await qmp.close()

    talk_to(tmp_path, talk, use)


def test_something_else_at_the_socket_is_told(tmp_path: Path) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"hello": 1}\n')
        writer.close()
        await writer.wait_closed()

    async def use(path: Path) -> None:
        with pytest.raises(RigError, match="greets with"):
            await Qmp.connect(path)

    talk_to(tmp_path, talk, use)
