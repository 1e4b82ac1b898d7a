"""Acts: does what a bench.toml says: a command here or on the gateway, a line to a network socket, or a request."""

import asyncio
from collections.abc import Mapping

from packseal_hil.rig import process
from packseal_hil.rig.manual import Hand
from packseal_hil.rig.protocols import Device, RigError
from packseal_hil.rig.settings import Act

ACT_S = 60.0


class Acts:
    """Does what a bench.toml says."""

    def __init__(self, device: Device, hand: Hand) -> None:
        self._device = device
        self._hand = hand

    async def do(self, what: str, act: Act | None, **values: float) -> None:
        """Do it; raises RigError when the bench has no such act, or it fails."""
        if act is None:
            raise RigError(f"this bench.toml does not say how to {what}")
        if act.ask is not None:
            await self._hand.do(_filled(act.ask, values))
        elif act.send is not None and act.to is not None:
            await _send(act.to, _filled(act.send, values))
        elif act.device is not None:
            done = await self._device.run(_filled(act.device, values), timeout_s=ACT_S)
            check(what, done.code, done.output)
        elif act.command is not None:
            await _command(what, _filled(act.command, values))


def _filled(text: str, values: Mapping[str, float]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", f"{value:.3f}" if name == "wall_s" else f"{value:g}")
    return text


async def _send(to: str, text: str) -> None:
    host, _, port = to.rpartition(":")
    try:
        async with asyncio.timeout(ACT_S):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{text}\n".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        raise RigError(f"cannot send to {to}: {getattr(error, 'strerror', '') or 'no answer'}") from error


async def _command(what: str, command: str) -> None:
    running = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=process.environment()
    )
    try:
        output, _ = await asyncio.wait_for(running.communicate(), ACT_S)
    except TimeoutError as error:
        running.kill()
        await running.wait()
        raise RigError(f"to {what} took longer than {ACT_S:g} s: {command}") from error
    check(what, running.returncode or 0, output.decode("utf-8", "replace"))


def check(what: str, code: int, output: str) -> None:
    """Raise RigError when a command has failed."""
    if code:
        raise RigError(f"could not {what}: {output.strip() or f'exit code {code}'}")
